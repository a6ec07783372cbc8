//! Authentication: from the credentials of a request to who sends it.

use super::Source;
use crate::values::{Metadata, Timestamp};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use async_trait::async_trait;
use core::fmt;

/// What a request brought to show who sends it: the same on every transport.
///
/// It never shows itself: what `Debug` writes has no secret in it.
///
/// ```
/// # use portolan_kernel::ports::Credentials;
/// let shown = Credentials::new("Bearer 9f86d081884c7d65");
/// assert_eq!(shown.bearer(), Some("9f86d081884c7d65"));
/// assert_eq!(format!("{shown:?}"), "Credentials { authorization: Some(\"Bearer …\") }");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Credentials {
    /// A scheme and what belongs to it, as in the header `Authorization` (RFC 9110, section 11.4).
    pub authorization: Option<String>,
}

impl Credentials {
    /// Those of a request that brought none.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What a request brought as `Authorization`: a scheme, a space, and what belongs to it.
    #[must_use]
    pub fn new(authorization: impl Into<String>) -> Self {
        Self { authorization: Some(authorization.into()) }
    }

    /// Whatever a request brought under that name: once at most, in visible ASCII, so that nothing on the way can take it for
    /// another's.
    ///
    /// ```
    /// # use portolan_kernel::ports::Credentials;
    /// assert_eq!(Credentials::from_headers([b"Bearer a"]).unwrap(), Credentials::new("Bearer a"));
    /// assert_eq!(Credentials::from_headers([b""; 0]).unwrap(), Credentials::none());
    /// assert!(Credentials::from_headers([b"Bearer a", b"Bearer b"]).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`AuthenticationError::Refused`].
    pub fn from_headers(values: impl IntoIterator<Item: AsRef<[u8]>>) -> Result<Self, AuthenticationError> {
        let refused = |why: &'static str| Err(AuthenticationError::Refused(Cow::Borrowed(why)));
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self::none()),
            (Some(_), Some(_)) => refused("`authorization` is given more than once"),
            (Some(value), None) => match core::str::from_utf8(value.as_ref()) {
                Ok(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) => Ok(Self::new(text)),
                _ => refused("`authorization` has characters other than visible ASCII"),
            },
        }
    }

    /// The token of the scheme `Bearer` (RFC 6750), which is read in any case. `None` for other schemes.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.authorization.as_deref()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' ')).filter(|token| !token.is_empty())
    }
}

/// The schemes whose names may be shown.
const SCHEMES: [&str; 5] = ["Bearer", "Basic", "Digest", "DPoP", "Negotiate"];

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is no scheme that is known may be the secret itself.
        let scheme = |text: &String| match text.split_once(' ') {
            Some((scheme, _)) if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
                format!("{scheme} …")
            }
            _ => String::from("…"),
        };
        f.debug_struct("Credentials").field("authorization", &self.authorization.as_ref().map(scheme)).finish()
    }
}

/// Who sends a request, as an [`Authenticator`] has found out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Caller {
    /// On whose behalf: it reaches every event as [`Metadata::actor`]. `None` for somebody without a name.
    pub actor: Option<String>,
    /// In which tenant: it reaches every event as [`Metadata::tenant`], and separates ids of commands. Callers of one tenant
    /// share them: whoever repeats an id has the first one's receipt.
    pub tenant: Option<String>,
    /// What an access policy goes by. They go no further: an event does not tell them.
    pub roles: BTreeSet<String>,
    /// Whether actor and tenant that it names in metadata are believed: another node of the application, which has asked
    /// its callers itself. Where it names neither, its own stand. It may send commands under the keys of sagas' steps too, as
    /// a node does whose sagas send commands here; from others
    /// [such ids](crate::domain::saga::SagaId::is_step_key) are refused.
    pub speaks_for_others: bool,
    /// When this ends. A transport lets nothing go on for longer, live events included. `None` for never.
    pub until: Option<Timestamp>,
}

impl Caller {
    /// Somebody without a name, a tenant or a role.
    #[must_use]
    pub fn nobody() -> Self {
        Self::default()
    }

    /// This actor.
    #[must_use]
    pub fn new(actor: impl Into<String>) -> Self {
        Self { actor: Some(actor.into()), ..Self::default() }
    }

    /// The same, in this tenant.
    #[must_use]
    pub fn in_tenant(self, tenant: impl Into<String>) -> Self {
        Self { tenant: Some(tenant.into()), ..self }
    }

    /// The same, with one more role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.roles.insert(role.into());
        self
    }

    /// The same; what it says of actor and tenant is believed.
    #[must_use]
    pub fn speaking_for_others(self) -> Self {
        Self { speaks_for_others: true, ..self }
    }

    /// The same, until this moment.
    #[must_use]
    pub fn until(self, until: Timestamp) -> Self {
        Self { until: Some(until), ..self }
    }

    /// Puts actor and tenant into metadata, over what a sender claims there.
    pub fn sign(&self, metadata: &mut Metadata) {
        if self.speaks_for_others && (metadata.actor.is_some() || metadata.tenant.is_some()) {
            return;
        }
        metadata.actor.clone_from(&self.actor);
        metadata.tenant.clone_from(&self.tenant);
    }

    /// Whether it leaves metadata as they are, whatever they say.
    #[must_use]
    pub const fn signs_nothing(&self) -> bool {
        self.speaks_for_others && self.actor.is_none() && self.tenant.is_none()
    }

    /// How it is called in a message.
    #[must_use]
    pub fn name(&self) -> &str {
        self.actor.as_deref().unwrap_or("nobody known")
    }
}

/// Finds out who sends a request, at every transport.
///
/// Only who: what somebody may do is for an [`AccessPolicy`](crate::drivers::AccessPolicy) and for the policies of the
/// command bus.
///
/// # Laws
///
/// - **AU-01** Credentials that are good give the caller they were issued for; the same ones give the same, as long as they
///   are good.
/// - **AU-02** Whatever else is shown is refused: altered, cut short, made longer, of another scheme, empty, expired or
///   revoked. No text makes it panic.
/// - **AU-03** A request that shows nothing is [`Missing`](AuthenticationError::Missing), or gets the caller that is meant
///   for such, always the same; it never gets one that credentials were issued for.
/// - **AU-04** What it says of a refusal repeats no secret, nor which part of it was right.
///
/// # Cancellation
///
/// Nothing is changed by asking; the future can be dropped at any moment.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Who has these credentials.
    ///
    /// # Errors
    ///
    /// [`AuthenticationError`].
    async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticationError>;

    /// What a refusal asks for: the header `WWW-Authenticate` (RFC 9110, section 11.6.1).
    fn challenge(&self) -> Cow<'static, str> {
        Cow::Borrowed("Bearer")
    }
}

/// Why a request is not let in. It has reached no port.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// The request shows nothing. Send it with credentials.
    #[error("credentials are needed: send `Authorization: Bearer …`")]
    Missing,
    /// What it shows is not, or no longer, good. Get new credentials.
    #[error("these credentials are not accepted: {0}")]
    Refused(Cow<'static, str>),
    /// It is known who sends it, and he is not let in.
    #[error("not allowed: {0}")]
    Denied(String),
    /// It cannot be told now. Try again, with a pause.
    #[error("who sends this cannot be found out now; try again")]
    Busy(#[source] Source),
}

impl AuthenticationError {
    /// What this refusal asks for, of what an authenticator [asks for](Authenticator::challenge): to credentials that are no
    /// good, Bearer says so (RFC 6750, section 3).
    ///
    /// ```
    /// # use portolan_kernel::ports::AuthenticationError;
    /// assert_eq!(AuthenticationError::Missing.challenge("Bearer"), "Bearer");
    /// assert_eq!(AuthenticationError::Refused("expired".into()).challenge("Bearer"), "Bearer error=\"invalid_token\"");
    /// ```
    #[must_use]
    pub fn challenge(&self, of: &str) -> String {
        let (scheme, parameters) = of.split_once(' ').unwrap_or((of, ""));
        match (matches!(self, Self::Refused(_)) && scheme.eq_ignore_ascii_case("bearer"), parameters) {
            (false, _) => of.into(),
            (true, "") => format!("{scheme} error=\"invalid_token\""),
            (true, parameters) => format!("{scheme} {parameters}, error=\"invalid_token\""),
        }
    }
}
