//! Keys from a file that is read anew when it changes.

use crate::algorithm::JwtAlgorithm;
use crate::jwks::{IgnoredKey, JwksError, KeySet};
use crate::key::JwtKey;
use core::fmt;
use core::time::Duration;
use portolan_kernel::values::Timestamp;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// A file of more bytes than this is no set of keys.
const LARGEST: u64 = 1 << 20;

/// A JSON Web Key Set (RFC 7517) in a file, for the rotation of keys: the file is read anew when it changes.
///
/// Requests look at it, one a second at most by the authenticator's clock, so that it has to lie where reading is quick. It
/// can be replaced by a rename, which is best, or be written in place. What is found broken, or not found, leaves the keys
/// as they were; [`status`](Self::status) says so, and so does [`on_change`](Self::on_change). A set without any key that
/// can be used counts as broken too: to shut everybody out, put in a key that nobody signs with.
///
/// Keys with a `kid` are for tokens that name it, and for those that name none; keys without one are tried for every token
/// of their algorithm. Each is for one algorithm: its `alg`, or the only one of those allowed that takes such a key. Keys
/// that are for something else are left out, which the status tells. A private key makes the whole file a broken one.
///
/// Clones are one and the same.
///
/// ```no_run
/// use portolan_jwt::{JwksFile, JwtAlgorithm};
///
/// let keys = JwksFile::open("/etc/bank/jwks.json", [JwtAlgorithm::RS256, JwtAlgorithm::EdDSA])?;
/// keys.on_change(|status| eprintln!("{status}"));
/// # Ok::<(), portolan_jwt::JwksError>(())
/// ```
#[derive(Clone)]
pub struct JwksFile {
    inner: Arc<Inner>,
}

type Hook = Arc<dyn Fn(&JwksStatus) + Send + Sync>;

struct Inner {
    path: PathBuf,
    allowed: BTreeSet<JwtAlgorithm>,
    /// Whoever has it looks at the file; others go by the keys that stand.
    looking: Mutex<Looking>,
    standing: Mutex<Standing>,
}

struct Looking {
    every: Duration,
    last: Option<Timestamp>,
    /// What the keys that stand were read from.
    bytes: Vec<u8>,
}

struct Standing {
    keys: Arc<KeySet>,
    failure: Option<Arc<JwksError>>,
    hook: Option<Hook>,
}

/// How a file of keys stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JwksStatus {
    /// Where it is.
    pub path: PathBuf,
    /// The keys that tokens are checked with.
    pub keys: Vec<JwtKey>,
    /// The keys of the file that are not used.
    pub ignored: Vec<IgnoredKey>,
    /// Why the file could not be read when it was looked at last. The keys are then those from before.
    pub failure: Option<Arc<JwksError>>,
}

impl fmt::Display for JwksStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: keys in use: {}", self.path.display(), self.keys.len())?;
        for ignored in &self.ignored {
            write!(f, "; not used: {ignored}")?;
        }
        match &self.failure {
            Some(failure) => write!(f, "; these are from before, as {failure}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for JwksFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksFile").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl JwksFile {
    /// Reads the file, of which keys for these algorithms are used.
    ///
    /// # Errors
    ///
    /// [`JwksError`].
    pub fn open(
        path: impl Into<PathBuf>,
        algorithms: impl IntoIterator<Item = JwtAlgorithm>,
    ) -> Result<Self, JwksError> {
        let (path, allowed) = (path.into(), algorithms.into_iter().collect());
        let bytes = read(&path)?;
        let keys = Arc::new(KeySet::from_json(&bytes, &allowed)?);
        let looking = Mutex::new(Looking { every: Duration::from_secs(1), last: None, bytes });
        let standing = Mutex::new(Standing { keys, failure: None, hook: None });
        Ok(Self { inner: Arc::new(Inner { path, allowed, looking, standing }) })
    }

    /// Looks at the file so often at most, in place of once a second.
    pub fn look_every(&self, every: Duration) -> &Self {
        lock(&self.inner.looking).every = every;
        self
    }

    /// Has this told how the file stands: at once, and whenever that changes. It takes the place of one before.
    ///
    /// It is called by a request that waits for it, and may ask for anything here, [`reload`](Self::reload) included.
    pub fn on_change(&self, hook: impl Fn(&JwksStatus) + Send + Sync + 'static) -> &Self {
        let hook: Hook = Arc::new(hook);
        lock(&self.inner.standing).hook = Some(hook.clone());
        hook(&self.status());
        self
    }

    /// How it stood when it was looked at last.
    #[must_use]
    pub fn status(&self) -> JwksStatus {
        let standing = lock(&self.inner.standing);
        let KeySet { keys, ignored } = (*standing.keys).clone();
        JwksStatus { path: self.inner.path.clone(), keys, ignored, failure: standing.failure.clone() }
    }

    /// Looks at the file now, and says how it stands: as a handler of SIGHUP does.
    pub fn reload(&self) -> JwksStatus {
        let changed = self.look(&mut lock(&self.inner.looking));
        self.tell(changed);
        self.status()
    }

    /// The keys that stand, after a look if one is due.
    pub(crate) fn keys(&self, now: Timestamp) -> Arc<KeySet> {
        let looking = match self.inner.looking.try_lock() {
            Ok(looking) => Some(looking),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(mut looking) = looking {
            // A clock that was set back is no reason to wait for the time that was.
            let waited = looking.last.and_then(|last| now.as_micros().checked_sub(last.as_micros()));
            if waited.is_none_or(|waited| u128::from(waited) >= looking.every.as_micros()) {
                looking.last = Some(now);
                let changed = self.look(&mut looking);
                drop(looking);
                self.tell(changed);
            }
        }
        lock(&self.inner.standing).keys.clone()
    }

    /// Whether there is something to tell.
    fn look(&self, looking: &mut Looking) -> bool {
        let read = read(&self.inner.path).and_then(|bytes| {
            let anew = bytes != looking.bytes;
            let keys = if anew { Some(KeySet::from_json(&bytes, &self.inner.allowed)?) } else { None };
            looking.bytes = bytes;
            Ok(keys)
        });
        let mut standing = lock(&self.inner.standing);
        match read {
            Ok(keys) => {
                let changed = keys.is_some() || standing.failure.is_some();
                standing.failure = None;
                if let Some(keys) = keys {
                    standing.keys = Arc::new(keys);
                }
                changed
            }
            Err(failure) => {
                let told = standing.failure.as_ref().map(ToString::to_string);
                let changed = told.as_deref() != Some(failure.to_string().as_str());
                standing.failure = Some(Arc::new(failure));
                changed
            }
        }
    }

    /// Calls the hook, which may look itself: nothing is locked meanwhile.
    fn tell(&self, changed: bool) {
        let hook = lock(&self.inner.standing).hook.clone().filter(|_| changed);
        if let Some(hook) = hook {
            hook(&self.status());
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, JwksError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|source| JwksError::Unreadable { path: path.display().to_string(), source })?;
    if bytes.len() as u64 > LARGEST { Err(JwksError::TooLarge(LARGEST)) } else { Ok(bytes) }
}

/// What is guarded is whole at every moment, so that a panic elsewhere does it no harm.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
