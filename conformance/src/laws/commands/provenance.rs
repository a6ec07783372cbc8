//! CB-07: where events come from.

use super::repetition::repeated;
use crate::ask::name;
use crate::bus::{World, add, close, encoded, of_tenant, seats, sent};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq};
use portolan_kernel::ports::{CommandBus, Receipt};
use portolan_kernel::values::{Metadata, Recorded};
use std::sync::Arc;

law! {
    dyn CommandBus, cb_07_provenance, "CB-07",
    "Correlation, causation, command id, actor, tenant and trace reach every event, and the correlation every receipt.",
    checks: [
        what_is_given_reaches_every_event,
        what_is_not_given_is_made,
        the_correlation_reaches_every_receipt if [Correlation],
    ],
}

/// Metadata in which everything is known.
fn all() -> Metadata {
    Metadata {
        correlation: Some("c-1 é".into()),
        actor: Some("Ann \"O\"".into()),
        tenant: Some("Acme".into()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        more: [("origin".to_string(), serde_json::json!({"page": [1, null, 0.5]}))].into(),
        ..Metadata::default()
    }
}

fn metadata(event: &Arc<Recorded>) -> Metadata {
    Metadata::decode(&event.metadata)
}

async fn what_is_given_reaches_every_event(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let seat = seats(&world.own("room"), [world.own("ann")], 1);
    let expected = Metadata { causation: Some("k".into()), command: Some("k".into()), ..all() };
    for command in [sent(add(&tally, &[1, 2, 3])), encoded(&close(&tally)), sent(seat)] {
        app.took(command.with_id(name("k")).with_metadata(all())).await?;
    }
    let log = world.log().await?;
    expect_eq!(log.len(), 5, "events");
    for event in log {
        expect_eq!(metadata(&event), expected, "the metadata of {} in {}", event.event_type, event.stream);
    }
    for seen in world.watch.seen() {
        expect_eq!(seen.actor, expected.actor, "the actor that the decision on {} saw", seen.command);
    }
    Ok(())
}

async fn what_is_not_given_is_made(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let mut correlations = Vec::new();
    for (n, id) in [None, None, Some("k")].into_iter().enumerate() {
        let mut command = sent(add(&tally, &[1, 2]));
        command.id = id.map(name);
        app.took(command).await?;
        let events = &world.events(&tally).await?[2 * n..];
        let (first, second) = (metadata(&events[0]), metadata(&events[1]));
        expect_eq!(first, second, "the metadata of both events of one command");
        expect!(first.correlation.is_some() && first.command.is_some(), "a correlation and a command in {first:?}");
        expect_eq!(first.causation, first.command, "what caused the event: the command");
        expect!(id.is_none() || first.command.as_deref() == id, "the command's id {id:?} in {first:?}");
        let unsaid = (&first.actor, &first.tenant, first.more.len());
        expect_eq!(unsaid, (&None, &None, 0), "actor, tenant and whatever else nobody gave");
        correlations.push((first.correlation, first.command));
    }
    for (n, made) in correlations.iter().enumerate() {
        let differs = correlations[..n].iter().all(|other| other.0 != made.0 && other.1 != made.1);
        expect!(differs, "a correlation and a command of its own for each command: {correlations:?}");
    }
    Ok(())
}

async fn the_correlation_reaches_every_receipt(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let of_last = async || {
        let correlation = world.log().await?.last().and_then(|event| metadata(event).correlation);
        Ok::<_, crate::Broken>(correlation)
    };
    let told = |receipt: &Receipt| receipt.correlation.clone();
    let made = app.took(sent(add(&tally, &[1]))).await?;
    expect!(made.correlation.is_some(), "a correlation in {made:?}");
    expect_eq!(told(&made), of_last().await?, "the correlation that was made, in the receipt");
    let mut originals = Vec::new();
    for (id, metadata) in [("given", all()), ("made", Metadata::default()), ("tenant", of_tenant("acme"))] {
        let command = sent(add(&tally, &[1])).with_id(name(id)).with_metadata(metadata);
        let original = app.took(command.clone()).await?;
        expect_eq!(told(&original), of_last().await?, "the correlation in the receipt of {id}");
        originals.push((command, original));
    }
    app.took(sent(close(&tally))).await?;
    let nothing = sent(close(&tally)).with_id(name("nothing")).with_metadata(all());
    let receipt = app.took(nothing.clone()).await?;
    expect_eq!(told(&receipt), all().correlation, "the correlation in a receipt without events");
    originals.push((nothing, receipt));
    let unnamed = app.took(sent(close(&tally)).with_metadata(all())).await?;
    expect_eq!(told(&unnamed), all().correlation, "the correlation in a receipt without events and id");
    let next_life = world.start().await?;
    for (command, original) in originals {
        for app in [&app, &next_life] {
            let mut command = command.clone();
            expect_eq!(app.took(command.clone()).await?, repeated(&original), "the receipt of a repetition");
            command.metadata.correlation = Some("another".into());
            expect_eq!(app.took(command).await?, repeated(&original), "the receipt, whatever the repetition says");
        }
    }
    Ok(())
}
