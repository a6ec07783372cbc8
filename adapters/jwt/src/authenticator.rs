//! The authenticator.

use crate::claims;
use crate::keys::JwtKeys;
use crate::token::Token;
use async_trait::async_trait;
use core::fmt;
use core::time::Duration;
use portolan_kernel::ports::{AuthenticationError, Authenticator, Caller, Clock, Credentials};
use portolan_kernel::values::Timestamp;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An authenticator by signed JSON Web Tokens (RFC 7519), shown as `Authorization: Bearer <token>` and checked as RFC 8725
/// says.
///
/// - The algorithm is that of the key ([`JwtKey`](crate::JwtKey)). A token's header only chooses among the keys; `none` is no
///   algorithm, and a public key is no secret.
/// - `exp` is needed, and `nbf` is heeded, both with a [leeway](Self::leeway). The caller is one until `exp` and the leeway.
/// - `aud` must have one of the [audiences](Self::audience); without any, a token that names one is refused.
/// - `iss` must be one of the [issuers](Self::issuer), if there are any.
/// - `sub` is the actor, `roles` are the roles, and there is no tenant, unless other claims are named. A claim is named by its
///   path: `realm_access.roles` is `roles` in the object `realm_access`.
/// - Nobody speaks for others whose role or client was not [named](Self::role_speaks_for_others).
///
/// What is refused before the signature was found right is always refused in the same words; then they say which claim it
/// is.
///
/// ```
/// use portolan_jwt::{JwtAlgorithm, JwtAuthenticator, JwtKey};
/// # use portolan_kernel::ports::Clock;
/// # use std::sync::Arc;
/// # fn authenticator(clock: Arc<dyn Clock>, pem: &[u8]) -> Result<JwtAuthenticator, portolan_jwt::JwtKeyError> {
/// let authenticator = JwtAuthenticator::new(JwtKey::pem(JwtAlgorithm::ES256, pem)?, clock)
///     .issuer("https://login.example")
///     .audience("bank")
///     .roles_from(["realm_access.roles", "scope"])
///     .tenant_from("org");
/// # Ok(authenticator)
/// # }
/// ```
///
/// Keeps the laws **AU-01** to **AU-04**; a request without credentials is [`Missing`](AuthenticationError::Missing). Of a
/// signature by ECDSA there is a second form that everybody can make of the first; it counts for the same token.
#[derive(Clone)]
pub struct JwtAuthenticator {
    keys: JwtKeys,
    clock: Arc<dyn Clock>,
    leeway: Duration,
    needs_end: bool,
    kind: Option<String>,
    audiences: BTreeSet<String>,
    issuers: BTreeSet<String>,
    actor: String,
    tenant: Option<String>,
    roles: Vec<String>,
    roles_for_others: BTreeSet<String>,
    clients_for_others: BTreeSet<String>,
}

impl fmt::Debug for JwtAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthenticator")
            .field("keys", &self.keys)
            .field("audiences", &self.audiences)
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}

impl JwtAuthenticator {
    /// One that checks with these keys, by this clock.
    pub fn new(keys: impl Into<JwtKeys>, clock: Arc<dyn Clock>) -> Self {
        Self {
            keys: keys.into(),
            clock,
            leeway: Duration::from_secs(30),
            needs_end: true,
            kind: None,
            audiences: BTreeSet::new(),
            issuers: BTreeSet::new(),
            actor: "sub".to_owned(),
            tenant: None,
            roles: vec!["roles".to_owned()],
            roles_for_others: BTreeSet::new(),
            clients_for_others: BTreeSet::new(),
        }
    }

    /// The same, for tokens that are meant for this audience, or for one named before.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.insert(audience.into());
        self
    }

    /// The same, for tokens of this issuer, or of one named before. Any of the keys may sign for any of them, so that issuers
    /// who do not answer for each other have an authenticator each.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.insert(issuer.into());
        self
    }

    /// The same, for tokens whose header has this `typ`, such as `at+jwt` for access tokens (RFC 9068): where an issuer signs
    /// tokens of several kinds with one key.
    #[must_use]
    pub fn token_type(self, kind: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), ..self }
    }

    /// The same, with this much patience with clocks that differ, in place of 30 seconds.
    #[must_use]
    pub fn leeway(self, leeway: Duration) -> Self {
        Self { leeway, ..self }
    }

    /// The same, which also takes tokens that never end.
    #[must_use]
    pub fn without_expiry(self) -> Self {
        Self { needs_end: false, ..self }
    }

    /// The same, with the actor from this claim in place of `sub`. Every token has to have it.
    #[must_use]
    pub fn actor_from(self, claim: impl Into<String>) -> Self {
        Self { actor: claim.into(), ..self }
    }

    /// The same, with the tenant from this claim. Every token has to have it.
    #[must_use]
    pub fn tenant_from(self, claim: impl Into<String>) -> Self {
        Self { tenant: Some(claim.into()), ..self }
    }

    /// The same, with the roles from these claims together in place of `roles`. Each is a list of texts, or a text with
    /// spaces between the roles, as `scope` is; a token may be without.
    #[must_use]
    pub fn roles_from<S: Into<String>>(self, claims: impl IntoIterator<Item = S>) -> Self {
        Self { roles: claims.into_iter().map(Into::into).collect(), ..self }
    }

    /// The same; who has this role [speaks for others](Caller::speaks_for_others).
    #[must_use]
    pub fn role_speaks_for_others(mut self, role: impl Into<String>) -> Self {
        self.roles_for_others.insert(role.into());
        self
    }

    /// The same; this client, which tokens name as `client_id` (RFC 9068) or `azp` (OpenID Connect),
    /// [speaks for others](Caller::speaks_for_others) with tokens of its own: those whose `sub` is the client itself, as after
    /// the grant by client credentials (RFC 9068, section 2.2). A token that it was given for a user names the client too, and
    /// speaks for that user alone. Where an issuer writes another `sub` into such tokens, take a
    /// [role](Self::role_speaks_for_others).
    #[must_use]
    pub fn client_speaks_for_others(mut self, client: impl Into<String>) -> Self {
        self.clients_for_others.insert(client.into());
        self
    }

    fn caller(&self, token: &Token, now: Timestamp) -> Result<Caller, AuthenticationError> {
        let claims = &token.claims;
        self.is_of_the_kind(token)?;
        self.is_for_us(claims)?;
        let until = self.until(claims, now)?;
        let mut caller = Caller::new(needed(claims, &self.actor)?);
        if let Some(tenant) = &self.tenant {
            caller = caller.in_tenant(needed(claims, tenant)?);
        }
        for claim in &self.roles {
            let Some(value) = claims::at(claims, claim) else { continue };
            let roles = claims::texts(value).ok_or_else(|| unusable(claim))?;
            // Only in a text are spaces what separates.
            let split = |role| if value.is_string() { split_at_spaces(role) } else { vec![role] };
            caller.roles.extend(roles.into_iter().flat_map(split).map(str::to_owned));
        }
        // Users' tokens name their client as well.
        let subject = claims::text(claims, "sub").filter(|subject| self.clients_for_others.contains(*subject));
        let of_client = |claim| subject.is_some() && claims::text(claims, claim) == subject;
        caller.speaks_for_others =
            !caller.roles.is_disjoint(&self.roles_for_others) || of_client("client_id") || of_client("azp");
        caller.until = until;
        Ok(caller)
    }

    fn is_of_the_kind(&self, token: &Token) -> Result<(), AuthenticationError> {
        // RFC 7515, section 4.1.9: a media type, which may leave `application/` out.
        let short = |kind: &str| kind.to_ascii_lowercase().trim_start_matches("application/").to_owned();
        match (&self.kind, &token.kind) {
            (None, _) => Ok(()),
            (Some(meant), Some(kind)) if short(meant) == short(kind) => Ok(()),
            (Some(_), _) => Err(refused("this token is of another type")),
        }
    }

    fn is_for_us(&self, claims: &Map<String, Value>) -> Result<(), AuthenticationError> {
        let issuer = claims::text(claims, "iss");
        if !self.issuers.is_empty() && !issuer.is_some_and(|issuer| self.issuers.contains(issuer)) {
            return Err(refused("this token is of another issuer"));
        }
        let (audience, ours) = (claims.get("aud"), &self.audiences);
        let meant = |audience: &Value| {
            claims::texts(audience).is_some_and(|audience| audience.into_iter().any(|one| ours.contains(one)))
        };
        if audience.map_or(!ours.is_empty(), |audience| !meant(audience)) {
            return Err(refused("this token is for another audience"));
        }
        Ok(())
    }

    fn until(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Option<Timestamp>, AuthenticationError> {
        let leeway = u64::try_from(self.leeway.as_micros()).unwrap_or(u64::MAX);
        let time = |claim: &str| {
            claims.get(claim).map(|value| claims::micros(value).ok_or_else(|| unusable(claim))).transpose()
        };
        let until = time("exp")?.map(|end| Timestamp::from_micros(end.saturating_add(leeway)));
        match until {
            None if self.needs_end => return Err(unusable("exp")),
            Some(until) if until <= now => return Err(refused("this token has expired")),
            _ => {}
        }
        if time("nbf")?.is_some_and(|begin| begin > now.as_micros().saturating_add(leeway)) {
            return Err(refused("this token is not valid yet"));
        }
        Ok(until)
    }
}

fn split_at_spaces(text: &str) -> Vec<&str> {
    text.split(' ').filter(|part| !part.is_empty()).collect()
}

fn refused(words: &'static str) -> AuthenticationError {
    AuthenticationError::Refused(Cow::Borrowed(words))
}

fn unusable(claim: &str) -> AuthenticationError {
    AuthenticationError::Refused(Cow::Owned(format!("this token has no claim `{claim}` that can be used")))
}

fn needed<'a>(claims: &'a Map<String, Value>, claim: &str) -> Result<&'a str, AuthenticationError> {
    claims::text(claims, claim).ok_or_else(|| unusable(claim))
}

#[async_trait]
impl Authenticator for JwtAuthenticator {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticationError> {
        if credentials.authorization.is_none() {
            return Err(AuthenticationError::Missing);
        }
        let text = credentials.bearer().ok_or(refused("a bearer token is needed"))?;
        let now = self.clock.now();
        let token =
            Token::verified(text, &self.keys.at(now)).ok_or(refused("this is no token that is accepted here"))?;
        self.caller(&token, now)
    }
}
