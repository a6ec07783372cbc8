//! Real stores in pairs.
