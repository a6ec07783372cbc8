//! A worker: fills the rows of one edition.

use super::engine::Engine;
use super::env::Env;
use crate::values::Edition;
use alloc::sync::Arc;
use async_channel::Receiver;
use core::convert::Infallible;

/// Tells a worker to stop: it closes.
pub(super) type Stop = Receiver<Infallible>;

/// Works on the edition until told to stop.
pub(super) async fn work(env: Arc<Env>, engine: Arc<dyn Engine>, edition: Edition, stop: Stop) {
    let _ = (env, engine, edition);
    let _ = stop.recv().await;
}
