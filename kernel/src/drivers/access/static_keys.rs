//! Keys that are written down beforehand.

use crate::ports::{AuthenticationError, Authenticator, Caller, Credentials};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::fmt;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// An authenticator by keys that are known beforehand, each of a caller, shown as `Authorization: Bearer <key>`.
///
/// Only hashes (SHA-256) are kept and looked up, so that the time of an answer tells nothing of a key. That is enough for
/// keys that a machine has chosen, and not for passwords.
///
/// ```
/// # use portolan_kernel::drivers::StaticKeys;
/// let keys = StaticKeys::from_json(br#"[
///     {"key": "0n1y-f0r-tr7ing-0ut", "actor": "ann", "roles": ["teller"]},
///     {"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "actor": "node-2", "speaks_for_others": true}
/// ]"#)?;
/// # Ok::<(), portolan_kernel::drivers::StaticKeyError>(())
/// ```
///
/// Keeps the laws **AU-01** to **AU-04**; a request without credentials is [`Missing`](AuthenticationError::Missing).
#[derive(Clone, Default)]
pub struct StaticKeys {
    callers: BTreeMap<[u8; 32], Caller>,
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.callers.values().map(Caller::name)).finish()
    }
}

/// A key and its caller, as it is written down.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StaticKey {
    /// The key itself. Or else `sha256`.
    #[serde(default)]
    pub key: Option<String>,
    /// The SHA-256 of the key in 64 hexadecimal digits: `printf %s "$KEY" | sha256sum`.
    #[serde(default)]
    pub sha256: Option<String>,
    /// [`Caller::actor`].
    #[serde(default)]
    pub actor: Option<String>,
    /// [`Caller::tenant`].
    #[serde(default)]
    pub tenant: Option<String>,
    /// [`Caller::roles`].
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// [`Caller::speaks_for_others`].
    #[serde(default)]
    pub speaks_for_others: bool,
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKey").field("actor", &self.actor).finish_non_exhaustive()
    }
}

/// What is wrong with keys as they are written down. The number is that of the key, from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StaticKeyError {
    /// It is no JSON list of keys. What stands there is not repeated: it may be a key.
    #[error("the keys cannot be read: line {line}, column {column} is not as a list of keys has it")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column there.
        column: usize,
    },
    /// It has neither a key nor a hash, or both.
    #[error("key {0} needs either `key` or `sha256`")]
    NeitherOrBoth(usize),
    /// It can be guessed.
    #[error("key {0} is shorter than 16 characters and can be guessed; make one with `openssl rand -base64 24`")]
    Short(usize),
    /// It cannot be sent.
    #[error("key {0} has characters that no header can carry; take visible ASCII without spaces")]
    Unsendable(usize),
    /// It is no hash.
    #[error("the `sha256` of key {0} is not 64 hexadecimal digits")]
    NoHash(usize),
    /// It was there before.
    #[error("key {0} has been given to somebody before it")]
    Twice(usize),
}

impl StaticKeys {
    /// These keys.
    ///
    /// # Errors
    ///
    /// [`StaticKeyError`].
    pub fn new(keys: impl IntoIterator<Item = StaticKey>) -> Result<Self, StaticKeyError> {
        let mut callers = BTreeMap::new();
        for (number, key) in (1..).zip(keys) {
            let StaticKey { key, sha256, actor, tenant, roles, speaks_for_others } = key;
            let hash = match (key, sha256) {
                (Some(key), None) if !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                    return Err(StaticKeyError::Unsendable(number));
                }
                (Some(key), None) if key.len() < 16 => return Err(StaticKeyError::Short(number)),
                (Some(key), None) => Sha256::digest(key.as_bytes()).into(),
                (None, Some(hex)) => from_hex(&hex).ok_or(StaticKeyError::NoHash(number))?,
                _ => return Err(StaticKeyError::NeitherOrBoth(number)),
            };
            let caller = Caller { actor, tenant, roles, speaks_for_others, until: None };
            if callers.insert(hash, caller).is_some() {
                return Err(StaticKeyError::Twice(number));
            }
        }
        Ok(Self { callers })
    }

    /// Reads a list of [`StaticKey`].
    ///
    /// # Errors
    ///
    /// [`StaticKeyError`].
    pub fn from_json(json: &[u8]) -> Result<Self, StaticKeyError> {
        let keys: Vec<StaticKey> = serde_json::from_slice(json)
            .map_err(|error| StaticKeyError::Malformed { line: error.line(), column: error.column() })?;
        Self::new(keys)
    }
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

#[async_trait]
impl Authenticator for StaticKeys {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticationError> {
        if credentials.authorization.is_none() {
            return Err(AuthenticationError::Missing);
        }
        let key = credentials.bearer().ok_or(AuthenticationError::Refused(Cow::Borrowed("a bearer key is needed")))?;
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        self.callers.get(&hash).cloned().ok_or(AuthenticationError::Refused(Cow::Borrowed("nobody has this key")))
    }
}
