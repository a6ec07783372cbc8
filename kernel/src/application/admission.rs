//! Admission: from a request's credentials to the ports as its sender may use them.

use super::Ports;
use crate::drivers::{AccessPolicy, Anybody, GuardedPorts, Unrestricted};
use crate::ports::{AuthenticationError, Authenticator, Caller, Credentials};
use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::fmt;

/// Who is let in, and what they may do: an [`Authenticator`] and an [`AccessPolicy`]. Every server takes one.
///
/// ```
/// # use portolan_kernel::application::Admission;
/// # use portolan_kernel::drivers::{Roles, StaticKeys};
/// # fn example(keys: &[u8], roles: &[u8]) -> Result<Admission, Box<dyn std::error::Error>> {
/// Ok(Admission::by(StaticKeys::from_json(keys)?).with_policy(Roles::from_json(roles)?))
/// # }
/// ```
#[derive(Clone)]
pub struct Admission {
    authenticator: Arc<dyn Authenticator>,
    policy: Arc<dyn AccessPolicy>,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

impl Default for Admission {
    /// Everybody, believed, for everything.
    fn default() -> Self {
        Self::by(Anybody)
    }
}

/// A request that has been let in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Admitted {
    /// Who sends it.
    pub caller: Caller,
    /// The ports as he may use them.
    pub ports: Ports,
}

impl Admission {
    /// Those whom this authenticator knows, for everything.
    #[must_use]
    pub fn by(authenticator: impl Authenticator + 'static) -> Self {
        Self { authenticator: Arc::new(authenticator), policy: Arc::new(Unrestricted) }
    }

    /// The same, for what this policy allows.
    #[must_use]
    pub fn with_policy(self, policy: impl AccessPolicy + 'static) -> Self {
        Self { policy: Arc::new(policy), ..self }
    }

    /// Finds out who sends a request, and gives him the ports as he may use them.
    ///
    /// # Errors
    ///
    /// [`AuthenticationError`]: the request is to reach nothing.
    pub async fn admit(&self, credentials: &Credentials, ports: &Ports) -> Result<Admitted, AuthenticationError> {
        let caller = self.authenticator.authenticate(credentials).await?;
        let ports = ports.on_behalf_of(caller.clone(), self.policy.clone());
        Ok(Admitted { caller, ports })
    }

    /// What a refusal asks for: the header `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(&self) -> Cow<'static, str> {
        self.authenticator.challenge()
    }
}

impl Ports {
    /// These ports as this caller may use them: what the policy does not allow is `Denied`, and commands, questions,
    /// appended events, and what is done to sagas carry the caller as actor and tenant, whatever they claim. A command whose
    /// id [has the form of a step's key](crate::values::SagaId::is_step_key) is `Invalid`, unless the caller
    /// [speaks for others](Caller::speaks_for_others).
    #[must_use]
    pub fn on_behalf_of(&self, caller: Caller, policy: Arc<dyn AccessPolicy>) -> Self {
        let Self { commands, queries, projections, events, subscriptions, sagas, schemas, upcasters } = self.clone();
        let guarded = Arc::new(GuardedPorts { caller, policy, commands, queries, projections, events, sagas });
        let gate = guarded.clone();
        Self {
            subscriptions: subscriptions.allowing(Arc::new(move |query| gate.judge_query(query))),
            commands: guarded.clone(),
            queries: guarded.clone(),
            projections: guarded.clone(),
            events: guarded.clone(),
            sagas: guarded,
            schemas,
            upcasters,
        }
    }
}
