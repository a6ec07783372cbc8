//! Who is let in by the servers of the tests, what each may do, and a store that counts what reaches it.

use super::{Noon, Running};
use async_trait::async_trait;
use portolan_conformance::ReferenceStore;
use portolan_http::{ClientConfig, HttpClient, HttpServer};
use portolan_kernel::application::Admission;
use portolan_kernel::drivers::{Roles, StaticKeys};
use portolan_kernel::ports::{
    AppendError, AuthenticationError, Authenticator, Caller, Capabilities, Credentials, EventStore, ReadError, Source,
};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, Timestamp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) const ANN: &str = "Authorization: Bearer ann-has-this-key";
pub(crate) const BOB: &str = "Authorization: Bearer bob-has-this-key";
/// Another of Ann's tenant.
pub(crate) const CID: &str = "Authorization: Bearer cid-has-this-key";
/// An Ann of another tenant.
pub(crate) const SOUTHERN_ANN: &str = "Authorization: Bearer ann-of-the-south";
pub(crate) const NODE: &str = "Authorization: Bearer between-the-nodes";

const KEYS: &[u8] = br#"[
    {"key": "ann-has-this-key", "actor": "ann", "tenant": "north", "roles": ["teller"]},
    {"key": "cid-has-this-key", "actor": "cid", "tenant": "north", "roles": ["teller"]},
    {"key": "ann-of-the-south", "actor": "ann", "tenant": "south", "roles": ["teller"]},
    {"key": "bob-has-this-key", "actor": "bob"},
    {"key": "between-the-nodes", "actor": "node", "roles": ["teller", "auditor"], "speaks_for_others": true}
]"#;

const ROLES: &[u8] = br#"{
    "teller": {"commands": ["write", "slow"], "queries": ["echo"], "streams": ["written", "mine"], "appends": ["mine"],
        "starts": ["letter"], "sagas": ["transfer-money"]},
    "auditor": {"streams": ["*", "$*"], "projections": ["balances"], "operates": ["balances"], "records": true,
        "steers": ["letter"]}
}"#;

/// Knows the keys, and tokens that say what becomes of them.
#[derive(Default)]
pub(crate) struct Doorman {
    keys: StaticKeys,
    /// Whether no credentials are good any longer.
    pub(crate) revokes: AtomicBool,
}

#[async_trait]
impl Authenticator for Doorman {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticationError> {
        if credentials.authorization.is_some() && self.revokes.load(Ordering::Relaxed) {
            return Err(AuthenticationError::Refused("they were revoked".into()));
        }
        match credentials.bearer() {
            Some("banned") => Err(AuthenticationError::Denied("ann is banned".into())),
            Some("busy") => Err(AuthenticationError::Busy(Source::new("ldap://10.0.0.7 is gone"))),
            Some("panic") => panic!("as asked"),
            Some(token) => match token.strip_prefix("until-") {
                Some(micros) => {
                    let until = Timestamp::from_micros(micros.parse().unwrap());
                    Ok(Caller::new("ann").with_role("teller").until(until))
                }
                None => self.keys.authenticate(credentials).await,
            },
            None => self.keys.authenticate(credentials).await,
        }
    }
}

/// Counts what reaches it.
pub(crate) struct Counting {
    store: ReferenceStore,
    calls: AtomicUsize,
}

impl Counting {
    fn counted(&self) -> &ReferenceStore {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.store
    }
}

#[async_trait]
impl EventStore for Counting {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.counted().append(append).await
    }
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.counted().read(read).await
    }
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.counted().recall(scope, id).await
    }
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.counted().checkpoint(name).await
    }
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.counted().changed(query, after).await
    }
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

/// A server with a doorman.
pub(crate) struct Guarded {
    pub(crate) server: Running,
    pub(crate) doorman: Arc<Doorman>,
    store: Arc<Counting>,
}

struct Shared(Arc<Doorman>);

#[async_trait]
impl Authenticator for Shared {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticationError> {
        self.0.authenticate(credentials).await
    }
}

impl Guarded {
    pub(crate) async fn start() -> Self {
        Self::with(|server| server).await
    }

    pub(crate) async fn with(change: impl FnOnce(HttpServer) -> HttpServer) -> Self {
        let doorman = Arc::new(Doorman { keys: StaticKeys::from_json(KEYS).unwrap(), ..Doorman::default() });
        let store = Arc::new(Counting { store: ReferenceStore::new(Arc::new(Noon)), calls: AtomicUsize::new(0) });
        let admission = Admission::by(Shared(doorman.clone())).with_policy(Roles::from_json(ROLES).unwrap());
        let start = |server: HttpServer| change(server.with_raw_appends(true).with_admission(admission));
        let server = Running::over(store.clone(), start).await;
        Self { server, doorman, store }
    }

    /// How many calls have reached ports.
    pub(crate) fn reached(&self) -> usize {
        let Running { commands, queries, projections, sagas, .. } = &self.server;
        self.store.calls.load(Ordering::Relaxed)
            + commands.seen.lock().unwrap().len()
            + queries.0.lock().unwrap().len()
            + projections.asked.lock().unwrap().len()
            + projections.told.lock().unwrap().len()
            + usize::try_from(sagas.calls.load(Ordering::Relaxed)).unwrap()
    }

    /// A client that shows what stands in this header.
    pub(crate) async fn client(&self, header: &str) -> HttpClient {
        let mut config = ClientConfig::default();
        config.authorization = header.strip_prefix("Authorization: ").map(str::to_owned);
        HttpClient::connect_with(format!("http://{}", self.server.address), config).await.unwrap()
    }
}
