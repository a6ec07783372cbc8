//! ES-10, ES-13 and ES-27: appends without events, checkpoints, and the identity they name.

use super::concurrency::race;
use super::many::among_many_names;
use crate::ask::{Ask, Store, event, key, name, nothing, one, some};
use crate::law::law;
use crate::{Model, Place, Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{AppendError, Capability, EventStore, StoreId};
use portolan_kernel::values::{
    Append, Checkpoint, CheckpointState, Expected, Guard, Move, Name, Position, Query, Revision, Timestamp, Token,
};

law! {
    dyn EventStore, es_10_empty_appends, "ES-10",
    "An append without events checks its conditions, commits its key and checkpoint, and hands out no position.",
    checks: [
        hands_out_no_position,
        checks_its_expectations,
        checks_its_guard if [Guard],
        commits_its_key if [Keys],
        commits_its_checkpoint if [Checkpoints],
    ],
}

law! {
    dyn EventStore, es_13_checkpoints, "ES-13",
    "A checkpoint moves by compare-and-set under a fencing token. It is refused as AppendError::CheckpointMoved if the \
     stored position differs from from or the store has ever seen a larger token under the name. Claim raises the \
     token and moves nothing. At goes forward or stays: below from it is Invalid. Only Reset goes back. At and Reset \
     past the frontier are Invalid. It moves only if its append happens, and its append happens only if it moves.",
    checks: [
        stands_at_nothing_first if [Checkpoints],
        every_move_from_every_state if [Checkpoints],
        past_the_frontier_is_invalid if [Checkpoints],
        moves_only_with_its_append if [Checkpoints],
        beside_every_other_part if [Checkpoints],
        tokens_of_every_size if [Checkpoints],
        names_are_apart if [Checkpoints],
        stands_after_reopening if [Checkpoints, Durability],
        one_racer_moves_it if [Checkpoints],
        among_many_names if [Checkpoints],
    ],
}

law! {
    dyn EventStore, es_27_identity, "ES-27",
    "The store has an identity of its own, made with it and kept with it. A checkpoint that names another is refused \
     as AppendError::WrongStore.",
    checks: [
        no_two_stores_are_one,
        kept_over_reopening if [Durability],
        one_over_all_handles if [SeveralProcesses],
        another_store_is_refused if [Checkpoints],
    ],
}

async fn hands_out_no_position(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..2 {
        let log = store.log().await?;
        let done = store.wrote(nothing()).await?;
        expect_eq!((done.first, done.last), (None, None), "the positions of an append without events");
        expect_eq!(done.streams, [], "its streams");
        let frontier = store.page(portolan_kernel::values::Read::log(Query::all())).await?.frontier;
        expect_eq!(frontier, log.last().map(|event| event.position), "the frontier after it");
        expect_eq!(store.log().await?, log, "the log after it");
        store.wrote(one("a-1", round)).await?;
    }
    Ok(())
}

async fn checks_its_expectations(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let refusal = store.refused(nothing().expect(name("a-1"), Expected::StreamExists)).await?;
    expect_is!(refusal, AppendError::Conflict { actual: None, .. }, "the refusal");
    let done = store.wrote(nothing().expect(name("a-1"), Expected::NoStream)).await?;
    expect_eq!(done.streams, [(name("a-1"), None)], "the streams of the outcome");
    store.wrote(some("a-1", 0..2).expect(name("a-1"), Expected::NoStream)).await?;
    let done = store.wrote(nothing().expect(name("a-1"), Expected::Exact(Revision::new(1)))).await?;
    expect_eq!(done.streams, [(name("a-1"), Some(Revision::new(1)))], "the streams of the outcome");
    store.refused(nothing().expect(name("a-1"), Expected::NoStream)).await?;
    Ok(())
}

async fn checks_its_guard(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let done = store.wrote(one("a-1", 0)).await?;
    let refusal = store.refused(nothing().guard(Guard::new(Query::all(), None))).await?;
    expect_is!(refusal, AppendError::GuardFailed { .. }, "the refusal");
    store.wrote(nothing().guard(Guard::new(Query::all(), done.last))).await?;
    Ok(())
}

async fn commits_its_key(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let append = nothing().expect(name("a-1"), Expected::NoStream).key(key("k", 1).with_note("n"));
    let done = store.wrote(append.clone()).await?;
    expect_eq!(
        store.recalled("k").await?.map(|recalled| recalled.appended),
        Some(done.clone().as_repeated()),
        "the key"
    );
    store.wrote(one("a-1", 0)).await?;
    expect_eq!(store.wrote(append).await?, done.as_repeated(), "the repetition");
    Ok(())
}

async fn commits_its_checkpoint(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let done = store.wrote(one("a-1", 0)).await?;
    let state = store.stands("c").await?;
    store.wrote(nothing().checkpoint(Checkpoint::new(name("c"), state, Token(2), Move::Reset(done.last)))).await?;
    expect_stands(&store, "c", done.last, 2).await
}

/// The checkpoint stands there.
async fn expect_stands(store: &Store, checkpoint: &str, position: Option<Position>, token: u64) -> Verdict {
    let expected = CheckpointState::new(store.capabilities().identity, position, Token(token));
    expect_eq!(store.stands(checkpoint).await?, expected, "where checkpoint {checkpoint} stands");
    Ok(())
}

/// A move of `checkpoint` from where it stands.
async fn moved(store: &Store, checkpoint: &str, token: u64, to: Move) -> Verdict<Checkpoint> {
    Ok(Checkpoint::new(name(checkpoint), store.stands(checkpoint).await?, Token(token), to))
}

async fn stands_at_nothing_first(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    expect_stands(&store, "c", None, 0).await?;
    store.wrote(one("a-1", 0)).await?;
    expect_stands(&store, "c", None, 0).await
}

/// The whole table: each stored position and token, against each token, `from` and move.
async fn every_move_from_every_state(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut log = Vec::new();
    for number in 0..3 {
        log.extend(store.wrote(one("a-1", number)).await?.last);
    }
    let [first, second, third] = log[..] else { unreachable!("three appends have three positions") };
    let moves = [
        Move::Claim,
        Move::At(first),
        Move::At(second),
        Move::At(third),
        Move::Reset(None),
        Move::Reset(Some(first)),
        Move::Reset(Some(third)),
    ];
    // The reference judges the same moves on the same log.
    let mut model = Model::new(store.capabilities());
    model.events = store.log().await?;
    let mut count = 0;
    for stored in [None, Some(second), Some(third)] {
        for token in [4, 5, 6] {
            for from in [None, Some(first), Some(second), Some(third)] {
                for to in moves {
                    count += 1;
                    let checkpoint: Name = name(&format!("c-{count}"));
                    let set = nothing().checkpoint(moved(&store, &checkpoint, 5, Move::Reset(stored)).await?);
                    store.wrote(set).await?;
                    model.checkpoints.insert(checkpoint.clone(), (stored, Token(5)));
                    let state = CheckpointState::new(model.capabilities.identity, from, Token(0));
                    let append = nothing().checkpoint(Checkpoint::new(checkpoint.clone(), state, Token(token), to));
                    judged_like(&store, &mut model, append, &checkpoint).await?;
                }
            }
        }
    }
    Ok(())
}

/// The store takes or refuses the append as the reference does, and the checkpoint then stands as there.
async fn judged_like(store: &Store, model: &mut Model, append: Append, checkpoint: &Name) -> Verdict {
    let stood = model.checkpoint(checkpoint);
    let what = format!("{:?}, where it stood at {:?} under {:?}", append.checkpoint, stood.position, stood.token);
    let expected = model.append(&append, Timestamp::default());
    let actual = store.try_append(append).await;
    match &expected {
        Ok(_) => expect_is!(actual, Ok(_), "{what}"),
        Err(AppendError::Invalid(_)) => expect_is!(actual, Err(AppendError::Invalid(_)), "{what}"),
        Err(_) => expect_is!(
            actual,
            Err(AppendError::CheckpointMoved { name, actual, token })
                if name == checkpoint && (*actual, *token) == (stood.position, stood.token),
            "{what}"
        ),
    }
    expect_eq!(store.stands(checkpoint).await?, model.checkpoint(checkpoint), "the checkpoint after {what}");
    Ok(())
}

async fn past_the_frontier_is_invalid(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..2 {
        let log = store.log().await?;
        let frontier = log.last().map_or(0, |event| event.position.get());
        for position in [frontier + 1, frontier + 1_000, Position::MAX.get()].into_iter().filter_map(Position::new) {
            for to in [Move::At(position), Move::Reset(Some(position))] {
                let append = nothing().checkpoint(moved(&store, "c", 1, to).await?);
                expect_is!(store.refused(append).await?, AppendError::Invalid(_), "{to:?}, past {frontier}");
            }
        }
        expect_stands(&store, "c", None, 0).await?;
        store.wrote(one("a-1", round)).await?;
    }
    Ok(())
}

async fn moves_only_with_its_append(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let first = store.wrote(one("a-1", 0)).await?.last;
    let mut refused = vec![one("a-1", 1).expect(name("a-1"), Expected::NoStream)];
    if trial.has(Capability::Guard) {
        refused.push(one("a-1", 1).guard(Guard::new(Query::all(), None)));
    }
    for append in refused {
        store.refused(append.checkpoint(moved(&store, "c", 3, Move::Reset(first)).await?)).await?;
        expect_stands(&store, "c", None, 0).await?;
    }
    store.wrote(one("a-1", 1).checkpoint(moved(&store, "c", 3, Move::Reset(first)).await?)).await?;
    expect_stands(&store, "c", first, 3).await?;
    for (token, to) in [(2, Move::Claim), (2, Move::Reset(None))] {
        store.refused(one("a-1", 2).checkpoint(moved(&store, "c", token, to).await?)).await?;
        expect_eq!(store.log().await?.len(), 2, "events after a refused move");
    }
    store.wrote(one("a-1", 2).checkpoint(moved(&store, "c", 4, Move::Claim).await?)).await?;
    expect_stands(&store, "c", first, 4).await?;
    store.wrote(nothing().checkpoint(moved(&store, "c", 4, Move::Reset(None)).await?)).await?;
    expect_stands(&store, "c", None, 4).await
}

/// A move that fails is refused whatever else the append carries, and then nothing of it is kept.
async fn beside_every_other_part(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let first = store.wrote(one("a-1", 0)).await?.last;
    store.wrote(one("a-1", 1).checkpoint(moved(&store, "c", 3, Move::Reset(first)).await?)).await?;
    let last = store.log().await?.last().map(|event| event.position);
    let mut appends = vec![
        one("b-1", 0),
        nothing(),
        one("b-1", 0).expect(name("b-1"), Expected::NoStream),
        nothing().expect(name("a-1"), Expected::StreamExists),
        some("b-1", 0..120),
    ];
    if trial.has(Capability::Guard) {
        appends.push(one("b-1", 0).guard(Guard::new(Query::all(), last)));
        appends.push(nothing().guard(Guard::new(Query::stream(name("b-1")), None)));
    }
    if trial.has(Capability::Keys) {
        appends.push(one("b-1", 0).key(key("k", 1)));
    }
    if trial.has(Capability::SeveralStreams) {
        appends.push(Append::new([event("b-1", 0), event("c-1", 0)]));
    }
    for append in appends {
        let stands = store.stands("c").await?;
        let elsewhere = CheckpointState::new(stands.store, last, stands.token);
        for (from, token, to) in [
            (elsewhere, 3, Move::Claim),
            (elsewhere, 9, Move::Reset(last)),
            (stands, 2, Move::Claim),
            (stands, 2, Move::Reset(None)),
        ] {
            let bad = append.clone().checkpoint(Checkpoint::new(name("c"), from, Token(token), to));
            let refusal = store.refused(bad).await?;
            expect_is!(refusal, AppendError::CheckpointMoved { .. }, "{to:?} under {token}, of {append:.300?}");
        }
        expect_eq!(store.log().await?.len(), 2, "events after the refusals");
        expect_stands(&store, "c", first, 3).await?;
    }
    Ok(())
}

async fn tokens_of_every_size(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let signed = i64::MAX as u64;
    let tokens = [1, 255, 256, 65_536, (1 << 31) + 1, (1 << 32) + 2, (1 << 53) + 1, signed, signed + 1, u64::MAX];
    let mut before = 0;
    for token in tokens {
        let refusal = match before {
            0 => None,
            token => {
                Some(store.refused(nothing().checkpoint(moved(&store, "c", token - 1, Move::Claim).await?)).await?)
            }
        };
        if let Some(refusal) = refusal {
            expect_is!(refusal, AppendError::CheckpointMoved { .. }, "a claim under a token one below {before}");
        }
        store.wrote(nothing().checkpoint(moved(&store, "c", token, Move::Claim).await?)).await?;
        expect_stands(&store, "c", None, token).await?;
        before = token;
    }
    Ok(())
}

async fn names_are_apart(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let first = store.wrote(one("a-1", 0)).await?.last;
    let (long, longer) = ("x".repeat(512), format!("{}y", "x".repeat(511)));
    let names = ["c", "C", "c ", " c", "c/d", "\u{e9}", "e\u{301}", "%", "_", &long, &longer];
    for (checkpoint, token) in names.into_iter().zip(1..) {
        expect_stands(&store, checkpoint, None, 0).await?;
        store.wrote(nothing().checkpoint(moved(&store, checkpoint, token, Move::Reset(first)).await?)).await?;
    }
    for (checkpoint, token) in names.into_iter().zip(1..) {
        expect_stands(&store, checkpoint, first, token).await?;
    }
    Ok(())
}

async fn stands_after_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let first = store.wrote(one("a-1", 0)).await?.last;
    store.wrote(nothing().checkpoint(moved(&store, "c", 7, Move::Reset(first)).await?)).await?;
    store.wrote(nothing().checkpoint(moved(&store, "claimed", 9, Move::Claim).await?)).await?;
    drop(store);
    let store = trial.open().await?;
    expect_stands(&store, "c", first, 7).await?;
    expect_stands(&store, "claimed", None, 9).await?;
    let refusal = store.refused(nothing().checkpoint(moved(&store, "claimed", 8, Move::Claim).await?)).await?;
    expect_is!(refusal, AppendError::CheckpointMoved { .. }, "a smaller token, in the next life");
    Ok(())
}

async fn one_racer_moves_it(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(one("a-1", 0)).await?;
    for round in 0..trial.rounds(20) {
        // Each racer writes an event and moves to where the log ended before.
        let frontier = store.log().await?.last().map(|event| event.position);
        let to = frontier.map_or(Move::Claim, Move::At);
        let checkpoint = moved(&store, "c", 1, to).await?;
        let append = |racer| one("r-1", u32::try_from(round * 10 + racer).unwrap_or(0)).checkpoint(checkpoint.clone());
        let outcomes = race(&store, 6, append).await?;
        expect_eq!(outcomes.iter().flatten().count(), 1, "movers of one checkpoint, of {outcomes:?}");
        for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            expect_is!(lost, AppendError::CheckpointMoved { .. }, "the refusal of a loser");
        }
        expect_stands(&store, "c", frontier, 1).await?;
        expect_eq!(store.log().await?.len(), round + 2, "events after {} races", round + 1);
    }
    Ok(())
}

async fn no_two_stores_are_one(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let elsewhere =
        Place::fresh().map_err(|error| crate::Broken::new("another place", "a folder", error.to_string()))?;
    let other = trial.fixture.open(&elsewhere).await;
    let other = other.map_err(|error| crate::Broken::new("a store at another place", "an open store", error))?;
    let (mine, its) = (store.capabilities().identity, other.capabilities().identity);
    expect!(mine != its, "stores at two places have identities of their own, not both {mine}");
    Ok(())
}

async fn kept_over_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    let identity = trial.open().await?.capabilities().identity;
    for life in 0..2 {
        let store = trial.open().await?;
        expect_eq!(store.capabilities().identity, identity, "the identity in life {}", life + 2);
        store.wrote(one("a-1", life)).await?;
    }
    Ok(())
}

async fn one_over_all_handles(trial: &Trial<dyn EventStore>) -> Verdict {
    let (one, two) = (trial.open().await?, trial.open().await?);
    expect_eq!(two.capabilities().identity, one.capabilities().identity, "the identity by a second handle");
    Ok(())
}

async fn another_store_is_refused(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let first = store.wrote(one("a-1", 0)).await?.last;
    let identity = store.capabilities().identity;
    expect_eq!(store.stands("c").await?.store, identity, "the store that a checkpoint is of");
    // Unlike it in every byte, and in one.
    let unlike = |byte: usize| {
        let mut bytes = *identity.as_bytes();
        bytes[byte] ^= 1;
        StoreId::from_bytes(bytes)
    };
    let others = [StoreId::from_bytes([0xab; 16]), unlike(0), unlike(7), unlike(15)];
    let moves = [Move::Claim, Move::Reset(first), Move::Reset(None)];
    for (other, to) in others.into_iter().flat_map(|other| moves.map(|to| (other, to))) {
        let state = CheckpointState::new(other, None, Token(0));
        let append = one("a-1", 1).checkpoint(Checkpoint::new(name("c"), state, Token(1), to));
        let refusal = store.refused(append).await?;
        expect_is!(
            refusal,
            AppendError::WrongStore { named, actual } if (*named, *actual) == (other, identity),
            "{to:?} of another store's checkpoint"
        );
        expect_eq!(store.log().await?.len(), 1, "events after the refusal");
        expect_stands(&store, "c", None, 0).await?;
    }
    Ok(())
}
