//! ES-07 and ES-11: racing appends, and what their refusals are told apart by.

use super::power_cuts::{a_failed_sync_is_told_truly, append_while_syncs_fail};
use crate::ask::{Ask, Store, all_of, event, name, one};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::{Append, Appended, Expected, Read, Revision};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Barrier;

law! {
    dyn EventStore, es_07_races, "ES-07",
    "Of N racing appends with the same expectation exactly one wins; the others get AppendError::Conflict. Appends to \
     disjoint streams never conflict.",
    checks: [
        one_makes_the_stream,
        one_goes_on_from_a_revision,
        one_of_racers_on_a_stream_not_written if [SeveralStreams],
        each_expects_what_the_other_writes if [SeveralStreams],
        no_update_is_lost,
        disjoint_streams_never_conflict,
        a_neighbour_is_no_conflict,
    ],
}

// Nothing makes every store lose an answer. One that keeps files can be made to: their syncs fail. Nor does a burst
// fill a queue of thousands; a store with a short queue, run beside the usual one, shows its `Busy`.
law! {
    dyn EventStore, es_11_failures, "ES-11",
    "A caller can tell Conflict (decide again), Busy (nothing written, retry) and Unknown (settle it by the key) \
     apart. A bounded queue that is full answers Busy.",
    checks: [a_burst_is_taken_or_busy, a_conflict_is_never_busy, a_failed_sync_is_told_truly if [Durability]],
    roles: [append_while_syncs_fail],
}

/// Lets `racers` append at the same time. `Busy` is tried again.
pub(super) async fn race(
    store: &Store,
    racers: usize,
    append: impl Fn(usize) -> Append,
) -> Verdict<Vec<Result<Appended, AppendError>>> {
    let start = Arc::new(Barrier::new(racers));
    let tasks = (0..racers).map(|racer| {
        let (store, start, append) = (store.clone(), start.clone(), append(racer));
        tokio::spawn(async move {
            start.wait().await;
            Verdict::Ok(store.try_append(append).await)
        })
    });
    all_of(tasks).await
}

/// One racer won, the others lost by a conflict that tells a revision at or past `since`.
fn one_won(outcomes: &[Result<Appended, AppendError>], since: Option<Revision>) -> Verdict {
    expect_eq!(outcomes.iter().flatten().count(), 1, "winners among {outcomes:?}");
    for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        expect_is!(lost, AppendError::Conflict { actual, .. } if *actual > since, "the refusal of a loser");
    }
    Ok(())
}

async fn one_makes_the_stream(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..trial.rounds(20) {
        let stream = format!("a-{round}");
        let append = |racer| one(&stream, u32::try_from(racer).unwrap_or(0)).expect(name(&stream), Expected::NoStream);
        one_won(&race(&store, 8, append).await?, None)?;
        let events = store.all(Read::stream(name(&stream))).await?;
        expect_eq!(events.len(), 1, "events of a stream that 8 raced to make");
    }
    Ok(())
}

async fn one_goes_on_from_a_revision(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(one("a-1", 0)).await?;
    let mut last = Revision::FIRST;
    for _ in 0..trial.rounds(20) {
        let append = |racer| {
            let number = u32::try_from(racer).unwrap_or(0);
            Append::new([event("a-1", number), event("a-1", number)]).expect(name("a-1"), Expected::Exact(last))
        };
        one_won(&race(&store, 8, append).await?, Some(last))?;
        last = last.plus(2);
        expect_eq!(store.page(Read::stream(name("a-1"))).await?.revision, Some(last), "the revision after a race");
    }
    Ok(())
}

/// The racers write streams of their own, and all expect one that each of them also writes.
async fn one_of_racers_on_a_stream_not_written(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..trial.rounds(10) {
        let shared = format!("shared-{round}");
        let append = |racer: usize| {
            Append::new([event(&format!("own-{racer}"), 0), event(&shared, 0)])
                .expect(name(&shared), Expected::NoStream)
        };
        one_won(&race(&store, 4, append).await?, None)?;
        expect_eq!(store.log().await?.len(), (round + 1) * 2, "events after {} races", round + 1);
    }
    Ok(())
}

/// Half of the racers write one stream and expect the other to be missing, half the reverse: one half wins.
async fn each_expects_what_the_other_writes(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..trial.rounds(40).max(12) {
        let streams = [format!("x-{round}"), format!("y-{round}")];
        let append = |racer: usize| {
            let (written, missing) = (&streams[racer % 2], &streams[(racer + 1) % 2]);
            one(written, u32::try_from(racer).unwrap_or(0)).expect(name(missing), Expected::NoStream)
        };
        let outcomes = race(&store, 8, append).await?;
        let won: BTreeSet<_> =
            (0..).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| n % 2).collect();
        expect_eq!(won.len(), 1, "halves that won, of {outcomes:?}");
        for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            expect_is!(lost, AppendError::Conflict { actual: Some(_), .. }, "the refusal of a loser");
        }
    }
    Ok(())
}

async fn no_update_is_lost(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let (writers, rounds) = (4, u32::try_from(trial.rounds(20)).unwrap_or(1));
    let tasks = (0..writers).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            // Each conflict is an append of somebody else's, met perhaps often before a read shows it.
            let mut conflicts = 0;
            for round in 0..rounds {
                loop {
                    expect!(
                        conflicts <= 100 * writers * rounds,
                        "{conflicts} conflicts of one writer are no more than appends"
                    );
                    let last = store.page(Read::stream(name("a-1")).limit(1)).await?.revision;
                    let append = one("a-1", writer * 1_000 + round);
                    let append = append.expect(name("a-1"), Expected::unchanged_since(last));
                    match store.try_append(append).await {
                        Err(AppendError::Conflict { .. }) => conflicts += 1,
                        outcome => {
                            expect_is!(outcome, Ok(_), "an append on what was just read");
                            break;
                        }
                    }
                }
            }
            Verdict::Ok(())
        })
    });
    all_of(tasks).await?;
    let events = store.all(Read::stream(name("a-1"))).await?;
    let ids: BTreeSet<_> = events.iter().map(|event| event.id).collect();
    expect_eq!(
        (events.len(), ids.len()),
        ((writers * rounds) as usize, (writers * rounds) as usize),
        "events, and their ids"
    );
    for (event, number) in events.iter().zip(0..) {
        expect_eq!(event.revision, Revision::new(number), "the revisions in order");
    }
    Ok(())
}

async fn disjoint_streams_never_conflict(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let rounds = u64::try_from(trial.rounds(20)).unwrap_or(1);
    let tasks = (0..8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let stream = format!("own-{writer}");
            for round in 0..rounds {
                let last = round.checked_sub(1).map(Revision::new);
                store.wrote(one(&stream, 0).expect(name(&stream), Expected::unchanged_since(last))).await?;
            }
            Verdict::Ok(())
        })
    });
    all_of(tasks).await?;
    Ok(())
}

/// The same without a race: another stream has gone on since this one was read.
async fn a_neighbour_is_no_conflict(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..4 {
        for stream in ["own-1", "own-2", "own-3"] {
            let last = u64::checked_sub(round, 1).map(Revision::new);
            store.wrote(one(stream, 0).expect(name(stream), Expected::unchanged_since(last))).await?;
        }
    }
    Ok(())
}

async fn a_burst_is_taken_or_busy(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let burst = u32::try_from(trial.rounds(500)).unwrap_or(1);
    let tasks = (0..burst).map(|number| {
        let store = store.clone();
        // Not `try_append`, which would hide `Busy`.
        tokio::spawn(async move {
            match store.append(one("a-1", number)).await {
                Ok(_) => Ok(Some(event("a-1", number).id)),
                refusal => {
                    expect_is!(refusal, Err(AppendError::Busy(_)), "an append without conditions, in a burst");
                    Ok(None)
                }
            }
        })
    });
    let taken: BTreeSet<_> = all_of(tasks).await?.into_iter().flatten().collect();
    expect!(!taken.is_empty(), "some of {burst} appends taken");
    let events = store.all(Read::stream(name("a-1"))).await?;
    let there: BTreeSet<_> = events.iter().map(|event| event.id).collect();
    expect_eq!(there, taken, "the events there, beside those acknowledged");
    expect_eq!(events.len(), taken.len(), "the number of events, each once");
    Ok(())
}

async fn a_conflict_is_never_busy(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(one("lone-1", 0)).await?;
    for expected in [Expected::NoStream, Expected::Exact(Revision::new(1))] {
        let outcome = store.append(one("lone-1", 1).expect(name("lone-1"), expected)).await;
        expect_is!(outcome, Err(AppendError::Conflict { .. }), "an append that expects {expected:?} of one event");
    }
    Ok(())
}
