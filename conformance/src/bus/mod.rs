//! What the laws of `CommandBus` are tried on: a small application of the suite's own, over a store that can be made
//! to misbehave.

mod ask;
mod crossing;
mod domain;
mod layers;
mod projections;
mod runtime;
mod seats;
mod served;
mod store;
mod watch;

pub(crate) use ask::{App, Begun, add, close, encoded, entry, large, limit, of_tenant, seats, sent, written};
pub(crate) use domain::{AddEntries, Owner, Refused};
pub(crate) use layers::{LAYERS, Step};
pub(crate) use projections::{BOARD, ELSEWHERE, INDEX};
pub(crate) use served::World;
pub(crate) use store::{Fault, Gate, RETENTION};

pub use crossing::Crossing;
pub use served::{Composition, Served};
