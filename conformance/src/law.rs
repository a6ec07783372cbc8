//! What a law is, and how a check says that it is broken.

use crate::{Port, Trial};
use core::fmt;
use futures::future::LocalBoxFuture;
use std::panic::Location;

/// What a check comes to.
pub type Verdict<T = ()> = Result<T, Broken>;

/// One law of a port: a sentence, and the checks that hold a store to it.
pub struct Law<P: Port + ?Sized> {
    /// Its id, such as `ES-05`.
    pub id: &'static str,
    /// The name of its test, such as `es_05_expectations`.
    pub name: &'static str,
    /// What it says, in the words of the port's documentation.
    pub sentence: &'static str,
    /// Each runs on a fresh place.
    pub checks: Vec<Check<P>>,
    /// What a child process can be asked to do, by name (see [`Trial::child`]).
    pub roles: Vec<Check<P>>,
}

/// One check of a law.
pub struct Check<P: Port + ?Sized> {
    /// The name of its function.
    pub name: &'static str,
    /// What an implementation must have for the check to make sense. If it lacks one of them, the check is
    /// turned round: the operation must be refused.
    pub needs: &'static [P::Lack],
    /// The check itself.
    pub run: RunCheck<P>,
}

/// The function of a [`Check`].
pub type RunCheck<P> = fn(&Trial<P>) -> LocalBoxFuture<'_, Verdict>;

impl<P: Port + ?Sized> fmt::Debug for Law<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Law").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl<P: Port + ?Sized> fmt::Debug for Check<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

/// How a store broke a law: what was looked at, what was expected, what happened, and where it was found.
#[derive(Debug, Clone)]
pub struct Broken {
    /// What was looked at.
    pub what: String,
    /// What the law expects.
    pub expected: String,
    /// What happened.
    pub actual: String,
    /// The line of the check.
    pub at: Location<'static>,
}

impl Broken {
    /// A law broken at the caller's line.
    #[track_caller]
    pub fn new(what: impl Into<String>, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Self { what: what.into(), expected: expected.into(), actual: actual.into(), at: *Location::caller() }
    }

    /// The same, found at another line.
    #[must_use]
    pub fn at(self, at: &'static Location<'static>) -> Self {
        Self { at: *at, ..self }
    }

    /// The same, with the circumstances.
    pub(crate) fn given(self, circumstances: &str) -> Self {
        Self { what: format!("{}, {circumstances}", self.what), ..self }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  looked at: {}", Short(&self.what))?;
        writeln!(f, "  expected:  {}", Short(&self.expected))?;
        writeln!(f, "  happened:  {}", Short(&self.actual))?;
        write!(f, "  check:     {}:{}", self.at.file(), self.at.line())
    }
}

/// A text that is cut in its middle where it is so long that nobody would read it.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PART: usize = 3_000;
        let (from, to) = (self.0.floor_char_boundary(PART), self.0.len().saturating_sub(PART));
        if to <= from {
            return f.write_str(self.0);
        }
        let to = self.0.ceil_char_boundary(to);
        write!(f, "{} […{} bytes…] {}", &self.0[..from], to - from, &self.0[to..])
    }
}

/// Declares a law as a function: `law! { es_05_expectations, "ES-05", "sentence", checks: [..] }`.
///
/// A check is the name of an `async fn(&Trial<P>) -> Verdict`; `name if [Guard]` marks one that needs a
/// capability. `roles: [..]` lists what a child process can be asked to do.
macro_rules! law {
    (
        $port:ty, $name:ident, $id:literal, $sentence:literal,
        checks: [$($check:ident $(if [$($needs:ident),+])?),+ $(,)?]
        $(, roles: [$($role:ident),+ $(,)?])? $(,)?
    ) => {
        #[doc = concat!($id, ": ", $sentence)]
        #[must_use]
        pub fn $name() -> $crate::Law<$port> {
            $crate::Law {
                id: $id,
                name: stringify!($name),
                sentence: $sentence,
                checks: vec![$($crate::Check {
                    name: stringify!($check),
                    needs: &[$($(<<$port as $crate::Port>::Lack>::$needs),+)?],
                    run: |trial| Box::pin($check(trial)),
                }),+],
                roles: vec![$($($crate::Check {
                    name: stringify!($role),
                    needs: &[],
                    run: |trial| Box::pin($role(trial)),
                }),+)?],
            }
        }
    };
}
pub(crate) use law;

/// Breaks the law unless both are equal: `expect_eq!(actual, expected, "what is looked at")`.
#[macro_export]
macro_rules! expect_eq {
    ($actual:expr, $expected:expr, $($what:tt)+) => {
        match (&$actual, &$expected) {
            (actual, expected) if *actual == *expected => {}
            (actual, expected) => {
                return Err($crate::Broken::new(format!($($what)+), format!("{expected:?}"), format!("{actual:?}")));
            }
        }
    };
}

/// Breaks the law unless the condition holds: `expect!(condition, "what is expected, with {values}")`.
#[macro_export]
macro_rules! expect {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err($crate::Broken::new(stringify!($condition), format!($($what)+), "it is not so"));
        }
    };
}

/// Breaks the law unless the value has this form: `expect_is!(error, AppendError::Busy(_), "what")`.
#[macro_export]
macro_rules! expect_is {
    ($value:expr, $form:pat $(if $guard:expr)?, $($what:tt)+) => {
        match &$value {
            $form $(if $guard)? => {}
            other => {
                let form = stringify!($form $(if $guard)?);
                return Err($crate::Broken::new(format!($($what)+), form, format!("{other:?}")));
            }
        }
    };
}
