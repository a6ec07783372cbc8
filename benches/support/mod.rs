//! What the benchmarks share: one way to measure, to print, to write down, and to compare with the disk.

#![allow(dead_code, reason = "each benchmark takes what it needs of it")]

pub(crate) mod chart;
pub(crate) mod disk;
pub(crate) mod fixture;
pub(crate) mod machine;
pub(crate) mod report;

/// Whatever ends a benchmark early.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a benchmark's functions give.
pub(crate) type Outcome<T> = Result<T, Failure>;
