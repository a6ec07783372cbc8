//! A process whose events say what it does, and the events to feed it.

use crate::world::{Answer, Script, World, at};
use portolan_kernel::domain::saga::{
    AfterFailure, FailedIntent, Intents, Process, Retry, SagaEvent, SagaHandler, SagaId, SagaState,
};
use portolan_kernel::domain::{CodecError, Command, Event, EventError, RecordedAs, new_event, variant};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{EventId, Position, Recorded, Revision, StreamId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Something that it is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Do {
    Send(u32),
    Set(String, u64),
    Cancel(String),
    End,
    /// What it does when the timer fires, from now on.
    When(String, Vec<Do>),
    /// What it does when a command fails, from now on; without it, it needs an operator.
    OnFailure(Vec<Do>),
    Panic,
    /// A state that has no JSON form.
    Break,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum DemoEvent {
    #[serde(rename = "demo.done")]
    Done { key: Option<String>, starts: bool, what: Vec<Do> },
}

impl Event for DemoEvent {
    const CATEGORY: &'static str = "demo";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn encode(&self) -> Result<portolan_kernel::Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

/// Tried twice, each time for half a second.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tell {
    pub(crate) what: u32,
}

impl Command for Tell {
    const NAME: &'static str = "Tell it";
}

/// A map with keys that are no strings has no form in JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Knows {
    pub(crate) seen: Vec<String>,
    timers: BTreeMap<String, Vec<Do>>,
    on_failure: Option<Vec<Do>>,
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    broken: Option<BTreeMap<Option<u8>, u8>>,
}

pub(crate) struct Scripted;

impl Process for Scripted {
    const NAME: &'static str = "demo";
    const DESCRIPTION: &'static str = "Does as it is told.";
    const LONGEST: Duration = Duration::from_secs(2);
    type Event = DemoEvent;
    type State = Knows;

    fn correlate(event: &RecordedAs<DemoEvent>) -> Option<String> {
        let DemoEvent::Done { key, .. } = &event.event;
        key.clone()
    }

    fn starts(event: &RecordedAs<DemoEvent>) -> bool {
        let DemoEvent::Done { starts, .. } = &event.event;
        *starts
    }

    fn on(&self, knows: &mut Knows, event: &RecordedAs<DemoEvent>, intents: &mut Intents) {
        let DemoEvent::Done { what, .. } = &event.event;
        knows.seen.push(format!("event {}", event.recorded.position));
        knows.obey(what, intents);
    }

    fn on_timer(&self, knows: &mut Knows, timer: &str, intents: &mut Intents) {
        knows.seen.push(format!("timer {timer}"));
        let what = knows.timers.get(timer).cloned().unwrap_or_default();
        knows.obey(&what, intents);
    }

    fn on_failed(&self, knows: &mut Knows, failed: &FailedIntent, intents: &mut Intents) -> AfterFailure {
        let told = failed.command::<Tell>().unwrap().what;
        knows.seen.push(format!("{} {told} {:?} {:?}", failed.step, failed.class, failed.code));
        // What is dropped when it needs an operator.
        intents.send(Tell { what: 99 }).retry(Retry::never()).timeout(Duration::from_millis(500));
        // Not for ever.
        let what = knows.on_failure.clone().filter(|_| knows.seen.len() < 20);
        let Some(what) = what else { return AfterFailure::NeedsOperator };
        knows.obey(&what, intents);
        AfterFailure::GoOn
    }
}

impl Knows {
    fn obey(&mut self, what: &[Do], intents: &mut Intents) {
        for what in what {
            match what {
                Do::Send(what) => {
                    let retry = Retry::attempts(2).first(Duration::from_millis(100)).jitter_percent(0);
                    intents.send(Tell { what: *what }).retry(retry).timeout(Duration::from_millis(500));
                }
                Do::Set(timer, millis) => intents.set_timer(timer, Duration::from_millis(*millis)),
                Do::Cancel(timer) => intents.cancel_timer(timer),
                Do::End => intents.end(),
                Do::When(timer, what) => drop(self.timers.insert(timer.clone(), what.clone())),
                Do::OnFailure(what) => self.on_failure = Some(what.clone()),
                Do::Panic => panic!("a mistake"),
                Do::Break => self.broken = Some([(None, 1)].into()),
            }
        }
    }
}

pub(crate) fn handler() -> SagaHandler {
    SagaHandler::process(Scripted).unwrap()
}

pub(crate) fn recorded<E: Event>(event: &E, position: u64) -> Arc<Recorded> {
    let stream = StreamId::new(format!("{}-1", E::CATEGORY)).unwrap();
    let id = EventId::from_bytes([u8::try_from(position).unwrap(); 16]);
    let new = new_event(event, stream, id, portolan_kernel::Bytes::new()).unwrap();
    Arc::new(Recorded::new(new, Revision::new(position), Position::new(position).unwrap(), at(1)))
}

/// An event of the process `1`, which starts it if it is the first.
pub(crate) fn event(position: u64, what: &[Do]) -> Arc<Recorded> {
    recorded(&DemoEvent::Done { key: Some("1".into()), starts: position == 1, what: what.to_vec() }, position)
}

/// Feeds an event, as a driver does. `false`: it was passed over.
pub(crate) fn feed(world: &mut World, event: &Arc<Recorded>) -> bool {
    let arrivals = handler().arrivals(event).unwrap();
    let [arrival] = &*arrivals else { panic!("{arrivals:?}") };
    if world.state.reception(event.position) != portolan_kernel::domain::saga::Reception::New {
        return false;
    }
    let received = arrival.react(&world.state, world.now).unwrap();
    world.record(received);
    true
}

/// A process that has been started at 1 s, and has received nothing.
pub(crate) fn started(script: Script) -> World {
    resumed(script, &[])
}

pub(crate) fn resumed(script: Script, facts: &[SagaEvent]) -> World {
    let (handler, id) = (handler(), SagaId::new("demo", "1").unwrap());
    let first = SagaState::started(&id, 1, handler.plan().clone(), Arc::default(), at(1_000));
    let facts = if facts.is_empty() { &[first] } else { facts };
    let mut world = World::resumed((**handler.plan()).clone(), script, facts);
    world.code = Some(handler.open(handler.plan(), &serde_json::Value::Null).unwrap());
    world
}

/// Everything goes well, but for attempts at these places: place and attempt, counted from 1.
pub(crate) fn tells(answers: &[(&'static str, u32, Answer)]) -> Script {
    let answers = answers.to_vec();
    Rc::new(move |step, _, attempt| {
        let own = answers.iter().find(|(place, of, _)| step.split('-').next() == Some(*place) && *of == attempt);
        own.map_or(Answer::Ok, |(.., answer)| answer.clone())
    })
}

pub(crate) fn set(timer: &str, millis: u64) -> Do {
    Do::Set(timer.into(), millis)
}

pub(crate) fn when(timer: &str, what: &[Do]) -> Do {
    Do::When(timer.into(), what.to_vec())
}

/// The schedule of a run: events with the times at which they are fed, in order.
pub(crate) fn fed(world: &mut World, events: &[(Timestamp, Arc<Recorded>)]) {
    for (time, event) in events {
        if world.state.reception(event.position) != portolan_kernel::domain::saga::Reception::Repeated {
            world.run_until(*time);
            feed(world, event);
        }
    }
}
