//! Progress: how far a command has come, for whoever stops waiting for it.

use crate::ports::{CommandError, Receipt, Source};
use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::SeqCst};
use core::time::Duration;
use event_listener::{Event, listener};
use futures::FutureExt;
use futures::future::{Either, select};

/// Written by whoever carries the command out, read when its time is over. It needs no lock, so that it needs no
/// `std`.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: AtomicU8,
    is_over: AtomicBool,
    over: Event,
    retries: AtomicU32,
    asked: Option<Duration>,
}

/// Nothing is written, and nothing is on its way.
const NOTHING: u8 = 0;
/// An append is on its way.
const APPENDING: u8 = 1;
/// An append may have been written, and no later one has settled it.
const UNKNOWN: u8 = 2;
/// The command has taken effect.
const COMMITTED: u8 = 3;

impl Progress {
    /// That of a command whose caller has asked for an answer within this time.
    pub(super) fn within(asked: Option<Duration>) -> Self {
        Self { asked, ..Self::default() }
    }

    pub(super) fn asked(&self) -> Option<Duration> {
        self.asked
    }

    /// An append goes on its way.
    pub(super) fn appending(&self) {
        let _ = self.stage.compare_exchange(NOTHING, APPENDING, SeqCst, SeqCst);
    }

    /// The append was not written. What an earlier one came to may still be unknown.
    pub(super) fn not_written(&self) {
        let _ = self.stage.compare_exchange(APPENDING, NOTHING, SeqCst, SeqCst);
    }

    /// The append may have been written.
    pub(super) fn unknown(&self) {
        self.stage.store(UNKNOWN, SeqCst);
    }

    /// Neither this append was written nor any before it.
    pub(super) fn refused(&self) {
        self.stage.store(NOTHING, SeqCst);
    }

    /// The command has taken effect.
    pub(super) fn committed(&self) {
        self.stage.store(COMMITTED, SeqCst);
    }

    /// Once more: a decision is made anew, or a command sent again.
    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, SeqCst);
    }

    pub(super) fn retries(&self) -> u32 {
        self.retries.load(SeqCst)
    }

    /// Ends the command's time.
    pub(super) fn end(&self) {
        self.is_over.store(true, SeqCst);
        self.over.notify(usize::MAX);
    }

    /// Returns once the command's time is over.
    pub(super) async fn over(&self) {
        loop {
            listener!(self.over => over);
            if self.is_over.load(SeqCst) {
                return;
            }
            over.await;
        }
    }

    /// The work, as long as the command's time is not over; then what can be said of it.
    pub(super) async fn unless_over(
        &self,
        work: impl Future<Output = Result<Receipt, CommandError>>,
    ) -> Result<Receipt, CommandError> {
        // What has no time left is not even begun.
        if self.is_over.load(SeqCst) {
            return Err(self.verdict());
        }
        match select(pin!(work), pin!(self.over())).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(self.verdict()),
        }
    }

    /// The work, ended when `time` is: it hears of that and answers for itself. What then still does not answer, such
    /// as a middleware that lingers, is dropped.
    pub(super) async fn until(
        &self,
        time: impl Future<Output = ()>,
        work: impl Future<Output = Result<Receipt, CommandError>>,
    ) -> Result<Receipt, CommandError> {
        let mut work = pin!(work);
        match select(work.as_mut(), pin!(time)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => {
                self.end();
                work.now_or_never().unwrap_or_else(|| Err(self.verdict()))
            }
        }
    }

    /// What is true of a command that nobody waits for any longer (CB-08).
    fn verdict(&self) -> CommandError {
        match self.stage.load(SeqCst) {
            NOTHING => CommandError::DeadlinePassed,
            COMMITTED => CommandError::Unknown(Source::new(
                "the command was committed, and a middleware did not hand on its receipt before the deadline",
            )),
            _ => CommandError::Unknown(Source::new(
                "the deadline passed while its append was on its way; sent again under the same id, it answers \
                 what came of it",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Steps by their first letters.
    #[rstest]
    #[case::nothing_yet("", true)]
    #[case::on_its_way("a", false)]
    #[case::not_written("an", true)]
    #[case::unknown("au", false)]
    #[case::then_busy("auan", false)]
    #[case::then_refused("auar", true)]
    #[case::committed("ac", false)]
    fn the_deadline_tells_what_is_true(#[case] steps: &str, #[case] nothing: bool) {
        let progress = Progress::default();
        for step in steps.chars() {
            match step {
                'a' => progress.appending(),
                'n' => progress.not_written(),
                'u' => progress.unknown(),
                'r' => progress.refused(),
                _ => progress.committed(),
            }
        }
        progress.end();
        let error = progress.unless_over(core::future::pending()).now_or_never().unwrap().unwrap_err();
        assert_eq!(matches!(error, CommandError::DeadlinePassed), nothing, "{error}");
        assert_eq!(matches!(error, CommandError::Unknown(_)), !nothing, "{error}");
    }
}
