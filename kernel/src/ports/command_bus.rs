//! The port `CommandBus`: commands in, receipts out.

use super::Source;
use crate::values::{EventId, Format, Metadata, Name, Position, Revision, StreamId};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use async_trait::async_trait;
use bytes::Bytes;
use core::any::Any;
use core::fmt;
use serde_json::Value;

/// A command on its way.
#[derive(Debug)]
#[non_exhaustive]
pub struct CommandEnvelope {
    /// The command's wire name, such as `open-account`.
    pub name: Name,
    /// What makes a repetition harmless: the same id, the same effect, once. Without one the command is always
    /// new.
    pub id: Option<Name>,
    /// The command itself.
    pub body: Body,
    /// Correlation, causation, actor, tenant and trace, for every event that follows.
    pub metadata: Metadata,
}

impl CommandEnvelope {
    /// A command without id and metadata.
    #[must_use]
    pub fn new(name: Name, body: Body) -> Self {
        Self { name, id: None, body, metadata: Metadata::default() }
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
}

/// A command's content: a value within a process, bytes on a wire.
pub enum Body {
    /// Bytes of this format.
    Encoded(Bytes, Format),
    /// The value itself. It is encoded only for a wire or a digest.
    Typed(Box<dyn TypedCommand>),
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
        Self { streams, position, events, repeated }
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

/// Why a command has no receipt. Except after [`Unknown`](Self::Unknown), it had no effect.
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
    /// Anything else; the command had no effect.
    #[error("the command failed: {0}")]
    Other(#[source] Source),
}

fn listed(violations: &[Violation]) -> String {
    use core::fmt::Write as _;
    let mut text = String::new();
    for (n, violation) in violations.iter().enumerate() {
        let separator = if n == 0 { "" } else { "; " };
        let _ = write!(text, "{separator}{}: {}", violation.path, violation.message);
    }
    text
}

/// What a bus tells of a command it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandInfo {
    /// The wire name.
    pub name: Name,
}

impl CommandInfo {
    /// A command of this name.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self { name }
    }
}

/// Takes commands and answers with receipts.
///
/// # Laws
///
/// - **CB-01** One handler a command name; an unknown name is [`CommandError::UnknownCommand`].
/// - **CB-04** A repeated command id returns the original receipt, also after a restart and also where the domain
///   would now reject it. The key's scope is tenant and command name; its digest is of the decoded command, so
///   typed and encoded sends agree. Another command under the id is [`CommandError::KeyReused`]. Rejections
///   are not recorded.
/// - **CB-05** On a conflict the state is loaded again and the decision made anew, boundedly and with jitter. A
///   domain rejection is never retried.
/// - **CB-06** A handler returns one decision, and it becomes one append.
/// - **CB-07** Correlation, causation, command id, actor, tenant and trace reach every event.
/// - **CB-11** Time and ids seen by a decision come from its context; ids derive from the command id and are
///   equal on every retry.
#[async_trait]
pub trait CommandBus: Send + Sync {
    /// Carries the command out.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; except after `Unknown`, the command had no effect.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves all of the command's effect or none.
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError>;

    /// The commands it takes, by name.
    fn commands(&self) -> Vec<CommandInfo>;
}
