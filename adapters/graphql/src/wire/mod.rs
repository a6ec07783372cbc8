//! How ports' values are written, as both sides of the wire know them.

pub(crate) mod cells;
pub(crate) mod errors;
pub(crate) mod event;
pub(crate) mod object;
pub(crate) mod problem;
pub(crate) mod projection;
pub(crate) mod receipt;
pub(crate) mod saga;
pub(crate) mod saga_errors;
pub(crate) mod store;
pub(crate) mod text;
