//! The laws of `SagaOrchestrator`, a file a group.

mod back;
mod compensations;
mod definitions;
mod intents;
mod kills;
mod operators;
mod rivals;
mod starts;
mod time;
mod view;

pub use back::*;
pub use compensations::*;
pub use definitions::*;
pub use intents::*;
pub use kills::*;
pub use operators::*;
pub use rivals::*;
pub use starts::*;
pub use time::*;
