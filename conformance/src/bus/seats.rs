//! A decision over several streams: a seat in a room, whose guests are streams of their own.

use super::domain::Refused;
use super::watch::tell;
use portolan_kernel::Bytes;
use portolan_kernel::domain::{CodecError, Command, Context, DecisionModel, Event, EventError, variant};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{InvalidName, Item, Query, StreamId, Tag};
use serde::{Deserialize, Serialize};

/// Takes a seat in a room of so many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TakeSeat {
    pub(crate) room: String,
    pub(crate) guest: String,
    pub(crate) seats: u64,
}

impl Command for TakeSeat {
    const NAME: &'static str = "take-seat";
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
        if self.taken >= command.seats {
            return Err(Refused::RoomFull { room: command.room.clone(), seats: command.seats });
        }
        Ok(vec![SeatEvent::Taken { room: command.room.clone(), guest: command.guest.clone() }])
    }

    fn stream(event: &SeatEvent) -> Result<StreamId, InvalidName> {
        let SeatEvent::Taken { guest, .. } = event;
        StreamId::new(format!("seat-{guest}"))
    }
}
