//! The kill family of ES-24: a child appends as fast as it can, and is killed in the middle of it.

use crate::ask::{Ask, Store, event, key, name};
use crate::child::tell;
use crate::{Broken, Trial, Verdict, expect, expect_eq};
use core::time::Duration;
use futures::future::join_all;
use portolan_kernel::ports::{Capability, EventStore};
use portolan_kernel::values::{
    Append, Appended, Checkpoint, CheckpointState, Expected, Move, Position, Read, Recorded, Revision, Token,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tasks of the child that append at once, each to a stream of its own and all to one more.
const WRITERS: u32 = 4;

/// What a store can do decides what the child asks of it.
#[derive(Clone, Copy)]
pub(super) struct Kinds {
    keys: bool,
    checkpoints: bool,
    several_streams: bool,
}

impl Kinds {
    pub(super) fn of(trial: &Trial<dyn EventStore>) -> Self {
        Self {
            keys: trial.has(Capability::Keys),
            checkpoints: trial.has(Capability::Checkpoints),
            several_streams: trial.has(Capability::SeveralStreams),
        }
    }

    /// The `n`th append of a writer, alike in every process: one to four events to its own stream, every
    /// other with one more to the stream of all.
    fn append(self, writer: u32, n: u32) -> Append {
        let mut events: Vec<_> = (0..size(n)).map(|i| event(&own(writer), n * 4 + i)).collect();
        if self.shared(n) {
            events.insert(events.len() / 2, event("all-1", writer << 24 | n));
        }
        let last = (0..n).map(|n| u64::from(size(n))).sum::<u64>().checked_sub(1).map(Revision::new);
        let append = Append::new(events).expect(name(&own(writer)), Expected::unchanged_since(last));
        if self.keys { append.key(key(&key_id(writer, n), 1).with_note(key_id(writer, n))) } else { append }
    }

    fn shared(self, n: u32) -> bool {
        self.several_streams && n % 2 == 1
    }
}

fn size(n: u32) -> u32 {
    1 + n % 4
}

fn own(writer: u32) -> String {
    format!("writer-{writer}")
}

fn key_id(writer: u32, n: u32) -> String {
    format!("{writer}-{n}")
}

fn checkpoint_of(writer: u32) -> String {
    format!("checkpoint-{writer}")
}

/// The child: each writer goes on where the last life stopped, and tells of every acknowledgement.
pub(super) async fn append_until_killed(trial: &Trial<dyn EventStore>) -> Verdict {
    let (store, kinds) = (trial.open().await?, Kinds::of(trial));
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move { append_for_ever(&store, kinds, writer).await })
    });
    for writer in join_all(writers).await {
        writer.map_err(|error| Broken::new("a writer of the child", "no end", error.to_string()))??;
    }
    Ok(())
}

async fn append_for_ever(store: &Store, kinds: Kinds, writer: u32) -> Verdict {
    let written = appends_of(&store.all(Read::stream(name(&own(writer)))).await?, writer)?;
    let mut n = u32::try_from(written.len()).unwrap_or(u32::MAX);
    loop {
        let mut append = kinds.append(writer, n);
        if kinds.checkpoints {
            // Each append moves the writer's checkpoint to the end of the one before it.
            let state = store.stands(&checkpoint_of(writer)).await?;
            let before = n.checked_sub(1).and_then(|n| written_at(store, writer, n));
            let to = match before {
                Some(at) => Move::At(at.await?),
                None => Move::Claim,
            };
            append = append.checkpoint(Checkpoint::new(name(&checkpoint_of(writer)), state, Token(1), to));
        }
        let done = store.wrote(append).await?;
        let number = |position: Option<Position>| position.map_or(0, Position::get);
        tell(&format!("{writer} {n} {} {}", number(done.first), number(done.last)));
        n += 1;
    }
}

/// The position of the last event that the writer's own stream has of its `n`th append.
fn written_at(store: &Store, writer: u32, n: u32) -> Option<impl Future<Output = Verdict<Position>>> {
    let last = (0..=n).map(|n| u64::from(size(n))).sum::<u64>().checked_sub(1)?;
    let before = last.checked_sub(1).map(Revision::new);
    Some(async move {
        let page = store.page(Read::stream_after(name(&own(writer)), before).limit(1)).await?;
        let event = page.events.first();
        event.map(|event| event.position).ok_or_else(|| {
            Broken::new(format!("{} after {before:?}", own(writer)), "the event of an earlier append", "none")
        })
    })
}

/// The events of each append of a writer, by the numbers that the events carry.
fn appends_of(events: &[Arc<Recorded>], writer: u32) -> Verdict<Vec<Vec<Arc<Recorded>>>> {
    let (mut appends, mut rest) = (Vec::new(), events);
    while !rest.is_empty() {
        let n = u32::try_from(appends.len()).unwrap_or(u32::MAX);
        let expected: Vec<_> = (0..size(n)).map(|i| event(&own(writer), n * 4 + i)).collect();
        let (append, more) = rest.split_at(expected.len().min(rest.len()));
        let found: Vec<_> = append.iter().map(|event| event.event.clone()).collect();
        expect_eq!(found, expected, "append {n} of {}, whole and in its place", own(writer));
        appends.push(append.to_vec());
        rest = more;
    }
    Ok(appends)
}

pub(super) async fn survives_being_killed(trial: &Trial<dyn EventStore>) -> Verdict {
    let kinds = Kinds::of(trial);
    let mut acknowledged = BTreeMap::new();
    let mut random = fastrand::Rng::new();
    drop(trial.open().await?);
    for round in 0..trial.rounds(6).max(4) {
        let before = acknowledged.len();
        let mut child = trial.child("append_until_killed")?;
        let enough = before + random.usize(5..80);
        while acknowledged.len() < enough {
            let Some(line) = child.next() else {
                return Err(Broken::new(
                    format!("the child of round {round}, after {} acknowledgements", acknowledged.len() - before),
                    "appends until it is killed",
                    "it ended by itself; its own words are above",
                ));
            };
            note(&mut acknowledged, &line)?;
        }
        std::thread::sleep(Duration::from_micros(random.u64(..3_000)));
        child.kill();
        // What it told before it died counts too.
        while let Some(line) = child.next() {
            note(&mut acknowledged, &line)?;
        }
        check_survival(&trial.open().await?, kinds, &acknowledged).await?;
    }
    Ok(())
}

/// The payload of an event, which holds its number.
type EventNumber = Vec<u8>;

/// Writer and number of an append, and the positions of its first and last event.
pub(super) type Acknowledged = BTreeMap<(u32, u32), (u64, u64)>;

pub(super) fn note(acknowledged: &mut Acknowledged, line: &str) -> Verdict {
    let numbers: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
    // A line that the kill cut off acknowledges nothing.
    if let [writer, n, first, last] = numbers[..]
        && let (Ok(writer), Ok(n)) = (u32::try_from(writer), u32::try_from(n))
    {
        let twice = acknowledged.insert((writer, n), (first, last));
        expect!(twice.is_none(), "append {n} of writer {writer} acknowledged once; a later life wrote it again");
    }
    Ok(())
}

pub(super) async fn check_survival(store: &Store, kinds: Kinds, acknowledged: &Acknowledged) -> Verdict {
    let log = store.log().await?;
    let rising = log.windows(2).all(|two| two[0].position < two[1].position);
    expect!(rising, "positions that rise strictly, after a kill");
    let mut shared: BTreeMap<EventNumber, Position> = BTreeMap::new();
    for (revision, event) in (0..).zip(log.iter().filter(|event| event.stream == "all-1")) {
        expect_eq!(event.revision, Revision::new(revision), "the next revision of all-1, after a kill");
        shared.insert(event.payload.to_vec(), event.position);
    }
    for writer in 0..WRITERS {
        let events: Vec<_> = log.iter().filter(|event| event.stream == own(writer).as_str()).cloned().collect();
        for (revision, event) in (0..).zip(&events) {
            expect_eq!(event.revision, Revision::new(revision), "the next revision of {}, after a kill", own(writer));
        }
        let appends = appends_of(&events, writer)?;
        let told = acknowledged.keys().filter(|(of, _)| *of == writer).map(|(_, n)| *n as usize + 1).max().unwrap_or(0);
        let there = appends.len();
        expect!(there >= told, "all {told} acknowledged appends of {} after a kill, and not {there}", own(writer));

        for (n, append) in (0..).zip(&appends) {
            let outcome = whole(kinds, writer, n, append, &mut shared)?;
            if let Some(told) = acknowledged.get(&(writer, n)) {
                expect_eq!(outcome, *told, "the first and last position of append {n} of {}", own(writer));
            }
            // Keys of all appends would take long: those at the end are the ones a kill may have cut.
            if kinds.keys && (n as usize) + 8 > there {
                recalls(store, writer, n, Some(outcome)).await?;
            }
        }
        if kinds.keys {
            recalls(store, writer, u32::try_from(there).unwrap_or(u32::MAX), None).await?;
        }
        if kinds.checkpoints {
            let expected = there.checked_sub(2).and_then(|n| appends[n].last()).map(|event| event.position);
            let token = Token(u64::from(there > 0));
            let state = CheckpointState::new(store.capabilities().identity, expected, token);
            expect_eq!(
                store.stands(&checkpoint_of(writer)).await?,
                state,
                "where the checkpoint of {} stands",
                own(writer)
            );
        }
    }
    expect!(shared.is_empty(), "in all-1 no part of an append that is not there, and not {} events", shared.len());
    Ok(())
}

/// The first and last position of an append, which has to be there with its part in the stream of all.
fn whole(
    kinds: Kinds,
    writer: u32,
    n: u32,
    own_part: &[Arc<Recorded>],
    shared: &mut BTreeMap<EventNumber, Position>,
) -> Verdict<(u64, u64)> {
    let mut positions: Vec<_> = own_part.iter().map(|event| event.position).collect();
    if kinds.shared(n) {
        let part = shared.remove(&event("all-1", writer << 24 | n).payload.to_vec());
        expect!(part.is_some(), "append {n} of {} whole: its event in all-1 is missing", own(writer));
        positions.extend(part);
        positions.sort_unstable();
    }
    Ok((positions.first().map_or(0, |p| p.get()), positions.last().map_or(0, |p| p.get())))
}

async fn recalls(store: &Store, writer: u32, n: u32, outcome: Option<(u64, u64)>) -> Verdict {
    let recalled = store.recalled(&key_id(writer, n)).await?.map(|recalled| recalled.appended);
    let places = |done: &Appended| (done.first.map_or(0, Position::get), done.last.map_or(0, Position::get));
    expect_eq!(recalled.as_ref().map(places), outcome, "what is recalled of append {n} of {}", own(writer));
    let note = recalled.as_ref().map(|done| done.note.to_vec());
    expect_eq!(note, outcome.map(|_| key_id(writer, n).into_bytes()), "the note of append {n} of {}", own(writer));
    Ok(())
}
