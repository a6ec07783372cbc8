//! CB-10: one after another, and in parallel.

use super::duplicates::MOMENT;
use crate::ask::name;
use crate::bus::{App, Fault, Gate, World, add, limit, seats, sent};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq};
use portolan_kernel::ports::{CommandBus, CommandEnvelope};

law! {
    dyn CommandBus, cb_10_order, "CB-10",
    "Commands on one aggregate take effect one after another, on different ones in parallel.",
    checks: [
        one_after_another,
        none_decides_while_another_appends,
        in_the_order_of_asking,
        different_ones_in_parallel,
        two_applications_see_each_other,
        two_applications_lose_nothing,
        a_caller_who_leaves_holds_up_nobody,
    ],
}

async fn one_after_another(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let count = 40;
    let begun: Vec<_> = (0..count).map(|_| app.begin(sent(add(&tally, &[1])))).collect();
    let mut revisions = Vec::new();
    for begun in begun {
        revisions.extend(begun.receipt().await?.streams.into_iter().filter_map(|(_, revision)| revision));
    }
    revisions.sort_unstable();
    let expected: Vec<_> = world.events(&tally).await?.iter().map(|event| event.revision).collect();
    expect_eq!(revisions, expected, "the revisions in the receipts of {count} commands at once");
    let mut states: Vec<_> = world.watch.about(&tally).into_iter().map(|seen| seen.state).collect();
    states.sort_unstable();
    let expected: Vec<_> = (0..count).map(|n| (n, n)).collect();
    expect_eq!(states, expected, "the states that {count} commands at once were decided on");
    Ok(())
}

async fn none_decides_while_another_appends(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally, gate) = (world.start().await?, world.own("a"), Gate::closed());
    world.store.plan(None, Fault::HeldBefore(gate.clone()), 1);
    let first = app.begin(sent(add(&tally, &[1])));
    gate.reached_by(1).await;
    let others: Vec<_> = (0..5).map(|_| app.begin(sent(add(&tally, &[1])))).collect();
    tokio::time::sleep(MOMENT).await;
    expect_eq!(world.watch.about(&tally).len(), 1, "decisions while the first append is on its way");
    gate.open();
    first.receipt().await?;
    for other in others {
        other.receipt().await?;
    }
    expect_eq!(world.events(&tally).await?.len(), 6, "events");
    Ok(())
}

async fn in_the_order_of_asking(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for amount in 1..10 {
        app.took(sent(add(&tally, &[amount]))).await?;
    }
    let states: Vec<_> = world.watch.about(&tally).into_iter().map(|seen| seen.state).collect();
    let expected: Vec<_> = (0..9).map(|n| (n, n * (n + 1) / 2)).collect();
    expect_eq!(states, expected, "what each command saw of those that were answered before it was sent");
    Ok(())
}

/// How many of these are answered while another is held up. An application may let a few names share a queue, so
/// that one of them may have met with the wrong one.
async fn different_ones_in_parallel(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, gate) = (world.start().await?, Gate::closed());
    let (tally, room) = (world.own("held"), world.own("held-room"));
    let seat = |room: &str, n: usize| sent(seats(room, [world.own(&format!("guest-{n}"))], 9));
    world.store.plan(None, Fault::HeldBefore(gate.clone()), 2);
    let held = [app.begin(sent(add(&tally, &[1]))), app.begin(seat(&room, 0))];
    gate.reached_by(2).await;
    let mut others = Vec::new();
    for n in 1..5 {
        others.push(app.begin(sent(add(&world.own(&format!("a-{n}")), &[1]))));
        others.push(app.begin(seat(&world.own(&format!("room-{n}")), n)));
    }
    let (count, mut answered) = (others.len(), 0);
    for other in others {
        match other.answer().await {
            Ok(Ok(_)) => answered += 1,
            Ok(Err(error)) => expect!(false, "a receipt, and not {error}"),
            Err(_) if answered + 1 < count => {}
            Err(broken) => return Err(broken),
        }
        if answered + 1 >= count {
            break;
        }
    }
    expect!(answered + 1 >= count, "answers on other aggregates while one is held up: {answered} of {count}");
    gate.open();
    for held in held {
        held.receipt().await?;
    }
    Ok(())
}

/// Two applications of one world, each of which has decided and not appended yet.
async fn both_held(world: &World<'_>, apps: &[App; 2], commands: [CommandEnvelope; 2]) -> Verdict<usize> {
    let gate = Gate::closed();
    world.store.plan(None, Fault::HeldBefore(gate.clone()), 2);
    let [one, other] = commands;
    let begun = [apps[0].begin(one), apps[1].begin(other)];
    gate.reached_by(2).await;
    gate.open();
    let mut taken = 0;
    for begun in begun {
        taken += usize::from(begun.answer().await?.is_ok());
    }
    Ok(taken)
}

async fn two_applications_see_each_other(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (apps, tally, room) = ([world.start().await?, world.start().await?], world.own("a"), world.own("room"));
    apps[0].took(sent(limit(&tally, 3))).await?;
    let taken = both_held(&world, &apps, [sent(add(&tally, &[2])), sent(add(&tally, &[2]))]).await?;
    expect_eq!((taken, world.events(&tally).await?.len()), (1, 2), "entries of 2 that were taken of two, and events");
    let guest = |guest: &str| sent(seats(&room, [world.own(guest)], 1));
    let taken = both_held(&world, &apps, [guest("ann"), guest("bob")]).await?;
    expect_eq!((taken, world.log().await?.len()), (1, 3), "seats of one that were taken, and events");
    Ok(())
}

async fn two_applications_lose_nothing(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::with(trial, |options| options.with_conflicts(1_000));
    let (apps, tally) = ([world.start().await?, world.start().await?], world.own("a"));
    let count = trial.rounds(20);
    apps[0].took(sent(limit(&tally, 3 * count as u64))).await?;
    let begun: Vec<_> = (0..2 * count).map(|n| apps[n % 2].begin(sent(add(&tally, &[1, 2])))).collect();
    let mut ids = Vec::new();
    for begun in begun {
        ids.extend(begun.answer().await?.ok().map(|receipt| receipt.events));
    }
    let events = world.events(&tally).await?.split_off(1);
    let mut pairs: Vec<_> =
        events.chunks(2).map(|pair| pair.iter().map(|event| event.id).collect::<Vec<_>>()).collect();
    ids.sort_unstable();
    pairs.sort_unstable();
    expect_eq!(ids, pairs, "the events of commands that two applications took at once");
    expect_eq!(pairs.len(), count, "commands for which there was room");
    Ok(())
}

async fn a_caller_who_leaves_holds_up_nobody(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    for held_after in [false, true] {
        let (tally, gate) = (world.own(&format!("a-{held_after}")), Gate::closed());
        let held = if held_after { Fault::HeldAfter(gate.clone()) } else { Fault::HeldBefore(gate.clone()) };
        world.store.plan(None, held, 1);
        let first = app.begin(sent(add(&tally, &[1, 2])));
        gate.reached_by(1).await;
        let second = app.begin(sent(add(&tally, &[1, 2])).with_id(name(&format!("k-{held_after}"))));
        let third = app.begin(sent(add(&tally, &[1, 2])));
        tokio::time::sleep(MOMENT).await;
        second.leave().await;
        first.leave().await;
        // A bus may carry on with what its caller has left, and then others wait for that.
        gate.open();
        third.receipt().await?;
        app.took(sent(add(&tally, &[1, 2])).with_id(name(&format!("k-{held_after}")))).await?;
        let count = world.events(&tally).await?.len();
        expect!(count == 4 || count == 6, "each command's events once, the first's perhaps never, and not {count}");
    }
    Ok(())
}
