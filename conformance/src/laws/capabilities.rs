//! What a store says of itself.

use crate::ask::{Ask, name, one, some};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq};
use core::time::Duration;
use portolan_kernel::ports::{Capability, EventStore, Limits};
use portolan_kernel::values::Expected;

law! {
    dyn EventStore, capabilities, "capabilities",
    "What the author declares lacking is what the store says it lacks, both ways; a store says the same of itself at \
     all times; its limits are wide enough for the suite.",
    checks: [
        declared_is_said,
        said_is_constant,
        said_again_in_each_life if [Durability],
        limits_are_wide_enough,
    ],
}

/// The narrowest limits with which a store can be judged: the checks write appends and ask queries of this size.
///
/// 120 events and 256 KiB an append, 25 streams, 32 KiB an event, 5 tags, 16 bytes of note, 20 terms, 1 event a
/// page. A store that takes less may be right, and is no use to this suite.
#[must_use]
pub fn least_limits() -> Limits {
    let mut least = Limits::default();
    (least.append_events, least.append_bytes, least.append_streams) = (120, 256 << 10, 25);
    (least.event_bytes, least.event_tags, least.note_bytes) = (32 << 10, 5, 16);
    (least.query_terms, least.page_events) = (20, 1);
    least
}

async fn declared_is_said(trial: &Trial<dyn EventStore>) -> Verdict {
    let said = trial.open().await?.capabilities();
    for capability in Capability::ALL {
        expect_eq!(said.has(capability), trial.has(capability), "what capabilities() says of {capability}");
    }
    for (capability, why) in trial.fixture.lacked() {
        expect!(!why.trim().is_empty(), "a reason for lacking {capability}");
    }
    Ok(())
}

async fn said_is_constant(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let before = store.capabilities();
    store.wrote(one("a-1", 0)).await?;
    expect_eq!(store.capabilities(), before, "capabilities() after an append");
    // Whether it is refused is for ES-05 to say.
    let _ = store.try_append(one("a-1", 1).expect(name("a-1"), Expected::NoStream)).await;
    expect_eq!(store.capabilities(), before, "capabilities() after a refusal");
    for round in 1..4 {
        store.wrote(some("a-1", round * 100..round * 100 + 100)).await?;
    }
    trial.clock().advance(Duration::from_secs(3600 * 24 * 400));
    store.wrote(one("a-1", 400)).await?;
    expect_eq!(store.capabilities(), before, "capabilities() after 302 events and more than a year");
    Ok(())
}

/// What a store is cannot hang on how often it was opened: its callers have built on it.
async fn said_again_in_each_life(trial: &Trial<dyn EventStore>) -> Verdict {
    let before = trial.open().await?.capabilities();
    for life in 2..5 {
        let store = trial.open().await?;
        expect_eq!(store.capabilities(), before, "capabilities() in life {life}");
        store.wrote(one("a-1", life)).await?;
    }
    Ok(())
}

async fn limits_are_wide_enough(trial: &Trial<dyn EventStore>) -> Verdict {
    let (stated, least) = (trial.open().await?.capabilities().limits, least_limits());
    for (limit, stated, least) in [
        ("append_events", u64::from(stated.append_events), u64::from(least.append_events)),
        ("append_bytes", stated.append_bytes, least.append_bytes),
        ("append_streams", stated.append_streams.into(), least.append_streams.into()),
        ("event_bytes", stated.event_bytes, least.event_bytes),
        ("event_tags", stated.event_tags.into(), least.event_tags.into()),
        ("note_bytes", stated.note_bytes, least.note_bytes),
        ("query_terms", stated.query_terms.into(), least.query_terms.into()),
        ("page_events", stated.page_events.into(), least.page_events.into()),
    ] {
        let streams = limit == "append_streams" && !trial.has(Capability::SeveralStreams);
        let note = limit == "note_bytes" && !trial.has(Capability::Keys);
        expect!(
            stated >= least || streams || note,
            "a limit {limit} of at least {least}, not {stated}: with less, other laws fail for want of room"
        );
    }
    Ok(())
}
