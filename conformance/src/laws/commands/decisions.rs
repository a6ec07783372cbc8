//! CB-06: one decision, one append.

use crate::ask::name;
use crate::bus::{Fault, Gate, World, add, close, large, seats, sent};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{CommandBus, CommandError};
use portolan_kernel::values::{Position, Revision, StreamId};
use std::collections::BTreeMap;

law! {
    dyn CommandBus, cb_06_decisions, "CB-06",
    "A handler returns one decision, and it becomes one append; it has no other way to write.",
    checks: [
        a_decision_is_one_append,
        the_receipt_tells_what_was_written,
        a_decision_model_is_one_append,
        a_large_decision_is_one_append,
        no_events_write_nothing,
        what_fails_leaves_nothing,
        a_caller_who_leaves_leaves_all_or_nothing,
    ],
}

async fn a_decision_is_one_append(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for (n, amounts) in [&[1][..], &[2, 3, 4], &[5, 6]].into_iter().enumerate() {
        app.took(sent(add(&tally, amounts))).await?;
        let appends = world.store.appends();
        expect_eq!(appends.len(), n + 1, "appends of as many commands");
        let written: Vec<_> = appends[n].events.iter().map(|event| event.payload.clone()).collect();
        expect_eq!(written.len(), amounts.len(), "events in the append of {amounts:?}");
        for (payload, amount) in written.iter().zip(amounts) {
            let text = String::from_utf8_lossy(payload);
            expect!(text.contains(&format!(r#""amount":{amount},"#)), "the amount {amount} in its place: {text}");
        }
    }
    expect_eq!(world.events(&tally).await?.len(), 6, "events");
    Ok(())
}

async fn the_receipt_tells_what_was_written(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for (n, command) in
        [sent(add(&tally, &[1, 2])), sent(add(&tally, &[3, 4])).with_id(name("k"))].into_iter().enumerate()
    {
        let receipt = app.took(command).await?;
        let events = &world.events(&tally).await?[2 * n..];
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        expect_eq!(receipt.events, ids, "the events in the receipt");
        expect_eq!(receipt.position, events.last().map(|event| event.position), "the position in the receipt");
        let last = Revision::new(2 * n as u64 + 1);
        expect_eq!(receipt.streams, [(World::stream(&tally), Some(last))], "the streams in the receipt");
        expect!(!receipt.repeated, "a receipt of a new command: {receipt:?}");
    }
    Ok(())
}

async fn a_decision_model_is_one_append(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, room) = (world.start().await?, world.own("room"));
    // One stream, three, two of which are there already, and one twice.
    for (n, party) in [&["ann"][..], &["bob", "ann", "cy"], &["di", "cy", "di"]].into_iter().enumerate() {
        let guests: Vec<_> = party.iter().map(|guest| world.own(guest)).collect();
        let before = world.log().await?.len();
        let receipt = app.took(sent(seats(&room, guests.clone(), 9))).await?;
        let written = world.log().await?.split_off(before);
        expect_eq!(world.store.appends().len(), n + 1, "appends of as many commands");
        let streams: Vec<_> = written.iter().map(|event| event.stream.clone()).collect();
        let expected: Vec<StreamId> = guests.iter().map(|guest| name(&format!("seat-{guest}"))).collect();
        expect_eq!(streams, expected, "the streams of the events of {party:?}");
        let last: BTreeMap<_, _> = written.iter().map(|event| (event.stream.clone(), Some(event.revision))).collect();
        let told: BTreeMap<_, _> = receipt.streams.iter().cloned().collect();
        expect_eq!((told, receipt.streams.len()), (last.clone(), last.len()), "the streams in the receipt");
        let ids: Vec<_> = written.iter().map(|event| event.id).collect();
        let position = written.last().map(|event| event.position);
        expect_eq!((receipt.position, receipt.events), (position, ids), "position and events in the receipt");
    }
    let error = app.refused(sent(seats(&room, ["eve", "fay", "gus"].map(|guest| world.own(guest)), 9))).await?;
    expect_is!(error, CommandError::Rejected { .. }, "a party of three where two seats are left");
    expect_eq!(world.log().await?.len(), 7, "events of all of a party, or none");
    Ok(())
}

/// As large as every store takes it: so many events of so many bytes each.
async fn a_large_decision_is_one_append(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let large = large(&tally);
    let receipt = app.took(sent(large.clone())).await?;
    let events = world.events(&tally).await?;
    expect_eq!(world.store.appends().len(), 1, "appends of a large command");
    expect_eq!(events.len(), large.entries.len(), "events of a large command");
    for (event, entry) in events.iter().zip(&large.entries) {
        let text = String::from_utf8_lossy(&event.payload);
        expect!(text.contains(&entry.label), "the label {:.20} in its place: {text:.60}", entry.label);
    }
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    expect_eq!(receipt.events, ids, "the events in the receipt of a large command");
    expect_eq!(receipt.position, events.last().map(|event| event.position), "the position in the receipt");
    Ok(())
}

async fn no_events_write_nothing(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let closed = app.took(sent(close(&tally))).await?;
    let receipt = app.took(sent(close(&tally))).await?;
    expect_eq!((receipt.position, receipt.events.len()), (None::<Position>, 0), "position and events of no events");
    expect_eq!(receipt.streams, closed.streams, "the stream that was decided upon");
    expect_eq!(world.log().await?.len(), 1, "events");
    let nobody = sent(seats(&world.own("room"), [], 1));
    for (command, repeated) in
        [(nobody.clone(), false), (nobody.clone().with_id(name("k")), false), (nobody.with_id(name("k")), true)]
    {
        let receipt = app.took(command).await?;
        let told = (receipt.position, receipt.events.len(), receipt.streams.len(), receipt.repeated);
        expect_eq!(told, (None, 0, 0, repeated), "position, events and streams of a model without events");
    }
    expect_eq!(world.log().await?.len(), 1, "events");
    Ok(())
}

async fn what_fails_leaves_nothing(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    world.store.plan(None, Fault::Busy, usize::MAX);
    let error = app.refused(sent(add(&tally, &[1, 2]))).await?;
    expect_is!(error, CommandError::Busy(_), "a command whose append finds the store busy");
    world.store.heal();
    expect_eq!(world.log().await?.len(), 0, "events after that");
    // Nothing tells whether it was written, and no id to settle it.
    world.store.plan(None, Fault::Written, 1);
    let error = app.refused(sent(add(&tally, &[1, 2]))).await?;
    expect_is!(error, CommandError::Unknown(_), "a command without an id whose outcome is unknown");
    expect_eq!(world.events(&tally).await?.len(), 2, "events after that");
    Ok(())
}

async fn a_caller_who_leaves_leaves_all_or_nothing(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    for held_after in [false, true] {
        let (tally, gate) = (world.own(&format!("a-{held_after}")), Gate::closed());
        let held = if held_after { Fault::HeldAfter(gate.clone()) } else { Fault::HeldBefore(gate.clone()) };
        world.store.plan(None, held, 1);
        let command = sent(add(&tally, &[1, 2, 3])).with_id(name(&format!("k-{held_after}")));
        let begun = app.begin(command.clone());
        gate.reached_by(1).await;
        begun.leave().await;
        gate.open();
        let settled = app.took(command).await?;
        let events = world.events(&tally).await?;
        expect_eq!(events.len(), 3, "events of a command that was sent again after its caller had left");
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        expect_eq!(settled.events, ids, "the events in the receipt");
        let amounts = world.store.appends().iter().all(|append| matches!(append.events.len(), 0 | 3));
        expect!(amounts, "appends of all of the command, or none");
    }
    Ok(())
}
