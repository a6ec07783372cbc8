//! Who is let in, what each may do at the ports, and what is written of it.

#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

extern crate alloc;

mod support;

use alloc::sync::Arc;
use futures::StreamExt as _;
use portolan_kernel::Bytes;
use portolan_kernel::application::{Admission, Ports};
use portolan_kernel::drivers::*;
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use rstest::rstest;
use support::bank::*;
use support::bank_on;
use support::store::TestStore;

const KEYS: &[u8] = br#"[
    {"key": "ann-has-this-key", "actor": "ann", "tenant": "north", "roles": ["teller"]},
    {"sha256": "5d15a70c5ae4266d74b4816d542860deaa4f74517db860d983e80c22851f26a1", "actor": "bob", "roles": ["auditor"]},
    {"key": "between-the-nodes", "actor": "node", "speaks_for_others": true, "roles": ["teller", "operator"]}
]"#;

const ROLES: &[u8] = br#"{
    "*": {"queries": ["balance"]},
    "teller": {"commands": ["open-account", "deposit"], "streams": ["account"], "appends": ["account"]},
    "auditor": {"streams": ["*"], "projections": ["balances"], "records": true},
    "operator": {"streams": ["$*"], "operates": ["*"], "commands": ["*"]}
}"#;

fn roles() -> Roles {
    Roles::from_json(ROLES).unwrap()
}

fn caller(roles: &[&str]) -> Caller {
    roles.iter().fold(Caller::new("ann"), |caller, role| caller.with_role(*role))
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn stream(text: &str) -> StreamId {
    text.parse().unwrap()
}

fn of(category: &str) -> Item {
    Item::new().category(name(category))
}

fn event(to: &str) -> NewEvent {
    NewEvent::new(stream(to), "account.opened".parse().unwrap(), "{}")
}

#[rstest]
#[case(&["teller"], "account-1", true)]
#[case(&["teller"], "order-1", false)]
#[case(&["teller"], "$parked-1", false)]
#[case(&["auditor"], "order-1", true)]
#[case(&["auditor"], "$parked-1", false)]
#[case(&["operator"], "$parked-1", true)]
#[case(&["operator"], "account-1", false)]
#[case(&["teller", "operator"], "account-1", true)]
#[case(&["unheard-of"], "account-1", false)]
#[case(&[], "account-1", false)]
fn roles_decide_which_streams_are_read(#[case] has: &[&str], #[case] id: &str, #[case] allowed: bool) {
    let judged = roles().judge(&caller(has), &Access::Stream(&stream(id)));
    assert_eq!(judged.is_ok(), allowed, "{judged:?}");
}

/// `*` names no projection of the system's.
#[rstest]
#[case::own_name(r#"{"*": {"projections": ["$sagas"]}}"#, false, true, false)]
#[case::every(r#"{"*": {"projections": ["*"], "operates": ["*"]}}"#, true, false, false)]
#[case::every_of_the_systems(r#"{"*": {"projections": ["$*"]}}"#, false, true, false)]
#[case::operates_it(r#"{"*": {"operates": ["$sagas"]}}"#, false, true, true)]
#[case::operates_every(r#"{"*": {"operates": ["$*"]}}"#, false, true, true)]
fn the_systems_projections_are_apart(
    #[case] roles: &str,
    #[case] own: bool,
    #[case] sees: bool,
    #[case] operates: bool,
) {
    let roles = Roles::from_json(roles.as_bytes()).unwrap();
    let (pause, sagas) = (ProjectionAction::Pause, name("$sagas"));
    let may = |access: Access<'_>| roles.judge(&Caller::nobody(), &access).is_ok();
    assert_eq!(may(Access::Projection(&sagas)), sees);
    assert_eq!(may(Access::Operate(&sagas, Some(&pause))), operates);
    assert_eq!(may(Access::Projection(&name("balances"))), own);
}

#[rstest]
#[case::all(&["teller"], Query::all(), false)]
#[case::all_for_an_auditor(&["auditor"], Query::all(), true)]
#[case::the_systems_too(&["auditor"], Query::all().with_system(), false)]
#[case::the_systems_too(&["auditor", "operator"], Query::all().with_system(), true)]
#[case::the_systems_by_name(&["auditor"], Query::of(of("$parked")), false)]
#[case::one(&["teller"], Query::of(of("account")), true)]
#[case::one_and_another(&["teller"], Query::of(of("account")).or(of("order")), false)]
#[case::both_in_one(&["teller"], Query::of(of("account").category(name("order"))), false)]
#[case::streams(&["teller"], Query::stream(stream("account-1")), true)]
#[case::of_others(&["teller"], Query::stream(stream("order-1")), false)]
#[case::and_an_allowed_category(&["teller"], Query::of(of("account").stream(stream("order-1"))), true)]
#[case::by_tag_alone(&["teller"], Query::of(Item::new().tag("city=Rome".parse().unwrap())), false)]
#[case::by_tag_alone(&["auditor"], Query::of(Item::new().tag("city=Rome".parse().unwrap())), true)]
#[case::by_type_alone(&["teller"], Query::of(Item::new().event_type("account.opened".parse().unwrap())), false)]
fn roles_decide_which_events_are_found(#[case] has: &[&str], #[case] query: Query, #[case] allowed: bool) {
    let judged = roles().judge(&caller(has), &Access::Log(&query));
    assert_eq!(judged.is_ok(), allowed, "{judged:?}");
}

#[rstest]
#[case::own(Append::new([event("account-1")]), true)]
#[case::of_others(Append::new([event("account-1"), event("order-1")]), false)]
#[case::expecting(Append::new([event("account-1")]).expect(stream("account-2"), Expected::NoStream), true)]
#[case::expecting_of_others(Append::new([event("account-1")]).expect(stream("order-2"), Expected::NoStream), false)]
#[case::guarded(Append::new([event("account-1")]).guard(Guard::new(Query::all(), None)), false)]
#[case::under_a_key(Append::new([event("account-1")]).key(IdempotencyKey::new(name("mine"), name("k"), [0; 32])), true)]
#[case::a_key_alone(Append::new([]).key(IdempotencyKey::new(name("mine"), name("k"), [0; 32])), false)]
#[case::under_a_commands(
    Append::new([event("account-1")]).key(IdempotencyKey::new(command_scope("withdraw", None), name("k"), [0; 32])),
    false
)]
fn roles_decide_what_is_appended(#[case] append: Append, #[case] allowed: bool) {
    let judged = roles().judge(&caller(&["teller"]), &Access::Append(&append));
    assert_eq!(judged.is_ok(), allowed, "{judged:?}");
    let nobody = Roles::new().judge(&Caller::nobody(), &Access::Append(&append));
    assert!(nobody.is_err());
    let all = Roles::from_json(br#"{"*": {"appends": ["*"]}}"#).unwrap();
    all.judge(&Caller::nobody(), &Access::Append(&append)).unwrap();
}

#[test]
fn what_no_role_allows_is_denied_with_the_place_where_it_would_be() {
    let (pause, balances) = (ProjectionAction::Pause, name("balances"));
    let says = |access: Access<'_>| roles().judge(&caller(&["auditor"]), &access).unwrap_err();
    let command = CommandEnvelope::new(name("deposit"), Body::Encoded("{}".into(), Format::Json));
    assert_eq!(
        says(Access::Command(&command)),
        "ann may not send the command deposit: no role of this caller has it in `commands`"
    );
    assert!(says(Access::Operate(&balances, Some(&pause))).contains("`operates`"));
    assert!(says(Access::Append(&Append::new([]).guard(Guard::new(Query::all(), None)))).contains("`appends`"));
    roles().judge(&caller(&["auditor"]), &Access::Projection(&balances)).unwrap();
    roles().judge(&caller(&["auditor"]), &Access::Records).unwrap();
    let nobody = roles().judge(&Caller::nobody(), &Access::Records).unwrap_err();
    assert!(nobody.starts_with("nobody known may not"), "{nobody}");
    assert!(Roles::new().judge(&caller(&["teller"]), &Access::Command(&command)).is_err());
    let misspelt = Roles::from_json(br#"{"teller": {"command": ["deposit"]}}"#).unwrap_err().to_string();
    assert!(misspelt.contains("unknown field `command`"), "{misspelt}");
}

async fn bank(has: Caller) -> (Arc<TestStore>, Ports) {
    let store = TestStore::new();
    let bank = bank_on(&store).await;
    let ports = bank.ports().on_behalf_of(has, Arc::new(roles()));
    (store, ports)
}

fn last(store: &TestStore) -> Metadata {
    Metadata::decode(&store.events().last().unwrap().metadata)
}

#[tokio::test]
async fn what_is_denied_reaches_no_port() {
    let (store, ports) = bank(caller(&[])).await;
    assert!(matches!(ports.commands.send(open("a")).await, Err(error) if error.to_string().contains("not allowed")));
    assert!(matches!(ports.events.append(Append::new([event("account-1")])).await, Err(AppendError::Denied(_))));
    let (log, first) = (Read::log(Query::all()), stream("account-1"));
    assert!(matches!(ports.events.read(log.clone()).await, Err(ReadError::Denied(_))));
    assert!(matches!(ports.events.read(Read::stream(first)).await, Err(ReadError::Denied(_))));
    assert!(matches!(ports.events.changed(Query::all(), None).await, Err(ReadError::Denied(_))));
    assert!(matches!(ports.events.recall(name("s"), name("i")).await, Err(ReadError::Denied(_))));
    assert!(matches!(ports.events.checkpoint(name("p")).await, Err(ReadError::Denied(_))));
    let mut live = ports.subscriptions.subscribe(Query::all(), From::Beginning);
    assert!(matches!(live.next().await, Some(Err(SubscribeError::Read(ReadError::Denied(_))))));
    assert!(live.next().await.is_none());
    let p = || name("p");
    let denied = ports.projections.act(p(), ProjectionAction::Pause).await;
    assert!(matches!(denied, Err(ProjectionError::Denied(_))));
    assert!(matches!(ports.projections.status(p()).await, Err(ProjectionError::Denied(_))));
    assert!(matches!(ports.projections.parked(p(), None, 1).await, Err(ProjectionError::Denied(_))));
    let question = RowsQuestion::keys(p(), Vec::new());
    assert!(matches!(ports.projections.rows(question).await, Err(ProjectionError::Denied(_))));
    assert!(matches!(ports.projections.wait_for(p(), Position::new(1).unwrap()).await, Err(WaitError::Denied(_))));
    assert_eq!((store.appends(), store.reads().len()), (0, 0));
    // What is allowed to everybody is, and what is described is open.
    let asked = ports.queries.ask(QueryEnvelope::new(name("who"), "{}")).await;
    assert!(matches!(asked, Err(QueryError::Denied(_))), "{asked:?}");
    let asked = ports.queries.ask(QueryEnvelope::new(name("balance"), r#"{"account_id":"a"}"#)).await;
    assert!(matches!(asked, Err(QueryError::NotFound(_))), "{asked:?}");
    assert!(!ports.commands.commands().is_empty());
}

#[tokio::test]
async fn events_carry_the_caller_whatever_was_claimed() {
    let (store, ports) = bank(caller(&["teller"]).in_tenant("north")).await;
    ports.commands.send(open("a")).actor("eve").tenant("south").correlation("c").await.unwrap();
    let metadata = last(&store);
    assert_eq!((metadata.actor.as_deref(), metadata.tenant.as_deref()), (Some("ann"), Some("north")));
    assert_eq!(metadata.correlation.as_deref(), Some("c"));
    let claimed = Metadata { actor: Some("eve".into()), ..Metadata::default() };
    let signed = r#"{"actor":"ann","tenant":"north"}"#;
    for metadata in [Bytes::new(), "{}".into(), claimed.encode()] {
        let mut event = event("account-7");
        event.metadata = metadata.clone();
        ports.events.append(Append::new([event])).await.unwrap();
        assert_eq!(store.events().last().unwrap().metadata, signed, "{metadata:?}");
    }
    // Whatever others may read an actor in.
    for metadata in [
        "not ours",
        "[]",
        r#"{"actor":"ceo","tenant":1}"#,
        r#"{"actor":"ceo","actor":"ceo"}"#,
        r#"{"actor":"ann","\u0061ctor":"ceo"}"#,
        r#"{"actor":"ceo","x":1e999}"#,
        r#"{"actor":"ceo","correlation_id":7}"#,
    ] {
        let mut event = event("account-7");
        event.metadata = metadata.into();
        let refused = ports.events.append(Append::new([event])).await;
        assert!(matches!(refused, Err(AppendError::Denied(_))), "{metadata}: {refused:?}");
    }
    // Whoever is believed anyway writes what he likes.
    let believed = Caller::nobody().speaking_for_others();
    let believed = bank_on(&store).await.ports().on_behalf_of(believed, Arc::new(Unrestricted));
    let mut foreign = event("account-7");
    foreign.metadata = "not ours".into();
    believed.events.append(Append::new([foreign])).await.unwrap();
    assert_eq!(store.events().last().unwrap().metadata, "not ours");
}

#[tokio::test]
async fn another_node_speaks_for_its_callers() {
    let (store, ports) = bank(caller(&["teller"]).in_tenant("north").speaking_for_others()).await;
    ports.commands.send(open("a")).actor("eve").await.unwrap();
    assert_eq!((last(&store).actor.as_deref(), last(&store).tenant), (Some("eve"), None));
    ports.commands.send(open("b")).await.unwrap();
    assert_eq!((last(&store).actor.as_deref(), last(&store).tenant.as_deref()), (Some("ann"), Some("north")));
}

/// An id that somebody else has used is not his receipt.
#[tokio::test]
async fn tenants_have_ids_of_their_own() {
    let store = TestStore::new();
    let bank = bank_on(&store).await;
    let of = |tenant: &str| bank.ports().on_behalf_of(caller(&["teller"]).in_tenant(tenant), Arc::new(roles()));
    of("north").commands.send(open("a")).id("k").await.unwrap();
    let other = of("south").commands.send(open("b")).id("k").tenant("north").await.unwrap();
    assert!(!other.repeated);
}

#[tokio::test]
async fn a_live_subscription_is_of_what_may_be_read() {
    let (store, ports) = bank(caller(&["teller"])).await;
    ports.commands.send(open("a")).await.unwrap();
    let mut live = ports.subscriptions.subscribe(Query::of(of("account")), From::Beginning);
    let Some(Ok(Delivery::Event(event))) = live.next().await else { panic!("an event") };
    assert_eq!(event.stream, store.events()[0].stream);
}

#[tokio::test]
async fn static_keys_are_of_their_callers() {
    let keys = StaticKeys::from_json(KEYS).unwrap();
    let shows = async |text: &str| keys.authenticate(&Credentials::new(text)).await;
    let ann = shows("Bearer ann-has-this-key").await.unwrap();
    assert_eq!(ann, Caller::new("ann").in_tenant("north").with_role("teller"));
    assert_eq!(shows("bearer  ann-has-this-key").await.unwrap(), ann);
    assert_eq!(shows("Bearer bob-has-this-key").await.unwrap().actor.as_deref(), Some("bob"));
    assert!(shows("Bearer between-the-nodes").await.unwrap().speaks_for_others);
    for wrong in [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "ann-has-this-key",
        "Basic ann-has-this-key",
        "Bearer ann-has-this-ke",
        "Bearer ann-has-this-keyy",
        "Bearer ANN-has-this-key",
        "Bearer ann-has-this-key between-the-nodes",
        "Bearer 5d15a70c5ae4266d74b4816d542860deaa4f74517db860d983e80c22851f26a1",
        "Bearer \u{0}\u{1F980}",
    ] {
        let refused = shows(wrong).await;
        let Err(AuthenticationError::Refused(why)) = &refused else { panic!("{wrong:?}: {refused:?}") };
        assert!(!why.contains("ann"), "{why}");
    }
    let missing = keys.authenticate(&Credentials::none()).await;
    assert!(matches!(missing, Err(AuthenticationError::Missing)));
    assert!(!format!("{keys:?}").contains("key"), "{keys:?}");
    assert!(StaticKeys::default().authenticate(&Credentials::new("Bearer ann-has-this-key")).await.is_err());
}

#[rstest]
#[case(r#"[{"actor": "ann"}]"#, "key 1 needs either `key` or `sha256`")]
#[case(r#"[{"key": "ann-has-this-key", "sha256": ""}]"#, "key 1 needs either")]
#[case(r#"[{"key": "ann-has-this-key"}, {"key": "123456789012345"}]"#, "key 2 is shorter than 16")]
#[case(r#"[{"key": "ann has this key "}]"#, "key 1 has characters that no header")]
#[case(r#"[{"sha256": "0f"}]"#, "is not 64 hexadecimal digits")]
#[case(r#"[{"key": "ann-has-this-key"}, {"key": "ann-has-this-key"}]"#, "key 2 has been given")]
#[case(r#"[{"key": "ann-has-this-key", "role": []}]"#, "line 1, column 35")]
#[case(r"{}", "cannot be read: line 1, column")]
#[case(r#"["ann-has-this-key"]"#, "cannot be read: line 1, column 19")]
fn wrong_keys_are_named(#[case] json: &str, #[case] says: &str) {
    let error = StaticKeys::from_json(json.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
    assert!(!error.contains("has-this-key"), "{error}");
}

#[test]
fn credentials_do_not_show_themselves() {
    for secret in ["s3cr3t", "s3cr3t ", "s3cr3t, Bearer x", "Bearer s3cr3t", "bearer  s3cr3t", " s3cr3t"] {
        let shown = format!("{:?}", Credentials::new(secret));
        assert!(!shown.contains("s3cr3t") && shown.contains('…'), "{shown}");
    }
}

#[tokio::test]
async fn admission_is_authentication_and_policy() {
    let store = TestStore::new();
    let bank = bank_on(&store).await;
    let ports = bank.ports();
    let admission = Admission::by(StaticKeys::from_json(KEYS).unwrap()).with_policy(roles());
    assert_eq!(admission.challenge(), "Bearer");
    let refused = admission.admit(&Credentials::none(), &ports).await;
    assert!(matches!(refused, Err(AuthenticationError::Missing)));
    let ann = admission.admit(&Credentials::new("Bearer ann-has-this-key"), &ports).await.unwrap();
    ann.ports.commands.send(open("a")).actor("eve").await.unwrap();
    assert_eq!(last(&store).actor.as_deref(), Some("ann"));
    // Without an authenticator whoever comes is believed.
    let anybody = Admission::default().admit(&Credentials::new("whatever"), &ports).await.unwrap();
    anybody.ports.commands.send(open("b")).actor("eve").await.unwrap();
    assert_eq!(last(&store).actor.as_deref(), Some("eve"));
}
