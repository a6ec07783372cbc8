//! A trial: one check on one fresh place.

use crate::child::Child;
use crate::fixture::Damage;
use crate::{Broken, Fixture, Place, Port, TestClock, Verdict};
use core::fmt;
use core::time::Duration;
use std::ffi::OsString;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

/// How much work the repeating checks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// A tenth, for proving the suite itself on many wrong stores.
    Quick,
    /// What an adapter's test run takes.
    #[default]
    Normal,
}

/// What a check is given: a fresh place, and the way to open the store there.
pub struct Trial<P: Port + ?Sized> {
    pub(crate) fixture: Fixture<P>,
    pub(crate) place: Place,
    pub(crate) effort: Effort,
    pub(crate) law: &'static str,
    pub(crate) entry: Option<String>,
    pub(crate) unreachable: std::cell::RefCell<Option<String>>,
    pub(crate) opened: std::cell::Cell<bool>,
    pub(crate) not_run: std::cell::Cell<Option<&'static str>>,
}

impl<P: Port + ?Sized> fmt::Debug for Trial<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("law", &self.law).field("place", &self.place).finish_non_exhaustive()
    }
}

impl<P: Port<Site = Place> + ?Sized> Trial<P> {
    /// Opens the store: the first time a new one, later the same one again. Drop the handle before to
    /// reopen, keep it to have two.
    ///
    /// # Errors
    ///
    /// When the fixture's `open` fails.
    #[track_caller]
    pub fn open(&self) -> impl Future<Output = Verdict<Arc<P>>> {
        let at = Location::caller();
        self.open_site(&self.place, at)
    }

    /// Opens the store where that may be refused.
    ///
    /// # Errors
    ///
    /// What the fixture's `open` said.
    pub async fn try_open(&self) -> Result<Arc<P>, String> {
        self.fixture.open(&self.place).await
    }

    /// Opens a store at another place than the trial's own.
    pub(crate) async fn open_at(&self, place: &Place) -> Result<Arc<P>, String> {
        self.fixture.open(place).await
    }
}

impl<P: Port + ?Sized> Trial<P> {
    /// Opens what is on trial at a site. When the first opening fails, it cannot be reached at all.
    pub(crate) async fn open_site(&self, site: &P::Site, at: &'static Location<'static>) -> Verdict<Arc<P>> {
        let first = !self.opened.replace(true);
        self.fixture.open(site).await.map_err(|error| {
            if first {
                *self.unreachable.borrow_mut() = Some(error.clone());
            }
            Broken::new("opening what is on trial", "it opens", error).at(at)
        })
    }

    /// The place.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The clock that the store was built with, if it takes one.
    pub fn clock(&self) -> &TestClock {
        self.place.test_clock()
    }

    /// Whether the author declares that it has this.
    pub fn has(&self, lack: P::Lack) -> bool {
        !self.fixture.lacked().contains_key(&lack)
    }

    /// How often to repeat what an adapter's run repeats `normal` times.
    pub fn rounds(&self, normal: usize) -> usize {
        match self.effort {
            Effort::Quick => normal.div_ceil(10),
            Effort::Normal => normal,
        }
    }

    /// How long to wait for what has to come, and in a wrong store never does.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(match self.effort {
            Effort::Quick => 4,
            Effort::Normal => 10,
        })
    }

    /// Damages the stored bytes by the author's hook; `false` when there is none.
    ///
    /// # Errors
    ///
    /// When the hook fails.
    pub async fn damage(&self) -> Verdict<bool> {
        match self.fixture.do_damage(&self.place).await {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(Broken::new("the hook that damages the store", "damaged bytes", error)),
        }
    }

    /// Damages the bytes stored at a place: by the author's hook, or else by flipping a bit wherever a file of
    /// the place holds `mark`. `false` when there is neither.
    ///
    /// # Errors
    ///
    /// When the hook fails.
    pub(crate) async fn damage_at(&self, place: &Place, mark: &str) -> Verdict<bool> {
        let failed = |error| Broken::new("damaging the stored bytes", "damaged bytes", error);
        match self.fixture.do_damage(place).await {
            Some(done) => done.map(|()| true).map_err(failed),
            None => flip_marked(place.dir(), mark.as_bytes()).map_err(|error| failed(error.to_string())),
        }
    }

    /// Why the store keeps no files in the place's folder, if its author says so.
    pub(crate) fn remote(&self) -> Option<&'static str> {
        self.fixture.remote_because()
    }

    /// Whether the author says that the store cannot notice such damage.
    pub(crate) fn is_blind_to(&self, damage: Damage) -> bool {
        self.fixture.blindness().contains_key(&damage)
    }

    /// Marks the check as one that could not be made, and why: nothing is left out silently.
    pub(crate) fn not_run(&self, why: &'static str) {
        self.not_run.set(Some(why));
    }

    /// Starts the test binary again as a child that plays `role` (one of the law's `roles`) at this place.
    ///
    /// # Errors
    ///
    /// When the law does not run as a test of its own, or the process cannot be started.
    pub fn child(&self, role: &'static str) -> Verdict<Child> {
        self.child_in(role, Vec::new())
    }

    /// A child with more variables in its environment.
    pub(crate) fn child_in(&self, role: &'static str, environment: Vec<(&'static str, OsString)>) -> Verdict<Child> {
        let entry = self.entry.as_deref().ok_or_else(|| {
            Broken::new("starting a child process", "a law that runs as a test of its own", "it does not")
        })?;
        Child::start(entry, self.law, role, &self.place, environment)
            .map_err(|error| Broken::new("starting a child process", "a running child", error.to_string()))
    }
}

/// Flips a bit in each occurrence of the mark in the files under a folder; whether there was one.
fn flip_marked(dir: &Path, mark: &[u8]) -> std::io::Result<bool> {
    let mut flipped = false;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            flipped |= flip_marked(&path, mark)?;
            continue;
        }
        let mut bytes = std::fs::read(&path)?;
        let found: Vec<_> =
            bytes.windows(mark.len()).enumerate().filter(|(_, w)| *w == mark).map(|(at, _)| at).collect();
        for at in &found {
            bytes[at + fastrand::usize(..mark.len())] ^= 1 << fastrand::u8(..7);
        }
        if !found.is_empty() {
            std::fs::write(&path, bytes)?;
            flipped = true;
        }
    }
    Ok(flipped)
}
