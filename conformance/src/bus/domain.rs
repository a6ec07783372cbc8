//! The suite's own domain: tallies, which entries are added to until they are closed.

use super::watch::tell;
use portolan_kernel::Bytes;
use portolan_kernel::domain::{
    Aggregate, CodecError, Command, Context, Decide, Decision, Event, EventError, Rejection, StreamCommand, variant,
};
use portolan_kernel::ports::{RawEvent, Violation};
use portolan_kernel::values::{InvalidName, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Adds entries, each of which becomes an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddEntries {
    pub(crate) tally: String,
    pub(crate) entries: Vec<Entry>,
    #[serde(default)]
    pub(crate) owner: Owner,
}

/// What is added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) label: String,
    pub(crate) amount: u64,
}

/// Whose entries they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owner {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) share: f64,
    #[serde(default)]
    pub(crate) note: Option<String>,
}

impl Default for Owner {
    fn default() -> Self {
        Self { name: "nobody".into(), share: 1.0, note: None }
    }
}

/// Limits the sum, to more than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitTally {
    pub(crate) tally: String,
    pub(crate) limit: u64,
}

/// Closes; where it is closed already, nothing is to change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloseTally {
    pub(crate) tally: String,
}

fn stream(tally: &str) -> Result<StreamId, InvalidName> {
    StreamId::new(format!("tally-{tally}"))
}

impl Command for AddEntries {
    const NAME: &'static str = "add-entries";
    const DESCRIPTION: &'static str = "Adds entries to a tally.";

    fn schema() -> Option<Value> {
        Some(json!({"type": "object", "required": ["tally", "entries"]}))
    }

    fn validate(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut wrong = |is_wrong: bool, path: String, code: &str, message: &str| {
            if is_wrong {
                violations.push(Violation::new(path, code, message));
            }
        };
        wrong(self.entries.is_empty(), "entries".into(), "empty", "there must be an entry");
        for (n, entry) in self.entries.iter().enumerate() {
            wrong(entry.label.is_empty(), format!("entries[{n}].label"), "empty", "a label has a letter");
            wrong(entry.amount == 0, format!("entries[{n}].amount"), "zero", "an amount is above zero");
        }
        wrong(self.owner.name.is_empty(), "owner.name".into(), "empty", "a name has a letter");
        violations
    }
}

impl Command for LimitTally {
    const NAME: &'static str = "limit-tally";
}

impl Command for CloseTally {
    const NAME: &'static str = "close-tally";
}

macro_rules! of_tally {
    ($($command:ty),*) => {$(
        impl StreamCommand for $command {
            fn stream(&self) -> Result<StreamId, InvalidName> {
                stream(&self.tally)
            }
        }
    )*};
}
of_tally!(AddEntries, LimitTally, CloseTally);

/// What happens to a tally. Each event holds what its decision saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum TallyEvent {
    #[serde(rename = "tally.added")]
    Added { label: String, amount: u64, id: String, at: u64 },
    #[serde(rename = "tally.limited")]
    Limited { limit: u64 },
    #[serde(rename = "tally.closed")]
    Closed,
}

impl Event for TallyEvent {
    const CATEGORY: &'static str = "tally";

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

/// Why a command is rejected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Refused {
    /// It has a limit as high already.
    AlreadyLimited { limit: u64 },
    /// Some entries have no room.
    OverLimit { over: u64, labels: Vec<String>, owner: Owner },
    /// It is closed.
    Closed,
    /// The room has no seats for the party.
    RoomFull { room: String, seats: u64 },
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::AlreadyLimited { limit } => write!(f, "the limit is {limit} already"),
            Self::OverLimit { over, .. } => write!(f, "{over} too much"),
            Self::Closed => f.write_str("it is closed"),
            Self::RoomFull { room, seats } => write!(f, "the {seats} seats of {room} are too few"),
        }
    }
}

impl core::error::Error for Refused {}

impl Rejection for Refused {}

/// A tally.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    events: u64,
    sum: u64,
    limit: Option<u64>,
    closed: bool,
}

impl Aggregate for Tally {
    const CATEGORY: &'static str = "tally";
    type Event = TallyEvent;
    type Rejection = Refused;
    type Commands = (AddEntries, LimitTally, CloseTally);

    fn evolve(&mut self, event: &TallyEvent) {
        self.events += 1;
        match event {
            TallyEvent::Added { amount, .. } => self.sum += amount,
            TallyEvent::Limited { limit } => self.limit = Some(*limit),
            TallyEvent::Closed => self.closed = true,
        }
    }
}

impl Decide<AddEntries> for Tally {
    fn decide(&self, command: &AddEntries, context: &Context) -> Decision<Self> {
        let ids = tell(AddEntries::NAME, &command.tally, (self.events, self.sum), context);
        if self.closed {
            return Err(Refused::Closed);
        }
        let sum = command.entries.iter().fold(self.sum, |sum, entry| sum.saturating_add(entry.amount));
        let over = sum.saturating_sub(self.limit.unwrap_or(u64::MAX));
        if over > 0 {
            let labels = command.entries.iter().map(|entry| entry.label.clone()).collect();
            return Err(Refused::OverLimit { over, labels, owner: command.owner.clone() });
        }
        let added = |entry: &Entry| TallyEvent::Added {
            label: entry.label.clone(),
            amount: entry.amount,
            id: ids[0].to_string(),
            at: context.now().as_micros(),
        };
        Ok(command.entries.iter().map(added).collect())
    }
}

impl Decide<LimitTally> for Tally {
    fn decide(&self, command: &LimitTally, context: &Context) -> Decision<Self> {
        tell(LimitTally::NAME, &command.tally, (self.events, self.sum), context);
        match self.limit {
            Some(limit) if limit >= command.limit => Err(Refused::AlreadyLimited { limit }),
            _ => Ok(vec![TallyEvent::Limited { limit: command.limit }]),
        }
    }
}

impl Decide<CloseTally> for Tally {
    fn decide(&self, command: &CloseTally, context: &Context) -> Decision<Self> {
        tell(CloseTally::NAME, &command.tally, (self.events, self.sum), context);
        Ok(if self.closed { vec![] } else { vec![TallyEvent::Closed] })
    }
}

/// Another aggregate that would decide on a tally's commands: with it an application cannot be built.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Rival(Tally);

impl Aggregate for Rival {
    const CATEGORY: &'static str = "tally";
    type Event = TallyEvent;
    type Rejection = Refused;
    type Commands = (CloseTally,);

    fn evolve(&mut self, event: &TallyEvent) {
        self.0.evolve(event);
    }
}

impl Decide<CloseTally> for Rival {
    fn decide(&self, command: &CloseTally, context: &Context) -> Decision<Self> {
        self.0.decide(command, context)
    }
}
