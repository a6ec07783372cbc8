//! Progress: how far a command has come, for whoever stops waiting for it.

use crate::ports::{CommandError, Receipt, Source};
use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use core::time::Duration;
use event_listener::{Event, listener};
use futures::FutureExt;
use futures::future::{Either, select};

/// Written by whoever carries the command out, read when its time is over. It needs no lock, so that it needs no
/// `std`.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How many appends may be written, now or later. Several attempts may be under way at once, and one that was
    /// dropped at the store counts for good.
    open: AtomicU32,
    is_committed: AtomicBool,
    is_over: AtomicBool,
    over: Event,
    retries: AtomicU32,
    asked: Option<Duration>,
}

/// The appends of one attempt, on the same conditions and under the same key. What is not settled when this is dropped
/// stays open.
#[derive(Debug)]
pub(super) struct Appends<'a> {
    progress: &'a Progress,
    open: u32,
}

impl Appends<'_> {
    /// An append goes on its way.
    pub(super) fn begin(&mut self) {
        self.open += 1;
        self.progress.open.fetch_add(1, SeqCst);
    }

    /// The last one was not written. What an earlier one came to may still be unknown.
    pub(super) fn not_written(&mut self) {
        self.close(1);
    }

    /// Neither the last one was written nor any before it, and none can be any longer.
    pub(super) fn refused(&mut self) {
        self.close(self.open);
    }

    fn close(&mut self, appends: u32) {
        self.open -= appends;
        self.progress.open.fetch_sub(appends, SeqCst);
    }
}

impl Progress {
    /// That of a command whose caller has asked for an answer within this time.
    pub(super) fn within(asked: Option<Duration>) -> Self {
        Self { asked, ..Self::default() }
    }

    pub(super) fn asked(&self) -> Option<Duration> {
        self.asked
    }

    /// An attempt comes to its appends.
    pub(super) fn appends(&self) -> Appends<'_> {
        Appends { progress: self, open: 0 }
    }

    /// The command has taken effect.
    pub(super) fn committed(&self) {
        self.is_committed.store(true, SeqCst);
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
        // What has no time left does nothing more; it has been decoded at most.
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
        if self.is_committed.load(SeqCst) {
            return CommandError::Unknown(Source::new(
                "the command was committed, and a middleware did not hand on its receipt before the deadline",
            ));
        }
        if self.open.load(SeqCst) > 0 {
            return CommandError::Unknown(Source::new(
                "the deadline passed while its append was on its way; sent again under the same id, it answers \
                 what came of it",
            ));
        }
        CommandError::DeadlinePassed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Steps by their first letters, in capitals those of a second attempt at the same time.
    #[rstest]
    #[case::nothing_yet("", true)]
    #[case::on_its_way("a", false)]
    #[case::not_written("an", true)]
    #[case::unknown("aa", false)]
    #[case::then_busy("aan", false)]
    #[case::then_refused("aar", true)]
    #[case::committed("ac", false)]
    #[case::one_of_two_not_written("aAN", false)]
    #[case::one_of_two_refused("aAR", false)]
    #[case::neither_of_two("aARn", true)]
    fn the_deadline_tells_what_is_true(#[case] steps: &str, #[case] nothing: bool) {
        let progress = Progress::default();
        let mut attempts = [progress.appends(), progress.appends()];
        for step in steps.chars() {
            let attempt = &mut attempts[usize::from(step.is_ascii_uppercase())];
            match step.to_ascii_lowercase() {
                'a' => attempt.begin(),
                'n' => attempt.not_written(),
                'r' => attempt.refused(),
                _ => progress.committed(),
            }
        }
        progress.end();
        let error = progress.unless_over(core::future::pending()).now_or_never().unwrap().unwrap_err();
        assert_eq!(matches!(error, CommandError::DeadlinePassed), nothing, "{error}");
        assert_eq!(matches!(error, CommandError::Unknown(_)), !nothing, "{error}");
    }
}
