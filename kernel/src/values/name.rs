//! Names: checked once, when they are made, and shared from then on.

use alloc::string::String;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;
use core::str::FromStr;

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 512;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The text is empty.
    #[error("a {what} cannot be empty")]
    Empty {
        /// The kind of name, as a person calls it.
        what: &'static str,
    },
    /// The text has more than [`MAX_NAME_BYTES`] bytes.
    #[error("a {what} has at most {MAX_NAME_BYTES} bytes; this one has {bytes}")]
    TooLong {
        /// The kind of name, as a person calls it.
        what: &'static str,
        /// How many bytes the text has.
        bytes: usize,
    },
    /// The text holds a control character (Unicode category Cc).
    #[error("a {what} has no control characters; byte {at} begins one")]
    ControlCharacter {
        /// The kind of name, as a person calls it.
        what: &'static str,
        /// The byte offset of the first one.
        at: usize,
    },
}

fn check(what: &'static str, text: &str) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty { what });
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(InvalidName::TooLong { what, bytes: text.len() });
    }
    // Most names are ASCII; to their end, whatever is found, many bytes are looked at together.
    if text.as_bytes().iter().fold(true, |is_printable, byte| is_printable & (b' '..=b'~').contains(byte)) {
        return Ok(());
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(InvalidName::ControlCharacter { what, at }),
        None => Ok(()),
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// 1 to [`MAX_NAME_BYTES`] bytes without control characters, compared byte for byte: no Unicode
        /// normalisation, no case folding. A clone shares the text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = concat!("Checks `text` and makes a ", $what, " of it.")]
            ///
            /// # Errors
            ///
            /// [`InvalidName`] when the text is empty, too long, or holds a control character.
            pub fn new(text: impl AsRef<str> + Into<Arc<str>>) -> Result<Self, InvalidName> {
                check($what, text.as_ref())?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;
            fn try_from(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                Self::from(name.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    )*};
}

names! {
    /// The name of a stream: the events of one aggregate, one saga, one anything.
    StreamId = "stream name";
    /// The stored type of an event, such as `account.deposited`.
    EventType = "event type";
    /// A tag of an event, such as `course:c1`: what queries and guards find it by, across streams.
    Tag = "tag";
    /// The key of a row in a read model.
    RowKey = "row key";
    /// Any other name: a category, checkpoint, projection, command, key, actor or tenant.
    Name = "name";
}

impl StreamId {
    /// The category: what precedes the first `-`. A name without `-`, or that begins with it, is its own
    /// category.
    ///
    /// ```
    /// # use portolan_kernel::values::StreamId;
    /// assert_eq!(StreamId::new("account-ann-1").unwrap().category(), "account");
    /// assert_eq!(StreamId::new("settings").unwrap().category(), "settings");
    /// assert_eq!(StreamId::new("-x").unwrap().category(), "-x");
    /// ```
    #[must_use]
    pub fn category(&self) -> &str {
        match self.0.find('-') {
            None | Some(0) => &self.0,
            Some(at) => &self.0[..at],
        }
    }

    /// What follows the category and its `-`; empty when the stream is its own category.
    ///
    /// ```
    /// # use portolan_kernel::values::StreamId;
    /// assert_eq!(StreamId::new("account-ann-1").unwrap().id(), "ann-1");
    /// ```
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.get(self.category().len() + 1..).unwrap_or_default()
    }

    /// Whether the stream is the system's: its name begins with `$`. Such streams are readable, and left
    /// out of applications' queries unless asked for (see [`Query`](super::Query)).
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0.starts_with('$')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::empty("", false)]
    #[case::one("a", true)]
    #[case::slash_and_emoji("a/b %\u{1F980}", true)]
    #[case::newline("a\nb", false)]
    #[case::nul("a\0", false)]
    #[case::c1_control("a\u{85}", false)]
    fn names_are_checked(#[case] text: &str, #[case] good: bool) {
        assert_eq!(Name::new(text).is_ok(), good);
    }

    #[test]
    fn a_name_is_taken_for_a_text() {
        let text: String = Name::new("a/b").unwrap().into();
        assert_eq!(text, "a/b");
    }

    #[test]
    fn length_counts_bytes() {
        assert!(Tag::new("x".repeat(MAX_NAME_BYTES)).is_ok());
        assert_eq!(Tag::new("\u{e9}".repeat(257)), Err(InvalidName::TooLong { what: "tag", bytes: 514 }));
    }
}
