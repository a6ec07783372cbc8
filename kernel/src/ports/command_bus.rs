//! The port `CommandBus`: commands in, receipts out.

use super::Source;
use crate::values::{EventId, Format, Metadata, Name, Position, Revision, StreamId};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use bytes::Bytes;
use core::any::Any;
use core::fmt;
use core::time::Duration;
use futures::future::BoxFuture;
use serde_json::Value;

/// A command on its way.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommandEnvelope {
    /// The command's wire name, such as `open-account`.
    pub name: Name,
    /// What makes a repetition harmless: the same id, the same effect, once. Without one the command is always
    /// new. Those of the form of a [step's key](crate::values::SagaId::is_step_key) are for sagas: take none from strangers.
    pub id: Option<Name>,
    /// The command itself.
    pub body: Body,
    /// Correlation, actor, tenant, trace and whatever else, for every event that follows. Causation and command of those
    /// events are the id of this command, whatever is given here: what led to the command is told by the correlation,
    /// or by a field of the caller's own in [`more`](Metadata::more).
    pub metadata: Metadata,
    /// How long the caller waits for the answer, from dispatch on; `None`: as long as it takes (CB-08).
    pub within: Option<Duration>,
    /// The projections that are to have applied the command's events before it is answered (CB-09).
    pub wait_for: Vec<Name>,
}

impl CommandEnvelope {
    /// A command without id, metadata and deadline, that waits for no projection.
    #[must_use]
    pub fn new(name: Name, body: Body) -> Self {
        Self { name, id: None, body, metadata: Metadata::default(), within: None, wait_for: Vec::new() }
    }

    /// The same command under this id.
    #[must_use]
    pub fn with_id(self, id: Name) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The same command with this metadata.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }

    /// The same command, to be answered within this time.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within: Some(within), ..self }
    }

    /// The same command, to be answered once this projection too has applied its events.
    #[must_use]
    pub fn wait_for(mut self, projection: Name) -> Self {
        self.wait_for.push(projection);
        self
    }
}

/// A command's content: a value within a process, bytes on a wire. A clone shares it.
#[derive(Clone)]
pub enum Body {
    /// Bytes of this format.
    Encoded(Bytes, Format),
    /// The value itself. It is encoded only for a wire or a digest.
    Typed(Arc<dyn TypedCommand>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoded(bytes, format) => f.debug_tuple("Encoded").field(bytes).field(format).finish(),
            Self::Typed(_) => f.write_str("Typed(..)"),
        }
    }
}

/// A command's value behind a `dyn`: it can be downcast by [`Any`] and encoded.
pub trait TypedCommand: Any + Send + Sync {
    /// The command as JSON.
    ///
    /// # Errors
    ///
    /// The serializer's error, when the value has no JSON form.
    fn encode(&self) -> Result<Bytes, Source>;

    /// What the command is told apart by from another under its id: the [`digest`](crate::domain::digest) of its value.
    ///
    /// # Errors
    ///
    /// The serializer's error, when the value has no JSON form.
    fn digest(&self) -> Result<[u8; 32], Source>;
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Receipt {
    /// The last revision of each stream that was written or decided upon.
    pub streams: Vec<(StreamId, Option<Revision>)>,
    /// The position of the last event; `None` when the decision made none.
    pub position: Option<Position>,
    /// The ids of the events, in log order.
    pub events: Vec<EventId>,
    /// What the command's events and everything that follows from them are correlated by; `None` for a bus that
    /// does not tell.
    pub correlation: Option<String>,
    /// The id of the command, also one that the bus made; what the events' metadata has as command and causation. `None`
    /// for a bus that does not tell.
    pub command: Option<String>,
    /// Whether this is the receipt of an earlier command under the same id.
    pub repeated: bool,
}

impl Receipt {
    /// A receipt, as a bus or a wire makes it.
    #[must_use]
    pub fn new(
        streams: Vec<(StreamId, Option<Revision>)>,
        position: Option<Position>,
        events: Vec<EventId>,
        repeated: bool,
    ) -> Self {
        Self { streams, position, events, correlation: None, command: None, repeated }
    }

    /// The same receipt, with what the command's events are correlated by.
    #[must_use]
    pub fn with_correlation(self, correlation: Option<String>) -> Self {
        Self { correlation, ..self }
    }

    /// The same receipt, with the id of the command.
    #[must_use]
    pub fn with_command(self, command: Option<String>) -> Self {
        Self { command, ..self }
    }

    /// The receipt of a command that changed nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }
}

/// One field that is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The path of the field, dotted: `lines[2].amount`; empty for the whole.
    pub path: String,
    /// A stable code in kebab case.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
}

impl Violation {
    /// A wrong field.
    #[must_use]
    pub fn new(path: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), code: code.into(), message: message.into() }
    }
}

/// Why a command has no plain receipt. Except after [`Unknown`](Self::Unknown) and
/// [`NotCaughtUp`](Self::NotCaughtUp), this sending of it had no effect. One before it under the same id may have had: what
/// was unknown then is settled by a receipt, by [`KeyReused`](Self::KeyReused) or by `NotCaughtUp`, and by nothing else.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No handler has this name. The caller or the registration is mistaken.
    #[error("there is no command {0}")]
    UnknownCommand(Name),
    /// The body is not of its format, such as broken JSON.
    #[error("the command's body cannot be read: {0}")]
    Malformed(String),
    /// The body has wrong fields; each is listed.
    #[error("the command is invalid: {}", listed(.0))]
    Invalid(Vec<Violation>),
    /// The domain says no. Asking again changes nothing until the state does.
    #[error("{message} ({code})")]
    Rejected {
        /// A stable code in kebab case.
        code: String,
        /// A sentence for a person.
        message: String,
        /// What the sentence is about, as a JSON object.
        fields: Value,
    },
    /// Others changed the stream at each of several attempts. Try again later.
    #[error("{stream} kept changing under the command; try again")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// Its last revision, when last seen.
        actual: Option<Revision>,
    },
    /// A policy does not let this actor have it done. Asking again changes nothing until the policy does.
    #[error("not allowed: {0}")]
    Denied(String),
    /// The deadline passed before anything was written: this sending had no effect. Try again with more time.
    #[error("the deadline passed before anything was written; try again with more time")]
    DeadlinePassed,
    /// The command took effect, and a projection it was to wait for has not applied its events yet. Do not send
    /// another; read later, or send the same under the same id to wait again.
    #[error("committed, and not yet applied by {}", names(.waiting))]
    NotCaughtUp {
        /// What came of the command.
        receipt: Box<Receipt>,
        /// The projections that have not applied its events.
        waiting: Vec<Name>,
    },
    /// The id was used for another command. Choose a new id.
    #[error("the command id was used for something else; use a new one")]
    KeyReused,
    /// The application is shutting down. Ask another instance.
    #[error("the application is shutting down")]
    ShuttingDown,
    /// There is no room for it now. Safe to retry, with a pause.
    #[error("the application is busy; nothing happened, try again")]
    Busy(#[source] Source),
    /// It may have taken effect. Settle it by sending the same command under the same id.
    #[error("the outcome of the command is unknown: {0}; settle it by the same id")]
    Unknown(#[source] Source),
    /// Anything else; this sending had no effect.
    #[error("the command failed: {0}")]
    Other(#[source] Source),
}

pub(super) fn listed(violations: &[Violation]) -> String {
    use core::fmt::Write as _;
    let mut text = String::new();
    for (n, violation) in violations.iter().enumerate() {
        let separator = if n == 0 { "" } else { "; " };
        let _ = write!(text, "{separator}{}: {}", violation.path, violation.message);
    }
    text
}

fn names(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

/// What a bus tells of a command it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandInfo {
    /// The wire name.
    pub name: Name,
    /// What it does, for a person; empty when nobody said.
    pub description: String,
    /// The version of its schema, from 1; 1 too from a bus that does not tell, such as one at the end of a wire.
    pub version: u32,
    /// The JSON Schema (2020-12) of its body; `None` when nobody said.
    pub schema: Option<Value>,
}

impl CommandInfo {
    /// A command of this name, of which nothing else is told.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self { name, description: String::new(), version: 1, schema: None }
    }

    /// The same, with what it does.
    #[must_use]
    pub fn with_description(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// The same, with the version of its schema.
    #[must_use]
    pub fn with_version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// The same, with the JSON Schema of its body.
    #[must_use]
    pub fn with_schema(self, schema: Option<Value>) -> Self {
        Self { schema, ..self }
    }
}

/// Takes commands and answers with receipts.
///
/// # Laws
///
/// - **CB-01** One handler a command name: a second is refused when the application is built. An unknown name is
///   [`CommandError::UnknownCommand`].
/// - **CB-02** Input is validated before the handler runs, and [`CommandError::Invalid`] lists every failing field
///   with path, code and message.
/// - **CB-03** Middleware runs in the order of registration, the first outermost. Before and after, or before and
///   on-failure, are always paired, also when the caller goes away.
/// - **CB-04** A repeated command id returns the original receipt, also after a restart and also where the domain
///   would now reject it; the record commits with the events. The key's scope is tenant and command name; its
///   digest is of the decoded command, so typed and encoded sends agree. Another command under the id is
///   [`CommandError::KeyReused`]. In one process concurrent duplicates decide once; across processes they take
///   effect once. Rejections are not recorded.
/// - **CB-05** On a conflict the state is loaded again and the decision made anew, boundedly and with jitter. A
///   domain rejection is never retried, and its typed value comes back, also through a wire.
/// - **CB-06** A handler returns one decision, and it becomes one append; it has no other way to write.
/// - **CB-07** Correlation, causation, command id, actor, tenant and trace reach every event, and the correlation
///   every receipt.
/// - **CB-08** Past the deadline nothing has happened ([`CommandError::DeadlinePassed`]), or everything has and the
///   answer says so, or the outcome is [`CommandError::Unknown`] and the same id settles it.
/// - **CB-09** A command that waits for projections is answered once all have applied its events. A wait that ends
///   before is [`CommandError::NotCaughtUp`] with the receipt. Without events nothing is waited for; a repetition
///   waits for its original position.
/// - **CB-10** Commands on one aggregate take effect one after another, on different ones in parallel.
/// - **CB-11** Time and ids seen by a decision come from its context; ids derive from the command id and are
///   equal on every retry.
/// - **CB-12** Shutdown drains: accepted commands finish, new ones are [`CommandError::ShuttingDown`]. A full queue
///   is [`CommandError::Busy`].
/// - **CB-13** All of this holds through a transport.
///
/// # How long an id is remembered
///
/// As long as the store keeps its keys: [`Capabilities::key_retention`](super::Capabilities::key_retention) of the
/// store that the events are in, `None` for good. After that the id is new again. The bus itself remembers none, so
/// that its memory does not grow with ids or streams.
#[async_trait]
pub trait CommandBus: Send + Sync {
    /// Carries the command out.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; except after `Unknown` and `NotCaughtUp`, this sending of the command had no effect.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves all of the command's effect or none.
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError>;

    /// The commands it takes, by name.
    fn commands(&self) -> Vec<CommandInfo>;

    /// The way that commands take through this bus, to another end: what surrounds them here, such as middleware, and inside
    /// of it `end` in place of what would carry them out. `None`, as it is unless a bus says otherwise: it is not known here
    /// what becomes of a command on its way, such as at the end of a wire.
    ///
    /// Name, tenant and id that a command has at the end of its way are what it is recorded under (CB-04). So a saga finds out
    /// by this what has become of a command whose answer was lost.
    fn leading_to(&self, end: Arc<dyn CommandBus>) -> Option<Arc<dyn CommandBus>> {
        let _ = end;
        None
    }
}

/// A shared bus is a bus. It hands on the bus's own futures, at no cost.
impl<B: CommandBus + ?Sized> CommandBus for Arc<B> {
    fn dispatch<'s, 'f>(&'s self, command: CommandEnvelope) -> BoxFuture<'f, Result<Receipt, CommandError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).dispatch(command)
    }

    fn commands(&self) -> Vec<CommandInfo> {
        (**self).commands()
    }

    fn leading_to(&self, end: Arc<dyn CommandBus>) -> Option<Arc<dyn CommandBus>> {
        (**self).leading_to(end)
    }
}
