//! The keys of a saga's steps.

use super::Way;
use crate::domain::key_scope::key_scope;
use crate::values::{Name, SagaId};

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

    fn key<'a>(&self, way: Way, parts: impl IntoIterator<Item = &'a str>) -> Name {
        let kind = match way {
            Way::Forward | Way::Settle => "saga",
            Way::Back => "saga-undo",
        };
        key_scope(kind, parts)
    }
}
