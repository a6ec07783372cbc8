//! ES-06: what a refusal leaves, and which one it is.

use crate::ask::{Ask, Store, event, key, name, one};
use crate::law::law;
use crate::{Trial, Verdict, expect_eq, expect_is};
use portolan_kernel::ports::{AppendError, Capability, EventStore, StoreId};
use portolan_kernel::values::{Append, Checkpoint, Expected, Guard, Item, Move, Position, Query, Revision, Token};

law! {
    dyn EventStore, es_06_refusals, "ES-06",
    "A refused append leaves nothing behind, and its error names something that truly failed, with the actual \
     revision. Order of judgment: limits, key, expectations, guard, checkpoint.",
    checks: [
        a_conflict_leaves_nothing,
        a_later_conflict_leaves_nothing if [SeveralStreams],
        an_invalid_one_leaves_nothing,
        a_guard_leaves_nothing if [Guard],
        a_reused_key_leaves_nothing if [Keys],
        a_checkpoint_leaves_nothing if [Checkpoints],
        judged_in_order if [Guard, Keys, Checkpoints],
    ],
}

/// A store with something in it, and an append that it would take: with everything it can carry.
async fn prepared(trial: &Trial<dyn EventStore>) -> Verdict<(Store, Append)> {
    let store = trial.open().await?;
    store.wrote(Append::new([event("a-1", 0), event("a-1", 1).with_tags([name("t")])])).await?;
    let mut good = Append::new([event("a-1", 2), event("a-1", 3)]);
    if trial.has(Capability::SeveralStreams) {
        good.events.push(event("b-1", 0));
    }
    if trial.has(Capability::Keys) {
        store.wrote(one("a-2", 0).key(key("taken", 1))).await?;
        good = good.key(key("k", 1).with_note("note"));
    }
    if trial.has(Capability::Checkpoints) {
        let frontier = store.log().await?.last().map(|event| event.position);
        let state = store.stands("c").await?;
        good = good.checkpoint(Checkpoint::new(name("c"), state, Token(3), Move::Reset(frontier)));
    }
    Ok((store, good))
}

/// The bad append is refused and leaves everything as it was; then the good one is taken as if there had
/// been no other.
async fn leaves_nothing(
    trial: &Trial<dyn EventStore>,
    store: &Store,
    good: Append,
    bad: Append,
) -> Verdict<AppendError> {
    let log = store.log().await?;
    let refusal = store.refused(bad.clone()).await?;
    store.refused(bad).await?;
    expect_eq!(store.log().await?, log, "the log after the refusal: {refusal}");
    if trial.has(Capability::Keys) {
        expect_eq!(store.recalled("k").await?, None, "the key of the refused append");
    }
    if trial.has(Capability::Checkpoints) {
        let state = store.stands("c").await?;
        expect_eq!((state.position, state.token), (None, Token(0)), "the checkpoint of the refused append");
    }
    let events = good.events.len();
    let done = store.wrote(good).await?;
    expect_eq!(done.repeated, false, "whether the append after the refusal is a repetition");
    expect_eq!(done.streams[0], (name("a-1"), Some(Revision::new(3))), "the revision after the refusal");
    expect_eq!(store.log().await?.len(), log.len() + events, "events after the refused and the good append");
    Ok(refusal)
}

async fn a_conflict_leaves_nothing(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, good) = prepared(trial).await?;
    let bad = good.clone().expect(name("a-1"), Expected::Exact(Revision::FIRST));
    let refusal = leaves_nothing(trial, &store, good, bad).await?;
    let last = Some(Revision::new(1));
    expect_is!(refusal, AppendError::Conflict { actual, .. } if *actual == last, "the refusal (last revision {last:?})");
    Ok(())
}

async fn a_later_conflict_leaves_nothing(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, good) = prepared(trial).await?;
    let bad = good.clone().expect(name("a-1"), Expected::Exact(Revision::new(1)));
    let bad = bad.expect(name("b-1"), Expected::StreamExists);
    let refusal = leaves_nothing(trial, &store, good, bad).await?;
    expect_is!(refusal, AppendError::Conflict { stream, actual: None, .. } if *stream == "b-1", "the refusal");
    Ok(())
}

async fn an_invalid_one_leaves_nothing(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, good) = prepared(trial).await?;
    let bad = good.clone().expect(name("a-1"), Expected::StreamExists).expect(name("a-1"), Expected::StreamExists);
    let refusal = leaves_nothing(trial, &store, good, bad).await?;
    expect_is!(refusal, AppendError::Invalid(_), "the refusal");
    Ok(())
}

async fn a_guard_leaves_nothing(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, good) = prepared(trial).await?;
    let position = store.log().await?[1].position;
    let bad = good.clone().guard(Guard::new(Query::of(Item::new().tag(name("t"))), None));
    let refusal = leaves_nothing(trial, &store, good, bad).await?;
    expect_is!(refusal, AppendError::GuardFailed { position: at } if *at == position, "the refusal (at {position})");
    Ok(())
}

async fn a_reused_key_leaves_nothing(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, good) = prepared(trial).await?;
    let bad = good.clone().key(key("taken", 2));
    let refusal = leaves_nothing(trial, &store, good, bad).await?;
    expect_is!(refusal, AppendError::KeyReused { scope, id } if *scope == "scope" && *id == "taken", "the refusal");
    Ok(())
}

async fn a_checkpoint_leaves_nothing(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, good) = prepared(trial).await?;
    let mut bad = good.clone();
    if let Some(checkpoint) = &mut bad.checkpoint {
        checkpoint.from = Position::new(1);
    }
    let refusal = leaves_nothing(trial, &store, good, bad).await?;
    expect_is!(
        refusal,
        AppendError::CheckpointMoved { name, actual: None, token: Token(0) } if *name == "c",
        "the refusal"
    );
    Ok(())
}

/// Of every two reasons the earlier one is named.
async fn judged_in_order(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, good) = prepared(trial).await?;
    let log = store.log().await?;
    type Spoil = fn(Append) -> Append;
    let reasons: [(&str, Spoil); 6] = [
        ("WrongStore", |mut append| {
            append.checkpoint.iter_mut().for_each(|checkpoint| checkpoint.store = StoreId::from_bytes([9; 16]));
            append
        }),
        ("Invalid", |append| {
            append.expect(name("a-1"), Expected::StreamExists).expect(name("a-1"), Expected::StreamExists)
        }),
        ("KeyReused", |append| append.key(key("taken", 2))),
        ("Conflict", |append| append.expect(name("a-1"), Expected::NoStream)),
        ("GuardFailed", |append| append.guard(Guard::new(Query::all(), None))),
        ("CheckpointMoved", |mut append| {
            append.checkpoint.iter_mut().for_each(|checkpoint| checkpoint.from = Position::new(1));
            append
        }),
    ];
    for (earlier, (said, spoil)) in reasons.iter().enumerate() {
        for (also, spoil_more) in &reasons[earlier..] {
            let bad = spoil(good.clone());
            let bad = if also == said { bad } else { spoil_more(bad) };
            let refusal = store.refused(bad).await?;
            let kind = format!("{refusal:?}");
            // Two reasons that need no look at the store may come in either order.
            let right = kind.starts_with(said) || (earlier == 0 && *also == "Invalid" && kind.starts_with(also));
            if !right {
                let what = format!("the refusal of an append that fails by {said} and by {also}");
                return Err(crate::Broken::new(what, *said, kind));
            }
            expect_eq!(store.log().await?, log, "the log after a refusal by {said}");
        }
    }
    Ok(())
}
