//! CB-03: middleware.

use super::conflicts::rival;
use super::duplicates::MOMENT;
use crate::ask::name;
use crate::bus::{App, Fault, Gate, LAYERS, Step, World, add, close, sent};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::ports::{CommandBus, CommandEnvelope, CommandError};
use portolan_kernel::values::Metadata;

law! {
    dyn CommandBus, cb_03_middleware, "CB-03",
    "Middleware runs in the order of registration, the first outermost. Before and after, or before and on-failure, are \
     always paired, also when the caller goes away.",
    checks: [
        in_the_order_of_registration,
        what_fails_is_told_in_reverse,
        an_inner_one_may_refuse,
        once_a_command,
        when_the_deadline_passes,
        when_the_caller_goes_away,
    ],
}

/// What the layers see of a command that this ends.
fn around(end: Step) -> Vec<(&'static str, Step)> {
    let before = LAYERS.into_iter().map(|layer| (layer, Step::Before));
    before.chain(LAYERS.into_iter().rev().map(|layer| (layer, end))).collect()
}

async fn in_the_order_of_registration(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for (id, command) in [("add", sent(add(&tally, &[1]))), ("close", sent(close(&tally)))] {
        let command = command.with_id(name(id));
        app.took(command.clone()).await?;
        expect_eq!(world.layers.of(id), around(Step::After), "what the middleware saw of {id}");
        app.took(command).await?;
        let twice = [around(Step::After), around(Step::After)].concat();
        expect_eq!(world.layers.of(id), twice, "what the middleware saw of {id} and its repetition");
    }
    Ok(())
}

async fn what_fails_is_told_in_reverse(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    app.took(sent(close(&tally))).await?;
    let mut unknown = sent(close(&tally));
    unknown.name = name("no-such-command");
    let failing: [(_, CommandEnvelope); 3] =
        [("rejected", sent(add(&tally, &[1]))), ("invalid", sent(add(&tally, &[0]))), ("unknown", unknown)];
    for (id, command) in failing {
        app.refused(command.with_id(name(id))).await?;
        expect_eq!(world.layers.of(id), around(Step::Failed), "what the middleware saw of a command that is {id}");
    }
    Ok(())
}

async fn an_inner_one_may_refuse(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for (depth, layer) in LAYERS.into_iter().enumerate() {
        let by_nobody = Metadata { actor: Some(format!("not for {layer}")), ..Metadata::default() };
        let error = app.refused(sent(add(&tally, &[1])).with_id(name(layer)).with_metadata(by_nobody)).await?;
        expect_is!(error, CommandError::Denied(said) if *said == format!("{layer} says no"), "what the caller is told");
        let mut expected: Vec<_> = LAYERS[..depth].iter().map(|outer| (*outer, Step::Before)).collect();
        expected.push((layer, Step::Refused));
        expected.extend(LAYERS[..depth].iter().rev().map(|outer| (*outer, Step::Failed)));
        expect_eq!(world.layers.of(layer), expected, "what the middleware saw of a command that {layer} refused");
        expect_eq!(world.watch.seen().len(), depth, "decisions on commands that were refused");
        app.took(sent(add(&tally, &[1])).with_id(name(layer))).await?;
    }
    Ok(())
}

async fn once_a_command(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    world.store.plan(None, rival(&tally, 1), 3);
    app.took(sent(add(&tally, &[1])).with_id(name("k"))).await?;
    expect_eq!(world.watch.about(&tally).len(), 4, "decisions on one command");
    expect_eq!(world.layers.of("k"), around(Step::After), "what the middleware saw of a command decided 4 times");
    let begun: Vec<_> = (0..20).map(|n| app.begin(sent(add(&tally, &[1])).with_id(name(&format!("k-{n}"))))).collect();
    for begun in begun {
        begun.receipt().await?;
    }
    for n in 0..20 {
        let seen = world.layers.of(&format!("k-{n}"));
        expect_eq!(seen, around(Step::After), "what the middleware saw of one of 20 commands at once");
    }
    Ok(())
}

async fn when_the_deadline_passes(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    for held_after in [false, true] {
        let (tally, gate, id) = (world.own(&format!("a-{held_after}")), Gate::closed(), format!("k-{held_after}"));
        let held = if held_after { Fault::HeldAfter(gate.clone()) } else { Fault::HeldBefore(gate.clone()) };
        world.store.plan(None, held, 1);
        app.refused(sent(add(&tally, &[1])).with_id(name(&id)).within(Duration::from_millis(100))).await?;
        paired(&world, &app, &id).await?;
        gate.open();
    }
    Ok(())
}

async fn when_the_caller_goes_away(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    for held_after in [false, true] {
        let (tally, gate) = (world.own(&format!("a-{held_after}")), Gate::closed());
        let held = if held_after { Fault::HeldAfter(gate.clone()) } else { Fault::HeldBefore(gate.clone()) };
        world.store.plan(None, held, 1);
        let id = |n: usize| format!("k-{held_after}-{n}");
        let mut begun = Vec::new();
        for n in 0..3 {
            begun.push(app.begin(sent(add(&tally, &[1])).with_id(name(&id(n)))));
            gate.reached_by(1).await;
        }
        tokio::time::sleep(MOMENT).await;
        for begun in begun.into_iter().rev() {
            begun.leave().await;
        }
        tokio::time::sleep(MOMENT).await;
        gate.open();
        for n in 0..3 {
            paired(&world, &app, &id(n)).await?;
        }
    }
    Ok(())
}

/// Sees that each layer is told how the command ended, once, and soon.
async fn paired(world: &World<'_>, app: &App, id: &str) -> Verdict {
    let begun = std::time::Instant::now();
    while world.layers.of(id).len() < 2 * LAYERS.len() && begun.elapsed() < app.patience() {
        tokio::time::sleep(MOMENT / 10).await;
    }
    let seen = world.layers.of(id);
    let is_paired = seen == around(Step::After) || seen == around(Step::Failed);
    expect!(is_paired, "an after or a failure for each before of {id}, in reverse, and not {seen:?}");
    Ok(())
}
