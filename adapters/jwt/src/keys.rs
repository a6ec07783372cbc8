//! Where keys come from.

use crate::algorithm::JwtAlgorithm;
use crate::file::JwksFile;
use crate::jwks::{IgnoredKey, JwksError, KeySet};
use crate::key::JwtKey;
use portolan_kernel::values::Timestamp;
use std::sync::Arc;

/// The keys that tokens are checked with: some that stay, or those of a file that changes.
///
/// ```
/// # use portolan_jwt::{JwtAlgorithm, JwtKey, JwtKeys};
/// let new = JwtKey::secret(JwtAlgorithm::HS256, b"32 bytes, as from openssl rand 32")?.with_id("2026-11");
/// let old = JwtKey::secret(JwtAlgorithm::HS256, b"others of 32, which are given up.")?.with_id("2026-10");
/// let keys = JwtKeys::from_iter([new, old]);
/// # Ok::<(), portolan_jwt::JwtKeyError>(())
/// ```
#[derive(Debug, Clone)]
pub struct JwtKeys(Place);

#[derive(Debug, Clone)]
enum Place {
    Memory(Arc<KeySet>),
    File(JwksFile),
}

impl JwtKeys {
    /// Those of a JSON Web Key Set, of which keys for these algorithms are used. As for a [`JwksFile`], with those that
    /// are left out.
    ///
    /// # Errors
    ///
    /// [`JwksError`].
    pub fn from_jwks(
        json: &[u8],
        algorithms: impl IntoIterator<Item = JwtAlgorithm>,
    ) -> Result<(Self, Vec<IgnoredKey>), JwksError> {
        let set = KeySet::from_json(json, &algorithms.into_iter().collect())?;
        let ignored = set.ignored.clone();
        Ok((Self(Place::Memory(Arc::new(set))), ignored))
    }

    pub(crate) fn at(&self, now: Timestamp) -> Arc<KeySet> {
        match &self.0 {
            Place::Memory(keys) => keys.clone(),
            Place::File(file) => file.keys(now),
        }
    }
}

impl FromIterator<JwtKey> for JwtKeys {
    fn from_iter<I: IntoIterator<Item = JwtKey>>(keys: I) -> Self {
        Self(Place::Memory(Arc::new(KeySet { keys: keys.into_iter().collect(), ignored: Vec::new() })))
    }
}

impl From<JwtKey> for JwtKeys {
    fn from(key: JwtKey) -> Self {
        Self::from_iter([key])
    }
}

impl From<JwksFile> for JwtKeys {
    fn from(file: JwksFile) -> Self {
        Self(Place::File(file))
    }
}
