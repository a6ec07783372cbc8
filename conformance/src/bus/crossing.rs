//! What may not cross a transport of commands.

use crate::Lack;
use core::fmt;

/// What a transport of commands may lack. Everything else is the core of the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Crossing {
    /// Typed bodies. A bus that lacks them refuses them as
    /// [`Malformed`](portolan_kernel::ports::CommandError::Malformed).
    TypedBodies,
    /// What [`commands`](portolan_kernel::ports::CommandBus::commands) tells beside names: descriptions and schemas.
    /// A bus that lacks them leaves them empty.
    Descriptions,
    /// The correlation in receipts. A bus that lacks it leaves it `None`.
    Correlation,
}

impl Lack for Crossing {
    const ALL: &'static [Self] = &[Self::TypedBodies, Self::Descriptions, Self::Correlation];

    fn as_str(self) -> &'static str {
        match self {
            Self::TypedBodies => "typed-bodies",
            Self::Descriptions => "descriptions",
            Self::Correlation => "correlation",
        }
    }
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
