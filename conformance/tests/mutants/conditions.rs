//! x
use super::store::Mutant;
pub const MUTANTS: &[Mutant] = &[];
