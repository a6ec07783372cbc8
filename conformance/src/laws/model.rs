//! The model-based law: random histories, each answer predicted by the reference.
//!
//! A history is made of small numbers: the third stream, the second position from the end. So it makes sense
//! on any store, and shrinks to the shortest one that still goes wrong. Positions are compared by their place
//! in the log: the model counts 1, 2, 3, and a table leads to the store's own.

use crate::ask::{Ask, Store, event, name};
use crate::law::law;
use crate::{Broken, Model, Place, Port, Trial, Verdict, expect_eq};
use core::fmt;
use core::time::Duration;
use portolan_kernel::ports::{AppendError, Capability, EventStore};
use portolan_kernel::values::{
    Append, Appended, Checkpoint, CheckpointState, Expected, Guard, IdempotencyKey, Item, Move, Position, Query, Read,
    Revision, Start, Token,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRunner};

/// The seed of the random histories, a number; a failure names the history itself.
pub const SEED: &str = "PORTOLAN_LAWS_SEED";

/// How many random histories the model-based law tries.
pub const CASES: &str = "PORTOLAN_LAWS_CASES";

law! {
    dyn EventStore, es_model, "ES-model",
    "Whatever is done in whatever order, every answer is the one that the laws predict.",
    checks: [random_histories],
}

const STREAMS: [&str; 4] = ["a-1", "a-2", "b-1", "$s-1"];
const TYPES: [&str; 2] = ["opened", "closed"];
const TAGS: [&str; 3] = ["x", "y", "z"];

#[derive(Debug, Clone)]
enum Step {
    Append(RandomAppend),
    Read(RandomRead),
    Recall(u8),
    Checkpoint(u8),
    /// Turns the clock by so many eighths of the retention of keys.
    Wait(u32),
    Reopen,
}

#[derive(Debug, Clone)]
struct RandomAppend {
    /// Stream, type, and tags as bits.
    events: Vec<(u8, u8, u8)>,
    expect: Vec<(u8, Expectation)>,
    guard: Option<(RandomQuery, Spot)>,
    checkpoint: Option<(u8, u64, Option<Spot>, To)>,
    /// Id and digest.
    key: Option<(u8, u8)>,
}

#[derive(Debug, Clone, Copy)]
enum Expectation {
    NoStream,
    Exists,
    /// The last revision, and so many more.
    Last(i8),
}

/// A position: none, so many events from the end, or past it.
#[derive(Debug, Clone, Copy)]
enum Spot {
    None,
    FromEnd(u8),
    Past,
}

#[derive(Debug, Clone, Copy)]
enum To {
    Claim,
    At(Spot),
    Reset(Spot),
}

#[derive(Debug, Clone)]
struct RandomQuery {
    /// Stream, category, type and tags of each item; 0 is none.
    items: Vec<(u8, u8, u8, u8)>,
    system: bool,
}

#[derive(Debug, Clone)]
struct RandomRead {
    from: Result<(u8, Option<u8>), (RandomQuery, Spot)>,
    backward: bool,
    limit: u32,
    until: Spot,
}

fn place() -> impl Strategy<Value = Spot> {
    prop_oneof![3 => Just(Spot::None), 6 => (0..6u8).prop_map(Spot::FromEnd), 1 => Just(Spot::Past)]
}

fn query() -> impl Strategy<Value = RandomQuery> {
    let item = (0..8u8, 0..6u8, 0..5u8, 0..8u8);
    (prop::collection::vec(item, 0..3), any::<bool>()).prop_map(|(items, system)| RandomQuery { items, system })
}

fn append() -> impl Strategy<Value = RandomAppend> {
    let expectation = prop_oneof![
        Just(Expectation::NoStream),
        Just(Expectation::Exists),
        (-1..2i8).prop_map(Expectation::Last),
        Just(Expectation::Last(0)),
    ];
    let to = prop_oneof![Just(To::Claim), place().prop_map(To::At), place().prop_map(To::Reset)];
    let from = prop_oneof![3 => Just(None), 1 => place().prop_map(Some)];
    (
        prop::collection::vec((0..4u8, 0..2u8, 0..8u8), 0..4),
        prop::collection::vec((0..4u8, expectation), 0..3),
        prop::option::weighted(0.3, (query(), place())),
        prop::option::weighted(0.3, (0..2u8, 0..4u64, from, to)),
        prop::option::weighted(0.4, (0..3u8, 0..2u8)),
    )
        .prop_map(|(events, expect, guard, checkpoint, key)| RandomAppend {
            events,
            expect,
            guard,
            checkpoint,
            key,
        })
}

fn read() -> impl Strategy<Value = RandomRead> {
    let from = prop_oneof![(0..4u8, prop::option::of(0..6u8)).prop_map(Ok), (query(), place()).prop_map(Err),];
    (from, any::<bool>(), prop_oneof![1..4u32, Just(100)], place())
        .prop_map(|(from, backward, limit, until)| RandomRead { from, backward, limit, until })
}

fn step(durable: bool) -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => append().prop_map(Step::Append),
        5 => read().prop_map(Step::Read),
        1 => (0..3u8).prop_map(Step::Recall),
        1 => (0..2u8).prop_map(Step::Checkpoint),
        1 => (1..9u32).prop_map(Step::Wait),
        1 => Just(if durable { Step::Reopen } else { Step::Wait(1) }),
    ]
}

async fn random_histories(trial: &Trial<dyn EventStore>) -> Verdict {
    let history = prop::collection::vec(step(trial.has(Capability::Durability)), 1..20);
    play_random(trial, 200, history, async |steps| History::play(trial, steps).await).await
}

/// Plays random histories, by default so many, and names the shortest one that goes wrong.
pub(super) async fn play_random<P: Port + ?Sized, S: fmt::Debug>(
    trial: &Trial<P>,
    cases: usize,
    history: impl Strategy<Value = Vec<S>>,
    play: impl AsyncFn(&[S]) -> Verdict,
) -> Verdict {
    let number = |variable| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    let asked = number(CASES).and_then(|cases| u32::try_from(cases).ok());
    let config = Config {
        cases: asked.unwrap_or(u32::try_from(trial.rounds(cases)).unwrap_or(1)),
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(number(SEED).unwrap_or(1)),
        failure_persistence: None,
        max_shrink_iters: u32::try_from(trial.rounds(300)).unwrap_or(1),
        ..Config::default()
    };
    let runtime = tokio::runtime::Handle::current();
    let last = std::cell::RefCell::new(None);
    let result = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&history, |steps| {
            runtime.block_on(play(&steps)).map_err(|broken| {
                let reason = broken.actual.clone();
                *last.borrow_mut() = Some(broken);
                TestCaseError::fail(reason)
            })
        })
    });
    match result {
        Ok(()) => Ok(()),
        Err(TestError::Fail(_, steps)) => {
            // Once more, for the words about the shortest history.
            let again = tokio::task::block_in_place(|| runtime.block_on(play(&steps)));
            let broken = again.err().or_else(|| last.take());
            let mut broken =
                broken.unwrap_or_else(|| Broken::new("a random history", "the predicted answers", "others"));
            broken.what = format!("{}, at the end of {steps:#?}", broken.what);
            Err(broken)
        }
        Err(TestError::Abort(reason)) => Err(Broken::new("a random history", "a run to its end", reason.to_string())),
    }
}

/// A store and the model of it, side by side.
struct History<'a> {
    trial: &'a Trial<dyn EventStore>,
    place: Place,
    store: Option<Store>,
    model: Model,
    /// The store's position of each event of the log, in order.
    positions: Vec<Position>,
}

impl<'a> History<'a> {
    async fn play(trial: &'a Trial<dyn EventStore>, steps: &[Step]) -> Verdict {
        let place = Place::fresh().map_err(|error| Broken::new("a place", "a folder", error.to_string()))?;
        let store = open(trial, &place).await?;
        let mut model = Model::new(store.capabilities());
        // The model gives all pages as one.
        model.capabilities.limits.page_events = u32::MAX;
        let mut history = Self { trial, place, store: Some(store), model, positions: Vec::new() };
        for step in steps {
            history.step(step).await?;
        }
        Ok(())
    }

    fn store(&self) -> Verdict<&Store> {
        self.store.as_ref().ok_or_else(|| Broken::new("a step", "an open store", "none"))
    }

    async fn step(&mut self, step: &Step) -> Verdict {
        let now = self.place.clock().now();
        match step {
            Step::Append(random) => self.append(random).await,
            Step::Read(random) => self.read(random).await,
            Step::Recall(id) if self.trial.has(Capability::Keys) => {
                let expected = self.model.recall(&name("scope"), &name(&format!("k{id}")), now);
                let expected = expected.map(|known| (self.appended(known.appended), known.digest));
                let actual = self.store()?.recalled(&format!("k{id}")).await?;
                expect_eq!(
                    actual.map(|known| (known.appended, known.digest)),
                    expected,
                    "what is recorded under k{id}"
                );
                Ok(())
            }
            Step::Checkpoint(checkpoint) if self.trial.has(Capability::Checkpoints) => {
                let checkpoint = format!("c{checkpoint}");
                let mut expected = self.model.checkpoint(&name(&checkpoint));
                expected.position = expected.position.map(|position| self.position(position));
                expect_eq!(self.store()?.stands(&checkpoint).await?, expected, "where {checkpoint} stands");
                Ok(())
            }
            Step::Recall(_) | Step::Checkpoint(_) => Ok(()),
            Step::Wait(eighths) => {
                let retention = self.model.capabilities.key_retention.unwrap_or(Duration::from_secs(8));
                self.place.test_clock().advance(retention / 8 * *eighths);
                Ok(())
            }
            Step::Reopen => {
                self.store = None;
                self.store = Some(open(self.trial, &self.place).await?);
                Ok(())
            }
        }
    }

    async fn append(&mut self, random: &RandomAppend) -> Verdict {
        let append = self.model_append(random);
        let asked = self.store_append(append.clone());
        let actual = self.store()?.try_append(asked.clone()).await;
        let expected = self.model.append(&append, self.place.clock().now());
        let what = format!("the answer to {asked:?}");
        match (expected, &actual) {
            (Ok(expected), Ok(done)) => {
                self.learn_positions().await?;
                expect_eq!(*done, self.appended(expected), "{what}");
            }
            (Err(expected), Err(refusal)) if self.same_refusal(&append, &expected, refusal) => {}
            (expected, _) => return Err(Broken::new(what, format!("{expected:?}"), format!("{actual:?}"))),
        }
        self.learn_positions().await
    }

    /// Reads the log, compares it with the model's, and notes where its events stand.
    async fn learn_positions(&mut self) -> Verdict {
        let log = self.store()?.log().await?;
        let plain = |events: &[std::sync::Arc<portolan_kernel::values::Recorded>]| -> Vec<_> {
            events.iter().map(|event| (event.event.clone(), event.revision)).collect()
        };
        expect_eq!(plain(&log), plain(&self.model.events), "the log after an append");
        let positions: Vec<_> = log.iter().map(|event| event.position).collect();
        let known = positions.get(..self.positions.len());
        expect_eq!(known, Some(&self.positions[..]), "the positions of the events that were there before");
        self.positions = positions;
        Ok(())
    }

    async fn read(&mut self, random: &RandomRead) -> Verdict {
        let from = match &random.from {
            Ok((stream, after)) => {
                Start::Stream(name(STREAMS[usize::from(*stream)]), after.map(|after| Revision::new(after.into())))
            }
            Err((query, after)) => Start::Log(query_of(query), self.place_of(*after)),
        };
        let mut read = Read::from(from).limit(random.limit).until(self.place_of(random.until));
        if random.backward {
            read = read.backward();
        }
        let mut asked = read.clone().until(read.until.map(|until| self.position(until)));
        if let Start::Log(_, Some(after)) = &mut asked.from {
            *after = self.position(*after);
        }
        let pages = self.store()?.pages(asked.clone()).await?;
        let limit = random.limit as usize;
        expect_eq!(pages.iter().find(|page| page.events.len() > limit), None, "a page of more than {limit} events");
        let whole = self
            .model
            .read(&read.clone().limit(u32::MAX))
            .map_err(|error| Broken::new("the reference", "a page", error.to_string()))?;
        let place = |event: &portolan_kernel::values::Recorded| format!("{}@{}", event.stream, event.revision);
        let actual: Vec<_> = pages.iter().flat_map(|page| &page.events).map(|event| place(event)).collect();
        let expected: Vec<_> = whole.events.iter().map(|event| place(event)).collect();
        expect_eq!(actual, expected, "the events of {asked:?}");
        expect_eq!(pages[0].revision, whole.revision, "the revision of {asked:?}");
        if random.from.is_err() && read.until.is_none() {
            expect_eq!(pages[0].frontier, self.positions.last().copied(), "the frontier of {asked:?}");
        }
        Ok(())
    }

    /// The store's position of a position of the model.
    fn position(&self, of_model: Position) -> Position {
        let place = usize::try_from(of_model.get()).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| self.positions.get(place)).copied().unwrap_or(Position::MAX)
    }

    fn place_of(&self, place: Spot) -> Option<Position> {
        match place {
            Spot::None => None,
            Spot::FromEnd(back) => {
                let back = self.model.events.len().checked_sub(usize::from(back) + 1)?;
                self.model.events.get(back).map(|event| event.position)
            }
            Spot::Past => Some(Position::MAX),
        }
    }

    fn appended(&self, mut of_model: Appended) -> Appended {
        of_model.first = of_model.first.map(|position| self.position(position));
        of_model.last = of_model.last.map(|position| self.position(position));
        of_model
    }

    /// The append for the model: what the numbers mean now, within what the store can do.
    fn model_append(&self, random: &RandomAppend) -> Append {
        let limits = self.model.capabilities.limits;
        let has = |capability| self.trial.has(capability);
        let several = has(Capability::SeveralStreams) && limits.append_streams as usize >= STREAMS.len();
        let one_stream = |stream: u8| if several { stream } else { 0 };
        let events = random.events.iter().zip(0..).map(|((stream, kind, tags), number)| {
            let mut event = event(STREAMS[usize::from(one_stream(*stream))], number);
            event.event_type = name(TYPES[usize::from(*kind)]);
            event.with_tags(bits(*tags, &TAGS).take(limits.event_tags as usize).map(name))
        });
        let mut append = Append::new(events.take(limits.append_events as usize));
        for (stream, expectation) in &random.expect {
            let stream = name(STREAMS[usize::from(one_stream(*stream))]);
            let last = self.model.last(&stream).map_or(-1, |last| i64::try_from(last.get()).unwrap_or(0));
            let expected = match expectation {
                Expectation::NoStream => Expected::NoStream,
                Expectation::Exists => Expected::StreamExists,
                Expectation::Last(more) => u64::try_from(last + i64::from(*more))
                    .map_or(Expected::NoStream, |revision| Expected::Exact(Revision::new(revision))),
            };
            append = append.expect(stream, expected);
        }
        if let (Some((query, after)), true) = (&random.guard, has(Capability::Guard)) {
            append = append.guard(Guard::new(query_of(query), self.place_of(*after)));
        }
        if let (Some((checkpoint, token, from, to)), true) = (random.checkpoint, has(Capability::Checkpoints)) {
            let checkpoint = name(&format!("c{checkpoint}"));
            let stands = self.model.checkpoint(&checkpoint);
            let from = from.map_or(stands.position, |from| self.place_of(from));
            let to = match to {
                To::Claim => Move::Claim,
                To::At(place) => self.place_of(place).map_or(Move::Claim, Move::At),
                To::Reset(place) => Move::Reset(self.place_of(place)),
            };
            let state = CheckpointState::new(stands.store, from, stands.token);
            append = append.checkpoint(Checkpoint::new(checkpoint, state, Token(token), to));
        }
        if let (Some((id, digest)), true) = (random.key, has(Capability::Keys)) {
            let key = IdempotencyKey::new(name("scope"), name(&format!("k{id}")), [digest; 32]);
            let mut note = format!("note {id}").into_bytes();
            note.truncate(usize::try_from(limits.note_bytes).unwrap_or(usize::MAX));
            append = append.key(key.with_note(note));
        }
        append
    }

    /// The same append with the store's positions.
    fn store_append(&self, mut append: Append) -> Append {
        if let Some(guard) = &mut append.guard {
            guard.after = guard.after.map(|after| self.position(after));
        }
        if let Some(checkpoint) = &mut append.checkpoint {
            checkpoint.from = checkpoint.from.map(|from| self.position(from));
            checkpoint.to = match checkpoint.to {
                Move::At(to) => Move::At(self.position(to)),
                Move::Reset(to) => Move::Reset(to.map(|to| self.position(to))),
                Move::Claim => Move::Claim,
            };
        }
        append
    }

    /// Whether the store refused for the reason that the model did, or for another as true.
    fn same_refusal(&self, append: &Append, expected: &AppendError, actual: &AppendError) -> bool {
        use AppendError::{CheckpointMoved, Conflict, GuardFailed};
        match (expected, actual) {
            (Conflict { .. }, Conflict { stream, expected, actual }) => {
                append.expect.contains(&(stream.clone(), *expected))
                    && self.model.last(stream) == *actual
                    && !expected.holds(*actual)
            }
            (GuardFailed { .. }, GuardFailed { position }) => {
                let at = self.positions.iter().position(|known| known == position);
                let event = at.and_then(|at| self.model.events.get(at));
                let guard = append.guard.as_ref();
                event
                    .zip(guard)
                    .is_some_and(|(event, guard)| guard.none_of.matches(event) && Some(event.position) > guard.after)
            }
            (CheckpointMoved { name, actual, token }, CheckpointMoved { name: said, actual: stands, token: seen }) => {
                (name, actual.map(|position| self.position(position)), token) == (said, *stands, seen)
            }
            _ => core::mem::discriminant(expected) == core::mem::discriminant(actual),
        }
    }
}

async fn open(trial: &Trial<dyn EventStore>, place: &Place) -> Verdict<Store> {
    trial.fixture.open(place).await.map_err(|error| Broken::new("opening the store", "an open store", error))
}

fn bits<'t>(bits: u8, texts: &'t [&'static str]) -> impl Iterator<Item = &'static str> + use<'t> {
    texts.iter().enumerate().filter(move |(bit, _)| bits & (1 << bit) != 0).map(|(_, text)| *text)
}

fn query_of(random: &RandomQuery) -> Query {
    let nth = |texts: &[&'static str], number: u8| texts.get(usize::from(number).wrapping_sub(1)).copied();
    let mut query = Query::all();
    for (stream, category, kind, tags) in &random.items {
        let mut item = Item::new();
        item.streams.extend(nth(&STREAMS, *stream).map(|text| name(text)));
        item.categories.extend(nth(&["a", "b", "$s"], *category).map(|text| name(text)));
        item.types.extend(nth(&TYPES, *kind).map(|text| name(text)));
        // Most items ask no tag, or they would find nothing.
        item.tags.extend(bits(tags & (tags >> 1), &TAGS).map(|text| name(text)));
        query = query.or(item);
    }
    if random.system { query.with_system() } else { query }
}
