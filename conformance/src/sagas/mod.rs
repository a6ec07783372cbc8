//! What the laws of `SagaOrchestrator` are tried on: sagas of the suite's own, over a storage on trial, and a ledger of what
//! their steps have done.

mod cut;
mod domain;
mod ledger;
mod pace;
mod script;
mod steps;
mod world;

pub(crate) use cut::Cut;
pub(crate) use script::{Does, Script, script};
pub(crate) use steps::{KNOCK_PAUSE, PAY_ATTEMPTS, REFUND_ATTEMPTS, RESERVE_ATTEMPTS, TRIP, WALK, WALK_TIME};
pub(crate) use world::{Code, Process, World, trip, walk, word};

pub use world::{Orchestrated, SagaParts};
