//! Signed tokens (RFC 7515, compact form).

use crate::algorithm::JwtAlgorithm;
use crate::jwks::KeySet;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A longer token is not looked at.
const LONGEST: usize = 16 * 1024;

/// What is asked of a header. Where keys might be found (`jku`, `x5u`, `jwk`, `x5c`) is the sender's word, and not read.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A token whose signature is that of a key.
pub(crate) struct Token {
    pub(crate) kind: Option<String>,
    pub(crate) claims: Map<String, Value>,
}

impl Token {
    /// Takes a token that one of the keys has signed, and no other.
    pub(crate) fn verified(text: &str, keys: &KeySet) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        // Nothing that has to be understood is.
        if header.crit.is_some() {
            return None;
        }
        let algorithm: JwtAlgorithm = header.alg.parse().ok()?;
        let (claims, signature) = (URL_SAFE_NO_PAD.decode(claims).ok()?, URL_SAFE_NO_PAD.decode(signature).ok()?);
        let meant = |id: Option<&str>| match (id, &header.kid) {
            (Some(id), Some(named)) => id == named,
            _ => true,
        };
        // The key has its algorithm; a header only chooses among the keys.
        let mut candidates = keys.keys.iter().filter(|key| key.algorithm() == algorithm && meant(key.id()));
        if !candidates.any(|key| key.verifies(message.as_bytes(), &signature)) {
            return None;
        }
        Some(Self { kind: header.typ, claims: serde_json::from_slice(&claims).ok()? })
    }
}
