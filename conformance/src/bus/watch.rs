//! What decisions see, kept for the check that looks at them.
//!
//! Decisions are pure functions of types, and have nobody to tell. So a command names the world it belongs to, before
//! the first `.` of what it is about, and its decision finds the world's watch by that.

use portolan_kernel::domain::Context;
use portolan_kernel::values::{EventId, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

static WATCHES: LazyLock<Mutex<BTreeMap<String, Weak<Watch>>>> = LazyLock::new(Mutex::default);

/// What one decision saw of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The command's wire name.
    pub(crate) command: &'static str,
    /// What it was about.
    pub(crate) subject: String,
    /// The state: how many events were folded, and their sum.
    pub(crate) state: (u64, u64),
    /// The time of its context.
    pub(crate) now: Timestamp,
    /// The first two ids of its context.
    pub(crate) ids: [EventId; 2],
    /// The actor of its context.
    pub(crate) actor: Option<String>,
}

/// The decisions of one world.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Vec<Seen>>);

impl Watch {
    /// The watch of the world of this name.
    pub(crate) fn of_world(name: &str) -> Arc<Self> {
        let watch = Arc::new(Self::default());
        let mut watches = locked(&WATCHES);
        watches.retain(|_, watch| watch.strong_count() > 0);
        watches.insert(name.to_string(), Arc::downgrade(&watch));
        watch
    }

    /// All decisions so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        locked(&self.0).clone()
    }

    /// The decisions about this so far.
    pub(crate) fn about(&self, subject: &str) -> Vec<Seen> {
        locked(&self.0).iter().filter(|seen| seen.subject == subject).cloned().collect()
    }
}

/// Tells the world of the subject what a decision sees; gives the ids that it took from the context.
pub(super) fn tell(command: &'static str, subject: &str, state: (u64, u64), context: &Context) -> [EventId; 2] {
    let ids = [context.new_id(), context.new_id()];
    let world = subject.split('.').next().unwrap_or_default();
    let watch = locked(&WATCHES).get(world).and_then(Weak::upgrade);
    if let Some(watch) = watch {
        let (subject, actor) = (subject.to_string(), context.actor().map(str::to_string));
        locked(&watch.0).push(Seen { command, subject, state, now: context.now(), ids, actor });
    }
    ids
}

// Nothing under these locks panics halfway through a change.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
