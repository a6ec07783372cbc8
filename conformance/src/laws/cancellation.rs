//! ES-12: futures that are dropped.

use crate::ask::{Ask, Store, all_of, event, key, name, nothing, one, some};
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use futures::FutureExt;
use portolan_kernel::ports::{Capability, EventStore};
use portolan_kernel::values::{Append, Checkpoint, Item, Move, Query, Read, Revision, Token};
use std::collections::BTreeMap;

law! {
    dyn EventStore, es_12_cancellation, "ES-12",
    "Dropping the append's future leaves all of it or none, and harms no other append. A dropped read or hint holds \
     nothing back.",
    checks: [
        dropped_after_some_polls,
        dropped_amid_others,
        never_polled_is_never_written,
        key_and_checkpoint_go_with_it if [Keys, Checkpoints],
        dropped_reads_and_hints_hold_nothing,
    ],
}

const EVENTS: u32 = 4;

/// An append whose events have one id, half of them in another stream if the store can.
fn append(trial: &Trial<dyn EventStore>, number: u32) -> Append {
    let other = if trial.has(Capability::SeveralStreams) { "b-1" } else { "a-1" };
    Append::new((0..EVENTS).map(|n| event(if n % 2 == 0 { "a-1" } else { other }, number)))
}

/// Drops the append's future after it was polled so often.
async fn dropped(store: &Store, append: Append, polls: usize) {
    let mut future = store.append(append);
    for poll in 0..polls {
        if (&mut future).now_or_never().is_some() {
            return;
        }
        match poll % 3 {
            0 => tokio::task::yield_now().await,
            1 => tokio::time::sleep(Duration::from_micros(50)).await,
            _ => {}
        }
    }
}

/// All of every append is there or none, the streams have no gap, and the store still writes.
async fn nothing_torn(store: &Store) -> Verdict {
    // What was dropped may still happen; an append after it comes after it or shows that it will not harm.
    let before = store.wrote(some("a-1", 9_000..9_000 + EVENTS)).await?;
    let log = store.all(Read::log(Query::all()).until(before.last)).await?;
    let mut appends = BTreeMap::new();
    for event in log.iter().filter(|event| !is_filler(event)) {
        *appends.entry(event.id).or_insert(0) += 1;
    }
    let torn: Vec<_> = appends.into_iter().filter(|(_, count)| *count != EVENTS).collect();
    expect!(torn.is_empty(), "appends of {EVENTS} events, not {torn:?}");
    for stream in ["a-1", "b-1"] {
        let events = store.all(Read::stream(name(stream))).await?;
        for (event, revision) in events.iter().zip(0..) {
            expect_eq!(event.revision, Revision::new(revision), "the revisions of {stream} after dropped appends");
        }
    }
    Ok(())
}

fn is_filler(recorded: &portolan_kernel::values::Recorded) -> bool {
    (9_000..9_000 + EVENTS).any(|number| recorded.id == event("a-1", number).id)
}

async fn dropped_after_some_polls(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for number in 0..u32::try_from(trial.rounds(40).max(10)).unwrap_or(10) {
        dropped(&store, append(trial, number), number as usize % 10).await;
        nothing_torn(&store).await?;
    }
    Ok(())
}

async fn dropped_amid_others(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..u32::try_from(trial.rounds(20)).unwrap_or(1) {
        let others = (0..4).map(|writer| {
            let (store, stream) = (store.clone(), format!("other-{writer}"));
            tokio::spawn(async move { store.wrote(one(&stream, round)).await })
        });
        let others: Vec<_> = others.collect();
        dropped(&store, append(trial, round), round as usize % 4 + 1).await;
        all_of(others).await?;
        nothing_torn_beside_others(&store, round + 1).await?;
    }
    Ok(())
}

async fn nothing_torn_beside_others(store: &Store, rounds: u32) -> Verdict {
    let others = store.all(Read::log(Query::of(Item::new().category(name("other"))))).await?;
    expect_eq!(others.len(), rounds as usize * 4, "events of the appends that were not dropped");
    let of_dropped = Query::of(Item::new().stream(name("a-1")).stream(name("b-1")));
    let mut appends = BTreeMap::new();
    for event in store.all(Read::log(of_dropped)).await? {
        *appends.entry(event.id).or_insert(0) += 1;
    }
    let torn: Vec<_> = appends.into_iter().filter(|(_, count)| *count != EVENTS).collect();
    expect!(torn.is_empty(), "appends of {EVENTS} events, not {torn:?}");
    Ok(())
}

async fn never_polled_is_never_written(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    dropped(&store, append(trial, 0), 0).await;
    store.wrote(one("c-1", 0)).await?;
    expect_eq!(store.log().await?.len(), 1, "events, where one append was made and never asked for");
    Ok(())
}

async fn key_and_checkpoint_go_with_it(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for number in 0..u32::try_from(trial.rounds(40).max(10)).unwrap_or(10) {
        let (id, checkpoint) = (format!("k{number}"), format!("c{number}"));
        let state = store.stands(&checkpoint).await?;
        let claim = Checkpoint::new(name(&checkpoint), state, Token(1), Move::Claim);
        let append = append(trial, number).key(key(&id, 1)).checkpoint(claim.clone());
        dropped(&store, append.clone(), number as usize % 10).await;
        // The key settles it: afterwards it is there once, whatever the drop left.
        store.wrote(append).await?;
        let log = store.log().await?;
        expect_eq!(log.len(), (EVENTS * (number + 1)) as usize, "events after {} settled appends", number + 1);
        expect_eq!(store.stands(&checkpoint).await?.token, Token(1), "the token that the append raised");
        store.wrote(nothing()).await?;
    }
    Ok(())
}

/// More reads and hints than a store has connections are dropped half-way; the next are answered.
async fn dropped_reads_and_hints_hold_nothing(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let last = store.wrote(one("a-1", 0)).await?.last;
    for _ in 0..200 {
        let _ = store.read(Read::log(Query::all())).now_or_never();
        let _ = store.changed(Query::all(), last).now_or_never();
        let _ = store.changed(Query::all(), None).now_or_never();
    }
    let after_them = async {
        expect_eq!(store.log().await?.len(), 1, "events after 200 dropped reads");
        store.wrote(one("a-1", 1)).await?;
        let hint = store.changed(Query::all(), last).await;
        expect_is!(hint, Ok(()), "a hint after 200 dropped ones");
        Verdict::Ok(())
    };
    match tokio::time::timeout(trial.patience(), after_them).await {
        Ok(verdict) => verdict,
        Err(_) => Err(Broken::new("a read and a hint after 200 dropped ones", "answers", "none")),
    }
}
