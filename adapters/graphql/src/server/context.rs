//! What fields are resolved with: what the service shares, and the ports as the caller may use them.

use super::loader::{Group, Loader};
use super::tail::Tail;
use crate::config::ServerConfig;
use crate::wire::problem::Problem;
use core::time::Duration;
use portolan_kernel::application::{Admitted, Ports};
use portolan_kernel::ports::{Caller, RowsAnswer};
use portolan_kernel::values::{Metadata, RowKey, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

/// What all requests share. No port is here, so that no field can be resolved past the caller's.
pub(crate) struct App {
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
    /// The ports as the caller may use them.
    pub(crate) ports: Ports,
    caller: Arc<Caller>,
    /// Who asks, in which trace.
    pub(crate) metadata: Metadata,
    /// How long the caller waits, where a field says nothing of its own.
    pub(crate) within: Option<Duration>,
    /// What has been done already, by the name in the answer.
    done: Mutex<BTreeMap<String, Result<Value, Problem>>>,
}

impl juniper::Context for Context {}

impl core::ops::Deref for Context {
    type Target = Asked;
    fn deref(&self) -> &Asked {
        &self.0
    }
}

impl Context {
    /// Of a request that has been let in.
    pub(super) fn new(app: &Arc<App>, admitted: Admitted, metadata: Metadata, within: Option<Duration>) -> Self {
        let Admitted { caller, ports, .. } = admitted;
        Self(Arc::new(Asked {
            app: app.clone(),
            ports,
            caller: Arc::new(caller),
            metadata,
            within,
            done: Mutex::default(),
        }))
    }

    /// Of another operation of the same caller, who waits this long.
    pub(crate) fn with_timeout(&self, within: Option<Duration>) -> Self {
        let Asked { app, ports, caller, metadata, within: usual, .. } = self.0.as_ref();
        let (app, ports, caller, metadata) = (app.clone(), ports.clone(), caller.clone(), metadata.clone());
        Self(Arc::new(Asked { app, ports, caller, metadata, within: within.or(*usual), done: Mutex::default() }))
    }

    /// Does what a field of a mutation asks for, once: a field that is written twice, as fragments do, is one, with the
    /// selections of both.
    pub(super) async fn once(
        &self,
        field: String,
        doing: impl Future<Output = Result<Value, Problem>>,
    ) -> Result<Value, Problem> {
        let mut done = self.done.lock().await;
        if let Some(known) = done.get(&field) {
            return known.clone();
        }
        let answer = doing.await;
        done.insert(field, answer.clone());
        answer
    }

    /// An answer that has this row in it, if there is one.
    pub(super) async fn row(&self, group: Group, key: RowKey) -> Result<Arc<RowsAnswer>, Problem> {
        self.app.loader.row((&self.caller, &self.ports.projections), group, key).await
    }

    /// Ready once the caller's credentials have expired.
    pub(super) fn expired(&self) -> impl Future<Output = ()> + Send + use<> {
        expired(self.caller.until)
    }
}

/// Ready at this moment of the system's clock, which may be set in the meantime.
async fn expired(until: Option<Timestamp>) {
    /// How long the clock is not looked at.
    const LONGEST: Duration = Duration::from_secs(60);
    let Some(until) = until else { return core::future::pending().await };
    loop {
        let now = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or_default();
        match until.as_micros().saturating_sub(now) {
            0 => return,
            left => tokio::time::sleep(Duration::from_micros(left).min(LONGEST)).await,
        }
    }
}
