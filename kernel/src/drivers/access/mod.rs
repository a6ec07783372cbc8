//! Access: who may do what at the ports, judged in one place for every transport.
//!
//! An [`AccessPolicy`] judges; [`Roles`] is one that is written down as data. [`GuardedPorts`] stand before the ports of an
//! application on behalf of one caller: they have the policy judge, and write the caller into metadata.
//! [`StaticKeys`] and [`Anybody`] are authenticators that need nothing but the kernel.

mod anybody;
mod guarded;
mod policy;
mod roles;
mod static_keys;

pub use anybody::Anybody;
pub use guarded::GuardedPorts;
pub use policy::{Access, AccessPolicy, Unrestricted};
pub use roles::{Role, Roles};
pub use static_keys::{StaticKey, StaticKeyError, StaticKeys};
