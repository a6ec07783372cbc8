//! What the laws of `Authenticator` are tried on: an authenticator, and what it has issued.

use crate::port::Lack;
use crate::{Broken, Trial, Verdict, expect};
use core::fmt;
use portolan_kernel::ports::{AuthenticationError, Authenticator, Caller, Credentials};
use std::panic::Location;
use std::sync::Arc;

/// An authenticator, the credentials that are good to it, each with its caller, and those that were good once.
///
/// ```
/// use portolan_conformance::Issued;
/// use portolan_kernel::drivers::StaticKeys;
/// use portolan_kernel::ports::Caller;
///
/// let keys = StaticKeys::from_json(br#"[
///     {"key": "0n1y-f0r-tr7ing-0ut", "actor": "ann", "roles": ["teller"]},
///     {"key": "an0ther-0ne-t0-try", "actor": "bob"}
/// ]"#)?;
/// let issued = Issued::by(keys)
///     .good("Bearer 0n1y-f0r-tr7ing-0ut", Caller::new("ann").with_role("teller"))
///     .good("Bearer an0ther-0ne-t0-try", Caller::new("bob"));
/// # Ok::<(), portolan_kernel::drivers::StaticKeyError>(())
/// ```
pub struct Issued {
    authenticator: Arc<dyn Authenticator>,
    good: Vec<(String, Caller)>,
    spent: Vec<String>,
    without: Option<Caller>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callers: Vec<_> = self.good.iter().map(|(_, caller)| caller.name()).collect();
        f.debug_struct("Issued").field("good", &callers).field("spent", &self.spent.len()).finish_non_exhaustive()
    }
}

impl Issued {
    /// An authenticator that has issued nothing yet.
    pub fn by(authenticator: impl Authenticator + 'static) -> Self {
        Self { authenticator: Arc::new(authenticator), good: Vec::new(), spent: Vec::new(), without: None }
    }

    /// The same; this `Authorization` is good, and this caller's. Two callers are needed.
    ///
    /// Where the caller has an [`until`](Caller::until), the authenticator takes its time from
    /// [`Place::clock`](crate::Place::clock), which the suite moves on. Where none has, that is declared as a lack of
    /// [`Expiry`](Passing::Expiry).
    #[must_use]
    pub fn good(mut self, authorization: impl Into<String>, caller: Caller) -> Self {
        self.good.push((authorization.into(), caller));
        self
    }

    /// The same; this `Authorization` was good once, and is expired or revoked. Where there is none, that is declared as a
    /// lack of [`Revocation`](Passing::Revocation).
    #[must_use]
    pub fn spent(mut self, authorization: impl Into<String>) -> Self {
        self.spent.push(authorization.into());
        self
    }

    /// The same; a request that shows nothing gets this caller, where others find it
    /// [`Missing`](AuthenticationError::Missing).
    #[must_use]
    pub fn without(self, caller: Caller) -> Self {
        Self { without: Some(caller), ..self }
    }

    pub(crate) fn authenticator(&self) -> &Arc<dyn Authenticator> {
        &self.authenticator
    }

    pub(crate) fn known(&self) -> &[(String, Caller)] {
        &self.good
    }

    pub(crate) fn texts(&self) -> Vec<&str> {
        self.good.iter().map(|(text, _)| text.as_str()).collect()
    }

    pub(crate) fn spent_ones(&self) -> &[String] {
        &self.spent
    }

    pub(crate) fn for_nobody(&self) -> Option<&Caller> {
        self.without.as_ref()
    }

    pub(crate) async fn shown(&self, authorization: &str) -> Result<Caller, AuthenticationError> {
        self.authenticator.authenticate(&Credentials::new(authorization)).await
    }

    /// What is shown has to be good, and this caller's.
    #[track_caller]
    pub(crate) fn knows(&self, text: &str, caller: &Caller, what: &str) -> impl Future<Output = Verdict> {
        let at = Location::caller();
        async move {
            match self.shown(text).await {
                Ok(found) if found == *caller => Ok(()),
                other => {
                    Err(Broken::new(format!("{what}: {text:?}"), format!("{caller:?}"), format!("{other:?}")).at(at))
                }
            }
        }
    }

    /// What is shown has to be refused.
    #[track_caller]
    pub(crate) fn refuses(&self, text: &str, what: &str) -> impl Future<Output = Verdict> {
        let at = Location::caller();
        async move {
            match self.shown(text).await {
                Err(AuthenticationError::Refused(_)) => Ok(()),
                // Nothing is there to be refused.
                Err(AuthenticationError::Missing) if secret(text).is_empty() => Ok(()),
                other => Err(Broken::new(format!("{what}: {text:?}"), "Err(Refused(…))", format!("{other:?}")).at(at)),
            }
        }
    }
}

impl Trial<Issued> {
    /// Opens the authenticator, with credentials that can be tried.
    pub(crate) async fn issued(&self) -> Verdict<Arc<Issued>> {
        let issued = self.open().await?;
        for text in issued.texts().into_iter().chain(issued.spent.iter().map(String::as_str)) {
            let sendable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            expect!(
                sendable && !text.is_empty(),
                "credentials of visible ASCII, as a header carries, in place of {text:?}"
            );
        }
        let first = issued.good.first().map(|(_, caller)| caller);
        let callers = issued.good.iter().any(|(_, caller)| Some(caller) != first);
        expect!(callers, "good credentials of two callers who can be told apart, to try");
        for (lack, shown) in [
            (Passing::Expiry, issued.good.iter().any(|(_, caller)| caller.until.is_some())),
            (Passing::Revocation, !issued.spent.is_empty()),
        ] {
            let why = self.fixture.lacked().get(&lack);
            expect!(why.is_none_or(|why| !why.trim().is_empty()), "a reason for lacking {lack}");
            match why {
                Some(_) => expect!(!shown, "no declared lack of {lack}, which the fixture shows"),
                None => expect!(shown, "credentials to try {lack} on, or its declared lack"),
            }
        }
        Ok(issued)
    }
}

/// What belongs to the scheme; all of it where there is no scheme.
pub(crate) fn secret(text: &str) -> &str {
    text.split_once(' ').map_or(text, |(_, secret)| secret.trim_matches(' '))
}

/// What an authenticator may lack. Everything else is its core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Passing {
    /// An end of good credentials. An authenticator that lacks it issues none with an [`until`](Caller::until).
    Expiry,
    /// Credentials that were good once. An authenticator that lacks them has none that are [`spent`](Issued::spent).
    Revocation,
}

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Lack for Passing {
    const ALL: &'static [Self] = &[Self::Expiry, Self::Revocation];

    fn as_str(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::Revocation => "revocation",
        }
    }
}
