//! A decision over several streams: seats in a room for a party of guests, who are streams of their own.

use super::domain::Refused;
use super::watch::tell;
use portolan_kernel::Bytes;
use portolan_kernel::domain::{CodecError, Command, Context, DecisionModel, Event, EventError, variant};
use portolan_kernel::ports::{RawEvent, Violation};
use portolan_kernel::values::{InvalidName, Item, Query, StreamId, Tag};
use serde::{Deserialize, Serialize};

/// Takes seats in a room of so many: one a guest, for all of them or none. A party of nobody changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TakeSeat {
    pub(crate) room: String,
    pub(crate) guests: Vec<String>,
    pub(crate) seats: u64,
}

impl Command for TakeSeat {
    const NAME: &'static str = "take-seat";

    fn validate(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (n, _) in self.guests.iter().enumerate().filter(|(_, guest)| guest.is_empty()) {
            violations.push(Violation::new(format!("guests[{n}]"), "empty", "a guest has a name"));
        }
        if self.seats == 0 {
            violations.push(Violation::new("seats", "zero", "a room has a seat"));
        }
        violations
    }
}

/// What happens to seats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum SeatEvent {
    #[serde(rename = "seat.taken")]
    Taken { room: String, guest: String },
}

impl Event for SeatEvent {
    const CATEGORY: &'static str = "seat";

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn tags(&self) -> Result<Vec<Tag>, InvalidName> {
        let Self::Taken { room, .. } = self;
        Ok(vec![tag(room)?])
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

fn tag(room: &str) -> Result<Tag, InvalidName> {
    Tag::new(format!("room:{room}"))
}

/// How many seats of a room are taken.
#[derive(Debug)]
pub(crate) struct Seat {
    taken: u64,
}

impl DecisionModel for Seat {
    type Command = TakeSeat;
    type Event = SeatEvent;
    type Rejection = Refused;

    fn query(command: &TakeSeat) -> Result<Query, InvalidName> {
        Ok(Query::of(Item::new().tag(tag(&command.room)?)))
    }

    fn start(_: &TakeSeat) -> Self {
        Self { taken: 0 }
    }

    fn evolve(&mut self, _: &SeatEvent) {
        self.taken += 1;
    }

    fn decide(&self, command: &TakeSeat, context: &Context) -> Result<Vec<SeatEvent>, Refused> {
        tell(TakeSeat::NAME, &command.room, (self.taken, self.taken), context);
        let party = u64::try_from(command.guests.len()).unwrap_or(u64::MAX);
        if party > 0 && self.taken.saturating_add(party) > command.seats {
            return Err(Refused::RoomFull { room: command.room.clone(), seats: command.seats });
        }
        let taken = |guest: &String| SeatEvent::Taken { room: command.room.clone(), guest: guest.clone() };
        Ok(command.guests.iter().map(taken).collect())
    }

    fn stream(event: &SeatEvent) -> Result<StreamId, InvalidName> {
        let SeatEvent::Taken { guest, .. } = event;
        StreamId::new(format!("seat-{guest}"))
    }
}
