//! The model-based law: random commands, each answer predicted.

use super::super::model::play_random;
use super::repetition::repeated;
use crate::ask::name;
use crate::bus::{App, World, add, close, encoded, limit, seats, sent};
use crate::law::law;
use crate::{Trial, Verdict, expect_eq};
use portolan_kernel::domain::{Command, digest};
use portolan_kernel::ports::{CommandBus, CommandEnvelope, CommandError, Receipt};
use portolan_kernel::values::{Name, Revision, StreamId};
use proptest::prelude::*;
use std::collections::BTreeMap;

law! {
    dyn CommandBus, cb_model, "CB-model",
    "Whatever is sent in whatever order, every answer is the one that the laws predict.",
    checks: [random_commands],
}

/// One command, or a restart.
#[derive(Debug, Clone)]
enum Step {
    Send { what: What, id: Option<u8>, tenant: Option<u8>, typed: bool, to_second: bool },
    Restart,
}

#[derive(Debug, Clone)]
enum What {
    /// Tally and amounts; an amount of 0 is invalid.
    Add(u8, Vec<u8>),
    Limit(u8, u8),
    Close(u8),
    /// Room, guests and seats.
    Seat(u8, Vec<u8>, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        5 => (0..2u8, prop::collection::vec(prop_oneof![1 => Just(0), 6 => 1..5u8], 1..3))
            .prop_map(|(tally, amounts)| What::Add(tally, amounts)),
        2 => (0..2u8, 1..20u8).prop_map(|(tally, limit)| What::Limit(tally, limit)),
        1 => (0..2u8).prop_map(What::Close),
        // Few of them, so that one comes again under its id now and then.
        3 => (0..2u8, prop::sample::select(vec![vec![0], vec![], vec![1, 0, 1]]), prop::sample::select(vec![2, 6]))
            .prop_map(|(room, guests, seats)| What::Seat(room, guests, seats)),
    ];
    let sent =
        (what, prop::option::weighted(0.7, 0..3u8), prop::option::weighted(0.3, 0..2u8), any::<bool>(), any::<bool>());
    let sent = sent.prop_map(|(what, id, tenant, typed, to_second)| Step::Send { what, id, tenant, typed, to_second });
    prop_oneof![25 => sent, 1 => Just(Step::Restart)]
}

async fn random_commands(trial: &Trial<dyn CommandBus>) -> Verdict {
    let history = prop::collection::vec(step(), 1..60);
    play_random(trial, 60, history, async |steps| play(trial, steps).await).await
}

/// What a command should come to.
#[derive(Debug, Clone, PartialEq)]
enum Expected {
    /// The streams with their last revisions, and how many events.
    Receipt(Vec<(StreamId, Option<Revision>)>, usize),
    Repeated(Receipt),
    Rejected(&'static str),
    Invalid,
    KeyReused,
}

/// What the laws predict by.
#[derive(Debug, Default)]
struct Model {
    /// Last revisions.
    streams: BTreeMap<StreamId, Revision>,
    sums: BTreeMap<u8, u64>,
    limits: BTreeMap<u8, u64>,
    closed: BTreeMap<u8, bool>,
    seats: BTreeMap<u8, u64>,
    /// Digest and receipt under each tenant, name and id.
    keys: BTreeMap<Key, ([u8; 32], Receipt)>,
}

/// Tenant, command name and id.
type Key = (Option<u8>, &'static str, u8);

impl Model {
    /// What comes of a command that may write to these streams.
    fn decide(&mut self, what: &What, streams: &[StreamId]) -> Expected {
        let count = match what {
            What::Add(_, amounts) if amounts.contains(&0) => return Expected::Invalid,
            What::Add(tally, amounts) => {
                let sum = self.sums.entry(*tally).or_default();
                let added = *sum + amounts.iter().map(|amount| u64::from(*amount)).sum::<u64>();
                if self.closed.contains_key(tally) {
                    return Expected::Rejected("closed");
                }
                if self.limits.get(tally).is_some_and(|limit| added > *limit) {
                    return Expected::Rejected("over-limit");
                }
                *sum = added;
                amounts.len()
            }
            What::Limit(tally, limit) => {
                let limit = u64::from(*limit);
                if self.limits.get(tally).is_some_and(|before| *before >= limit) {
                    return Expected::Rejected("already-limited");
                }
                self.limits.insert(*tally, limit);
                1
            }
            What::Close(tally) => usize::from(self.closed.insert(*tally, true).is_none()),
            What::Seat(room, guests, seats) => {
                let taken = self.seats.entry(*room).or_default();
                let with_party = *taken + guests.len() as u64;
                if !guests.is_empty() && with_party > u64::from(*seats) {
                    return Expected::Rejected("room-full");
                }
                *taken = with_party;
                guests.len()
            }
        };
        // One event joins each guest's stream; all join the one of a tally.
        for stream in streams.iter().cycle().take(count) {
            let last = Revision::after(self.streams.get(stream).copied());
            self.streams.insert(stream.clone(), last);
        }
        let told: BTreeMap<_, _> =
            streams.iter().map(|stream| (stream.clone(), self.streams.get(stream).copied())).collect();
        Expected::Receipt(told.into_iter().collect(), count)
    }
}

async fn play(trial: &Trial<dyn CommandBus>, steps: &[Step]) -> Verdict {
    let (world, mut model) = (World::new(trial), Model::default());
    let mut apps = [world.start().await?, world.start().await?];
    for step in steps {
        let Step::Send { what, id, tenant, typed, to_second } = step else {
            apps = [world.start().await?, world.start().await?];
            continue;
        };
        let app = &apps[usize::from(*to_second)];
        let own = |kind: &str, n: u8| world.own(&format!("{kind}-{n}"));
        let (command, digest, streams) = match what {
            What::Add(tally, amounts) => {
                let amounts: Vec<_> = amounts.iter().map(|amount| u64::from(*amount)).collect();
                let tally = own("a", *tally);
                form(add(&tally, &amounts), *typed, [World::stream(&tally)])
            }
            What::Limit(tally, most) => {
                let tally = own("a", *tally);
                form(limit(&tally, u64::from(*most)), *typed, [World::stream(&tally)])
            }
            What::Close(tally) => {
                let tally = own("a", *tally);
                form(close(&tally), *typed, [World::stream(&tally)])
            }
            What::Seat(room, guests, most) => {
                let guests: Vec<_> = guests.iter().map(|guest| own("guest", *guest)).collect();
                let streams: Vec<_> = guests.iter().map(|guest| name(&format!("seat-{guest}"))).collect();
                form(seats(&own("room", *room), guests, u64::from(*most)), *typed, streams)
            }
        };
        let key = id.map(|id| (*tenant, static_name(what), id));
        let expected = match key.and_then(|key| model.keys.get(&key)) {
            Some((recorded, _)) if *recorded != digest => Expected::KeyReused,
            Some((_, receipt)) => Expected::Repeated(receipt.clone()),
            None => model.decide(what, &streams),
        };
        let mut command = command;
        command.id = id.map(|id| name::<Name>(&format!("k-{id}")));
        let command = match tenant {
            Some(tenant) => command.with_metadata(crate::bus::of_tenant(&format!("tenant-{tenant}"))),
            None => command,
        };
        if let (Some(receipt), Some(key)) = (compare(&world, app, command, &expected).await?, key) {
            model.keys.entry(key).or_insert((digest, receipt));
        }
    }
    let revisions: BTreeMap<_, _> =
        world.log().await?.iter().map(|event| (event.stream.clone(), event.revision)).collect();
    expect_eq!(revisions, model.streams, "the last revision of each stream, at the end");
    Ok(())
}

fn static_name(what: &What) -> &'static str {
    match what {
        What::Add(..) => "add-entries",
        What::Limit(..) => "limit-tally",
        What::Close(_) => "close-tally",
        What::Seat(..) => "take-seat",
    }
}

fn form<C: Command>(
    command: C,
    typed: bool,
    streams: impl Into<Vec<StreamId>>,
) -> (CommandEnvelope, [u8; 32], Vec<StreamId>) {
    let digest = digest(&command).expect("the suite's commands have a JSON form");
    (if typed { sent(command) } else { encoded(&command) }, digest, streams.into())
}

/// Sends the command, and compares what comes of it with what was predicted.
async fn compare(
    world: &World<'_>,
    app: &App,
    command: CommandEnvelope,
    expected: &Expected,
) -> Verdict<Option<Receipt>> {
    let before = world.log().await?.len();
    let said = format!("{command:?}");
    let answer = app.answer(command).await?;
    let written = world.log().await?.split_off(before);
    let actual = match &answer {
        Ok(receipt) if receipt.repeated => Expected::Repeated(receipt.clone()),
        Ok(receipt) => {
            let ids: Vec<_> = written.iter().map(|event| event.id).collect();
            expect_eq!(receipt.events, ids, "the events in the receipt of {said}");
            expect_eq!(receipt.position, written.last().map(|event| event.position), "the position of {said}");
            let mut streams = receipt.streams.clone();
            streams.sort_unstable();
            Expected::Receipt(streams, written.len())
        }
        Err(CommandError::Rejected { code, .. }) => {
            let known =
                ["closed", "over-limit", "already-limited", "room-full"].into_iter().find(|known| known == code);
            Expected::Rejected(known.unwrap_or("another"))
        }
        Err(CommandError::Invalid(_)) => Expected::Invalid,
        Err(CommandError::KeyReused) => Expected::KeyReused,
        Err(other) => return Err(crate::Broken::new(said, format!("{expected:?}"), format!("{other:?}"))),
    };
    let expected = match expected {
        // A model that makes no events names no stream.
        Expected::Repeated(original) => Expected::Repeated(repeated(original)),
        other => other.clone(),
    };
    expect_eq!(actual, expected, "what comes of {said}");
    if !matches!(actual, Expected::Receipt(..)) {
        expect_eq!(written.len(), 0, "events of {said}");
    }
    Ok(answer.ok())
}
