//! Tickets: an aggregate whose decisions show their context, and others that are registered by mistake.

use super::bank::{AccountEvent, Deposit, Refused};
use portolan_kernel::Bytes;
use portolan_kernel::domain::{
    Aggregate, CodecError, Command, Context, Decide, Decision, Event, EventError, SnapshotPolicy, StreamCommand,
    variant,
};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{InvalidName, StreamId, Tag};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Issue {
    pub stream: String,
    /// Stays in the process.
    #[serde(skip)]
    pub aside: String,
}

impl Command for Issue {
    const NAME: &'static str = "issue";
}

impl StreamCommand for Issue {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(&*self.stream)
    }
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub enum TicketEvent {
    #[serde(rename = "ticket.issued")]
    Issued { numbers: [String; 2], by: Option<String>, tenant: Option<String>, at: u64, aside: String },
}

impl Event for TicketEvent {
    const CATEGORY: &'static str = "ticket";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn version(&self) -> u32 {
        3
    }
    fn tags(&self) -> Result<Vec<Tag>, InvalidName> {
        let Self::Issued { by, .. } = self;
        by.iter().map(|by| Tag::new(format!("by:{by}"))).collect()
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

#[derive(Serialize, Deserialize, Clone, Default)]
pub struct Tickets {}

impl Aggregate for Tickets {
    const CATEGORY: &'static str = "ticket";
    type Event = TicketEvent;
    type Rejection = Refused;
    type Commands = (Issue,);
    fn evolve(&mut self, _: &TicketEvent) {}
}

impl Decide<Issue> for Tickets {
    fn decide(&self, command: &Issue, context: &Context) -> Decision<Self> {
        Ok(vec![TicketEvent::Issued {
            numbers: [context.new_id().to_string(), context.new_id().to_string()],
            by: context.actor().map(String::from),
            tenant: context.tenant().map(String::from),
            at: context.now().as_micros(),
            aside: command.aside.clone(),
        }])
    }
}

/// Of a category that is none (0), not that of its events (1), or that of accounts with the same snapshots (2) or
/// without (3).
#[derive(Serialize, Deserialize, Clone, Default)]
pub struct Odd<const N: usize> {}

impl<const N: usize> Aggregate for Odd<N> {
    const CATEGORY: &'static str = ["to-do", "ticket", "account", "account"][N];
    type Event = AccountEvent;
    type Rejection = Refused;
    type Commands = (Deposit,);
    fn evolve(&mut self, _: &AccountEvent) {}
    fn snapshots() -> SnapshotPolicy {
        SnapshotPolicy::every(if N == 3 { 0 } else { 100 })
    }
}

impl<const N: usize> Decide<Deposit> for Odd<N> {
    fn decide(&self, _: &Deposit, _: &Context) -> Decision<Self> {
        Ok(vec![])
    }
}
