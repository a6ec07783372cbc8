//! Access: who may do what at the ports, judged in one place for every transport.
//!
//! An [`AccessPolicy`] judges; [`Roles`] is one that is written down as data. A guard stands before the ports of an
//! application on behalf of one caller ([`Ports::on_behalf_of`](crate::application::Ports::on_behalf_of)): it has the policy
//! judge, and writes the caller into metadata.
//! [`StaticKeys`] and [`Anybody`] are authenticators that need nothing but the kernel.

mod anybody;
mod guarded;
mod policy;
mod roles;
mod static_keys;

pub use anybody::Anybody;
pub(crate) use guarded::GuardedPorts;
pub use policy::{Access, AccessPolicy, Unrestricted};
pub use roles::{Role, Roles};
pub use static_keys::{StaticKey, StaticKeyError, StaticKeys};
