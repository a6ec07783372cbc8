//! What they may do who are let in, for how long, and in whose name.

use crate::support::sagas::{act, every_call, saga, start};
use crate::support::{Counting, Running, append, command, new_event};
use async_trait::async_trait;
use core::time::Duration;
use futures::StreamExt as _;
use portolan_grpc::proto;
use portolan_grpc::{GrpcClient, GrpcServer};
use portolan_kernel::application::Admission;
use portolan_kernel::drivers::{Delivery, From, Roles, StaticKeys, SubscribeError};
use portolan_kernel::ports::{
    AppendError, AuthenticationError, Authenticator, Caller, CommandBus as _, CommandError, Credentials,
    EventStore as _, ProjectionAction, ProjectionError, ProjectionRegistry as _, QueryBus as _, QueryEnvelope,
    QueryError, ReadError, RowsQuestion, SagaError, Source, WaitError,
};
use portolan_kernel::values::{Append, Item, Metadata, Name, Position, Query, Read, Timestamp};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::Code;
use tonic_types::StatusExt as _;

const KEYS: &[u8] = br#"[
    {"key": "ann-has-this-key", "actor": "ann", "tenant": "north", "roles": ["teller"]},
    {"key": "bob-has-this-key", "actor": "bob"},
    {"key": "between-the-nodes", "actor": "node", "speaks_for_others": true, "roles": ["teller"]}
]"#;

const ROLES: &[u8] = br#"{"teller": {"commands": ["echo"], "queries": ["echo"], "streams": ["s"], "appends": ["s"],
    "projections": ["balances", "new"], "operates": ["balances"], "records": true,
    "starts": ["transfer-money"], "sagas": ["transfer-money"], "steers": ["transfer-money"]}}"#;

fn roles() -> Admission {
    Admission::by(StaticKeys::from_json(KEYS).unwrap()).with_policy(Roles::from_json(ROLES).unwrap())
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn of_s() -> Query {
    Query::of(Item::new().category(name("s")))
}

fn question() -> QueryEnvelope {
    QueryEnvelope::new(name("echo"), "{}")
}

const PAUSE: ProjectionAction = ProjectionAction::Pause;

/// What each method of each port answers.
struct Answers {
    append: Result<(), AppendError>,
    reads: Vec<Result<(), ReadError>>,
    dispatch: Result<(), CommandError>,
    ask: Result<(), QueryError>,
    projections: Vec<Result<(), ProjectionError>>,
    sagas: Vec<Result<(), SagaError>>,
    wait: Result<(), WaitError>,
}

async fn answers(client: &GrpcClient) -> Answers {
    let balances = || name("balances");
    let live = client.subscribe(&of_s(), From::Beginning).next().await.expect("it answers");
    let live = live.map(drop).map_err(|error| match error {
        SubscribeError::Read(error) => error,
        other => panic!("{other:?}"),
    });
    Answers {
        append: client.append(append()).await.map(drop),
        reads: vec![
            client.read(Read::log(of_s())).await.map(drop),
            client.read(Read::stream("s".parse().unwrap())).await.map(drop),
            client.recall(name("s"), name("i")).await.map(drop),
            client.checkpoint(name("c")).await.map(drop),
            client.changed(of_s(), None).await,
            live,
        ],
        dispatch: client.dispatch(command("echo")).await.map(drop),
        ask: client.ask(question()).await.map(drop),
        projections: vec![
            client.status(balances()).await.map(drop),
            client.act(balances(), PAUSE).await,
            client.parked(balances(), None, 1).await.map(drop),
            client.rows(RowsQuestion::keys(balances(), Vec::new())).await.map(drop),
        ],
        sagas: every_call(client, &saga("transfer-money", "1")).await,
        wait: client.wait_for(balances(), Position::new(1).unwrap()).await,
    }
}

/// That each of them is this one.
macro_rules! all_are {
    ($answers:expr, $variant:ident, $says:expr) => {{
        let answers = $answers;
        let says = |text: String| assert!(text.contains($says), "{text}");
        let Err(AppendError::$variant(why)) = answers.append else { panic!("{:?}", answers.append) };
        says(why.to_string());
        for read in answers.reads {
            let Err(ReadError::$variant(why)) = read else { panic!("{read:?}") };
            says(why.to_string());
        }
        let Err(CommandError::$variant(why)) = answers.dispatch else { panic!("{:?}", answers.dispatch) };
        says(why.to_string());
        let Err(QueryError::$variant(why)) = answers.ask else { panic!("{:?}", answers.ask) };
        says(why.to_string());
        for answer in answers.projections {
            let Err(ProjectionError::$variant(why)) = answer else { panic!("{answer:?}") };
            says(why.to_string());
        }
        for answer in answers.sagas {
            let Err(SagaError::$variant(why)) = answer else { panic!("{answer:?}") };
            says(why.to_string());
        }
        let Err(WaitError::$variant(why)) = answers.wait else { panic!("{:?}", answers.wait) };
        says(why.to_string());
    }};
}

fn reached(server: &Running, store: &Counting) -> usize {
    server.reached() + store.asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn what_no_role_allows_is_denied_at_every_port_and_reaches_none() {
    let store = Counting::new();
    let server = Running::over(store.clone(), |server| server.with_raw_appends(true).with_admission(roles())).await;
    let bob = server.client_of("Bearer bob-has-this-key").await;
    all_are!(answers(&bob).await, Denied, "bob may not ");
    assert!(bob.list().await.unwrap().is_empty());
    let mut live = bob.ports().subscriptions.subscribe(of_s(), From::Beginning);
    assert!(matches!(live.next().await, Some(Err(SubscribeError::Read(ReadError::Denied(_))))));
    assert_eq!(reached(&server, &store), 0);

    let ann = server.client_of("Bearer ann-has-this-key").await;
    let allowed = answers(&ann).await;
    assert!(allowed.append.is_ok() && allowed.dispatch.is_ok() && allowed.ask.is_ok() && allowed.wait.is_ok());
    assert!(allowed.reads.iter().all(Result::is_ok), "{:?}", allowed.reads);
    assert!(allowed.projections.iter().all(Result::is_ok), "{:?}", allowed.projections);
    assert!(allowed.sagas.iter().all(Result::is_ok), "{:?}", allowed.sagas);
    let listed: Vec<_> = ann.list().await.unwrap().into_iter().map(|status| status.name).collect();
    assert_eq!(listed, [name("new")]);
    assert!(
        matches!(ann.dispatch(command("denied")).await, Err(CommandError::Denied(why)) if why.contains("`commands`"))
    );
    assert!(matches!(ann.append(Append::new([new_event("t")])).await, Err(AppendError::Denied(_))));
    assert!(matches!(ann.read(Read::log(Query::all())).await, Err(ReadError::Denied(_))));

    // A stranger is told too.
    let mut strange = server.strange_commands().await;
    let mut call = tonic::Request::new(proto::DispatchRequest { name: "echo".into(), ..Default::default() });
    call.metadata_mut().insert("authorization", "Bearer bob-has-this-key".parse().unwrap());
    let status = strange.dispatch(call).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.get_details_error_info().unwrap().reason, "DENIED");
}

#[tokio::test]
async fn the_caller_reaches_commands_questions_and_events_whatever_is_claimed() {
    let server = Running::with(|server| server.with_raw_appends(true).with_admission(roles())).await;
    let claimed = Metadata {
        actor: Some("eve".into()),
        tenant: Some("south".into()),
        correlation: Some("c".into()),
        ..Metadata::default()
    };
    let sent = async |key: &str| {
        let client = server.client_of(key).await;
        let (mut command, mut question, mut event) = (command("echo"), question(), new_event("s"));
        (command.metadata, question.metadata, event.metadata) = (claimed.clone(), claimed.clone(), claimed.encode());
        client.dispatch(command).await.unwrap();
        client.ask(question).await.unwrap();
        client.append(Append::new([event])).await.unwrap();
        let of = || saga("transfer-money", "1");
        client.ports().sagas.start(start(of()).with_metadata(claimed.clone())).await.unwrap();
        client.ports().sagas.act(act(of()).with_metadata(claimed.clone())).await.unwrap();
        let event = server.store.read(Read::log(Query::all()).backward()).await.unwrap().events[0].clone();
        [
            server.commands.seen.lock().unwrap().last().unwrap().metadata.clone(),
            server.queries.0.lock().unwrap().last().unwrap().metadata.clone(),
            Metadata::decode(&event.metadata),
            server.sagas.started.lock().unwrap().last().unwrap().metadata.clone(),
            server.sagas.acted.lock().unwrap().last().unwrap().metadata.clone(),
        ]
    };
    let (ann, north) = (Some("ann".to_owned()), Some("north".to_owned()));
    let of_ann = Metadata { actor: ann, tenant: north, ..claimed.clone() };
    assert_eq!(sent("Bearer ann-has-this-key").await, [(); 5].map(|()| of_ann.clone()));
    // Another node has asked its callers itself.
    assert_eq!(sent("Bearer between-the-nodes").await, [(); 5].map(|()| claimed.clone()));
}

type Verdict = Box<dyn Fn() -> Result<Caller, AuthenticationError> + Send>;

/// An authenticator that says what a test wants it to.
struct Scripted(Mutex<Verdict>);

impl Scripted {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Box::new(|| Ok(Caller::new("ann"))))))
    }

    fn says(&self, verdict: impl Fn() -> Result<Caller, AuthenticationError> + Send + 'static) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Box::new(verdict);
    }
}

struct By(Arc<Scripted>);

#[async_trait]
impl Authenticator for By {
    async fn authenticate(&self, _: &Credentials) -> Result<Caller, AuthenticationError> {
        self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)()
    }
}

#[tokio::test]
async fn a_client_that_is_no_longer_let_in_has_it_from_every_port() {
    let (store, scripted) = (Counting::new(), Scripted::new());
    let admission = Admission::by(By(scripted.clone()));
    let server = Running::over(store.clone(), |server| server.with_raw_appends(true).with_admission(admission)).await;
    let client = server.client().await;
    scripted.says(|| Err(AuthenticationError::Refused("it was revoked".into())));
    all_are!(answers(&client).await, Denied, "it was revoked");
    scripted.says(|| Err(AuthenticationError::Denied("ann is locked out".into())));
    all_are!(answers(&client).await, Denied, "ann is locked out");
    scripted.says(|| Err(AuthenticationError::Busy(Source::new("a secret place"))));
    let answered = answers(&client).await;
    assert!(!format!("{:?}", answered.append).contains("secret"), "{:?}", answered.append);
    all_are!(answered, Busy, "cannot be found out now");
    assert!(matches!(client.list().await, Err(ProjectionError::Busy(_))));
    assert_eq!(reached(&server, &store), 0);

    let mut strange = server.strange_commands().await;
    scripted.says(|| panic!("as asked"));
    let status = strange.describe(proto::DescribeCommandsRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    scripted.says(|| Err(AuthenticationError::Denied("ann is locked out".into())));
    let status = strange.describe(proto::DescribeCommandsRequest {}).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "ann is locked out"));
    assert_eq!(status.get_details_error_info().unwrap().reason, "DENIED");
    scripted.says(|| Ok(Caller::new("ann")));
    client.append(append()).await.unwrap();
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(u64::try_from(now.as_micros()).unwrap())
}

#[tokio::test]
async fn a_subscription_ends_with_its_callers_credentials_and_a_call_does_not() {
    let scripted = Scripted::new();
    let admission = Admission::by(By(scripted.clone()));
    let mut config = portolan_grpc::ServerConfig::default();
    config.longest_wait = Duration::from_secs(1);
    let change = |server: GrpcServer| server.with_raw_appends(true).with_config(config).with_admission(admission);
    let server = Running::with(change).await;
    let client = server.client().await;
    let first = client.append(append()).await.unwrap().last.unwrap();
    let soon = now().plus(Duration::from_millis(600));
    scripted.says(move || Ok(Caller::new("ann").until(soon)));
    let mut live = client.subscribe(&Query::all(), From::Beginning);
    let mut strange = server.strange_store().await;
    let mut other = strange.subscribe(proto::SubscribeRequest::default()).await.unwrap().into_inner();
    assert!(matches!(live.next().await, Some(Ok(Delivery::Event(event))) if event.position == first));
    assert!(matches!(live.next().await, Some(Ok(Delivery::CaughtUp(_)))));
    let long = tokio::spawn({
        let client = client.clone();
        // It begins before they expire, and lasts for longer.
        async move { (client.changed(Query::all(), Some(first)).await, now()) }
    });
    let ended = tokio::time::timeout(Duration::from_secs(10), live.next()).await.expect("it goes on");
    assert!(now() >= soon);
    let Some(Err(SubscribeError::Read(ReadError::Denied(why)))) = ended else { panic!("{ended:?}") };
    assert!(why.contains("expired"), "{why}");
    assert!(live.next().await.is_none());
    let status = loop {
        match other.message().await {
            Ok(message) => assert!(message.is_some(), "it ended without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.get_details_error_info().unwrap().reason, "UNAUTHENTICATED");

    // With new ones it goes on where it was.
    scripted.says(|| Ok(Caller::new("ann").until(Timestamp::from_micros(u64::MAX))));
    let mut live = client.subscribe(&Query::all(), From::After(first));
    assert!(matches!(live.next().await, Some(Ok(Delivery::CaughtUp(_)))));
    let second = client.append(append()).await.unwrap().last.unwrap();
    assert!(matches!(live.next().await, Some(Ok(Delivery::Event(event))) if event.position == second));
    let (changed, at) = long.await.unwrap();
    changed.unwrap();
    assert!(at >= soon);
    // One who comes too late hears it at once.
    scripted.says(|| Ok(Caller::new("ann").until(Timestamp::from_micros(1))));
    let late = client.subscribe(&Query::all(), From::Beginning).next().await;
    assert!(matches!(&late, Some(Err(SubscribeError::Read(ReadError::Denied(_))))), "{late:?}");
}
