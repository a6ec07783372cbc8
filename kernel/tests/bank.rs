//! A bank written by hand, from its decisions to its buses.

extern crate alloc;

mod support;

use futures::TryStreamExt;
use portolan_kernel::application::BuildError;
use portolan_kernel::domain::history::HistoryError;
use portolan_kernel::domain::{Aggregate, Context, Decide, RecordedAs, Rejection, Upcasters, decode_recorded};
use portolan_kernel::drivers::{CommandBusExt, EventStoreExt, QueryBusExt, RegisterError};
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use rstest::rstest;
use serde_json::json;
use support::bank::*;
use support::store::TestStore;
use support::tickets::{Issue, Odd, TicketEvent};
use support::{NOW, bank_on, builder};

fn encoded(name: &str, body: &str) -> CommandEnvelope {
    let body = Body::Encoded(body.to_owned().into(), Format::Json);
    CommandEnvelope::new(Name::new(name).expect("a name"), body)
}

#[test]
fn decisions_are_plain_calls() {
    let account =
        Account::replay([AccountEvent::Opened { owner: "Ann".into() }, AccountEvent::Deposited { amount: 3 }]);
    let context = Context::for_test();
    assert_eq!(account.decide(&withdraw("ann", 3), &context), Ok(vec![AccountEvent::Withdrawn { amount: 3 }]));
    assert_eq!(account.decide(&withdraw("ann", 5), &context), Err(Refused::InsufficientFunds { missing: 2 }));
}

#[tokio::test]
async fn a_command_becomes_events_and_a_receipt() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    let opened = ports.commands.send(open("ann")).await.unwrap();
    let stream = StreamId::new("account-ann").unwrap();
    assert_eq!(opened.streams, [(stream.clone(), Some(Revision::FIRST))]);
    let deposited = ports.commands.dispatch(encoded("deposit", r#"{"account_id":"ann","amount":5}"#)).await.unwrap();
    assert_eq!(deposited.streams, [(stream.clone(), Some(Revision::new(1)))]);
    assert!(!deposited.repeated);

    let events: Vec<_> = ports.events.read_all(Read::stream(stream)).try_collect().await.unwrap();
    assert_eq!((deposited.position, &deposited.events[..]), (Some(events[1].position), &[events[1].id][..]));
    assert_eq!((&*events[1].event_type, &*events[1].payload), ("account.deposited", &br#"{"amount":5}"#[..]));
    let decoded = decode_recorded::<AccountEvent>(&Upcasters::new(), &events[1]).unwrap().remove(0);
    let event = RecordedAs::new(decoded, events[1].clone());
    assert_eq!((event.stream().id(), &*event), ("ann", &AccountEvent::Deposited { amount: 5 }));

    let reply = ports.queries.query(Balance { account_id: "ann".into() }).await.unwrap();
    assert_eq!((reply.answer, reply.revision), (5, Some(Revision::new(1))));
    let missing = ports.queries.query(Balance { account_id: "bob".into() }).await.unwrap_err();
    assert!(matches!(missing, QueryError::NotFound(_)));
}

#[tokio::test]
async fn a_rejection_comes_back_typed() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    let error = ports.commands.send(withdraw("ann", 2)).await.unwrap_err();
    let CommandError::Rejected { code, message, fields } = &error else { panic!("{error}") };
    assert_eq!((&**code, &**message, fields), ("insufficient-funds", "2 cents short", &json!({"missing": 2})));
    assert_eq!(Refused::of(&error), Some(Refused::InsufficientFunds { missing: 2 }));
    let again = ports.commands.send(open("ann")).await.unwrap_err();
    assert_eq!(Refused::of(&again), Some(Refused::AlreadyOpen));
    assert_eq!(store.events().len(), 1);
}

#[rstest]
#[case::unknown("transfer", "{}", "there is no command transfer")]
#[case::broken("deposit", r#"{"account_id":"ann","amount":5"#, "cannot be read")]
#[case::trailing("deposit", r#"{"account_id":"ann","amount":5}{}"#, "cannot be read")]
#[case::wrong_type("deposit", r#"{"account_id":"ann","amount":"5"}"#, "amount: invalid type")]
#[case::unknown_field("deposit", r#"{"account_id":"ann","amount":5,"x":1}"#, "x: unknown field")]
#[case::missing_field("deposit", r#"{"amount":5}"#, "account_id: missing field")]
#[case::positional("deposit", r#"["ann",5]"#, "expected a JSON object")]
#[case::validation("deposit", r#"{"account_id":"ann","amount":0}"#, "amount: the amount has to be above zero")]
#[case::no_stream("deposit", r#"{"account_id":"a\nb","amount":5}"#, "a stream name has no control characters")]
#[tokio::test]
async fn bad_commands_are_told_apart(#[case] name: &str, #[case] body: &str, #[case] message: &str) {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    let error = ports.commands.dispatch(encoded(name, body)).await.unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(store.appends(), 0);
}

#[tokio::test]
async fn metadata_reaches_every_event() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    let metadata =
        Metadata { traceparent: Some("00-1-2-01".into()), causation: Some("e-1".into()), ..Metadata::default() };
    let send = ports.commands.send(open("ann")).metadata(metadata).id("k-1").actor("eve").tenant("acme");
    let given = send.correlation("c-1").await.unwrap();
    let made = ports.commands.send(open("bob")).await.unwrap();

    let metadata: Vec<_> = store.events().iter().map(|event| Metadata::decode(&event.metadata)).collect();
    let expected = Metadata {
        correlation: Some("c-1".into()),
        causation: Some("k-1".into()),
        command: Some("k-1".into()),
        actor: Some("eve".into()),
        tenant: Some("acme".into()),
        traceparent: Some("00-1-2-01".into()),
        ..Metadata::default()
    };
    assert_eq!(metadata[0], expected);
    assert!(metadata[1].correlation.is_some() && metadata[1].command.is_some());
    assert_eq!(metadata[1].causation, metadata[1].command);
    assert_eq!([given.command, made.command], [metadata[0].command.clone(), metadata[1].command.clone()]);
}

#[tokio::test]
async fn every_receipt_tells_the_id_of_its_command() {
    let store = TestStore::new();
    let bus = bank_on(&store).await.ports().commands;
    let told = |receipt: Receipt| (receipt.command, receipt.repeated);
    let k1 = || Some("k-1".to_owned());
    assert_eq!(told(bus.send(open("ann")).id("k-1").await.unwrap()), (k1(), false));
    assert_eq!(told(bus.send(open("ann")).id("k-1").await.unwrap()), (k1(), true));
    let touch = || Touch { account_id: "ann".into() };
    assert_eq!(told(bus.send(touch()).id("k-1").await.unwrap()), (k1(), false));
    assert_eq!(told(bus.send(touch()).id("k-1").await.unwrap()), (k1(), true));
    let [one, other] = [bus.send(touch()).await.unwrap().command, bus.send(touch()).await.unwrap().command];
    assert!(one.is_some() && other.is_some() && one != other, "{one:?} {other:?}");
}

#[tokio::test]
async fn names_are_registered_once() {
    let store = TestStore::new();
    let shared = builder(&store).aggregate::<Account>().aggregate::<Odd<2>>().build().await.unwrap_err();
    assert!(matches!(shared, BuildError::SnapshotKind { category: "account", .. }), "{shared}");
    let twice = builder(&store).aggregate::<Account>().aggregate::<Account>().build().await.unwrap_err();
    assert!(
        matches!(&twice, BuildError::Command(RegisterError::Twice { name, .. }) if *name == "open-account"),
        "{twice}"
    );
    let twice = builder(&store).query(balance).query(balance).build().await.unwrap_err();
    assert!(matches!(&twice, BuildError::Query(RegisterError::Twice { name, .. }) if *name == "balance"), "{twice}");
    let taken = builder(&store).aggregate::<Account>().aggregate::<Odd<3>>().build().await.unwrap_err();
    assert!(
        matches!(&taken, BuildError::Command(RegisterError::NameTaken { name, .. }) if *name == "deposit"),
        "{taken}"
    );
}

#[tokio::test]
async fn categories_are_judged_before_anything_is_written() {
    let store = TestStore::new();
    let none = builder(&store).aggregate::<Odd<0>>().build().await.unwrap_err();
    assert!(matches!(none, BuildError::Category { category: "to-do", .. }), "{none}");
    let differ = builder(&store).aggregate::<Odd<1>>().build().await.unwrap_err();
    assert!(matches!(differ, BuildError::CategoriesDiffer { events: "account", .. }), "{differ}");

    let astray = Issue { stream: "account-ann".into(), aside: String::new() };
    let error = bank_on(&store).await.ports().commands.send(astray).await.unwrap_err().to_string();
    assert!(error.contains("issue names the stream account-ann of category account"), "{error}");
    assert_eq!(store.events().len(), 0);
}

#[tokio::test]
async fn a_decision_sees_its_context() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    let issue = || Issue { stream: "ticket-1".into(), aside: "as it was sent".into() };
    ports.commands.send(issue()).actor("eve").tenant("acme").await.unwrap();
    let issued = store.events().remove(0);
    assert_eq!((issued.version, &*issued.tags), (3, &[Tag::new("by:eve").unwrap()][..]));
    let TicketEvent::Issued { numbers, by, tenant, at, aside } =
        decode_recorded::<TicketEvent>(&Upcasters::new(), &issued).unwrap().remove(0);
    assert_eq!((by.as_deref(), at, &*aside), (Some("eve"), NOW.as_micros(), "as it was sent"));
    assert_eq!(tenant.as_deref(), Some("acme"));
    assert_ne!(numbers[0], numbers[1]);

    // Ids are the command's: equal on a retry and in another life, others for another command.
    let (one, other) = (TestStore::new(), TestStore::new());
    let rival = NewEvent::new("ticket-1".parse().unwrap(), "ticket.issued".parse().unwrap(), RIVAL).with_version(3);
    other.before_append(move |store| drop(store.write(Append::new([rival]))));
    for store in [&one, &other] {
        bank_on(store).await.ports().commands.send(issue()).id("k-1").await.unwrap();
    }
    let (one, other) = (one.events().remove(0), other.events().remove(1));
    assert_eq!((&one.payload, one.id), (&other.payload, other.id));
    assert_ne!(one.payload, issued.payload);
}

const RIVAL: &str = r#"{"numbers":["1","2"],"by":null,"tenant":null,"at":0,"aside":""}"#;

/// Events of version 1 called the owner `name`.
struct OwnerFromName;

impl Upcaster for OwnerFromName {
    fn from(&self) -> (EventType, u32) {
        (EventType::new("account.created").expect("a type"), 1)
    }

    fn to(&self) -> Vec<(EventType, u32)> {
        ["account.opened", "account.deposited"].map(|to| (EventType::new(to).expect("a type"), 1)).into()
    }

    fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, UpcastError> {
        let payload = String::from_utf8_lossy(&event.payload).replace("name", "owner");
        let opened = EventType::new("account.opened").expect("a type");
        let deposited = EventType::new("account.deposited").expect("a type");
        let gift = RawEvent::new(deposited, 1, Format::Json, r#"{"amount":1}"#.into());
        Ok(vec![RawEvent::new(opened, 1, Format::Json, payload.into()), gift])
    }
}

/// Leads back to where it came from, and may say so.
struct Circle {
    says_so: bool,
}

impl Upcaster for Circle {
    fn from(&self) -> (EventType, u32) {
        (EventType::new("account.created").expect("a type"), 1)
    }

    fn to(&self) -> Vec<(EventType, u32)> {
        if self.says_so { vec![self.from()] } else { vec![(EventType::new("account.opened").expect("a type"), 1)] }
    }

    fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, UpcastError> {
        Ok(vec![event.clone(), event])
    }
}

#[tokio::test]
async fn old_events_are_upcast_on_the_way_to_every_state() {
    let store = TestStore::new();
    store.write_event("account-ann", "account.created", r#"{"name":"Ann"}"#);
    let app = builder(&store).aggregate::<Account>().query(balance).upcaster(OwnerFromName).build().await.unwrap();
    let ports = app.ports();
    let reply = ports.queries.query(Balance { account_id: "ann".into() }).await.unwrap();
    assert_eq!((reply.answer, reply.revision), (1, Some(Revision::FIRST)));
    let become_of_it = decode_recorded::<AccountEvent>(app.upcasters(), &store.events()[0]).unwrap();
    assert_eq!(become_of_it, [AccountEvent::Opened { owner: "Ann".into() }, AccountEvent::Deposited { amount: 1 }]);
    ports.commands.send(withdraw("ann", 1)).await.unwrap();
    assert_eq!(&*store.events()[0].event_type, "account.created");

    let lying = Circle { says_so: false };
    let app = builder(&store).aggregate::<Account>().upcaster(lying).build().await.unwrap();
    let error = app.ports().commands.send(deposit("ann", 1)).await.unwrap_err();
    assert!(error.to_string().contains("event 0 of account-ann"), "{error}");

    let honest = builder(&store).upcaster(Circle { says_so: true }).build().await.unwrap_err();
    assert!(matches!(honest, BuildError::History(HistoryError::Back { version: 1, to: 1, .. })), "{honest}");
    let twice = builder(&store).upcaster(OwnerFromName).upcaster(Circle { says_so: false }).build().await.unwrap_err();
    assert!(matches!(twice, BuildError::History(HistoryError::TwoWays { version: 1, .. })), "{twice}");
}

#[rstest]
#[case::unknown_type("account.frozen", "{}", "account.frozen is unknown")]
#[case::wrong_payload("account.deposited", r#"{"amount":-1}"#, "amount: invalid value")]
#[tokio::test]
async fn undecodable_events_name_their_place(#[case] kind: &str, #[case] payload: &'static str, #[case] message: &str) {
    let store = TestStore::new();
    store.write_event("account-ann", kind, payload);
    let error = bank_on(&store).await.ports().commands.send(deposit("ann", 1)).await.unwrap_err().to_string();
    assert!(error.contains("event 0 of account-ann") && error.contains(message), "{error}");
}

#[tokio::test]
async fn a_version_from_the_future_is_refused() {
    let store = TestStore::new();
    let opened = NewEvent::new("account-ann".parse().unwrap(), "account.opened".parse().unwrap(), r#"{"owner":"A"}"#);
    store.write(Append::new([opened.with_version(2)]));
    let error = bank_on(&store).await.ports().commands.send(deposit("ann", 1)).await.unwrap_err().to_string();
    assert!(error.contains("version 2") && error.contains("version 1"), "{error}");
}

#[tokio::test]
async fn pages_join_into_one_read() {
    let store = TestStore::with_pages_of(3);
    for _ in 0..10 {
        store.write_event("s-1", "t", "{}");
    }
    let events: Vec<_> = store.read_all(Read::log(Query::all())).try_collect().await.unwrap();
    assert_eq!(events, store.events());
}

#[tokio::test]
async fn states_are_folded_from_all_pages_and_from_every_event() {
    let store = TestStore::with_pages_of(3);
    let ports = bank_on(&store).await.ports();
    store.write_event("account-ann", "account.opened", r#"{"owner":"Ann"}"#);
    for _ in 0..10 {
        store.write_event("account-ann", "account.deposited", r#"{"amount":1}"#);
    }
    assert_eq!(ports.queries.query(Balance { account_id: "ann".into() }).await.unwrap().answer, 10);
    store.lose(4);
    let error = ports.queries.query(Balance { account_id: "ann".into() }).await.unwrap_err().to_string();
    assert!(error.contains("event 5 of account-ann where 4 should come"), "{error}");
}
