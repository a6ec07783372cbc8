//! CB-02: validation.

use crate::ask::name;
use crate::bus::{AddEntries, Owner, World, add, close, encoded, entry, seats, sent, written};
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{CommandBus, CommandError, Violation};

law! {
    dyn CommandBus, cb_02_validation, "CB-02",
    "Input is validated before the handler runs, and CommandError::Invalid lists every failing field with path, code \
     and message.",
    checks: [
        every_failing_field_is_listed,
        the_handler_does_not_run,
        also_where_a_model_decides,
        wrong_shapes_name_their_place,
        broken_bodies,
    ],
}

/// Adds what is wrong in four places.
fn wrong(tally: &str) -> AddEntries {
    let entries = vec![entry("right", 1), entry("", 0), entry("ρ", 0)];
    let owner = Owner { name: String::new(), ..Owner::default() };
    AddEntries { entries, owner, ..add(tally, &[]) }
}

fn violations(error: CommandError) -> Verdict<Vec<Violation>> {
    match error {
        CommandError::Invalid(violations) => Ok(violations),
        other => Err(Broken::new("a command with wrong fields", "CommandError::Invalid", format!("{other:?}"))),
    }
}

async fn every_failing_field_is_listed(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    let expected = vec![
        Violation::new("entries[1].label", "empty", "a label has a letter"),
        Violation::new("entries[1].amount", "zero", "an amount is above zero"),
        Violation::new("entries[2].amount", "zero", "an amount is above zero"),
        Violation::new("owner.name", "empty", "a name has a letter"),
    ];
    for command in [sent(wrong(&world.own("a"))), encoded(&wrong(&world.own("a")))] {
        let found = violations(app.refused(command).await?)?;
        expect_eq!(found.len(), expected.len(), "how many fields are listed of {found:?}");
        for violation in &expected {
            expect!(found.contains(violation), "{violation:?} among {found:?}");
        }
    }
    let none = violations(app.refused(sent(add(&world.own("a"), &[]))).await?)?;
    expect_eq!(none, [Violation::new("entries", "empty", "there must be an entry")], "the wrong field of no entries");
    Ok(())
}

async fn the_handler_does_not_run(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    app.took(sent(close(&tally))).await?;
    let (log, seen) = (world.log().await?, world.watch.seen());
    for command in [sent(wrong(&tally)), sent(wrong(&tally)).with_id(name("k")), encoded(&wrong(&tally))] {
        violations(app.refused(command).await?)?;
    }
    expect_eq!(world.watch.seen(), seen, "the decisions, after commands that are invalid");
    expect_eq!(world.log().await?, log, "the log, after commands that are invalid");
    expect_eq!(world.store.appends().len(), 1, "appends that were asked for, in all");
    app.took(sent(add(&world.own("b"), &[1])).with_id(name("k"))).await?;
    Ok(())
}

async fn also_where_a_model_decides(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, room) = (world.start().await?, world.own("room"));
    let wrong = || seats(&room, [world.own("ann"), String::new()], 0);
    for command in [sent(wrong()), encoded(&wrong()), sent(wrong()).with_id(name("k"))] {
        let mut found = violations(app.refused(command).await?)?;
        found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        let expected = [
            Violation::new("guests[1]", "empty", "a guest has a name"),
            Violation::new("seats", "zero", "a room has a seat"),
        ];
        expect_eq!(found, expected, "what is wrong with a command for a model");
    }
    expect_eq!(world.watch.seen().len(), 0, "decisions of a model on commands that are invalid");
    expect_eq!(world.store.appends().len(), 0, "appends that were asked for");
    app.took(sent(seats(&room, [world.own("ann")], 1)).with_id(name("k"))).await?;
    Ok(())
}

async fn wrong_shapes_name_their_place(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let entry = r#"{"label":"a","amount":1}"#;
    let shapes = [
        (format!(r#"{{"tally":"{tally}","entries":[{entry},{{"label":"b","amount":"x"}}]}}"#), "entries[1].amount"),
        (format!(r#"{{"tally":"{tally}","entries":[{{"label":"b","amount":-1}}]}}"#), "entries[0].amount"),
        (format!(r#"{{"tally":"{tally}","entries":[{entry}],"owner":{{"name":"a","share":[]}}}}"#), "owner.share"),
        (format!(r#"{{"tally":"{tally}","entries":[{{"label":"b"}}]}}"#), "entries[0].amount"),
        (format!(r#"{{"entries":[{entry}]}}"#), "tally"),
        (format!(r#"{{"tally":"{tally}","entries":[{entry}],"more":1}}"#), "more"),
        (format!(r#"[{tally:?},[{entry}]]"#), ""),
    ];
    for (text, path) in shapes {
        let found = violations(app.refused(written::<AddEntries>(text.clone())).await?)?;
        let paths: Vec<_> = found.iter().map(|violation| violation.path.as_str()).collect();
        expect_eq!(paths, [path], "the path of what is wrong in {text}");
        let is_told = found.iter().all(|violation| !violation.code.is_empty() && !violation.message.is_empty());
        expect!(is_told, "a code and a message in {found:?}");
    }
    expect_eq!(world.watch.seen().len(), 0, "decisions on commands of wrong shapes");
    Ok(())
}

async fn broken_bodies(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for text in ["", "{", "add", r#"{"tally":"a","entries":[]}}"#] {
        let error = app.refused(written::<AddEntries>(text.to_string())).await?;
        expect_is!(error, CommandError::Malformed(said) if !said.is_empty(), "the body {text:?}");
    }
    expect_eq!(world.watch.seen().len(), 0, "decisions on broken bodies");
    app.took(sent(add(&tally, &[1]))).await?;
    Ok(())
}
