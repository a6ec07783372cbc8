//! Drivers: they wait, retry and write, over ports alone and on any runtime.
//!
//! From the bottom: pages to streams ([`EventStoreExt`]) and to live [`Subscriptions`]; events to states
//! ([`Loader`]); commands to appends ([`Execution`]); and the two buses of an application in its own process
//! ([`LocalCommandBus`], [`LocalQueryBus`]) with what makes any bus pleasant to call ([`CommandBusExt`],
//! [`QueryBusExt`]).

mod backoff;
mod command_bus;
mod execution;
mod gate;
mod key;
mod loading;
mod query_bus;
mod reading;
mod send;
mod subscription;
mod turns;

pub use command_bus::{LocalCommandBus, RegisterError};
pub use execution::Execution;
pub use key::command_scope;
pub use loading::{LoadError, Loaded, Loader};
pub use query_bus::{LocalQueryBus, QueryBusExt, QueryContext, QueryHandler, Question, Reply};
pub use reading::EventStoreExt;
pub use send::{CommandBusExt, Sending};
pub use subscription::{Delivery, From, SubscribeError, Subscription, Subscriptions};

#[cfg(feature = "macros")]
pub use portolan_macros::Query;
