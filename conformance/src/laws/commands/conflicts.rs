//! CB-05: conflicts and rejections.

use crate::ask::{Ask, name};
use crate::bus::{AddEntries, Fault, Owner, Refused, World, add, close, encoded, entry, limit, seats, sent};
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::domain::Rejection;
use portolan_kernel::ports::{CommandBus, CommandError, EventStore};
use portolan_kernel::values::{Append, NewEvent, Revision};
use std::sync::Arc;

law! {
    dyn CommandBus, cb_05_conflicts, "CB-05",
    "On a conflict the state is loaded again and the decision made anew, boundedly and with jitter. A domain rejection \
     is never retried, and its typed value comes back, also through a wire.",
    checks: [
        a_conflict_is_decided_anew,
        a_conflict_of_a_decision_model_is_decided_anew,
        a_conflict_may_end_in_a_rejection,
        conflicts_end,
        pauses_are_spread,
        a_rejection_is_not_retried,
        a_rejection_comes_back_typed,
    ],
}

/// An entry that a rival adds.
pub(super) fn rival(tally: &str, amount: u64) -> Fault {
    let payload = format!(r#"{{"label":"rival","amount":{amount},"id":"","at":0}}"#);
    Fault::Rival(Box::new(Append::new([NewEvent::new(World::stream(tally), name("tally.added"), payload)])))
}

/// A seat that a rival takes.
fn rival_guest(world: &World<'_>, room: &str) -> Fault {
    let guest = world.own("rival");
    let payload = format!(r#"{{"room":"{room}","guest":"{guest}"}}"#);
    let event = NewEvent::new(name(&format!("seat-{guest}")), name("seat.taken"), payload);
    Fault::Rival(Box::new(Append::new([event.with_tags([name(&format!("room:{room}"))])])))
}

async fn a_conflict_is_decided_anew(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    for (n, id) in [(1, None), (3, Some("k"))] {
        let tally = world.own(&format!("a-{n}"));
        app.took(sent(add(&tally, &[1]))).await?;
        world.store.plan(None, rival(&tally, 100), n);
        let mut command = sent(add(&tally, &[2]));
        command.id = id.map(name);
        let receipt = app.took(command).await?;
        let states: Vec<_> = world.watch.about(&tally).into_iter().skip(1).map(|seen| seen.state).collect();
        let expected: Vec<_> = (0..=n as u64).map(|rivals| (1 + rivals, 1 + 100 * rivals)).collect();
        expect_eq!(states, expected, "the states that were decided on, with {n} rivals");
        let last = Revision::new(n as u64 + 1);
        expect_eq!(receipt.streams, [(World::stream(&tally), Some(last))], "the stream in the receipt");
        expect_eq!(world.events(&tally).await?.len(), n + 2, "events, those of {n} rivals among them");
    }
    Ok(())
}

async fn a_conflict_of_a_decision_model_is_decided_anew(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, room) = (world.start().await?, world.own("room"));
    world.store.plan(None, rival_guest(&world, &room), 2);
    app.took(sent(seats(&room, [world.own("ann"), world.own("bea")], 4))).await?;
    let states: Vec<_> = world.watch.about(&room).into_iter().map(|seen| seen.state.0).collect();
    expect_eq!(states, [0, 1, 2], "the seats that were taken when it was decided");
    let error = app.refused(sent(seats(&room, [world.own("bob")], 4))).await?;
    expect_is!(Refused::of(&error), Some(Refused::RoomFull { seats: 4, .. }), "one more than there are seats");
    Ok(())
}

async fn a_conflict_may_end_in_a_rejection(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    app.took(sent(limit(&tally, 10))).await?;
    world.store.plan(None, rival(&tally, 9), 1);
    let error = app.refused(sent(add(&tally, &[2])).with_id(name("k"))).await?;
    expect_is!(Refused::of(&error), Some(Refused::OverLimit { over: 1, .. }), "what came of it after a rival");
    expect_eq!(world.watch.about(&tally).len(), 3, "decisions");
    expect_eq!(world.events(&tally).await?.len(), 2, "events");
    Ok(())
}

async fn conflicts_end(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    let (tally, room) = (world.own("a"), world.own("room"));
    world.store.plan(Some(&World::stream(&tally)), rival(&tally, 1), usize::MAX);
    world.store.plan(None, rival_guest(&world, &room), usize::MAX);
    let seat = seats(&room, [world.own("ann")], u64::MAX);
    let (entry, seat) = (app.begin(sent(add(&tally, &[7])).with_id(name("k"))), app.begin(sent(seat)));
    // Two dozens of attempts with pauses take a while.
    let longer = app.patience() * 3;
    let error = entry.patient(longer).refusal().await?;
    let rivals = world.events(&tally).await?;
    let last = rivals.last().map(|event| event.revision);
    expect_is!(
        error,
        CommandError::Conflict { stream, actual } if *stream == World::stream(&tally) && *actual == last,
        "a stream that keeps changing (last at {last:?})"
    );
    expect_is!(seat.patient(longer).refusal().await?, CommandError::Conflict { .. }, "a query that keeps changing");
    let tried = [world.watch.about(&tally).len(), world.watch.about(&room).len()];
    expect!(tried.iter().all(|tried| (2..1_000).contains(tried)), "a bounded number of attempts, and not {tried:?}");
    expect_eq!(rivals.len(), tried[0], "events, which are all rivals'");
    world.store.heal();
    app.took(sent(add(&tally, &[7])).with_id(name("k"))).await?;
    expect_eq!(world.events(&tally).await?.len(), tried[0] + 1, "events after it was sent again");
    Ok(())
}

async fn pauses_are_spread(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    let mut pauses: Vec<Vec<Duration>> = Vec::new();
    for n in 0..2 {
        let tally = world.own(&format!("a-{n}"));
        let before = world.slept().len();
        world.store.plan(None, rival(&tally, 1), 4);
        app.took(sent(add(&tally, &[7]))).await?;
        pauses.push(world.slept().split_off(before));
    }
    expect!(pauses.iter().all(|pauses| pauses.len() >= 2), "pauses between attempts, and not {pauses:?}");
    expect!(pauses[0] != pauses[1], "pauses that differ from one command to the next, and not {pauses:?}");
    Ok(())
}

async fn a_rejection_is_not_retried(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    app.took(sent(close(&tally))).await?;
    let (log, asked) = (world.log().await?, world.store.appends().len());
    for (n, command) in [sent(add(&tally, &[1])), sent(add(&tally, &[1])).with_id(name("k"))].into_iter().enumerate() {
        let error = app.refused(command).await?;
        expect_is!(error, CommandError::Rejected { .. }, "an entry in a closed tally");
        expect_eq!(world.watch.about(&tally).len(), n + 2, "decisions, one a command");
    }
    expect_eq!(world.store.appends().len(), asked, "appends that were asked for");
    expect_eq!(world.log().await?, log, "the log after rejections");
    Ok(())
}

async fn a_rejection_comes_back_typed(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    app.took(sent(limit(&tally, 5))).await?;
    let owner = Owner { name: "Æ \"\\\n\u{1f980}".to_string(), share: 0.1 + 0.2, note: Some(String::new()) };
    let labels = ["ρ", "", "null"].map(|label| format!("{label}!"));
    let entries = labels.iter().map(|label| entry(label, u64::MAX / 4)).collect();
    let command = AddEntries { tally: tally.clone(), entries, owner: owner.clone() };
    let over = (u64::MAX / 4) * 3 - 5;
    let rejections = [
        (sent(command.clone()), Refused::OverLimit { over, labels: labels.to_vec(), owner: owner.clone() }),
        (encoded(&command), Refused::OverLimit { over, labels: labels.to_vec(), owner }),
        (sent(limit(&tally, 5)), Refused::AlreadyLimited { limit: 5 }),
    ];
    for (command, rejection) in rejections {
        let error = app.refused(command).await?;
        expect_eq!(Refused::of(&error).as_ref(), Some(&rejection), "the rejection in {error:?}");
        match error {
            CommandError::Rejected { code, message, fields } => {
                expect_eq!(code, rejection.code(), "the code");
                expect_eq!(message, rejection.to_string(), "the message");
                expect_eq!(fields, rejection.fields(), "the fields");
            }
            other => return Err(Broken::new("a rejection", "CommandError::Rejected", format!("{other:?}"))),
        }
    }
    app.took(sent(close(&tally))).await?;
    let error = app.refused(sent(add(&tally, &[1]))).await?;
    expect_eq!(Refused::of(&error), Some(Refused::Closed), "a rejection without fields");
    let store: Arc<dyn EventStore> = world.store.inner();
    expect_eq!(store.log().await?.len(), 2, "events");
    Ok(())
}
