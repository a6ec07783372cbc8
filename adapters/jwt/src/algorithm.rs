//! Signature algorithms.

use core::fmt;
use core::str::FromStr;

/// How a token is signed, by the names of RFC 7518 and RFC 8037. `none` is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256: a secret that both sides know.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSA (PKCS #1, version 1.5) with SHA-256.
    RS256,
    /// RSA (PKCS #1, version 1.5) with SHA-384.
    RS384,
    /// RSA (PKCS #1, version 1.5) with SHA-512.
    RS512,
    /// RSA (PSS) with SHA-256.
    PS256,
    /// RSA (PSS) with SHA-384.
    PS384,
    /// RSA (PSS) with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

/// What kind of key an algorithm takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Secret,
    Rsa,
    /// With the length of a coordinate in bytes.
    Ec(usize),
    Ed25519,
}

impl JwtAlgorithm {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// Its name, as in a token's header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    pub(crate) const fn family(self) -> Family {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => Family::Secret,
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => Family::Rsa,
            Self::ES256 => Family::Ec(32),
            Self::ES384 => Family::Ec(48),
            Self::EdDSA => Family::Ed25519,
        }
    }

    /// The least length of a secret in bytes: that of the hash (RFC 7518, section 3.2).
    pub(crate) const fn least_secret(self) -> usize {
        match self {
            Self::HS384 => 48,
            Self::HS512 => 64,
            _ => 32,
        }
    }

    pub(crate) const fn of_library(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm as Of;
        match self {
            Self::HS256 => Of::HS256,
            Self::HS384 => Of::HS384,
            Self::HS512 => Of::HS512,
            Self::RS256 => Of::RS256,
            Self::RS384 => Of::RS384,
            Self::RS512 => Of::RS512,
            Self::PS256 => Of::PS256,
            Self::PS384 => Of::PS384,
            Self::PS512 => Of::PS512,
            Self::ES256 => Of::ES256,
            Self::ES384 => Of::ES384,
            Self::EdDSA => Of::EdDSA,
        }
    }
}

impl fmt::Display for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JwtAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name).ok_or(UnknownAlgorithm)
    }
}

/// A name that is none of a [`JwtAlgorithm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no algorithm for signatures that is known here; take one of HS256 to HS512, RS256 to RS512, PS256 to PS512, ES256, ES384 and EdDSA"
)]
pub struct UnknownAlgorithm;
