//! SN-01 to SN-07: snapshots.

use super::snapshots_beside::{
    save_until_killed, savers_beside_loaders_and_deleters, savers_of_one_revision, savers_of_streams_of_their_own,
    survive_being_killed,
};
use crate::ask::name;
use crate::law::law;
use crate::{Broken, Place, Trial, Verdict, expect, expect_eq, expect_is};
use core::panic::Location;
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::ports::{Snapshot, SnapshotError, SnapshotStore};
use portolan_kernel::values::{Format, Revision, Timestamp};
use std::sync::Arc;

pub(super) type Store = Arc<dyn SnapshotStore>;

law! {
    dyn SnapshotStore, sn_01_latest, "SN-01",
    "`load` gives the latest snapshot, or the latest at or below a revision; `None` when there is none. Streams and kinds \
     are apart.",
    checks: [none_at_first, latest_at_or_below, latest_whatever_the_order_of_saving, streams_and_kinds_are_apart],
}

law! {
    dyn SnapshotStore, sn_02_overwriting_and_deleting, "SN-02",
    "Saving the same stream, kind and revision again overwrites. Deleting takes away what is below a bound, and nothing \
     else.",
    checks: [overwrites, deletes_below_a_bound, deletes_all, deletes_nothing_of_others],
}

law! {
    dyn SnapshotStore, sn_03_equals_replay, "SN-03",
    "State from a snapshot and the rest of the stream equals state from a full replay, for every revision.",
    checks: [equals_replay_at_every_revision],
}

law! {
    dyn SnapshotStore, sn_04_bytes, "SN-04",
    "A snapshot that cannot be read is `SnapshotError::Corrupt`, never damaged bytes; bytes, version and format come back \
     as they were saved.",
    checks: [come_back_as_they_were, damage_is_never_served if [Durability]],
}

law! {
    dyn SnapshotStore, sn_06_durability, "SN-06",
    "A saved snapshot is there after reopening, also after SIGKILL at any moment, and a deleted one is not; never half \
     of one; on a store that is durable.",
    checks: [
        are_there_after_reopening if [Durability],
        stay_deleted_after_reopening if [Durability],
        survive_being_killed if [Durability],
    ],
    roles: [save_until_killed],
}

law! {
    dyn SnapshotStore, sn_07_side_by_side, "SN-07",
    "Saves, loads and deletes at the same time each happen wholly: a load gives a snapshot as it was saved, and the \
     latest is never older than one whose saving was done before.",
    checks: [savers_beside_loaders_and_deleters, savers_of_one_revision, savers_of_streams_of_their_own],
}

/// A snapshot at this revision, with a state that tells it from all others.
fn snapshot(stream: &str, kind: &str, revision: u64) -> Snapshot {
    let state = format!(r#"{{"of":"{stream} {kind}","at":{revision}}}"#);
    Snapshot::new(name(stream), name(kind), Revision::new(revision), 1, state, Timestamp::from_micros(revision))
}

#[track_caller]
pub(super) fn save(store: &Store, snapshot: Snapshot) -> impl Future<Output = Verdict> {
    let at = Location::caller();
    async move {
        let what = format!("saving {snapshot:.200?}");
        let saved = unless_busy(|| store.save(snapshot.clone())).await;
        saved.map_err(|error| Broken::new(what, "it is kept", error.to_string()).at(at))
    }
}

#[track_caller]
pub(super) fn load(
    store: &Store,
    stream: &str,
    kind: &str,
    at_most: Option<u64>,
) -> impl Future<Output = Verdict<Option<Snapshot>>> {
    let at = Location::caller();
    async move {
        let bound = at_most.map(Revision::new);
        let loaded = unless_busy(|| store.load(name(stream), name(kind), bound)).await;
        loaded.map_err(|error| {
            let what = format!("loading {stream}, {kind}, at most {at_most:?}");
            Broken::new(what, "an answer", error.to_string()).at(at)
        })
    }
}

#[track_caller]
pub(super) fn delete(store: &Store, stream: &str, kind: &str, below: Option<u64>) -> impl Future<Output = Verdict> {
    let at = Location::caller();
    async move {
        let bound = below.map(Revision::new);
        let deleted = unless_busy(|| store.delete(name(stream), name(kind), bound)).await;
        deleted.map_err(|error| {
            Broken::new(format!("deleting {stream}, {kind}, below {below:?}"), "no error", error.to_string()).at(at)
        })
    }
}

/// The answer; `Busy` is tried again for a while.
async fn unless_busy<'s, T>(ask: impl Fn() -> BoxFuture<'s, Result<T, SnapshotError>>) -> Result<T, SnapshotError> {
    for pause in 0..200 {
        match ask().await {
            Err(SnapshotError::Busy(_)) => tokio::time::sleep(Duration::from_millis(pause.min(20))).await,
            answer => return answer,
        }
    }
    ask().await
}

/// The revisions that a stream and kind has snapshots of, found by asking downward.
pub(super) async fn revisions(store: &Store, stream: &str, kind: &str) -> Verdict<Vec<u64>> {
    let (mut found, mut at_most) = (Vec::new(), None);
    while let Some(loaded) = load(store, stream, kind, at_most).await? {
        let revision = loaded.revision.get();
        expect!(at_most.is_none_or(|bound| revision <= bound), "a revision of at most {at_most:?}, and not {revision}");
        found.insert(0, revision);
        if revision == 0 {
            break;
        }
        at_most = Some(revision - 1);
    }
    Ok(found)
}

async fn none_at_first(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    for at_most in [None, Some(0), Some(7)] {
        expect_eq!(
            load(&store, "a-1", "account", at_most).await?,
            None,
            "a snapshot of an empty store, at most {at_most:?}"
        );
    }
    delete(&store, "a-1", "account", None).await
}

async fn latest_at_or_below(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    for revision in [2, 5, 9] {
        save(&store, snapshot("a-1", "account", revision)).await?;
    }
    for at_most in 0..12 {
        let expected = [9, 5, 2].into_iter().find(|revision| *revision <= at_most);
        let expected = expected.map(|revision| snapshot("a-1", "account", revision));
        expect_eq!(
            load(&store, "a-1", "account", Some(at_most)).await?,
            expected,
            "the latest of 2, 5, 9 up to {at_most}"
        );
    }
    expect_eq!(load(&store, "a-1", "account", None).await?, Some(snapshot("a-1", "account", 9)), "the latest of all");
    Ok(())
}

async fn latest_whatever_the_order_of_saving(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    // 9 and 10, so that an order by text is found out.
    for revision in [9, 10, 0, 2] {
        save(&store, snapshot("a-1", "account", revision)).await?;
    }
    expect_eq!(revisions(&store, "a-1", "account").await?, [0, 2, 9, 10], "revisions saved as 9, 10, 0, 2");
    Ok(())
}

async fn streams_and_kinds_are_apart(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    // Names that a careless key would join to the same text.
    let places = [("a-1", "account"), ("a-1", "limits"), ("a-2", "account"), ("a", "1-account"), ("A-1", "account")];
    for ((stream, kind), revision) in places.into_iter().zip(1..) {
        save(&store, snapshot(stream, kind, revision)).await?;
    }
    for ((stream, kind), revision) in places.into_iter().zip(1..) {
        expect_eq!(revisions(&store, stream, kind).await?, [revision], "the snapshots of {stream}, {kind}");
    }
    expect_eq!(load(&store, "a-2", "limits", None).await?, None, "a kind that the stream has no snapshot of");
    Ok(())
}

async fn overwrites(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    save(&store, snapshot("a-1", "account", 3)).await?;
    save(&store, snapshot("a-1", "account", 4)).await?;
    let again = Snapshot::new(name("a-1"), name("account"), Revision::new(3), 2, "again", Timestamp::from_micros(9))
        .with_format(Format::Binary);
    save(&store, again.clone()).await?;
    expect_eq!(load(&store, "a-1", "account", Some(3)).await?, Some(again), "a snapshot that was saved again");
    expect_eq!(load(&store, "a-1", "account", None).await?, Some(snapshot("a-1", "account", 4)), "the one beside it");
    expect_eq!(revisions(&store, "a-1", "account").await?, [3, 4], "the revisions");
    Ok(())
}

async fn deletes_below_a_bound(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    for revision in [0, 3, 5, 7] {
        save(&store, snapshot("a-1", "account", revision)).await?;
    }
    for (below, left) in [(0, &[0, 3, 5, 7][..]), (1, &[3, 5, 7]), (5, &[5, 7]), (8, &[])] {
        delete(&store, "a-1", "account", Some(below)).await?;
        expect_eq!(revisions(&store, "a-1", "account").await?, left, "what is left after deleting below {below}");
    }
    Ok(())
}

async fn deletes_all(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    for revision in [0, 3] {
        save(&store, snapshot("a-1", "account", revision)).await?;
    }
    delete(&store, "a-1", "account", None).await?;
    expect_eq!(revisions(&store, "a-1", "account").await?, [0; 0], "what is left after deleting all");
    save(&store, snapshot("a-1", "account", 3)).await?;
    expect_eq!(revisions(&store, "a-1", "account").await?, [3], "what is saved after deleting all");
    Ok(())
}

async fn deletes_nothing_of_others(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    for (stream, kind) in [("a-1", "account"), ("a-1", "limits"), ("a-2", "account"), ("a-11", "account")] {
        save(&store, snapshot(stream, kind, 1)).await?;
    }
    delete(&store, "a-1", "account", None).await?;
    for (stream, kind) in [("a-1", "limits"), ("a-2", "account"), ("a-11", "account")] {
        expect_eq!(revisions(&store, stream, kind).await?, [1], "{stream}, {kind}, after deleting a-1, account");
    }
    Ok(())
}

/// A fold in which order, number and value of the events all matter.
fn fold(state: u64, event: u64) -> u64 {
    state.wrapping_mul(0x0100_0000_01b3) ^ event
}

async fn equals_replay_at_every_revision(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    for round in 0..trial.rounds(10) {
        let mut random = fastrand::Rng::with_seed(round as u64);
        let stream = format!("a-{round}");
        let events: Vec<u64> = (0..random.usize(1..40)).map(|_| random.u64(..)).collect();
        let states: Vec<u64> = events
            .iter()
            .scan(0, |state, event| {
                *state = fold(*state, *event);
                Some(*state)
            })
            .collect();
        for _ in 0..random.usize(0..30) {
            let revision = random.usize(..events.len());
            if random.u8(..8) == 0 {
                delete(&store, &stream, "sum", Some(revision as u64)).await?;
            } else {
                let at = Revision::new(revision as u64);
                let state = states[revision].to_be_bytes().to_vec();
                let taken = Snapshot::new(name(&stream), name("sum"), at, 1, state, Timestamp::default());
                save(&store, taken.with_format(Format::Binary)).await?;
            }
        }
        for (revision, state) in states.iter().enumerate() {
            let loaded = load(&store, &stream, "sum", Some(revision as u64)).await?;
            let (first, mut resumed) = match loaded {
                None => (0, 0),
                Some(loaded) => {
                    let bytes = <[u8; 8]>::try_from(&*loaded.state);
                    let Ok(bytes) = bytes else {
                        return Err(Broken::new("a loaded state", "its 8 bytes", format!("{:?}", loaded.state)));
                    };
                    (loaded.revision.get() + 1, u64::from_be_bytes(bytes))
                }
            };
            let rest = usize::try_from(first).unwrap_or(usize::MAX);
            expect!(rest <= revision + 1, "a snapshot at or below {revision}, and not at {}", first - 1);
            resumed = events[rest..=revision].iter().fold(resumed, |state, event| fold(state, *event));
            expect_eq!(resumed, *state, "the state at revision {revision} of {stream} (seed {round})");
        }
    }
    Ok(())
}

/// States and names that a careless store would change.
fn awkward() -> Vec<Snapshot> {
    let states: [Vec<u8>; 5] =
        [vec![], vec![0, 159, 146, 150, 255, 0], b"{\"a\": 1}\r\n".to_vec(), vec![b'x'; 300_000], (0..=255).collect()];
    let streams = ["a-e\u{301}", "a-\u{e9}", "a-b/c d%2e'\"", "a-\u{1f980}", "a-1"];
    states
        .into_iter()
        .zip(streams)
        .zip(0..)
        .map(|((state, stream), n)| {
            let at = Timestamp::from_micros(1_767_225_600_000_001 + u64::from(n));
            let revision = Revision::new(u64::from(n) * 1_000_000_007);
            let taken = Snapshot::new(name(stream), name("k"), revision, n * 1_000_003, state, at);
            if n % 2 == 0 { taken.with_format(Format::Binary) } else { taken }
        })
        .collect()
}

async fn come_back_as_they_were(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    let awkward = awkward();
    for snapshot in &awkward {
        save(&store, snapshot.clone()).await?;
    }
    for saved in awkward {
        let loaded = load(&store, &saved.stream, "k", None).await?;
        expect!(loaded.as_ref() == Some(&saved), "{saved:.200?}, and not {loaded:.200?}");
    }
    Ok(())
}

async fn damage_is_never_served(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let places: Result<Vec<_>, _> = (0..trial.rounds(20)).map(|_| Place::fresh()).collect();
    for place in places.map_err(|error| Broken::new("making a place", "a fresh folder", error.to_string()))? {
        let opened = |error| Broken::new("opening the store", "an open store", error);
        let store = trial.open_at(&place).await.map_err(opened)?;
        let saved: Vec<_> = (0..3).map(|revision| snapshot("a-1", "account", revision)).collect();
        for snapshot in &saved {
            save(&store, snapshot.clone()).await?;
        }
        drop(store);
        if !trial.damage_at(&place, "account").await? {
            trial.not_run(super::damage::NOTHING_TO_DAMAGE);
            return Ok(());
        }
        // A store that finds its files damaged may refuse to open.
        let Ok(store) = trial.open_at(&place).await else { continue };
        for revision in 0..3 {
            match store.load(name("a-1"), name("account"), Some(Revision::new(revision))).await {
                Ok(loaded) => {
                    let intact = loaded.as_ref().is_none_or(|loaded| saved.contains(loaded));
                    expect!(intact, "a snapshot as it was saved, none, or an error, and not {loaded:?}");
                }
                Err(error) => expect_is!(error, SnapshotError::Corrupt { place } if !place.is_empty(), "the error"),
            }
        }
    }
    Ok(())
}

async fn are_there_after_reopening(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    for revision in 0..4 {
        let store = trial.open().await?;
        let expected: Vec<_> = (0..revision).collect();
        expect_eq!(revisions(&store, "a-1", "account").await?, expected, "what was saved in earlier lives");
        save(&store, snapshot("a-1", "account", revision)).await?;
    }
    let loaded = load(&trial.open().await?, "a-1", "account", None).await?;
    expect_eq!(loaded, Some(snapshot("a-1", "account", 3)), "the latest after reopening");
    Ok(())
}

async fn stay_deleted_after_reopening(trial: &Trial<dyn SnapshotStore>) -> Verdict {
    let store = trial.open().await?;
    for revision in 0..3 {
        save(&store, snapshot("a-1", "account", revision)).await?;
    }
    delete(&store, "a-1", "account", Some(2)).await?;
    drop(store);
    expect_eq!(revisions(&trial.open().await?, "a-1", "account").await?, [2], "what is left after reopening");
    Ok(())
}
