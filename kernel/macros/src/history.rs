//! What `#[event(…)]` says of versions, as hops that a person could have written.

mod read;
mod write;

pub(crate) use read::{Rename, Renames, Retired, Upcast, fields, stored_name, version};
pub(crate) use write::{Life, Told};
