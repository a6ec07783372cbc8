//! What fields are resolved with: the application, and who asks.

use super::loader::Loader;
use super::tail::Tail;
use crate::config::ServerConfig;
use core::time::Duration;
use portolan_kernel::application::Ports;
use portolan_kernel::values::Metadata;
use std::sync::Arc;
use tokio::sync::watch;

/// What all requests share.
pub(crate) struct App {
    pub(crate) ports: Ports,
    pub(crate) config: ServerConfig,
    pub(crate) loader: Loader,
    pub(crate) tail: Tail,
    /// Whether the service has been told to end.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl App {
    /// Ready once the service has been told to end, or is gone.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// One request, or one connection of subscriptions.
#[derive(Clone)]
pub(crate) struct Context(pub(crate) Arc<Asked>);

pub(crate) struct Asked {
    pub(crate) app: Arc<App>,
    /// Who asks, in which trace.
    pub(crate) metadata: Metadata,
    /// How long the caller waits, where a field says nothing of its own.
    pub(crate) within: Option<Duration>,
}

impl juniper::Context for Context {}

impl core::ops::Deref for Context {
    type Target = Asked;
    fn deref(&self) -> &Asked {
        &self.0
    }
}

impl Context {
    /// The same, for a caller who waits this long.
    pub(crate) fn with_timeout(&self, within: Option<Duration>) -> Self {
        let asked = Asked { app: self.app.clone(), metadata: self.metadata.clone(), within: within.or(self.within) };
        Self(Arc::new(asked))
    }
}
