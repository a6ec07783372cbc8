//! The model-based law.

/// The seed of the random cases; a failure names it.
pub const SEED: &str = "PORTOLAN_LAWS_SEED";

/// How many random cases the model-based law tries.
pub const CASES: &str = "PORTOLAN_LAWS_CASES";
