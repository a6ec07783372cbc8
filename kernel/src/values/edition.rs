//! Editions: which rows of a projection.

use super::{InvalidName, Name};
use alloc::format;
use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

/// One filling of a projection's rows: by this version of its code, rebuilt so often.
///
/// Editions stand beside one another, each with rows, a checkpoint and a lease of its own. A person reads `3` for the
/// first edition of version 3, and `3.2` for its second rebuild.
///
/// ```
/// use portolan_kernel::values::{Edition, Name};
///
/// let edition = Edition { version: 3, rebuild: 2 };
/// assert_eq!(edition.to_string(), "3.2");
/// assert_eq!("3.2".parse(), Ok(edition));
/// assert_eq!(Edition::stored(edition.to_stored()), edition);
/// assert_eq!(edition.checkpoint(&Name::new("balances")?)?, "projection/balances@3.2");
/// # Ok::<(), portolan_kernel::values::InvalidName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edition {
    /// The version of the code, from 1.
    pub version: u16,
    /// How often it was filled anew.
    pub rebuild: u16,
}

impl Edition {
    /// The first edition of a version.
    #[must_use]
    pub const fn first(version: u16) -> Self {
        Self { version, rebuild: 0 }
    }

    /// The version of the [`Collection`](super::Collection) that holds its rows: that of the code, with the number of
    /// rebuilds in the upper half.
    #[must_use]
    pub const fn to_stored(self) -> u32 {
        (self.rebuild as u32) << 16 | self.version as u32
    }

    /// The edition whose rows are in this version of a collection.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each half is sixteen bits")]
    pub const fn stored(version: u32) -> Self {
        Self { version: version as u16, rebuild: (version >> 16) as u16 }
    }

    /// The name of its checkpoint beside its rows, which is also that of its lease.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the projection's name leaves no room for it.
    pub fn checkpoint(self, projection: &Name) -> Result<Name, InvalidName> {
        Name::new(format!("projection/{projection}@{self}"))
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rebuild {
            0 => write!(f, "{}", self.version),
            rebuild => write!(f, "{}.{rebuild}", self.version),
        }
    }
}

impl FromStr for Edition {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (version, rebuild) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self { version: version.parse()?, rebuild: rebuild.parse()? })
    }
}
