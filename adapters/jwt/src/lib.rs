//! Portolan's authenticator by signed JSON Web Tokens (RFC 7519), with keys that are given, or from a file that is read anew
//! when it changes.
//!
//! ```no_run
//! # use portolan_kernel::ports::Clock;
//! # use std::sync::Arc;
//! use portolan_jwt::{JwksFile, JwtAlgorithm, JwtAuthenticator};
//!
//! # fn authenticator(clock: Arc<dyn Clock>) -> Result<JwtAuthenticator, portolan_jwt::JwksError> {
//! let keys = JwksFile::open("/etc/bank/jwks.json", [JwtAlgorithm::RS256])?;
//! // An operator learns of keys that are not used, and of a file that is broken.
//! keys.on_change(|status| eprintln!("{status}"));
//! let authenticator = JwtAuthenticator::new(keys, clock).issuer("https://login.example").audience("bank");
//! # Ok(authenticator)
//! # }
//! ```
//!
//! An [`Admission`](portolan_kernel::application::Admission) of it goes to every transport.
//!
//! Signatures are checked by the crate `jsonwebtoken` on `aws-lc-rs`, which needs a C compiler; times, audiences and issuers
//! are checked here, by the clock that is given.

mod algorithm;
mod authenticator;
mod claims;
mod file;
mod jwks;
mod key;
mod keys;
mod token;

pub use algorithm::{JwtAlgorithm, UnknownAlgorithm};
pub use authenticator::JwtAuthenticator;
pub use file::{JwksFile, JwksStatus};
pub use jwks::{IgnoredKey, JwksError};
pub use key::{JwtKey, JwtKeyError};
pub use keys::JwtKeys;
