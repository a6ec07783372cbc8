//! ES-08: guards.

use super::many::{a_guard_of_many_terms, far_from_its_position};
use super::world;
use crate::ask::{Ask, Store, event, key, name, nothing, one, some, tagged};
use crate::law::law;
use crate::laws::concurrency::race;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{AppendError, Capability, EventStore};
use portolan_kernel::values::{
    Append, Checkpoint, Expected, Guard, Item, Move, Position, Query, Read, Recorded, Token,
};
use std::sync::Arc;

law! {
    dyn EventStore, es_08_guards, "ES-08",
    "A guard fails if an event that matches its query exists after its position. Of two racers with one guard, each \
     writing what it forbids, one wins. A guard position past the frontier is AppendError::Invalid.",
    checks: [
        every_shape if [Guard],
        its_own_events_do_not_count if [Guard],
        an_empty_store_has_nothing_forbidden if [Guard],
        past_the_frontier_is_invalid if [Guard],
        after_is_exclusive if [Guard],
        one_racer_wins if [Guard],
        racers_by_type_in_streams_of_their_own if [Guard],
        writers_without_a_guard if [Guard],
        beside_every_other_part if [Guard],
        far_from_its_position if [Guard],
        a_guard_of_many_terms if [Guard],
        holds_after_reopening if [Guard, Durability],
    ],
}

async fn every_shape(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let log = world::write(&store).await?;
    for query in world::queries() {
        judged_rightly(&store, &log, &query).await?;
    }
    Ok(())
}

/// Guards against the query after several positions fail where they should, and there alone.
pub(super) async fn judged_rightly(store: &Store, log: &[Arc<Recorded>], query: &Query) -> Verdict {
    let matching: Vec<_> = log.iter().filter(|event| query.matches(event)).map(|event| event.position).collect();
    let last = matching.last().copied();
    let before_last = last.and_then(|last| log.iter().rev().map(|event| event.position).find(|p| *p < last));
    for after in [None, before_last, last, log.last().map(|event| event.position)] {
        let forbidden: Vec<_> = matching.iter().copied().filter(|position| Some(*position) > after).collect();
        let outcome = store.try_append(nothing().guard(Guard::new(query.clone(), after))).await;
        let right = match &outcome {
            Ok(_) => forbidden.is_empty(),
            Err(AppendError::GuardFailed { position }) => forbidden.contains(position),
            Err(_) => false,
        };
        if !right {
            let what = format!("a guard against {query:?} after {after:?}");
            let expected = format!("a failure at one of {forbidden:?}, or success if there is none");
            return Err(Broken::new(what, expected, format!("{outcome:?}")));
        }
    }
    Ok(())
}

/// Whatever was written beside it, nothing forbidden stands between a guard's position and its append.
async fn writers_without_a_guard(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut after = store.wrote(one("a-1", 0)).await?.last;
    for _ in 0..trial.rounds(40).max(12) {
        let append = |racer: usize| match racer % 2 {
            0 => one(&format!("g-{racer}"), 0).guard(Guard::new(about("seat"), after)),
            _ => Append::new([tagged(&format!("w-{racer}"), 0, &["seat"])]),
        };
        let outcomes = race(&store, 8, append).await?;
        let log = store.all(Read::log_after(Query::all(), after)).await?;
        let taken = log.iter().filter(|event| about("seat").matches(event)).map(|event| event.position).min();
        for (outcome, racer) in outcomes.iter().zip(0..) {
            match outcome {
                Ok(done) if racer % 2 == 0 => {
                    expect!(done.first < taken, "a guarded append before {taken:?}, not at {:?}", done.first);
                }
                Ok(_) => {}
                Err(refusal) => {
                    expect_eq!(racer % 2, 0, "the racer that is refused");
                    expect_is!(refusal, AppendError::GuardFailed { .. }, "the refusal of a guarded append");
                }
            }
        }
        after = log.last().map(|event| event.position);
    }
    Ok(())
}

fn about(tag: &str) -> Query {
    Query::of(Item::new().tag(name(tag)))
}

async fn its_own_events_do_not_count(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(Append::new([tagged("a-1", 0, &["t"])]).guard(Guard::new(about("t"), None))).await?;
    let refusal = store.refused(Append::new([tagged("a-2", 0, &["t"])]).guard(Guard::new(about("t"), None))).await?;
    expect_is!(refusal, AppendError::GuardFailed { .. }, "the same guard, once such an event exists");
    Ok(())
}

async fn an_empty_store_has_nothing_forbidden(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(nothing().guard(Guard::new(Query::all().with_system(), None))).await?;
    store.wrote(one("a-1", 0).guard(Guard::new(Query::all(), None))).await?;
    Ok(())
}

async fn past_the_frontier_is_invalid(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..2 {
        let log = store.log().await?;
        let frontier = log.last().map_or(0, |event| event.position.get());
        for after in [frontier + 1, frontier + 1_000, Position::MAX.get()] {
            let guard = Guard::new(about("none"), Position::new(after));
            let refusal = store.refused(one("a-1", 0).guard(guard)).await?;
            expect_is!(refusal, AppendError::Invalid(_), "a guard after {after}, where the frontier is {frontier}");
        }
        expect_eq!(store.log().await?, log, "the log after the refusals");
        store.wrote(one("a-1", round)).await?;
    }
    Ok(())
}

async fn after_is_exclusive(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let first = store.wrote(Append::new([tagged("a-1", 0, &["t"]), tagged("a-1", 1, &["t"])])).await?;
    let on = |after| one("b-1", 0).guard(Guard::new(about("t"), after));
    store.wrote(on(first.last)).await?;
    let refusal = store.refused(on(first.first)).await?;
    expect_is!(refusal, AppendError::GuardFailed { position } if Some(*position) == first.last, "a guard within an append");
    Ok(())
}

async fn one_racer_wins(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut after = None;
    for round in 0..trial.rounds(20) {
        let append = move |racer: usize| {
            let number = u32::try_from(round * 10 + racer).unwrap_or(0);
            Append::new([tagged(&format!("r-{racer}"), number, &["seat"])]).guard(Guard::new(about("seat"), after))
        };
        after = winner(race(&store, 6, append).await?)?;
    }
    Ok(())
}

/// A guard that fails is asked whatever else the append carries, and then nothing of it is kept.
async fn beside_every_other_part(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let last = store.wrote(Append::new([tagged("a-1", 0, &["t"])])).await?.last;
    let mut appends = vec![
        one("b-1", 0),
        nothing(),
        one("b-1", 0).expect(name("b-1"), Expected::NoStream),
        one("a-1", 1).expect(name("a-1"), Expected::StreamExists),
        nothing().expect(name("b-1"), Expected::NoStream),
        some("b-1", 0..120),
        Append::new([tagged("$s-1", 0, &["t"])]),
    ];
    if trial.has(Capability::SeveralStreams) {
        appends.push(Append::new([event("b-1", 0), event("c-1", 0)]));
        appends.push(one("b-1", 0).expect(name("a-1"), Expected::StreamExists).expect(name("c-1"), Expected::NoStream));
    }
    if trial.has(Capability::Keys) {
        appends.push(one("b-1", 0).key(key("k", 1).with_note("note")));
    }
    if trial.has(Capability::Checkpoints) {
        let state = store.stands("c").await?;
        appends.push(one("b-1", 0).checkpoint(Checkpoint::new(name("c"), state, Token(1), Move::Claim)));
        appends.push(nothing().checkpoint(Checkpoint::new(name("c"), state, Token(1), Move::Reset(last))));
    }
    let log = store.log().await?;
    for append in &appends {
        for query in [about("t"), Query::stream(name("a-1")), Query::all(), Query::all().with_system()] {
            let refusal = store.refused(append.clone().guard(Guard::new(query, None))).await?;
            expect_is!(
                refusal,
                AppendError::GuardFailed { .. },
                "the refusal of {append:.300?} under a guard that fails"
            );
        }
        expect_eq!(store.log().await?, log, "the log after refusals");
    }
    for append in appends.into_iter().take(2) {
        store.wrote(append.guard(Guard::new(about("t"), last))).await?;
    }
    Ok(())
}

async fn racers_by_type_in_streams_of_their_own(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut after = None;
    for round in 0..trial.rounds(20) {
        let append = move |racer: usize| {
            let mut event = event(&format!("s-{round}-{racer}"), 0);
            event.event_type = name("booked");
            Append::new([event]).guard(Guard::new(Query::of(Item::new().event_type(name("booked"))), after))
        };
        after = winner(race(&store, 4, append).await?)?;
    }
    Ok(())
}

/// Where the one winner wrote; the others failed by the guard.
fn winner(outcomes: Vec<Result<portolan_kernel::values::Appended, AppendError>>) -> Verdict<Option<Position>> {
    let won: Vec<_> = outcomes.iter().flatten().collect();
    expect_eq!(won.len(), 1, "winners among {outcomes:?}");
    for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        expect_is!(lost, AppendError::GuardFailed { .. }, "the refusal of a loser");
    }
    Ok(won[0].last)
}

async fn holds_after_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let done = store.wrote(Append::new([tagged("a-1", 0, &["t"])])).await?;
    drop(store);
    let store = trial.open().await?;
    let refusal = store.refused(one("b-1", 0).guard(Guard::new(about("t"), None))).await?;
    expect_is!(refusal, AppendError::GuardFailed { .. }, "a guard against an event of an earlier life");
    store.wrote(one("b-1", 0).guard(Guard::new(about("t"), done.last))).await?;
    Ok(())
}
