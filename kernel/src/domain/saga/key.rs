//! The keys of a saga's steps.

use super::Way;
use crate::domain::key_scope::key_scope;
use crate::values::{Name, SagaId};

/// What keys of steps begin with: those to do a step, and those to undo it.
const KINDS: [&str; 2] = ["saga", "saga-undo"];

impl SagaId {
    /// The idempotency key of a step (SG-1): one for all attempts to do it, and to find out whether it was done; another
    /// for all attempts to undo it.
    ///
    /// It is `saga:{name}:{id}:{step}`, and `saga-undo:{name}:{id}:{step}` for the way back, with `:`, `%` and control
    /// characters in the parts percent-encoded; where that is too long for a name, its SHA-256. So keys of different
    /// sagas, steps and ways are different.
    ///
    /// ```
    /// # use portolan_kernel::domain::saga::{SagaId, Way};
    /// let id = SagaId::new("transfer-money", "t-1").unwrap();
    /// assert_eq!(&*id.step_key("debit", Way::Forward), "saga:transfer-money:t-1:debit");
    /// assert_eq!(&*id.step_key("debit", Way::Back), "saga-undo:transfer-money:t-1:debit");
    /// assert_eq!(id.step_key("debit", Way::Settle), id.step_key("debit", Way::Forward));
    /// ```
    #[must_use]
    pub fn step_key(&self, step: &str, way: Way) -> Name {
        self.key(way, [&**self.name(), &**self.id(), step])
    }

    /// The key of one of several effects of a step, told apart by a word; no key of a step is equal to it.
    #[must_use]
    pub fn part_key(&self, step: &str, way: Way, part: &str) -> Name {
        self.key(way, [&**self.name(), &**self.id(), step, part])
    }

    /// Whether this id of a command has the form of a key of a saga's step, or of a part of one. Whoever takes ids from
    /// strangers refuses these, or strangers take the keys of steps to come: then a step counts as done that is not, or can
    /// never be done. [`Ports::on_behalf_of`](crate::application::Ports::on_behalf_of) does so for all servers.
    ///
    /// ```
    /// # use portolan_kernel::domain::saga::SagaId;
    /// assert!(SagaId::is_step_key("saga:transfer-money:t-1:debit"));
    /// assert!(!SagaId::is_step_key("sagas-of-icelanders"));
    /// ```
    #[must_use]
    pub fn is_step_key(id: &str) -> bool {
        // As `key_scope` goes on behind a kind.
        KINDS.iter().any(|kind| id.strip_prefix(kind).is_some_and(|rest| rest.starts_with([':', '#'])))
    }

    fn key<'a>(&self, way: Way, parts: impl IntoIterator<Item = &'a str>) -> Name {
        let [forward, back] = KINDS;
        let kind = match way {
            Way::Forward | Way::Settle => forward,
            Way::Back => back,
        };
        key_scope(kind, parts)
    }
}
