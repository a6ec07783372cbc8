//! The suite on a store in one file, right and wrong: what the laws of durability, damage, identity and several
//! processes find out.
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

mod journal;
mod store;

use portolan_conformance::{Place, event_store_laws};
use store::{FileStore, Flaw};

/// Flips one bit of the journal, wherever.
async fn flip_a_bit(place: &Place) -> std::io::Result<()> {
    let mut bytes = std::fs::read(store::path(place))?;
    let at = fastrand::usize(..bytes.len());
    bytes[at] ^= 1 << fastrand::u8(..8);
    std::fs::write(store::path(place), bytes)
}

event_store_laws! {
    open: async |place: &Place| FileStore::open(place, Flaw::None),
    damage: flip_a_bit,
}
