//! JSON Web Key Sets (RFC 7517).

use crate::algorithm::{Family, JwtAlgorithm, UnknownAlgorithm};
use crate::key::{JwtKey, JwtKeyError};
use core::fmt;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The keys of a set, and those that were left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySet {
    pub(crate) keys: Vec<JwtKey>,
    pub(crate) ignored: Vec<IgnoredKey>,
}

/// A key of a set that is not used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredKey {
    /// Its number in the set, from 1.
    pub number: usize,
    /// Its `kid`, if it has one.
    pub id: Option<String>,
    /// Why it is not used.
    pub why: String,
}

impl fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "key {} ({id:?}): {}", self.number, self.why),
            None => write!(f, "key {}: {}", self.number, self.why),
        }
    }
}

/// What is wrong with a set of keys. It repeats nothing of a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// The file cannot be read.
    #[error("the keys cannot be read from {path}: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is larger than a set of keys is.
    #[error("the set of keys is larger than {0} bytes")]
    TooLarge(u64),
    /// It is no set of keys.
    #[error(
        "this is no set of keys: line {line}, column {column} is not as RFC 7517 has it; an object with a list `keys` is needed"
    )]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It has a private key, which must not be where tokens are only checked.
    #[error("key {0} of the set is a private key; take `d` and its like out, and think of it as known to others")]
    Private(usize),
    /// None of its keys can be used.
    #[error("the set has no key that can be used{}", listed(.0))]
    NoKey(Vec<IgnoredKey>),
}

fn listed(ignored: &[IgnoredKey]) -> String {
    let all: Vec<_> = ignored.iter().map(IgnoredKey::to_string).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join("; ")) }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Map<String, Value>>,
}

/// Members of private keys (RFC 7518, sections 6.2.2 and 6.3.2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

impl KeySet {
    /// Reads a set, of which keys for these algorithms are used.
    pub(crate) fn from_json(json: &[u8], allowed: &BTreeSet<JwtAlgorithm>) -> Result<Self, JwksError> {
        let set: Set = serde_json::from_slice(json)
            .map_err(|error| JwksError::Malformed { line: error.line(), column: error.column() })?;
        let mut all = Self::default();
        for (number, jwk) in (1..).zip(&set.keys) {
            // Of any kind, also of those that are not used: what lies here is read by others.
            if PRIVATE.iter().any(|member| jwk.contains_key(*member)) {
                return Err(JwksError::Private(number));
            }
            let id = text(jwk, "kid").map(str::to_owned);
            match key(jwk, allowed) {
                Ok(key) => all.keys.push(match id {
                    Some(id) => key.with_id(id),
                    None => key,
                }),
                Err(why) => all.ignored.push(IgnoredKey { number, id, why }),
            }
        }
        if all.keys.is_empty() { Err(JwksError::NoKey(all.ignored)) } else { Ok(all) }
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    jwk.get(member).and_then(Value::as_str)
}

fn key(jwk: &Map<String, Value>, allowed: &BTreeSet<JwtAlgorithm>) -> Result<JwtKey, String> {
    if jwk.get("kid").is_some_and(|id| !id.is_string()) {
        return Err("its `kid` is no string".to_owned());
    }
    if jwk.get("use").is_some_and(|used| used != "sig") {
        return Err("its `use` is not `sig`".to_owned());
    }
    let verifies =
        |operations: &Value| operations.as_array().is_some_and(|all| all.iter().any(|operation| operation == "verify"));
    if jwk.get("key_ops").is_some_and(|operations| !verifies(operations)) {
        return Err("its `key_ops` have no `verify`".to_owned());
    }
    let algorithm = algorithm(jwk, allowed)?;
    let member = |name: &str| text(jwk, name).ok_or_else(|| format!("it has no `{name}`"));
    let key = match algorithm.family() {
        Family::Secret => JwtKey::of_octets(algorithm, member("k")?),
        Family::Rsa => JwtKey::of_rsa(algorithm, member("n")?, member("e")?),
        Family::Ec(_) => JwtKey::of_point(algorithm, member("x")?, member("y")?),
        Family::Ed25519 => JwtKey::of_ed25519(member("x")?),
    };
    key.map_err(|error: JwtKeyError| error.to_string())
}

/// The one algorithm that a key is for: the one it names; or else the one that its kind has, of those allowed.
fn algorithm(jwk: &Map<String, Value>, allowed: &BTreeSet<JwtAlgorithm>) -> Result<JwtAlgorithm, String> {
    let kind = text(jwk, "kty").ok_or("it has no `kty`")?;
    let curve = text(jwk, "crv").unwrap_or_default();
    let fits = |algorithm: &JwtAlgorithm| match algorithm.family() {
        Family::Secret => kind == "oct",
        Family::Rsa => kind == "RSA",
        Family::Ec(32) => kind == "EC" && curve == "P-256",
        Family::Ec(_) => kind == "EC" && curve == "P-384",
        Family::Ed25519 => kind == "OKP" && curve == "Ed25519",
    };
    let mut of_kind = JwtAlgorithm::ALL.into_iter().filter(fits).peekable();
    if of_kind.peek().is_none() {
        return Err(format!("keys of the kind {kind:?} {curve:?} are not known here"));
    }
    if let Some(named) = jwk.get("alg") {
        // RFC 9864 names the curve instead of the family.
        let named = named.as_str().map(|name| if name == "Ed25519" { "EdDSA" } else { name }).unwrap_or_default();
        let named: JwtAlgorithm = named.parse().map_err(|error: UnknownAlgorithm| error.to_string())?;
        return match (fits(&named), allowed.contains(&named)) {
            (true, true) => Ok(named),
            (true, false) => Err(format!("{named} is not among the algorithms that are allowed")),
            (false, _) => Err(format!("{named} does not take a key of the kind {kind:?} {curve:?}")),
        };
    }
    let mut fitting = of_kind.filter(|algorithm| allowed.contains(algorithm));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(format!("no algorithm for keys of the kind {kind:?} {curve:?} is allowed")),
        (Some(_), Some(_)) => Err("it names no `alg`, and several that are allowed would take it".to_owned()),
    }
}
