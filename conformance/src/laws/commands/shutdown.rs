//! CB-12: shutting down, and full queues.

use super::duplicates::MOMENT;
use crate::ask::name;
use crate::bus::{App, Begun, Fault, Gate, World, add, sent};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{CommandBus, CommandError};

law! {
    dyn CommandBus, cb_12_shutdown, "CB-12",
    "Shutdown drains: accepted commands finish, new ones are CommandError::ShuttingDown. A full queue is \
     CommandError::Busy.",
    checks: [accepted_commands_finish, new_commands_are_refused, a_full_queue_is_busy, a_full_bus_is_busy],
}

async fn accepted_commands_finish(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally, gate) = (world.start().await?, world.own("a"), Gate::closed());
    world.store.plan(None, Fault::HeldBefore(gate.clone()), 1);
    let accepted: Vec<_> = (0..3).map(|_| app.begin(sent(add(&tally, &[1])))).collect();
    gate.reached_by(1).await;
    tokio::time::sleep(MOMENT).await;
    let has_ended = app.shuts_down_within(MOMENT).await;
    expect!(!has_ended, "no end of the shutdown while accepted commands are under way");
    for command in [sent(add(&tally, &[1])), sent(add(&world.own("b"), &[1])).with_id(name("k"))] {
        let error = app.refused(command).await?;
        expect_is!(error, CommandError::ShuttingDown, "a new command while accepted ones are drained");
    }
    gate.open();
    for accepted in accepted {
        accepted.receipt().await?;
    }
    app.shut_down().await?;
    expect_eq!(world.log().await?.len(), 3, "events: of the accepted commands alone");
    let next_life = world.start().await?;
    next_life.took(sent(add(&tally, &[1]))).await?;
    Ok(())
}

async fn new_commands_are_refused(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let command = sent(add(&tally, &[1])).with_id(name("k"));
    app.took(command.clone()).await?;
    for _ in 0..2 {
        app.shut_down().await?;
        for command in [command.clone(), sent(add(&tally, &[1])), sent(add(&tally, &[0]))] {
            let error = app.refused(command).await?;
            expect_is!(error, CommandError::ShuttingDown, "a command after the shutdown");
        }
    }
    expect_eq!(world.log().await?.len(), 1, "events: none since the shutdown");
    Ok(())
}

/// How many commands may wait for one stream.
const ROOM: usize = 3;

async fn a_full_queue_is_busy(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::with(trial, |options| options.with_waiting_per_stream(ROOM));
    let (app, tally, gate) = (world.start().await?, world.own("a"), Gate::closed());
    world.store.plan(Some(&World::stream(&tally)), Fault::HeldBefore(gate.clone()), 1);
    let first = app.begin(sent(add(&tally, &[1])));
    gate.reached_by(1).await;
    let command = |n: usize| sent(add(&tally, &[1])).with_id(name(&format!("k-{n}")));
    let (count, room) = (ROOM + 20, ROOM);
    let others: Vec<_> = (0..count).map(|n| app.begin(command(n))).collect();
    let begun = std::time::Instant::now();
    while others.iter().filter(|other| other.is_answered()).count() < count - room && begun.elapsed() < app.patience() {
        tokio::time::sleep(MOMENT / 10).await;
    }
    let busy = others.iter().filter(|other| other.is_answered()).count();
    expect_eq!(busy, count - room, "commands that are answered while the queue has room for {room} of {count}");
    gate.open();
    first.receipt().await?;
    let mut refused = Vec::new();
    for (n, other) in others.into_iter().enumerate() {
        if let Err(error) = other.answer().await? {
            expect_is!(error, CommandError::Busy(_), "a command for which there is no room");
            refused.push(n);
        }
    }
    expect_eq!(refused.len(), busy, "commands for which there was no room");
    expect_eq!(world.events(&tally).await?.len(), 1 + room, "events: of the commands for which there was room");
    for n in refused {
        let receipt = app.took(command(n)).await?;
        expect!(!receipt.repeated, "a command that had no effect before: {receipt:?}");
    }
    Ok(())
}

/// How many commands may wait in all.
const ROOM_IN_ALL: usize = 2;

async fn a_full_bus_is_busy(trial: &Trial<dyn CommandBus>) -> Verdict {
    // An application may let a few names share a queue: then others are tried.
    for _ in 0..3 {
        let world = World::with(trial, |options| options.with_waiting(ROOM_IN_ALL));
        let (app, gate) = (world.start().await?, Gate::closed());
        let tallies = ["a", "b", "c"].map(|tally| world.own(tally));
        world.store.plan(None, Fault::HeldBefore(gate.clone()), tallies.len());
        let held = tallies.each_ref().map(|tally| app.begin(sent(add(tally, &[1]))));
        if tokio::time::timeout(MOMENT * 20, gate.reached_by(tallies.len())).await.is_ok() {
            return full_in_all(&world, &app, &gate, &tallies, held).await;
        }
        gate.open();
    }
    expect!(false, "three aggregates whose commands append at once");
    Ok(())
}

/// Sends commands to tallies each of which has one under way, and sees that so many wait in all.
async fn full_in_all(world: &World<'_>, app: &App, gate: &Gate, tallies: &[String], held: [Begun; 3]) -> Verdict {
    let others: Vec<_> = tallies.iter().chain(tallies).map(|tally| app.begin(sent(add(tally, &[1])))).collect();
    let busy = others.len() - ROOM_IN_ALL;
    let begun = std::time::Instant::now();
    while others.iter().filter(|other| other.is_answered()).count() < busy && begun.elapsed() < app.patience() {
        tokio::time::sleep(MOMENT / 10).await;
    }
    let answered = others.iter().filter(|other| other.is_answered()).count();
    expect_eq!(answered, busy, "commands on three aggregates that are answered while two have room to wait");
    gate.open();
    for held in held {
        held.receipt().await?;
    }
    for other in others {
        if let Err(error) = other.answer().await? {
            expect_is!(error, CommandError::Busy(_), "a command for which there is no room");
        }
    }
    expect_eq!(world.log().await?.len(), tallies.len() + ROOM_IN_ALL, "events of the commands there was room for");
    Ok(())
}
