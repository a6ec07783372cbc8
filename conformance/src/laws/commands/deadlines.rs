//! CB-08: deadlines.

use super::conflicts::rival;
use super::duplicates::MOMENT;
use crate::ask::name;
use crate::bus::{App, Fault, Gate, World, add, seats, sent};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::ports::{CommandBus, CommandEnvelope, CommandError};

law! {
    dyn CommandBus, cb_08_deadlines, "CB-08",
    "Past the deadline nothing has happened (CommandError::DeadlinePassed), or everything has and the answer says so, or \
     the outcome is CommandError::Unknown and the same id settles it.",
    checks: [
        in_the_queue,
        while_the_state_is_loaded,
        while_the_append_is_on_its_way,
        among_conflicts,
        whenever_it_is,
        enough_time_changes_nothing,
    ],
}

/// Short, and long enough to get to where it is held up.
pub(super) const SHORT: Duration = Duration::from_millis(120);

/// Sends a command that cannot end in time, with more and more time as long as nobody knows what came of it: what is
/// on the way may give up before it is told.
pub(super) async fn in_vain(app: &App, command: &CommandEnvelope) -> Verdict<CommandError> {
    for times in [1, 2, 4, 8] {
        let error = app.refused(command.clone().within(SHORT * times)).await?;
        if !matches!(error, CommandError::Unknown(_)) {
            return Ok(error);
        }
    }
    app.refused(command.clone().within(SHORT * 16)).await
}

/// Sends a command that is held up, and sees that it had no effect when its deadline has passed.
async fn nothing_happens(world: &World<'_>, app: &App, gate: &Gate, tally: &str) -> Verdict {
    for id in [None, Some("k")] {
        let mut command = sent(add(tally, &[1, 2]));
        command.id = id.map(name);
        let error = in_vain(app, &command).await?;
        expect_is!(error, CommandError::DeadlinePassed, "a command that was held up before anything was written");
    }
    gate.open();
    tokio::time::sleep(MOMENT).await;
    world.store.heal();
    Ok(())
}

async fn in_the_queue(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally, gate) = (world.start().await?, world.own("a"), Gate::closed());
    world.store.plan(None, Fault::HeldBefore(gate.clone()), 1);
    let first = app.begin(sent(add(&tally, &[7])));
    gate.reached_by(1).await;
    nothing_happens(&world, &app, &gate, &tally).await?;
    first.receipt().await?;
    expect_eq!(world.events(&tally).await?.len(), 1, "events: the first command's alone");
    let again = app.took(sent(add(&tally, &[1, 2])).with_id(name("k"))).await?;
    expect_eq!((again.repeated, world.events(&tally).await?.len()), (false, 3), "sent again: repeated, and events");
    Ok(())
}

async fn while_the_state_is_loaded(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally, gate) = (world.start().await?, world.own("a"), Gate::closed());
    world.store.hold_reads(World::stream(&tally), gate.clone());
    nothing_happens(&world, &app, &gate, &tally).await?;
    expect_eq!(world.events(&tally).await?.len(), 0, "events of commands whose deadline had passed");
    let again = app.took(sent(add(&tally, &[1, 2])).with_id(name("k"))).await?;
    expect_eq!((again.repeated, world.events(&tally).await?.len()), (false, 2), "sent again: repeated, and events");
    Ok(())
}

/// Sees that the answer is true: what was said to have had no effect has none, and the same id settles the rest.
async fn settles(
    world: &World<'_>,
    app: &App,
    subject: &str,
    command: CommandEnvelope,
    count: usize,
    error: Option<CommandError>,
) -> Verdict {
    let before = world.events_about(subject).await?.len();
    match &error {
        None => expect_eq!(before, count, "events of a command that has its receipt"),
        Some(CommandError::DeadlinePassed) => expect_eq!(before, 0, "events of a command that had no effect"),
        Some(CommandError::Unknown(_)) => {
            expect!(before == 0 || before == count, "all of its events or none, and not {before}");
        }
        Some(other) => expect_is!(other, CommandError::Busy(_), "the answer when the deadline has passed"),
    }
    let mut command = command;
    command.within = None;
    let settled = app.took(command).await?;
    expect_eq!(world.events_about(subject).await?.len(), count, "events once the same id has settled it");
    expect_eq!(settled.events.len(), count, "events in the receipt");
    // What is unknown may have taken effect since it was looked for.
    if before == count || !matches!(error, Some(CommandError::Unknown(_))) {
        expect_eq!(settled.repeated, before == count, "whether it had taken effect before");
    }
    Ok(())
}

async fn while_the_append_is_on_its_way(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    for (written, id) in [(false, Some("k")), (false, None), (true, Some("k")), (true, None)] {
        let own = |what: &str| world.own(&format!("{what}-{written}-{id:?}"));
        let party = seats(&own("room"), ["ann", "bea", "cy"].map(own), 3);
        for (subject, count, command) in [(own("a"), 2, sent(add(&own("a"), &[1, 2]))), (own("room"), 3, sent(party))] {
            let gate = Gate::closed();
            let held = if written { Fault::HeldAfter(gate.clone()) } else { Fault::HeldBefore(gate.clone()) };
            world.store.plan(None, held, 1);
            let mut command = command.within(SHORT);
            command.id = id.map(|id| name(&format!("{id}-{subject}")));
            let error = app.refused(command.clone()).await?;
            gate.open();
            tokio::time::sleep(MOMENT).await;
            if id.is_some() {
                settles(&world, &app, &subject, command, count, Some(error)).await?;
            } else if written {
                expect_is!(error, CommandError::Unknown(_), "a command that was written when its deadline passed");
                expect_eq!(world.events_about(&subject).await?.len(), count, "its events");
            }
        }
    }
    Ok(())
}

async fn among_conflicts(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::with(trial, |options| options.with_conflicts(10_000));
    let (app, tally) = (world.start().await?, world.own("a"));
    world.store.plan(None, rival(&tally, 100), usize::MAX);
    let error = in_vain(&app, &sent(add(&tally, &[1, 2])).with_id(name("k"))).await?;
    expect_is!(error, CommandError::DeadlinePassed, "a command that kept conflicting until its deadline");
    world.store.heal();
    let rivals = world.events(&tally).await?.len();
    expect_eq!(world.store.appends().len(), rivals, "events, which are all rivals'");
    app.took(sent(add(&tally, &[1, 2])).with_id(name("k"))).await?;
    expect_eq!(world.events(&tally).await?.len(), rivals + 2, "events after it was sent again");
    Ok(())
}

async fn whenever_it_is(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    for round in 0..trial.rounds(100) {
        let tally = world.own(&format!("a-{round}"));
        let within = Duration::from_micros(fastrand::u64(..3_000) * u64::from(round % 4 != 0));
        if round % 2 == 0 {
            world.store.plan(Some(&World::stream(&tally)), Fault::Lost, 2);
        }
        let command = sent(add(&tally, &[1, 2])).with_id(name(&format!("k-{round}"))).within(within);
        let error = app.answer(command.clone()).await?.err();
        tokio::time::sleep(Duration::from_millis(2)).await;
        settles(&world, &app, &tally, command, 2, error).await?;
    }
    Ok(())
}

async fn enough_time_changes_nothing(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for within in [app.patience(), Duration::from_secs(1 << 40), Duration::MAX] {
        let receipt = app.took(sent(add(&tally, &[1])).within(within)).await?;
        expect_eq!(receipt.events.len(), 1, "events in the receipt of a command with {within:?}");
    }
    expect_eq!(world.events(&tally).await?.len(), 3, "events");
    Ok(())
}
