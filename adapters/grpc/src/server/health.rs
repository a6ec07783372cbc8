//! `grpc.health.v1.Health`: the process lives, and the store answers and can write.

use super::App;
use core::time::Duration;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{Append, Query, Read};
use std::sync::Arc;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

/// The services whose health can be asked for; the empty name is the server.
const SERVICES: [&str; 5] =
    ["", "portolan.v1.EventStore", "portolan.v1.Commands", "portolan.v1.Queries", "portolan.v1.Projections"];

pub(super) struct Health {
    pub(super) app: Arc<App>,
    pub(super) events: Arc<dyn EventStore>,
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !SERVICES.contains(&&*request.get_ref().service) {
            return Err(Status::not_found("there is no such service here"));
        }
        Ok(Response::new(response(status(&self.app, &*self.events).await)))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// The status, and then each change of it.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if !SERVICES.contains(&&*request.get_ref().service) {
            // As the protocol has it: the service may be yet to come.
            let unknown = stream::once(async { Ok(response(ServingStatus::ServiceUnknown)) });
            let unknown = unknown.chain(stream::pending()).take_until(self.app.stopping());
            return Ok(Response::new(unknown.boxed()));
        }
        let watched = stream::unfold((self.app.clone(), self.events.clone(), None), |(app, events, last)| async move {
            if last.is_some() && app.is_stopping() {
                return None;
            }
            loop {
                let now = status(&app, &*events).await;
                if Some(now) != last {
                    return Some((Ok(response(now)), (app, events, Some(now))));
                }
                tokio::select! {
                    () = tokio::time::sleep(app.config.health_interval) => {}
                    () = app.stopping() => {}
                }
            }
        });
        Ok(Response::new(watched.boxed()))
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

/// Serving: the server is not stopping, the store answers a read, and it takes an append of nothing, which writes nothing
/// (ES-10), and yet takes the way of every write: a lock held too long, a queue that is full, a file that cannot be written
/// any more.
async fn status(app: &App, events: &dyn EventStore) -> ServingStatus {
    const PATIENCE: Duration = Duration::from_secs(2);
    if app.is_stopping() {
        return ServingStatus::NotServing;
    }
    let answers = async {
        let newest = Read::log(Query::all().with_system()).backward().limit(1);
        events.read(newest).await.is_ok() && events.append(Append::default()).await.is_ok()
    };
    match tokio::time::timeout(PATIENCE, answers).await {
        Ok(true) => ServingStatus::Serving,
        Ok(false) | Err(_) => ServingStatus::NotServing,
    }
}
