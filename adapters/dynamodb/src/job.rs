//! An append on its way between its caller and the writer.

use crate::keys::Kept;
use crate::tail::Moment;
use alloc::sync::Arc;
use futures::channel::oneshot;
use portolan_kernel::ports::AppendError;
use portolan_kernel::values::{Append, Appended, Position, StreamId};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// An append, and what is known of it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) append: Arc<Append>,
    /// It is judged on what was observed later.
    pub(crate) since: Moment,
    /// When it is given up for lack of room.
    pub(crate) until: Instant,
    /// No event up to here fails its guard, beside `forbidden`.
    pub(crate) guarded: Option<u64>,
    /// An event that fails its guard stands here.
    pub(crate) forbidden: Option<Position>,
    /// Whether a stream that it expects to be missing is taken to be, where nothing is known of it.
    pub(crate) guesses: bool,
    /// Its checkpoint was found elsewhere: there.
    pub(crate) moved: Option<AppendError>,
}

/// An order in the queue, and who waits for its answer.
pub(crate) struct Job {
    pub(crate) order: Order,
    pub(crate) answer: oneshot::Sender<Answer>,
    /// Its place in the queue.
    pub(crate) _place: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Job {
    /// Answers it. Whoever asked may have stopped waiting (ES-12).
    pub(crate) fn answer(self, answer: Answer) {
        let _ = self.answer.send(answer);
    }

    /// Sends it back to be judged again when more is known.
    pub(crate) fn again(self, need: Need) {
        let _ = self.answer.send(Answer::Again(need, Box::new(self.order)));
    }
}

/// What comes of a job.
#[derive(Debug)]
pub(crate) enum Answer {
    Done(Appended),
    /// Something is recorded under its key.
    Kept(Box<Kept>),
    /// Refused, unless something is recorded under its key.
    Refused(AppendError),
    /// Its checkpoint would go past the frontier, unless it has moved.
    Beyond(AppendError),
    Again(Need, Box<Order>),
}

/// What has to be known before a job is judged.
#[derive(Debug)]
pub(crate) enum Need {
    /// The end of the log, as it is now.
    End,
    /// The last revisions of these streams.
    Heads(Vec<StreamId>),
    /// Whether the guard holds up to the end of the log.
    Guard,
    /// What is recorded under the key.
    Key,
}
