//! CB-04: duplicates at once, and outcomes that nobody was told.

use super::repetition::repeated;
use crate::ask::name;
use crate::bus::{App, Fault, Gate, World, add, limit, seats, sent};
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::ports::{CommandBus, CommandEnvelope, CommandError, Receipt};

/// Long enough for what should not happen to happen.
pub(super) const MOMENT: Duration = Duration::from_millis(50);

/// Sends duplicates while the first append stands still, and gives what came of them.
async fn at_once(world: &World<'_>, apps: &[&App], command: &CommandEnvelope, count: usize) -> Verdict<Vec<Receipt>> {
    let gate = Gate::closed();
    world.store.plan(None, Fault::HeldBefore(gate.clone()), 1);
    let begun: Vec<_> = apps.iter().cycle().take(count).map(|app| app.begin(command.clone())).collect();
    gate.reached_by(1).await;
    tokio::time::sleep(MOMENT).await;
    gate.open();
    let mut receipts = Vec::new();
    for begun in begun {
        receipts.push(begun.receipt().await?);
    }
    Ok(receipts)
}

/// Sees that they are one original, and repetitions of it.
fn one_original(receipts: &[Receipt]) -> Verdict {
    let originals: Vec<_> = receipts.iter().filter(|receipt| !receipt.repeated).collect();
    expect_eq!(originals.len(), 1, "originals among {} receipts of one command", receipts.len());
    for receipt in receipts {
        expect_eq!(repeated(receipt), repeated(originals[0]), "the receipt of a duplicate");
    }
    Ok(())
}

pub(super) async fn duplicates_decide_once(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let command = sent(add(&tally, &[1, 2])).with_id(name("k"));
    let receipts = at_once(&world, &[&app], &command, 64).await?;
    one_original(&receipts)?;
    expect_eq!(world.watch.about(&tally).len(), 1, "decisions on 64 duplicates at once");
    expect_eq!(world.events(&tally).await?.len(), 2, "events of 64 duplicates at once");
    Ok(())
}

pub(super) async fn duplicates_of_a_decision_model(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, room) = (world.start().await?, world.own("room"));
    let seat = seats(&room, [world.own("ann")], 1);
    let receipts = at_once(&world, &[&app], &sent(seat).with_id(name("k")), 16).await?;
    one_original(&receipts)?;
    expect_eq!(world.watch.about(&room).len(), 1, "decisions on 16 duplicates at once");
    expect_eq!(world.log().await?.len(), 1, "events of 16 duplicates at once");
    Ok(())
}

pub(super) async fn duplicates_take_effect_once_in_two_applications(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let apps = [&world.start().await?, &world.start().await?];
    for round in 0..trial.rounds(20) {
        let tally = world.own(&format!("a-{round}"));
        let command = sent(add(&tally, &[1, 2])).with_id(name(&format!("k-{round}")));
        let receipts = at_once(&world, &apps, &command, 8).await?;
        one_original(&receipts)?;
        expect_eq!(world.events(&tally).await?.len(), 2, "events of duplicates in two applications");
    }
    // One that has decided, and is overtaken before it appends.
    let (tally, gate) = (world.own("b"), Gate::closed());
    let command = sent(add(&tally, &[1, 2])).with_id(name("overtaken"));
    world.store.plan(None, Fault::HeldBefore(gate.clone()), 1);
    let slow = apps[0].begin(command.clone());
    gate.reached_by(1).await;
    let fast = apps[1].took(command).await?;
    gate.open();
    one_original(&[fast, slow.receipt().await?])?;
    expect_eq!(world.events(&tally).await?.len(), 2, "events of a command that was overtaken by its duplicate");
    let decided = world.watch.about(&tally);
    expect!(decided.iter().all(|seen| seen.ids == decided[0].ids), "the same ids in each decision: {decided:?}");
    Ok(())
}

/// A command that looks for its id before its duplicate elsewhere takes effect, and loads a state that rejects it.
pub(super) async fn a_rejection_looks_for_a_duplicate_elsewhere(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let apps = [world.start().await?, world.start().await?];
    let (tally, room) = (world.own("a"), world.own("room"));
    // By the other one, so that this one has to load the state.
    apps[1].took(sent(limit(&tally, 3))).await?;
    let commands = [
        (Some(World::stream(&tally)), sent(add(&tally, &[1, 2]))),
        (None, sent(seats(&room, [world.own("ann"), world.own("bea")], 2))),
    ];
    for (read, command) in commands {
        let (command, gate) = (command.with_id(name("k")), Gate::closed());
        world.store.hold_next_read(read, gate.clone());
        let slow = apps[0].begin(command.clone());
        gate.reached_by(1).await;
        let fast = apps[1].took(command).await?;
        gate.open();
        one_original(&[fast, slow.receipt().await?])?;
    }
    expect_eq!(world.log().await?.len(), 5, "events of commands that were overtaken by their duplicates");
    Ok(())
}

pub(super) async fn the_record_commits_with_the_events(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for (n, fault) in [Fault::Written, Fault::Lost].into_iter().enumerate() {
        let command = sent(add(&tally, &[1, 2])).with_id(name(&format!("k-{n}")));
        let before = world.events(&tally).await?.len();
        world.store.plan(None, fault.clone(), 1);
        world.store.plan(None, Fault::Busy, usize::MAX);
        let error = app.refused(command.clone()).await?;
        expect_is!(error, CommandError::Unknown(_), "the outcome of an append whose outcome is unknown");
        world.store.heal();
        let app = world.start().await?;
        let settled = app.took(command.clone()).await?;
        expect_eq!(settled.repeated, matches!(fault, Fault::Written), "whether it had been written");
        let events = world.events(&tally).await?;
        expect_eq!(events.len() - before, 2, "events of a command that was settled by its id");
        let ids: Vec<_> = events[before..].iter().map(|event| event.id).collect();
        expect_eq!(settled.events, ids, "the events in the receipt");
        expect_eq!(app.took(command).await?, repeated(&settled), "the receipt of one more repetition");
    }
    for append in world.store.appends() {
        expect!(append.key.is_some(), "a key in each append of a command with an id: {append:?}");
    }
    // Unknown once, and then not: the bus may settle it itself.
    let tally = world.own("b");
    for (n, fault) in [Fault::Written, Fault::Lost, Fault::Busy].into_iter().enumerate() {
        let command = sent(add(&tally, &[1])).with_id(name(&format!("j-{n}")));
        world.store.plan(None, fault, 1);
        if let Err(error) = app.answer(command.clone()).await? {
            expect_is!(error, CommandError::Unknown(_) | CommandError::Busy(_), "the outcome, if it is none");
        }
        app.took(command).await?;
        expect_eq!(world.events(&tally).await?.len(), n + 1, "events of as many commands");
    }
    Ok(())
}
