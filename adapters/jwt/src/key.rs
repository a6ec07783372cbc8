//! One key.

use crate::algorithm::{Family, JwtAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use jsonwebtoken::crypto::CryptoProvider;
use jsonwebtoken::{DecodingKey, errors};

/// By its name, and not what the process has chosen: another crate may have chosen otherwise, or nothing.
static CRYPTOGRAPHY: &CryptoProvider = &jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;

/// The least length of an RSA modulus in bytes, 2048 bits (RFC 7518, section 3.3), and the greatest.
const RSA_BYTES: core::ops::RangeInclusive<usize> = 256..=1024;

/// A key that tokens are checked with, for one algorithm. It shows nothing of a secret.
///
/// ```
/// # use portolan_jwt::{JwtAlgorithm, JwtKey};
/// let key = JwtKey::secret(JwtAlgorithm::HS256, b"32 bytes, as from openssl rand 32")?.with_id("2026-11");
/// assert_eq!(format!("{key:?}"), "JwtKey { id: Some(\"2026-11\"), algorithm: HS256 }");
/// # Ok::<(), portolan_jwt::JwtKeyError>(())
/// ```
#[derive(Clone)]
pub struct JwtKey {
    id: Option<String>,
    algorithm: JwtAlgorithm,
    key: DecodingKey,
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey").field("id", &self.id).field("algorithm", &self.algorithm).finish()
    }
}

/// Why something is no key for an algorithm. It repeats nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtKeyError {
    /// The algorithm takes another kind of key.
    #[error("{0} does not take a key of this kind; name the algorithm that the key was made for")]
    WrongKind(JwtAlgorithm),
    /// It can be guessed.
    #[error(
        "a secret for {algorithm} has {least} bytes at least, and this one has {found}; make one with `openssl rand`"
    )]
    ShortSecret {
        /// For which it was meant.
        algorithm: JwtAlgorithm,
        /// How many bytes it must have.
        least: usize,
        /// How many it has.
        found: usize,
    },
    /// It is too weak, or larger than the library checks.
    #[error("an RSA key has 2048 to 8192 bits, and this one has not; make another")]
    RsaSize,
    /// It can sign. Whoever only checks tokens has no need for it, and it must not lie about.
    #[error("this is a private key; give the public one, as from `openssl pkey -pubout`")]
    Private,
    /// It cannot be read.
    #[error("the key cannot be read: {0}")]
    Malformed(String),
}

impl JwtKey {
    /// A secret that the issuer of the tokens has too, for one of HS256, HS384 and HS512. It is at least as long as the
    /// algorithm's hash: 32, 48 or 64 bytes.
    ///
    /// # Errors
    ///
    /// [`JwtKeyError`].
    pub fn secret(algorithm: JwtAlgorithm, secret: &[u8]) -> Result<Self, JwtKeyError> {
        if algorithm.family() != Family::Secret {
            return Err(JwtKeyError::WrongKind(algorithm));
        }
        // Most often a file that was not meant; as a secret it would be what everybody knows.
        if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Err(JwtKeyError::WrongKind(algorithm));
        }
        let (least, found) = (algorithm.least_secret(), secret.len());
        if found < least {
            return Err(JwtKeyError::ShortSecret { algorithm, least, found });
        }
        Ok(Self::of(algorithm, DecodingKey::from_secret(secret)))
    }

    /// A public key in PEM (`BEGIN PUBLIC KEY`, or `BEGIN RSA PUBLIC KEY`), for any algorithm but those of secrets.
    ///
    /// # Errors
    ///
    /// [`JwtKeyError`].
    pub fn pem(algorithm: JwtAlgorithm, pem: &[u8]) -> Result<Self, JwtKeyError> {
        let text = core::str::from_utf8(pem).map_err(|_| malformed("it is no text"))?;
        let labels: Vec<_> = text.split("-----BEGIN ").skip(1).filter_map(|rest| rest.split("-----").next()).collect();
        match labels[..] {
            ["PUBLIC KEY" | "RSA PUBLIC KEY"] => {}
            [] => return Err(malformed("it has no line `-----BEGIN PUBLIC KEY-----`")),
            _ if labels.iter().any(|label| label.ends_with("PRIVATE KEY")) => return Err(JwtKeyError::Private),
            [_] => {
                return Err(malformed(
                    "it is no public key; take one from a certificate with `openssl x509 -pubkey -noout`",
                ));
            }
            _ => return Err(malformed("there are several; give each alone")),
        }
        let wrong_kind = |_: errors::Error| JwtKeyError::WrongKind(algorithm);
        let key = match algorithm.family() {
            Family::Secret => return Err(JwtKeyError::WrongKind(algorithm)),
            Family::Rsa => {
                let key = DecodingKey::from_rsa_pem(pem).map_err(wrong_kind)?;
                let der = key.try_get_as_bytes().map_err(wrong_kind)?;
                // An RSA key, and not just something that was in the place of one.
                let components = CRYPTOGRAPHY.key_utils.rsa_pub_components_from_public_key;
                let (n, e) = components(der).map_err(wrong_kind)?;
                rsa(&n, &e)?
            }
            Family::Ec(coordinate) => {
                let key = DecodingKey::from_ec_pem(pem).map_err(wrong_kind)?;
                let point = key.try_get_as_bytes().map_err(wrong_kind)?;
                if point.len() != 1 + 2 * coordinate {
                    return Err(JwtKeyError::WrongKind(algorithm));
                }
                key
            }
            Family::Ed25519 => DecodingKey::from_ed_pem(pem).map_err(wrong_kind)?,
        };
        Ok(Self::of(algorithm, key))
    }

    /// The same, for tokens that name it as `kid`.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// The `kid` of tokens that are checked with it; those of others are not. `None` for a key that is tried for every
    /// token of its algorithm.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm that it is for.
    #[must_use]
    pub fn algorithm(&self) -> JwtAlgorithm {
        self.algorithm
    }

    fn of(algorithm: JwtAlgorithm, key: DecodingKey) -> Self {
        Self { id: None, algorithm, key }
    }

    /// A secret in base64url.
    pub(crate) fn of_octets(algorithm: JwtAlgorithm, k: &str) -> Result<Self, JwtKeyError> {
        Self::secret(algorithm, &decoded(k, "k")?)
    }

    pub(crate) fn of_rsa(algorithm: JwtAlgorithm, n: &str, e: &str) -> Result<Self, JwtKeyError> {
        Ok(Self::of(algorithm, rsa(&decoded(n, "n")?, &decoded(e, "e")?)?))
    }

    pub(crate) fn of_point(algorithm: JwtAlgorithm, x: &str, y: &str) -> Result<Self, JwtKeyError> {
        let Family::Ec(coordinate) = algorithm.family() else { return Err(JwtKeyError::WrongKind(algorithm)) };
        if [decoded(x, "x")?, decoded(y, "y")?].iter().any(|part| part.len() != coordinate) {
            return Err(malformed("`x` or `y` is not as long as the curve has it"));
        }
        let key = DecodingKey::from_ec_components(x, y).map_err(|error| malformed(&error.to_string()))?;
        Ok(Self::of(algorithm, key))
    }

    pub(crate) fn of_ed25519(x: &str) -> Result<Self, JwtKeyError> {
        if decoded(x, "x")?.len() != 32 {
            return Err(malformed("`x` is not 32 bytes long"));
        }
        let key = DecodingKey::from_ed_components(x).map_err(|error| malformed(&error.to_string()))?;
        Ok(Self::of(JwtAlgorithm::EdDSA, key))
    }

    /// Whether the signature is one of the message under this key.
    pub(crate) fn verifies(&self, message: &[u8], signature: &Vec<u8>) -> bool {
        let verifier = (CRYPTOGRAPHY.verifier_factory)(&self.algorithm.of_library(), &self.key);
        verifier.is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<DecodingKey, JwtKeyError> {
    let without_zeros = |bytes: &[u8]| bytes.iter().position(|byte| *byte != 0).map_or(0, |at| bytes.len() - at);
    if !RSA_BYTES.contains(&without_zeros(n)) {
        return Err(JwtKeyError::RsaSize);
    }
    if without_zeros(e) == 0 {
        return Err(malformed("`e` is zero"));
    }
    Ok(DecodingKey::from_rsa_raw_components(n, e))
}

fn decoded(text: &str, member: &str) -> Result<Vec<u8>, JwtKeyError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed(&format!("`{member}` is no base64url without padding")))
}

fn malformed(what: &str) -> JwtKeyError {
    JwtKeyError::Malformed(what.to_owned())
}
