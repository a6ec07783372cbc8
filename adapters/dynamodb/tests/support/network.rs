//! The network between the store and DynamoDB.

use super::visibility::Visibility;
use super::wire::{self, Request};
use super::{Capacity, Fault, Rule};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A network between one DynamoDB and the stores of a test. Cheap to clone; it is the same network then.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    wire: SharedHttpClient,
    endpoint: String,
    pub(super) table: Option<String>,
    state: Arc<Mutex<State>>,
    visibility: Arc<Visibility>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    befallen: usize,
    latency: Duration,
    requests: Vec<Request>,
    capacity: Capacity,
}

impl Network {
    /// A network to the DynamoDB of this process; it does nothing of its own yet.
    pub(crate) fn new() -> Self {
        Self::to(&portolan_dynamodb_emulator::endpoint().expect("a DynamoDB for tests"))
    }

    /// A network to the DynamoDB at this URL. Plain HTTP: the tests need no TLS.
    pub(crate) fn to(endpoint: &str) -> Self {
        let wire = Builder::new().build_http();
        let direct = Client::from_conf(config(endpoint).http_client(wire.clone()).build());
        Self {
            wire,
            endpoint: endpoint.to_string(),
            table: None,
            state: Arc::default(),
            visibility: Arc::new(Visibility::new(direct)),
        }
    }

    /// The same network, for logs in a table that nobody else has.
    pub(crate) fn with_table(self, table: &str) -> Self {
        Self { table: Some(table.to_string()), ..self }
    }

    /// A client whose requests go over this network. It tries each once, so that what befalls one is seen.
    pub(crate) fn client(&self) -> Client {
        let config = config(&self.endpoint).http_client(self.clone()).interceptor(Capacity::default());
        Client::from_conf(config.retry_config(RetryConfig::disabled()).build())
    }

    /// A fault to come. Of several rules the first one counts that befalls a request.
    pub(crate) fn inject(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Forgets the faults to come, the requests and what they took.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        *state = State { latency: state.latency, ..State::default() };
    }

    /// How many requests a fault has befallen.
    pub(crate) fn befallen(&self) -> usize {
        self.state().befallen
    }

    /// How long each request takes besides.
    pub(crate) fn latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// The requests so far, those that never arrived included.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// What the answers say was consumed.
    pub(crate) fn capacity(&self) -> Capacity {
        self.state().capacity
    }

    /// From now on the items that a transaction writes become visible one by one, in random order, each within
    /// `longest` of the commit. The transaction is answered when the last one is visible: until then reads by others
    /// see some items new and some old, and writes of the old ones are refused with a conflict.
    ///
    /// Items that a transaction deletes go at once.
    pub(crate) fn reveal_one_by_one(&self, longest: Duration, seed: u64) {
        self.visibility.delay(longest, seed);
    }

    /// Has items whose key has this in it become visible so long after all others of their transaction.
    pub(crate) fn reveal_late(&self, of: &str, by: Duration) {
        self.visibility.delay_of(of, by);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(self, to: SharedHttpConnector, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let asked = Request::of(&request);
        let (fault, latency) = {
            let mut state = self.state();
            state.requests.push(asked.clone());
            let fault = state.rules.iter_mut().find_map(|rule| rule.befalls(&asked));
            state.befallen += usize::from(fault.is_some());
            (fault, state.latency)
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let forged = fault.and_then(|fault| fault.forged(&asked));
        match (fault, forged) {
            (Some(Fault::ServerErrorAfter), Some(forged)) => self.deliver(to, request, asked).await.map(|_| forged),
            (_, Some(forged)) => Ok(forged),
            (Some(Fault::NotSent), _) => Err(timed_out("the request was not sent")),
            (Some(Fault::Broken), _) => Err(ConnectorError::io("the connection broke, as told".into())),
            (Some(Fault::LostAnswer), _) => {
                self.deliver(to, request, asked).await?;
                Err(timed_out("the answer was lost"))
            }
            (Some(Fault::Late(delay)), _) => {
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    self.deliver(to, request, asked).await
                });
                Err(timed_out("the request is on its way"))
            }
            (Some(Fault::Slow(delay)), _) => {
                tokio::time::sleep(delay).await;
                self.deliver(to, request, asked).await
            }
            _ => self.deliver(to, request, asked).await,
        }
    }

    async fn deliver(
        &self,
        to: SharedHttpConnector,
        request: HttpRequest,
        asked: Request,
    ) -> Result<HttpResponse, ConnectorError> {
        let operation = asked.operation.clone();
        let (answer, body) = wire::read(self.visibility.clone().through(to, request, asked).await?).await?;
        self.state().capacity.add(&operation, &body["ConsumedCapacity"]);
        Ok(answer)
    }
}

fn timed_out(how: &str) -> ConnectorError {
    ConnectorError::timeout(format!("timed out, as told: {how}").into())
}

/// Who is asked, and as whom: the environment's credentials and region, or ones that any emulator takes.
fn config(endpoint: &str) -> aws_sdk_dynamodb::config::Builder {
    let of = |name: &str| std::env::var(name).ok();
    let credentials = match (of("AWS_ACCESS_KEY_ID"), of("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => Credentials::new(id, secret, of("AWS_SESSION_TOKEN"), None, "environment"),
        _ => Credentials::new("test", "test", None, None, "tests"),
    };
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(of("AWS_REGION").unwrap_or_else(|| "us-east-1".to_string())))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
}

impl HttpClient for Network {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let to = self.wire.http_connector(settings, components);
        SharedHttpConnector::new(Connector { network: self.clone(), to })
    }
}

#[derive(Debug)]
struct Connector {
    network: Network,
    to: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.network.clone().carry(self.to.clone(), request))
    }
}
