//! Places: where a store under trial lives.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use portolan_kernel::ports::Clock;
use portolan_kernel::values::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Where one store lives: a fresh folder, a name that nobody else has, and a clock.
///
/// The same place again is the same store again: reopened, through a second handle, or from another
/// process.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    name: String,
    clock: Arc<TestClock>,
    // Removes the folder with the place; a child's place is its parent's to remove.
    _owned: Option<TempDir>,
}

impl Place {
    /// A place that nobody has used.
    ///
    /// # Errors
    ///
    /// When the system's folder for temporary files cannot be written.
    pub fn fresh() -> std::io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("portolan-").rand_bytes(12).tempdir()?;
        let path = dir.path().to_path_buf();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        Ok(Self { dir: path, name, clock: Arc::default(), _owned: Some(dir) })
    }

    /// The place of a parent process, seen from its child.
    pub(crate) fn of_parent(dir: PathBuf, name: String, now: Timestamp) -> Self {
        Self { dir, name, clock: Arc::new(TestClock(now.as_micros().into())), _owned: None }
    }

    /// The same place, which stays this one's to remove.
    pub(crate) fn again(&self) -> Self {
        Self { dir: self.dir.clone(), name: self.name.clone(), clock: self.clock.clone(), _owned: None }
    }

    /// A folder of its own: empty at first, removed afterwards.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A name of its own, in lower-case letters, digits and `-`: for a table, a bucket or a key prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The clock to build the store with. A store that lets keys expire must take it.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// The same clock, to turn.
    #[must_use]
    pub fn test_clock(&self) -> &TestClock {
        &self.clock
    }
}

/// A clock that stands still until it is turned.
#[derive(Debug)]
pub struct TestClock(AtomicU64);

impl TestClock {
    /// Where it stands at first: 2026-01-01T00:00:00Z.
    pub const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

    /// Turns it forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self(Self::START.as_micros().into())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
