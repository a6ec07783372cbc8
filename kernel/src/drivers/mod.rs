//! Drivers: they wait, retry and write, over ports alone and on any runtime.

mod subscription;

pub use subscription::{Delivery, From, SubscribeError, Subscription, Subscriptions};
