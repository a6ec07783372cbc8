//! Which saga: its name, its id, its stream.

use super::{InvalidName, MAX_NAME_BYTES, Name, StreamId};
use alloc::format;
use alloc::string::String;
use core::fmt;

/// The category of all streams of sagas.
pub const SAGA_CATEGORY: &str = "$saga";

/// The longest name of a saga or a step, in bytes.
pub const MAX_SAGA_NAME_BYTES: usize = 100;

/// One saga: the name of its definition, and the id it was started under.
///
/// Its facts stand in the stream `$saga-{name}:{id}`. A name has no `:`, so that no two sagas share a stream.
///
/// ```
/// # use portolan_kernel::values::SagaId;
/// let id = SagaId::new("transfer-money", "t:1").unwrap();
/// assert_eq!(&*id.stream(), "$saga-transfer-money:t:1");
/// assert_eq!(SagaId::of_stream(&id.stream()), Some(id));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SagaId {
    stream: StreamId,
    name: Name,
    id: Name,
}

impl SagaId {
    /// The saga of this definition with this id: a name other than `.` and `..`, which has room in the name of a stream.
    ///
    /// # Errors
    ///
    /// [`SagaIdError`], which says what is wrong with which.
    pub fn new(name: &str, id: &str) -> Result<Self, SagaIdError> {
        let name = check_saga_name("saga", name).map_err(SagaIdError::Name)?;
        if matches!(id, "." | "..") {
            return Err(SagaIdError::Dots);
        }
        let room = MAX_NAME_BYTES - SAGA_CATEGORY.len() - "-:".len() - name.len();
        if id.len() > room {
            return Err(SagaIdError::TooLong { bytes: id.len(), room });
        }
        let id = Name::new(id).map_err(SagaIdError::Id)?;
        let stream = StreamId::new(format!("{SAGA_CATEGORY}-{name}:{id}")).map_err(SagaIdError::Id)?;
        Ok(Self { stream, name, id })
    }

    /// The saga that this stream is of; `None` for any other stream.
    #[must_use]
    pub fn of_stream(stream: &StreamId) -> Option<Self> {
        let (name, id) = stream.strip_prefix(SAGA_CATEGORY)?.strip_prefix('-')?.split_once(':')?;
        Self::new(name, id).ok()
    }

    /// The name of its definition.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The id it was started under.
    #[must_use]
    pub fn id(&self) -> &Name {
        &self.id
    }

    /// The stream of its facts.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream.clone()
    }
}

impl fmt::Display for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.id)
    }
}

/// Why this is no saga's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SagaIdError {
    /// The saga's name is none.
    #[error(transparent)]
    Name(#[from] SagaNameError),
    /// The id is no name.
    #[error("the saga's id is no name: {0}")]
    Id(#[source] InvalidName),
    /// The id is `.` or `..`, which no path can hold.
    #[error("`.` and `..` are no ids of sagas, since no path can hold them; choose another")]
    Dots,
    /// The id is too long.
    #[error("the saga's id has {bytes} bytes, and under this name there is room for {room}; choose a shorter one")]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        room: usize,
    },
}

/// Why a text cannot name a saga or a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot name a {what}; use 1 to {MAX_SAGA_NAME_BYTES} lower-case letters, digits, `-`, `_` and `.`, such as \
     transfer-money"
)]
pub struct SagaNameError {
    /// What was to be named.
    pub what: &'static str,
    /// The text.
    pub name: String,
}

/// The text as a name of a saga or a step.
pub(crate) fn check_saga_name(what: &'static str, text: &str) -> Result<Name, SagaNameError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let error = || SagaNameError { what, name: text.into() };
    if text.len() > MAX_SAGA_NAME_BYTES || !text.chars().all(is_plain) {
        return Err(error());
    }
    Name::new(text).map_err(|_| error())
}
