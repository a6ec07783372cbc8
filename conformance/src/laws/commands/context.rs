//! CB-11: what a decision sees of the world.

use super::conflicts::rival;
use crate::ask::name;
use crate::bus::{World, add, of_tenant, seats, sent};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq};
use core::time::Duration;
use portolan_kernel::ports::{Clock, CommandBus};
use std::collections::BTreeSet;

law! {
    dyn CommandBus, cb_11_context, "CB-11",
    "Time and ids seen by a decision come from its context; ids derive from the command id and are equal on every \
     retry.",
    checks: [the_time_is_the_clocks, ids_are_equal_on_every_retry, ids_derive_from_the_command_id],
}

async fn the_time_is_the_clocks(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally, room) = (world.start().await?, world.own("a"), world.own("room"));
    for day in 0..3 {
        let before = world.clock.now();
        app.took(sent(add(&tally, &[1]))).await?;
        app.took(sent(seats(&room, [world.own("ann")], 9))).await?;
        let after = world.clock.now();
        for seen in world.watch.seen().iter().skip(2 * day) {
            expect!(before <= seen.now && seen.now <= after, "a time of {before:?} to {after:?}, and not {seen:?}");
        }
        world.clock.advance(Duration::from_secs(86_400));
    }
    expect_eq!(world.watch.seen().len(), 6, "decisions");
    Ok(())
}

async fn ids_are_equal_on_every_retry(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    for id in [None, Some("k")] {
        let (tally, before) = (world.own(&format!("a-{id:?}")), world.store.appends().len());
        world.store.plan(None, rival(&tally, 100), 3);
        let mut command = sent(add(&tally, &[1, 2]));
        command.id = id.map(name);
        let receipt = app.took(command).await?;
        let ids: Vec<_> = world.watch.about(&tally).into_iter().map(|seen| seen.ids).collect();
        expect_eq!(ids, [ids[0]; 4], "the ids that each of 4 decisions took from its context");
        expect!(ids[0][0] != ids[0][1], "two ids that differ, of one context: {:?}", ids[0]);
        for append in world.store.appends().split_off(before) {
            let events: Vec<_> = append.events.iter().map(|event| event.id).collect();
            expect_eq!(events, receipt.events, "the ids of the events, at each attempt to append them");
        }
        let stored = world.events(&tally).await?;
        let text = String::from_utf8_lossy(&stored[3].payload).into_owned();
        expect!(text.contains(&ids[0][0].to_string()), "the decision's id {} in its event: {text}", ids[0][0]);
    }
    Ok(())
}

async fn ids_derive_from_the_command_id(trial: &Trial<dyn CommandBus>) -> Verdict {
    // The same command in two worlds that know nothing of each other.
    let worlds = [World::new(trial), World::new(trial)];
    let mut ids = Vec::new();
    for world in &worlds {
        let (app, tally) = (world.start().await?, world.own("a"));
        let commands = [
            sent(add(&tally, &[1])).with_id(name("k")),
            sent(add(&tally, &[1])).with_id(name("j")),
            sent(add(&tally, &[1])).with_id(name("k")).with_metadata(of_tenant("acme")),
            sent(seats(&world.own("room"), [world.own("ann")], 9)).with_id(name("k")),
        ];
        let mut events = Vec::new();
        for command in commands {
            events.extend(app.took(command).await?.events);
        }
        events.extend(world.watch.seen().into_iter().flat_map(|seen| seen.ids));
        ids.push(events);
    }
    expect_eq!(ids[0], ids[1], "the ids of events and decisions under the same command ids, in two worlds");
    let different: BTreeSet<_> = ids[0].iter().collect();
    expect_eq!(different.len(), 12, "different ids, of events and decisions under different command ids");
    Ok(())
}
