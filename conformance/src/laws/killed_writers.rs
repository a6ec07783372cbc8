//! ES-25 over ES-03 and ES-17: a reader that lives on beside writers of other processes that are killed.

use super::processes::begin;
use super::subscriptions::{Watches, follow};
use crate::ask::{Ask, Store, event, name};
use crate::child::{Child, tell};
use crate::{Broken, Trial, Verdict, expect, expect_eq};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use portolan_kernel::ports::{Capability, EventStore};
use portolan_kernel::values::{Append, EventId, Position, Query, Read, Recorded};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The child: appends of one to four events of one id, half of them in a stream of all, until it is killed.
pub(super) async fn append_beside_a_reader(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, number) = (trial.open().await?, begin()?);
    let shared = if trial.has(Capability::SeveralStreams) { "all-1".to_string() } else { format!("own-{number}") };
    for round in 0..10_000 {
        let size = 1 + round % 4;
        let streams = (0..size).map(|n| if n % 2 == 0 { format!("own-{number}") } else { shared.clone() });
        // How many events the append has is told by their type.
        let events = streams.map(|stream| {
            let mut event = event(&stream, number << 16 | round);
            event.event_type = name(&format!("of-{size}"));
            event
        });
        store.wrote(Append::new(events)).await?;
        tell("done");
    }
    Ok(())
}

/// What a reader saw that goes on from frontier to frontier, until it is told that all is over.
async fn read_on(store: Store, over: Arc<AtomicBool>) -> Verdict<Vec<Arc<Recorded>>> {
    let (mut seen, mut frontier): (Vec<Arc<Recorded>>, Option<Position>) = (Vec::new(), None);
    loop {
        let last = over.load(Ordering::SeqCst);
        let pages = store.pages(Read::log_after(Query::all(), frontier).limit(7)).await?;
        let at_once: Vec<_> = pages.iter().flat_map(|page| page.events.clone()).collect();
        frontier = frontier.max(pages.iter().filter_map(|page| page.frontier).max());
        whole(&at_once)?;
        seen.extend(at_once);
        if last {
            return Ok(seen);
        }
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

/// Each append is there with as many events as it says (ES-17).
fn whole(events: &[Arc<Recorded>]) -> Verdict {
    let mut appends: BTreeMap<EventId, (String, usize)> = BTreeMap::new();
    for event in events {
        appends.entry(event.id).or_insert_with(|| (event.event_type.to_string(), 0)).1 += 1;
    }
    let torn: Vec<_> = appends.values().filter(|(said, count)| *said != format!("of-{count}")).collect();
    expect!(torn.is_empty(), "whole appends beside writers that are killed, not {torn:?} (ES-17)");
    Ok(())
}

/// Rounds of writers that are killed in the middle of their appends.
async fn kill_writers(trial: &Trial<dyn EventStore>) -> Verdict {
    for round in 0..trial.rounds(10).max(4) {
        let mut children = Vec::new();
        for number in 0..2 {
            let mut child = trial.child("append_beside_a_reader")?;
            expect_eq!(child.next().as_deref(), Some("ready"), "the first words of writer {number}");
            // One that has died already is found below.
            let _ = child.ask(&(round * 2 + number).to_string());
            children.push(child);
        }
        let killing = tokio::task::spawn_blocking(move || {
            let first = children[0].next();
            std::thread::sleep(Duration::from_micros(fastrand::u64(..15_000)));
            children.iter_mut().for_each(Child::kill);
            first
        });
        let first = killing.await.map_err(|error| Broken::new("killing writers", "no panic", error.to_string()))?;
        expect!(first.is_some(), "a writer that appends until it is killed; its own words are above");
    }
    Ok(())
}

pub(super) async fn a_reader_beside_killed_writers(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let over = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(store.clone(), over.clone()));
    let (tell_end, end) = tokio::sync::watch::channel(None);
    let subscriber = tokio::spawn(follow(Watches::of(trial, &store), Query::all(), end, || 400));
    kill_writers(trial).await?;
    // One more append, to show where the log ends, and that the store still writes.
    let mut end = event("end-1", 0);
    end.event_type = name("of-1");
    let last = store.wrote(Append::new([end.with_id(EventId::from_bytes([9; 16]))])).await?.last;
    over.store(true, Ordering::SeqCst);
    // A subscriber that has failed listens no more, and says so below.
    let _ = tell_end.send(last);
    let task = |error: tokio::task::JoinError| Broken::new("a reader", "no panic", error.to_string());
    let seen = summary(&reader.await.map_err(task)??);
    let followed = subscriber.await.map_err(task)??;
    // In the life that saw it all, and in one that sees only what is kept.
    for (handle, log) in [("its handle", store.log().await?), ("another handle", trial.open().await?.log().await?)] {
        expect_eq!(
            seen,
            summary(&log),
            "what a reader saw beside writers that were killed, and the log by {handle} (ES-03)"
        );
        let positions: Vec<_> = log.iter().map(|event| event.position).collect();
        expect_eq!(followed, positions, "what a subscription brought meanwhile, and the log by {handle} (ES-19)");
    }
    Ok(())
}

fn summary(events: &[Arc<Recorded>]) -> Vec<String> {
    events.iter().map(|event| format!("{}: {}@{} {}", event.position, event.stream, event.revision, event.id)).collect()
}
