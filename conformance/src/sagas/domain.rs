//! Tills, which steps enter things into by commands.

use portolan_kernel::Bytes;
use portolan_kernel::domain::{
    Aggregate, CodecError, Command, Context, Decide, Decision, Event, EventError, Rejection, StreamCommand, variant,
};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{InvalidName, StreamId};
use serde::{Deserialize, Serialize};

/// Enters something into a till.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Enter {
    pub(crate) till: String,
    pub(crate) what: String,
}

impl Command for Enter {
    const NAME: &'static str = "enter-into-till";
}

impl StreamCommand for Enter {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("till-{}", self.till))
    }
}

/// What happens to a till.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum TillEvent {
    #[serde(rename = "till.entered")]
    Entered { what: String },
}

impl Event for TillEvent {
    const CATEGORY: &'static str = "till";

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

/// A till takes everything.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Never {}

impl core::fmt::Display for Never {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {}
    }
}

impl core::error::Error for Never {}

impl Rejection for Never {}

/// A till.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Till {}

impl Aggregate for Till {
    const CATEGORY: &'static str = "till";
    type Event = TillEvent;
    type Rejection = Never;
    type Commands = (Enter,);

    fn evolve(&mut self, _: &TillEvent) {}
}

impl Decide<Enter> for Till {
    fn decide(&self, command: &Enter, _: &Context) -> Decision<Self> {
        Ok(vec![TillEvent::Entered { what: command.what.clone() }])
    }
}
