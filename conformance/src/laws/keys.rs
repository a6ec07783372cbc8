//! ES-09: idempotency by key.

use super::concurrency::race;
use super::many::among_many_keys;
use crate::ask::{Ask, event, key, name, nothing, one, some};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::ports::{AppendError, Capability, EventStore};
use portolan_kernel::values::{
    Append, Appended, Checkpoint, Expected, Guard, IdempotencyKey, Move, Position, Query, Token,
};

law! {
    dyn EventStore, es_09_keys, "ES-09",
    "Keys: a repetition within the stated retention returns the original outcome and note, marked repeated, whatever \
     the conditions would now say, also after a restart, and writes nothing. Another digest under the key is \
     AppendError::KeyReused. A refused append does not take its key. An expired key counts as absent, cleaned up or \
     not; expiry is by the store's Clock: a key recorded at t is expired from t + retention on. Event ids are data: \
     kept, not required to be unique.",
    checks: [
        a_repetition_returns_the_original if [Keys],
        a_repetition_asks_no_condition if [Keys],
        a_repetition_counts_by_digest_alone if [Keys],
        another_digest_is_refused if [Keys],
        keys_are_apart_by_scope_and_id if [Keys],
        a_refused_append_takes_no_key if [Keys],
        recall_tells_what_was_recorded if [Keys],
        the_outcome_over_several_streams if [Keys, SeveralStreams],
        survive_reopening if [Keys, Durability],
        expire_at_the_stated_moment if [Keys],
        one_racer_writes if [Keys],
        racers_with_digests_of_their_own if [Keys],
        event_ids_may_repeat,
        among_many_keys if [Keys],
    ],
}

async fn a_repetition_returns_the_original(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let append = some("a-1", 0..3).key(key("k", 1).with_note("a note"));
    let original = store.wrote(append.clone()).await?;
    expect_eq!((original.repeated, &*original.note), (false, &b"a note"[..]), "repeated and note, the first time");
    store.wrote(some("a-1", 3..5)).await?;
    let log = store.log().await?;
    for time in 2..4 {
        let repeated = store.wrote(append.clone()).await?;
        expect_eq!(repeated, original.clone().as_repeated(), "the outcome, time {time}");
        expect_eq!(store.log().await?, log, "the log after repetition {time}");
    }
    let without = store.wrote(one("a-1", 5)).await?;
    expect_eq!((without.repeated, without.note.len()), (false, 0), "repeated and note of an append without a key");
    Ok(())
}

async fn a_repetition_asks_no_condition(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut append = one("a-1", 0).expect(name("a-1"), Expected::NoStream).key(key("k", 1));
    if trial.has(Capability::Guard) {
        append = append.guard(Guard::new(Query::all(), None));
    }
    if trial.has(Capability::Checkpoints) {
        let state = store.stands("c").await?;
        append = append.checkpoint(Checkpoint::new(name("c"), state, Token(1), Move::Claim));
    }
    let original = store.wrote(append.clone()).await?;
    if trial.has(Capability::Checkpoints) {
        let state = store.stands("c").await?;
        store
            .wrote(nothing().checkpoint(Checkpoint::new(name("c"), state, Token(5), Move::At(position(&original)?))))
            .await?;
    }
    expect_eq!(store.wrote(append).await?, original.as_repeated(), "a repetition whose conditions all fail by now");
    if trial.has(Capability::Checkpoints) {
        expect_eq!(store.stands("c").await?.token, Token(5), "the token, which a repetition does not touch");
    }
    Ok(())
}

fn position(appended: &Appended) -> Verdict<Position> {
    appended.last.ok_or_else(|| crate::Broken::new("the last position of an append", "a position", "none"))
}

async fn a_repetition_counts_by_digest_alone(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let original = store.wrote(one("a-1", 0).key(key("k", 1).with_note("first"))).await?;
    let other = some("b-1", 7..9).key(key("k", 1).with_note("second"));
    expect_eq!(store.wrote(other).await?, original.as_repeated(), "other events and another note, the same digest");
    expect_eq!(store.log().await?.len(), 1, "events after the repetition");
    Ok(())
}

async fn another_digest_is_refused(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(one("a-1", 0).key(key("k", 1))).await?;
    for byte in [0, 15, 31] {
        let mut other = key("k", 1);
        other.digest[byte] ^= 0x80;
        let refusal = store.refused(one("a-1", 0).key(other)).await?;
        let right = |refusal: &AppendError| matches!(refusal, AppendError::KeyReused { scope, id } if *scope == "scope" && *id == "k");
        expect!(right(&refusal), "KeyReused of k in scope, where byte {byte} of the digest differs, not {refusal:?}");
        expect_eq!(store.log().await?.len(), 1, "events after the refusal");
    }
    Ok(())
}

async fn keys_are_apart_by_scope_and_id(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let long = "x".repeat(511);
    let names = [
        ("a", "bc"),
        ("ab", "c"),
        ("a", "b"),
        ("b", "a"),
        ("A", "b"),
        ("a", "B"),
        ("a ", "b"),
        ("a", "b "),
        ("a/b", "c"),
        ("a", "b/c"),
        ("\u{e9}", "k"),
        ("e\u{301}", "k"),
        ("a:b", "c"),
        ("a", "b:c"),
        (&long, "k"),
        ("k", &long),
    ];
    let keys = names.map(|(scope, id)| IdempotencyKey::new(name(scope), name(id), [1; 32]));
    for (key, number) in keys.iter().zip(0..) {
        let done = store.wrote(one("a-1", number).key(key.clone())).await?;
        expect_eq!(done.repeated, false, "whether key {key:?} was taken before");
    }
    for key in keys {
        let done = store.wrote(one("a-1", 0).key(key.clone())).await?;
        expect_eq!(done.repeated, true, "whether key {key:?} is a repetition now");
    }
    Ok(())
}

async fn a_refused_append_takes_no_key(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(one("a-1", 0)).await?;
    store.refused(one("a-1", 1).expect(name("a-1"), Expected::NoStream).key(key("k", 1))).await?;
    expect_eq!(store.recalled("k").await?, None, "what the refused append recorded");
    let done = store.wrote(one("a-1", 1).key(key("k", 2))).await?;
    expect_eq!(done.repeated, false, "whether the next append under that key is a repetition");
    Ok(())
}

async fn recall_tells_what_was_recorded(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    expect_eq!(store.recalled("k").await?, None, "a key never used");
    let limit = usize::try_from(store.capabilities().limits.note_bytes).unwrap_or(usize::MAX);
    let notes = [vec![], b"text".to_vec(), vec![0, 255, 254, 10], vec![7; limit.min(4096)]];
    for (note, number) in notes.into_iter().zip(0..) {
        let (id, digest) = (format!("k{number}"), 10 + u8::try_from(number).unwrap_or(0));
        let done = store.wrote(some("a-1", number..number + 2).key(key(&id, digest).with_note(note.clone()))).await?;
        expect_eq!(done.note, note, "the note of {id}");
        let recalled = store.recalled(&id).await?.map(|recalled| (recalled.appended, recalled.digest));
        expect_eq!(recalled, Some((done.as_repeated(), [digest; 32])), "what is recorded under {id}");
    }
    expect_eq!(store.recall(name("other"), name("k0")).await.ok(), Some(None), "the id in another scope");
    Ok(())
}

async fn the_outcome_over_several_streams(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(some("b-1", 0..2)).await?;
    let append =
        Append::new([event("c-1", 0), event("b-1", 2), event("c-1", 1)]).expect(name("a-1"), Expected::NoStream);
    let append = append.key(key("k", 1));
    let original = store.wrote(append.clone()).await?;
    store.wrote(Append::new([event("a-1", 0), event("c-1", 2)])).await?;
    expect_eq!(store.wrote(append).await?, original.as_repeated(), "the repeated outcome");
    Ok(())
}

async fn survive_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let append = some("a-1", 0..2).expect(name("a-1"), Expected::NoStream).key(key("k", 1).with_note("note"));
    let original = store.wrote(append.clone()).await?;
    drop(store);
    let store = trial.open().await?;
    expect_eq!(store.wrote(append.clone()).await?, original.as_repeated(), "a repetition in the next life");
    let refusal = store.refused(append.key(key("k", 2))).await?;
    expect_is!(refusal, AppendError::KeyReused { .. }, "another digest in the next life");
    expect_eq!(store.log().await?.len(), 2, "events after the repetition");
    Ok(())
}

async fn expire_at_the_stated_moment(trial: &Trial<dyn EventStore>) -> Verdict {
    const TICK: Duration = Duration::from_micros(1);
    let store = trial.open().await?;
    // Not at a whole second, nor at a whole millisecond.
    trial.clock().advance(Duration::from_micros(700_700));
    let append = one("a-1", 0).key(key("k", 1));
    let original = store.wrote(append.clone()).await?;
    let Some(retention) = store.capabilities().key_retention else {
        trial.clock().advance(Duration::from_secs(3600 * 24 * 365 * 50));
        expect_eq!(
            store.wrote(append).await?,
            original.as_repeated(),
            "a repetition after 50 years, keys kept for good"
        );
        return Ok(());
    };
    expect!(retention > TICK, "a retention that is longer than a tick of the clock");
    trial.clock().advance(retention - TICK);
    // Neither a repetition nor a refusal makes it last longer.
    store.refused(append.clone().key(key("k", 3))).await?;
    expect_eq!(store.wrote(append.clone()).await?, original.as_repeated(), "a repetition just before the key expires");
    expect!(store.recalled("k").await?.is_some(), "the key recalled just before it expires");
    trial.clock().advance(TICK);
    expect_eq!(store.recalled("k").await?, None, "the key once it has expired (does the fixture take place.clock()?)");
    let again = store.wrote(append.clone().key(key("k", 2))).await?;
    expect_eq!(again.repeated, false, "whether an append under an expired key is a repetition");
    trial.clock().advance(retention - TICK);
    let repeated = store.wrote(append.key(key("k", 2))).await?;
    expect_eq!(repeated, again.as_repeated(), "a repetition of the key's second use, before it expires in turn");
    expect_eq!(store.log().await?.len(), 2, "events under the key");
    trial.clock().advance(TICK);
    let third = store.wrote(one("a-1", 0).key(key("k", 2))).await?;
    expect_eq!(third.repeated, false, "the same digest under an expired key");
    Ok(())
}

async fn one_racer_writes(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..trial.rounds(10) {
        let id = format!("k{round}");
        let outcomes = race(&store, 8, |_| some("a-1", 0..2).key(key(&id, 1))).await?;
        let done: Vec<&Appended> = outcomes.iter().flatten().collect();
        expect_eq!(done.len(), 8, "answers to 8 racers under one key, of {outcomes:?}");
        expect_eq!(done.iter().filter(|done| !done.repeated).count(), 1, "originals among {done:?}");
        expect!(done.iter().all(|other| other.last == done[0].last), "the same outcome for all: {done:?}");
        expect_eq!(store.log().await?.len(), (round + 1) * 2, "events after {} races", round + 1);
    }
    Ok(())
}

async fn racers_with_digests_of_their_own(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..trial.rounds(10) {
        let id = format!("k{round}");
        let outcomes = race(&store, 6, |racer| one("a-1", 0).key(key(&id, u8::try_from(racer).unwrap_or(0)))).await?;
        expect_eq!(outcomes.iter().flatten().count(), 1, "takers of one key, of {outcomes:?}");
        for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            expect_is!(lost, AppendError::KeyReused { .. }, "the refusal of a loser");
        }
    }
    Ok(())
}

async fn event_ids_may_repeat(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(Append::new([event("a-1", 0), event("a-1", 0)])).await?;
    store.wrote(Append::new([event("a-1", 0)])).await?;
    store.wrote(Append::new([event("b-1", 0)])).await?;
    let ids: Vec<_> = store.log().await?.iter().map(|recorded| recorded.id).collect();
    expect_eq!(ids, vec![event("a-1", 0).id; 4], "the ids of four events with one id");
    Ok(())
}
