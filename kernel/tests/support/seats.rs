//! Seats: decisions that depend on more than one stream.

use portolan_kernel::Bytes;
use portolan_kernel::domain::{CodecError, Command, Context, DecisionModel, Event, EventError, Rejection, variant};
use portolan_kernel::ports::{RawEvent, Violation};
use portolan_kernel::values::{EventType, InvalidName, Item, Query, StreamId, Tag};
use serde::{Deserialize, Serialize};

/// A seat in a room, for a person: at most two persons a room, and one room a person.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TakeSeat {
    pub room: String,
    pub person: String,
}

impl Command for TakeSeat {
    const NAME: &'static str = "take-seat";
    fn validate(&self) -> Vec<Violation> {
        let blank = |path: &str, text: &str| text.is_empty().then(|| Violation::new(path, "blank", "it is blank"));
        [blank("room", &self.room), blank("person", &self.person)].into_iter().flatten().collect()
    }
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum SeatEvent {
    #[serde(rename = "seat.taken")]
    Taken { room: String, person: String },
}

impl Event for SeatEvent {
    const CATEGORY: &'static str = "seat";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn tags(&self) -> Result<Vec<Tag>, InvalidName> {
        let Self::Taken { room, person } = self;
        Ok(vec![Tag::new(format!("room:{room}"))?, Tag::new(format!("person:{person}"))?])
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

#[derive(thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum NoSeat {
    #[error("{taken} seats are taken")]
    Full { taken: u64 },
    #[error("the person sits elsewhere")]
    Sits,
}

impl Rejection for NoSeat {}

/// Where events go: to the room's stream, or astray.
#[derive(Debug, Default)]
pub struct Seats<const ASTRAY: bool = false> {
    room: String,
    taken: u64,
    sits: bool,
}

impl<const ASTRAY: bool> DecisionModel for Seats<ASTRAY> {
    type Command = TakeSeat;
    type Event = SeatEvent;
    type Rejection = NoSeat;

    fn query(command: &TakeSeat) -> Result<Query, InvalidName> {
        let taken = EventType::new("seat.taken")?;
        let item = |tag| Item::new().event_type(taken.clone()).tag(tag);
        Ok(Query::of(item(Tag::new(format!("room:{}", command.room))?))
            .or(item(Tag::new(format!("person:{}", command.person))?)))
    }

    fn start(command: &TakeSeat) -> Self {
        Self { room: command.room.clone(), ..Self::default() }
    }

    fn evolve(&mut self, event: &SeatEvent) {
        let SeatEvent::Taken { room, .. } = event;
        if *room == self.room {
            self.taken += 1;
        } else {
            self.sits = true;
        }
    }

    fn decide(&self, command: &TakeSeat, _: &Context) -> Result<Vec<SeatEvent>, NoSeat> {
        match (self.taken, self.sits) {
            (_, true) => Err(NoSeat::Sits),
            (taken, _) if taken >= 2 => Err(NoSeat::Full { taken }),
            // A person of no account is let in without a seat.
            _ if command.person == "nobody" => Ok(vec![]),
            _ => Ok(vec![SeatEvent::Taken { room: command.room.clone(), person: command.person.clone() }]),
        }
    }

    fn stream(event: &SeatEvent) -> Result<StreamId, InvalidName> {
        let SeatEvent::Taken { room, .. } = event;
        StreamId::new(if ASTRAY { format!("account-{room}") } else { format!("seat-{room}") })
    }
}

pub fn take_seat(room: &str, person: &str) -> TakeSeat {
    TakeSeat { room: room.into(), person: person.into() }
}
