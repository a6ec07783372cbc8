//! SN-06 and SN-07: snapshots beside other savers, and under SIGKILL.

use super::snapshots::{delete, load, revisions, save};
use crate::ask::{all_of, name};
use crate::child::tell;
use crate::{Broken, Trial, Verdict, expect, expect_eq};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use portolan_kernel::ports::{Snapshot, SnapshotStore};
use portolan_kernel::values::{Revision, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A state that is long enough to be torn, and tells where it belongs from its beginning to its end.
fn snapshot(stream: &str, kind: &str, revision: u64, version: u32) -> Snapshot {
    let state = format!("{stream} {kind} {revision} {version};").repeat(600);
    Snapshot::new(name(stream), name(kind), Revision::new(revision), version, state, Timestamp::from_micros(revision))
}

/// The snapshot is as it was saved.
fn whole(loaded: &Snapshot) -> Verdict {
    let saved = snapshot(&loaded.stream, &loaded.kind, loaded.revision.get(), loaded.version);
    expect!(*loaded == saved, "a snapshot as it was saved, and not {loaded:.300?}");
    Ok(())
}

/// How many are kept before the latest.
const KEPT: u64 = 3;

/// One saver, beside loaders of the latest and of what is at or below a revision, and two who delete what is old.
pub(super) async fn savers_beside_loaders_and_deleters(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    // All of as many digits: an order by text is SN-01's to find.
    let (first, rounds) = (100, trial.rounds(120).max(40) as u64);
    let (last, over) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicBool::new(false)));
    save(&store, snapshot("a-1", "account", first, 1)).await?;
    let loaders = (0..3).map(|_| {
        let (store, last, over) = (store.clone(), last.clone(), over.clone());
        tokio::spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let before = last.load(Ordering::SeqCst);
                let loaded = load(&store, "a-1", "account", None).await?;
                let revision = loaded.as_ref().map(|loaded| loaded.revision.get());
                expect!(revision >= Some(before), "a latest of {before} or later, and not {revision:?}");
                loaded.iter().try_for_each(whole)?;
                let bounded = load(&store, "a-1", "account", Some(before)).await?;
                bounded.iter().try_for_each(whole)?;
                let revision = bounded.map(|loaded| loaded.revision.get());
                expect!(revision <= Some(before), "at most {before}, and not {revision:?}");
                tokio::task::yield_now().await;
            }
            Verdict::Ok(())
        })
    });
    let mut beside: Vec<_> = loaders.collect();
    beside.extend((0..2).map(|_| {
        let (store, last, over) = (store.clone(), last.clone(), over.clone());
        tokio::spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let old = last.load(Ordering::SeqCst).saturating_sub(KEPT);
                delete(&store, "a-1", "account", Some(old)).await?;
                tokio::task::yield_now().await;
            }
            Verdict::Ok(())
        })
    }));
    let saved = async {
        for revision in first + 1..first + rounds {
            save(&store, snapshot("a-1", "account", revision, 1)).await?;
            last.store(revision, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
        Verdict::Ok(())
    };
    let saved = saved.await;
    over.store(true, Ordering::SeqCst);
    all_of(beside).await?;
    saved?;
    let oldest = first + rounds - 1 - KEPT;
    delete(&store, "a-1", "account", Some(oldest)).await?;
    let left: Vec<_> = (oldest..first + rounds).collect();
    expect_eq!(revisions(&store, "a-1", "account").await?, left, "what is left of {rounds} snapshots");
    Ok(())
}

/// Savers of one revision: it is there at all times once it was saved, and whole, whoever was the last.
pub(super) async fn savers_of_one_revision(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    let rounds = u32::try_from(trial.rounds(40).max(20)).unwrap_or(20);
    save(&store, snapshot("a-1", "account", 3, 0)).await?;
    let savers = (0..3).map(|saver| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..rounds {
                save(&store, snapshot("a-1", "account", 3, round * 3 + saver + 1)).await?;
                tokio::task::yield_now().await;
            }
            Verdict::Ok(())
        })
    });
    let over = Arc::new(AtomicBool::new(false));
    let loader = tokio::spawn({
        let (store, over) = (store.clone(), over.clone());
        async move {
            while !over.load(Ordering::SeqCst) {
                let loaded = load(&store, "a-1", "account", None).await?;
                expect!(loaded.is_some(), "the snapshot, while it is saved again");
                loaded.iter().try_for_each(whole)?;
                tokio::task::yield_now().await;
            }
            Verdict::Ok(())
        }
    });
    let saved = all_of(savers).await;
    over.store(true, Ordering::SeqCst);
    all_of([loader]).await?;
    saved?;
    let version = load(&store, "a-1", "account", None).await?.map(|last| last.version);
    expect!(version > Some((rounds - 1) * 3), "one of the versions saved last by each, and not {version:?}");
    expect_eq!(revisions(&store, "a-1", "account").await?, [3], "the revisions, each saved many times");
    Ok(())
}

/// Savers of streams and kinds of their own lose nothing to each other, nor to who deletes what is not theirs.
pub(super) async fn savers_of_streams_of_their_own(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    let rounds = trial.rounds(40).max(10) as u64;
    let places = [("a-1", "account"), ("a-1", "limits"), ("a-2", "account"), ("b-1", "account")];
    let savers = places.map(|(stream, kind)| {
        let store = store.clone();
        tokio::spawn(async move {
            for revision in 0..rounds {
                save(&store, snapshot(stream, kind, revision, 1)).await?;
                delete(&store, "b-2", kind, None).await?;
                tokio::task::yield_now().await;
            }
            Verdict::Ok(())
        })
    });
    all_of(savers).await?;
    for (stream, kind) in places {
        let all: Vec<_> = (0..rounds).collect();
        expect_eq!(revisions(&store, stream, kind).await?, all, "what was saved of {stream}, {kind} beside others");
    }
    Ok(())
}

/// Streams that the child saves snapshots of at once.
const STREAMS: u64 = 3;

/// The child: each stream goes on where the last life stopped, and what is old is deleted now and then.
pub(super) async fn save_until_killed(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    let savers = (0..STREAMS).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let stream = format!("a-{number}");
            let last = load(&store, &stream, "account", None).await?;
            for revision in last.map_or(0, |last| last.revision.get() + 1).. {
                save(&store, snapshot(&stream, "account", revision, 1)).await?;
                tell(&format!("{number} {revision} 0"));
                if revision % 4 == 3 {
                    delete(&store, &stream, "account", Some(revision - 1)).await?;
                    tell(&format!("{number} {revision} {}", revision - 1));
                }
            }
            Verdict::Ok(())
        })
    });
    all_of(savers).await?;
    Ok(())
}

pub(super) async fn survive_being_killed(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    drop(trial.open().await?);
    // Of each stream: the last revision that was saved, and the bound that was deleted below.
    let mut told: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut note = |line: &str| {
        let numbers: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
        // A line that the kill cut off tells nothing.
        if let [stream, revision, below] = numbers[..] {
            let known = told.entry(stream).or_default();
            *known = (known.0.max(revision), known.1.max(below));
        }
        told.clone()
    };
    for round in 0..trial.rounds(6).max(4) {
        let mut child = trial.child("save_until_killed")?;
        let mut told = BTreeMap::new();
        for _ in 0..fastrand::usize(3..40) {
            let Some(line) = child.next() else {
                let what = format!("the child of round {round}");
                return Err(Broken::new(what, "saves until it is killed", "it ended by itself; its words are above"));
            };
            told = note(&line);
        }
        std::thread::sleep(Duration::from_micros(fastrand::u64(..3_000)));
        child.kill();
        while let Some(line) = child.next() {
            told = note(&line);
        }
        let store = trial.open().await?;
        for (stream, (revision, below)) in told {
            let stream = format!("a-{stream}");
            let there = revisions(&store, &stream, "account").await?;
            let latest = there.last().copied();
            expect!(
                latest >= Some(revision),
                "snapshot {revision} of {stream} after a kill, and not {latest:?} at most"
            );
            expect!(there.first() >= Some(&below), "none of {stream} below {below}, deleted before a kill: {there:?}");
            for revision in there {
                let loaded = load(&store, &stream, "account", Some(revision)).await?;
                loaded.iter().try_for_each(whole)?;
            }
        }
    }
    Ok(())
}
