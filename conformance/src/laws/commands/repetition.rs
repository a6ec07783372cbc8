//! CB-04: repeated ids, one after another.

use super::duplicates::{
    a_rejection_looks_for_a_duplicate_elsewhere, duplicates_decide_once, duplicates_of_a_decision_model,
    duplicates_take_effect_once_in_two_applications, the_record_commits_with_the_events,
};
use crate::ask::name;
use crate::bus::{
    AddEntries, App, Owner, RETENTION, Refused, World, add, close, encoded, limit, of_tenant, seats, sent, written,
};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::domain::Rejection;
use portolan_kernel::ports::{CommandBus, CommandEnvelope, CommandError, Receipt};
use portolan_kernel::values::Name;

law! {
    dyn CommandBus, cb_04_repetition, "CB-04",
    "A repeated command id returns the original receipt, also after a restart and also where the domain would now \
     reject it; the record commits with the events. The key's scope is tenant and command name; its digest is of the \
     decoded command, so typed and encoded sends agree. Another command under the id is CommandError::KeyReused. In one \
     process concurrent duplicates decide once; across processes they take effect once. Rejections are not recorded.",
    checks: [
        a_repetition_returns_the_original,
        also_where_the_domain_would_now_reject,
        also_after_a_restart,
        also_of_no_events,
        another_command_is_refused,
        the_scope_is_tenant_and_name,
        ids_are_apart,
        the_digest_is_of_the_decoded_command,
        rejections_are_not_recorded,
        an_expired_id_is_new,
        duplicates_decide_once,
        duplicates_of_a_decision_model,
        duplicates_take_effect_once_in_two_applications,
        a_rejection_looks_for_a_duplicate_elsewhere,
        the_record_commits_with_the_events,
    ],
}

/// The receipt of a repetition.
pub(super) fn repeated(original: &Receipt) -> Receipt {
    let mut repeated = original.clone();
    repeated.repeated = true;
    repeated
}

/// Takes the command, then again, and sees that this gives the original.
async fn once(app: &App, command: &CommandEnvelope) -> Verdict<Receipt> {
    let original = app.took(command.clone()).await?;
    expect!(!original.repeated, "the first receipt under an id is none of a repetition: {original:?}");
    expect_eq!(app.took(command.clone()).await?, repeated(&original), "the receipt of a repetition");
    Ok(original)
}

async fn a_repetition_returns_the_original(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for (n, command) in [sent(add(&tally, &[1, 2])), encoded(&add(&tally, &[3]))].into_iter().enumerate() {
        let command = command.with_id(name(&format!("k-{n}")));
        let original = app.took(command.clone()).await?;
        expect!(!original.repeated, "the first receipt under an id is none of a repetition: {original:?}");
        app.took(sent(add(&tally, &[5]))).await?;
        let (log, decided) = (world.log().await?, world.watch.seen().len());
        for time in 2..5 {
            expect_eq!(app.took(command.clone()).await?, repeated(&original), "the receipt, time {time}");
        }
        expect_eq!(world.log().await?, log, "the log after repetitions");
        expect_eq!(world.watch.seen().len(), decided, "decisions, after repetitions");
    }
    let (one, other) = (app.took(sent(add(&tally, &[1]))).await?, app.took(sent(add(&tally, &[1]))).await?);
    expect!(!one.repeated && !other.repeated && one.events != other.events, "commands without an id are always new");
    Ok(())
}

async fn also_where_the_domain_would_now_reject(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    once(&app, &sent(limit(&tally, 10)).with_id(name("k"))).await?;
    let adding = sent(add(&tally, &[7])).with_id(name("k"));
    let added = once(&app, &adding).await?;
    app.took(sent(close(&tally))).await?;
    expect_eq!(app.took(adding).await?, repeated(&added), "a repetition where entries are rejected by now");
    let seat = seats(&world.own("room"), [world.own("ann")], 1);
    once(&app, &sent(seat).with_id(name("k"))).await?;
    Ok(())
}

async fn also_after_a_restart(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let commands = [
        sent(add(&tally, &[1, 2])).with_id(name("k")),
        sent(limit(&tally, 10)).with_id(name("k")).with_metadata(of_tenant("acme")),
        sent(seats(&world.own("room"), [world.own("ann")], 1)).with_id(name("k")),
    ];
    let mut originals = Vec::new();
    for command in &commands {
        originals.push(app.took(command.clone()).await?);
    }
    app.shut_down().await?;
    drop(app);
    let (app, log) = (world.start().await?, world.log().await?);
    for (command, original) in commands.into_iter().zip(&originals) {
        expect_eq!(app.took(command).await?, repeated(original), "the receipt in the next life");
    }
    let error = app.refused(sent(add(&tally, &[3])).with_id(name("k"))).await?;
    expect_is!(error, CommandError::KeyReused, "another command under the id, in the next life");
    expect_eq!(world.log().await?, log, "the log after repetitions in the next life");
    Ok(())
}

async fn also_of_no_events(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let closed = app.took(sent(close(&tally))).await?;
    let nothing = once(&app, &sent(close(&tally)).with_id(name("k"))).await?;
    expect_eq!((nothing.position, nothing.events.len()), (None, 0), "position and events of a command that made none");
    expect_eq!(nothing.streams, closed.streams, "the stream that was decided upon");
    Ok(())
}

async fn another_command_is_refused(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let original = once(&app, &sent(add(&tally, &[1])).with_id(name("k"))).await?;
    app.took(sent(close(&tally))).await?;
    let log = world.log().await?;
    let owner = Owner { share: 0.5, ..Owner::default() };
    let others = [
        add(&tally, &[2]),
        add(&tally, &[1, 1]),
        add(&world.own("b"), &[1]),
        AddEntries { owner, ..add(&tally, &[1]) },
    ];
    for other in others {
        for command in [encoded(&other), sent(other)] {
            let error = app.refused(command.with_id(name("k"))).await?;
            expect_is!(error, CommandError::KeyReused, "another command under the id");
        }
    }
    expect_eq!(world.log().await?, log, "the log after that");
    let again = app.took(sent(add(&tally, &[1])).with_id(name("k"))).await?;
    expect_eq!(again, repeated(&original), "the original after that");
    Ok(())
}

async fn the_scope_is_tenant_and_name(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let mut receipts = Vec::new();
    // Tenants that a careless scope would join to the same text.
    let tenants = ["acme", "Acme", "acme:k", "add-entries", "%", " acme"];
    for tenant in [None].into_iter().chain(tenants.map(Some)) {
        let within = |command: CommandEnvelope| match tenant {
            Some(tenant) => command.with_id(name("k")).with_metadata(of_tenant(tenant)),
            None => command.with_id(name("k")),
        };
        receipts.push(once(&app, &within(sent(add(&tally, &[1])))).await?);
        receipts.push(once(&app, &within(sent(limit(&world.own(tenant.unwrap_or_default()), 1)))).await?);
    }
    let mut ids: Vec<_> = receipts.iter().flat_map(|receipt| receipt.events.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    expect_eq!(ids.len(), receipts.len(), "different event ids, under one command id in each tenant and name");
    Ok(())
}

async fn ids_are_apart(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let long = "k".repeat(512);
    let ids = ["k", "K", "k ", " k", "k:1", "k%", "\"k\"", r"k\", "k,j", "\u{e9}", "e\u{301}", "\u{1f980}", &long];
    for id in ids {
        once(&app, &sent(add(&tally, &[1])).with_id(name(id))).await?;
    }
    expect_eq!(world.events(&tally).await?.len(), ids.len(), "events of as many ids");
    Ok(())
}

async fn the_digest_is_of_the_decoded_command(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let text = |text: &str| written::<AddEntries>(text.replace("TALLY", &tally));
    let same = || {
        vec![
            sent(add(&tally, &[1])),
            encoded(&add(&tally, &[1])),
            text(r#"{"tally":"TALLY","entries":[{"label":"entry","amount":1}]}"#),
            text(r#"{"entries":[{"amount":1,"label":"entry"}],"tally":"TALLY"}"#),
            text(" {\n\t\"tally\" : \"TALLY\",\r\n \"entries\":[ {\"label\":\"entry\" , \"amount\": 1 } ] }\n"),
            text(
                r#"{"tally":"TALLY","entries":[{"label":"\u0065ntry","amount":1}],"owner":{"name":"nobody","share":1}}"#,
            ),
            text(r#"{"tally":"TALLY","entries":[{"label":"entry","amount":1}],"owner":{"share":1.0,"name":"nobody"}}"#),
            text(
                r#"{"tally":"TALLY","entries":[{"label":"entry","amount":1}],"owner":{"share":10E-1,"name":"nobody"}}"#,
            ),
            text(
                r#"{"owner":{"note":null,"share":1e0,"name":"nobody"},"tally":"TALLY","entries":[{"label":"entry","amount":1}]}"#,
            ),
        ]
    };
    let count = same().len();
    for first in 0..count {
        let id: Name = name(&format!("k-{first}"));
        let mut forms = same();
        forms.rotate_left(first);
        let mut forms = forms.into_iter().map(|form| form.with_id(id.clone()));
        let Some(form) = forms.next() else { continue };
        let original = app.took(form).await?;
        for form in forms {
            expect_eq!(app.took(form).await?, repeated(&original), "the same command in another form");
        }
    }
    expect_eq!(world.events(&tally).await?.len(), count, "events of as many ids");
    let other = text(r#"{"tally":"TALLY","entries":[{"label":"entry","amount":1}],"owner":{"name":"nobody"}}"#);
    let error = app.refused(other.with_id(name("k-0"))).await?;
    expect_is!(error, CommandError::KeyReused, "a command whose share is another");
    Ok(())
}

async fn rejections_are_not_recorded(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    app.took(sent(limit(&tally, 5))).await?;
    let command = sent(add(&tally, &[7])).with_id(name("k"));
    for time in 1..3 {
        let error = app.refused(command.clone()).await?;
        expect_is!(Refused::of(&error), Some(Refused::OverLimit { over: 2, .. }), "the rejection, time {time}");
    }
    app.took(sent(limit(&tally, 10))).await?;
    once(&app, &command).await?;
    let error = app.refused(sent(add(&tally, &[7])).with_id(name("j"))).await?;
    expect_is!(error, CommandError::Rejected { .. }, "another command, which is rejected");
    once(&app, &sent(add(&tally, &[1])).with_id(name("j"))).await?;
    Ok(())
}

async fn an_expired_id_is_new(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let command = sent(add(&tally, &[1])).with_id(name("k"));
    let original = app.took(command.clone()).await?;
    world.clock.advance(RETENTION - Duration::from_secs(600));
    expect_eq!(app.took(command.clone()).await?, repeated(&original), "a repetition within the retention");
    world.clock.advance(RETENTION);
    let again = app.took(command).await?;
    expect!(!again.repeated && again.position > original.position, "past the retention an id is new: {again:?}");
    Ok(())
}
