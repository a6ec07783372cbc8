//! What a change of a JSON Schema means: whether there is one, and who can still read what whom has written.
//!
//! The words are those of the field, as [Confluent's schema registry] has made them common: *backward* means that whoever
//! knows the new schema can read what was written by the old one, *forward* that whoever knows the old one can read what is
//! written by the new one, *full* both; *transitive* asks this of all versions and not of neighbours alone.
//!
//! # How JSON objects are judged
//!
//! A schema says two things: what its writer writes, and what its reader takes. The field's own judgement of JSON Schema takes
//! it for both at once, so that an object without `additionalProperties` (an *open* one) may hold anything under any name:
//! then no optional field can ever be added, since old data might have had something else there; [Robert Yokota] shows why,
//! and the people of [Creek] how it hinders. Here writers and readers are told apart, as Creek does, and as serde has it:
//!
//! - A writer writes the fields that its schema names, and no others, unless `additionalProperties` is a schema (a map).
//! - A reader finds what it requires, with a type that it takes. Fields that it does not name it ignores, unless
//!   `additionalProperties` is `false`.
//! - A field that the reader requires may be missing if it has a `default`, which `#[serde(default)]` gives it.
//!
//! So, with open objects, as those of events:
//!
//! | change | backward | forward |
//! |---|---|---|
//! | a field that may be missing comes, or goes | yes | yes |
//! | a required field comes | only with a `default` | yes |
//! | a required field goes | yes | only if it had a `default` |
//! | a field may be missing from now on | yes | no |
//! | a field's type takes more, such as `u32` to `u64`, or to an `Option` | yes | no |
//! | an enum has one value more | yes | no |
//!
//! With closed ones, as those of commands, a field that goes breaks *backward*, and one that comes breaks *forward*: it is
//! refused as unknown.
//!
//! What is judged is the part of JSON Schema that schemars makes of types. What is beyond it and not equal cannot be judged,
//! and is refused with that reason: no change is let through because nobody understood it.
//!
//! [Confluent's schema registry]: https://docs.confluent.io/platform/current/schema-registry/fundamentals/schema-evolution.html
//! [Robert Yokota]: https://yokota.blog/2021/03/29/understanding-json-schema-compatibility/
//! [Creek]: https://www.creekservice.org/articles/2024/01/08/json-schema-evolution-part-1.html

mod containment;
mod differences;
mod form;
mod numbers;

pub use containment::{Misfit, misfits};
pub use differences::{Difference, differences};

use alloc::string::String;
use core::fmt::{self, Write as _};

/// What a new version of a schema has to be to the versions before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compatibility {
    /// Anything: the history says how old events are read.
    #[default]
    None,
    /// Whoever knows it can read what was written by the version before.
    Backward,
    /// Whoever knows it can read what was written by every version before.
    BackwardTransitive,
    /// Whoever knows the version before can read what is written by it.
    Forward,
    /// Whoever knows any version before can read what is written by it.
    ForwardTransitive,
    /// Both, with the version before.
    Full,
    /// Both, with every version before.
    FullTransitive,
}

impl Compatibility {
    /// Whether the new version reads what the old one wrote.
    #[must_use]
    pub const fn is_backward(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// Whether the old version reads what the new one writes.
    #[must_use]
    pub const fn is_forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// Whether it is asked of all versions before, and not of the last alone.
    #[must_use]
    pub const fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Backward => "backward",
            Self::BackwardTransitive => "backward-transitive",
            Self::Forward => "forward",
            Self::ForwardTransitive => "forward-transitive",
            Self::Full => "full",
            Self::FullTransitive => "full-transitive",
        })
    }
}

/// The most lines that a person is shown.
const LINES: usize = 10;

/// A line each, as many as a person reads.
pub(crate) fn listed<T: fmt::Display>(lines: &[T]) -> String {
    let mut text = String::new();
    for line in &lines[..lines.len().min(LINES)] {
        let _ = write!(text, "\n  {line}");
    }
    if lines.len() > LINES {
        let _ = write!(text, "\n  and {} more", lines.len() - LINES);
    }
    text
}
