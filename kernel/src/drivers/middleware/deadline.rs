//! A deadline for commands that come without one, or with too much time.

use super::{Middleware, Next};
use crate::ports::{CommandEnvelope, CommandError, Receipt};
use alloc::boxed::Box;
use async_trait::async_trait;
use core::time::Duration;

/// Sets how long commands may take. The bus does the rest (CB-08).
///
/// What the caller has asked for counts from dispatch on; what is set here counts from here on. Around a remote
/// bus it is the remote one that keeps it.
///
/// ```
/// # use portolan_kernel::drivers::Deadline;
/// # use core::time::Duration;
/// let deadline = Deadline::of(Duration::from_secs(5)).at_most(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    usual: Option<Duration>,
    most: Option<Duration>,
}

impl Deadline {
    /// So much time for a command that comes without a deadline.
    #[must_use]
    pub fn of(usual: Duration) -> Self {
        Self { usual: Some(usual), most: None }
    }

    /// No more time than this for any command, whatever it asks for.
    #[must_use]
    pub fn no_more_than(most: Duration) -> Self {
        Self { usual: Some(most), most: Some(most) }
    }

    /// The same, with no more time than this for any command, whatever it asks for.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Self {
        Self { most: Some(most), ..self }
    }

    fn within(&self, asked: Option<Duration>) -> Option<Duration> {
        let within = asked.or(self.usual);
        match (within, self.most) {
            (Some(within), Some(most)) => Some(within.min(most)),
            (within, most) => within.or(most),
        }
    }
}

#[async_trait]
impl Middleware for Deadline {
    async fn handle(&self, mut command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        command.within = self.within(command.within);
        next.run(command).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::none_asked(Deadline::of(Duration::from_secs(5)), None, 5)]
    #[case::less_asked(Deadline::of(Duration::from_secs(5)), Some(1), 1)]
    #[case::more_asked(Deadline::of(Duration::from_secs(5)), Some(9), 9)]
    #[case::too_much_asked(Deadline::of(Duration::from_secs(5)).at_most(Duration::from_secs(8)), Some(9), 8)]
    #[case::the_most(Deadline::no_more_than(Duration::from_secs(5)), None, 5)]
    fn how_long_a_command_may_take(#[case] deadline: Deadline, #[case] asked: Option<u64>, #[case] within: u64) {
        assert_eq!(deadline.within(asked.map(Duration::from_secs)), Some(Duration::from_secs(within)));
    }
}
