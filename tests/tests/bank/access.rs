//! Who is let into the bank, and what he may do, is the same over every wire.

use super::process::{Bank, Client, Place};
use core::error::Error;
use portolan::ports::{Body, RowsQuestion};
use portolan::prelude::*;
use portolan::values::{By, Format, Read};
use rstest::rstest;
use serde_json::json;

const TELLER: &str = "for-trying-out-ann";
const AUDITOR: &str = "for-trying-out-eve";
const NODE: &str = "for-trying-out-web";

#[derive(Debug, Clone, Copy)]
enum Wire {
    Http,
    Graphql,
    Grpc,
}

/// A bank for those whose keys are in the file that comes with it.
fn guarded(place: &Place) -> Bank {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/bank-keys.json");
    Bank::start(place, &["--auth-keys", file])
}

/// The bank's ports for whoever shows this key.
async fn connect(bank: &Bank, wire: Wire, key: Option<&str>) -> Result<Ports, Box<dyn Error + Send + Sync>> {
    macro_rules! config {
        ($adapter:ident) => {{
            let mut config = portolan::$adapter::ClientConfig::default();
            config.authorization = key.map(|key| format!("Bearer {key}"));
            config
        }};
    }
    let Bank { address, grpc_address, .. } = bank;
    Ok(match wire {
        Wire::Http => HttpClient::connect_with(format!("http://{address}"), config!(http)).await?.ports(),
        Wire::Graphql => {
            GraphqlClient::connect_with(format!("http://{address}/graphql"), config!(graphql)).await?.ports()
        }
        Wire::Grpc => GrpcClient::connect_with(format!("http://{grpc_address}"), config!(grpc)).await?.ports(),
    })
}

fn open(account: &str) -> CommandEnvelope {
    let body = json!({ "account_id": account, "owner": "Ann", "currency": "EUR" }).to_string();
    CommandEnvelope::new("open-account".parse().expect("a name"), Body::Encoded(body.into(), Format::Json))
}

/// On behalf of somebody, as the sender has it.
fn claiming(actor: &str, mut command: CommandEnvelope) -> CommandEnvelope {
    command.metadata.actor = Some(actor.into());
    command
}

/// Who caused the only event of a stream.
async fn actor_of(ports: &Ports, stream: &str) -> Option<String> {
    let page = ports.events.read(Read::stream(stream.parse().expect("a name"))).await.expect("an auditor reads it");
    assert_eq!(page.events.len(), 1, "{stream}");
    Metadata::decode(&page.events[0].metadata).actor
}

#[rstest]
#[case::http(Wire::Http)]
#[case::graphql(Wire::Graphql)]
#[case::grpc(Wire::Grpc)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_roles_hold_over_every_wire(#[case] wire: Wire) {
    let place = Place::memory();
    let bank = guarded(&place);
    for stranger in [None, Some("for-trying-out-anna"), Some("")] {
        let Err(refused) = connect(&bank, wire, stranger).await else {
            panic!("{stranger:?} is let in over {wire:?}");
        };
        assert!(refused.to_string().contains("credentials"), "{refused}");
    }
    let teller = connect(&bank, wire, Some(TELLER)).await.expect("a teller is let in");
    let auditor = connect(&bank, wire, Some(AUDITOR)).await.expect("an auditor is let in");
    let node = connect(&bank, wire, Some(NODE)).await.expect("a node is let in");

    teller.commands.dispatch(claiming("mallory", open("ann"))).await.expect("a teller opens accounts");
    node.commands.dispatch(claiming("bob", open("bob"))).await.expect("so does a node");
    node.commands.dispatch(open("cid")).await.expect("also in its own name");
    let actors = ["account-ann", "account-bob", "account-cid"].map(|stream| actor_of(&auditor, stream));
    let actors = futures::future::join_all(actors).await;
    assert_eq!(actors, [Some("ann".to_owned()), Some("bob".to_owned()), Some("web-1".to_owned())]);

    let denied = auditor.commands.dispatch(open("dan")).await;
    assert!(
        matches!(&denied, Err(CommandError::Denied(why)) if why.contains("eve") && why.contains("open-account")),
        "{denied:?}"
    );
    let denied = teller.events.read(Read::stream("account-ann".parse().expect("a name"))).await;
    assert!(matches!(&denied, Err(portolan::ports::ReadError::Denied(_))), "{denied:?}");
    let totals = || RowsQuestion::page("daily-totals".parse().expect("a name"), By::key());
    let denied = teller.projections.rows(totals()).await;
    assert!(matches!(&denied, Err(ProjectionError::Denied(_))), "{denied:?}");
    auditor.projections.rows(totals()).await.expect("an auditor sees all rows");
    let log = auditor.events.read(Read::log(Query::all())).await.expect("an auditor reads the log");
    assert_eq!(log.events.len(), 3, "what was denied has left nothing");
}

#[test]
fn what_is_refused_has_its_status() {
    let place = Place::memory();
    let bank = guarded(&place);
    let client: Client = bank.client();
    let account = json!({ "account_id": "ann", "owner": "Ann", "currency": "EUR" });
    let document = json!({ "query": "mutation { dispatch(command: \"open-account\", body: \"{}\") { __typename } }" });
    let of = |key: &str| format!("Bearer {key}");
    for (path, body) in [("/commands/open-account", &account), ("/graphql", &document)] {
        let without = client.post(path, &[], body).expect("an answer");
        assert_eq!(without.status, 401, "{path}: {without:?}");
        let forged = client.post(path, &[("Authorization", &of("for-trying-out-anna"))], body).expect("an answer");
        assert_eq!(forged.status, 401, "{path}: {forged:?}");
    }
    let denied = client.post("/commands/open-account", &[("Authorization", &of(AUDITOR))], &account);
    let denied = denied.expect("an answer");
    assert_eq!((denied.status, &denied.body["type"]), (403, &json!("urn:portolan:problem:denied")), "{denied:?}");
    let denied = client.post("/graphql", &[("Authorization", &of(AUDITOR))], &document).expect("an answer");
    assert_eq!((denied.status, &denied.body["data"]["dispatch"]["__typename"]), (200, &json!("Denied")), "{denied:?}");
    let opened = client.post("/commands/open-account", &[("Authorization", &of(TELLER))], &account);
    assert_eq!(opened.expect("an answer").status, 200);
}

#[test]
fn a_file_of_keys_that_cannot_be_used_stops_the_bank() {
    let place = Place::memory();
    let file = place.dir().join("keys.json");
    std::fs::write(&file, r#"{"keys": [{"key": "short"}], "roles": {}}"#).expect("it can be written");
    let path = file.to_str().expect("a path in UTF-8");
    let said = Bank::refused(&["--store", "memory", "--auth-keys", path]);
    assert!(said.contains("keys.json: key 1 is shorter than 16 characters"), "{said}");
    // Whatever is wrong with it, no key is told.
    for text in [
        r#"{"keys": "ann-has-this-key", "roles": {}}"#,
        r#"{"keys": ["ann-has-this-key"], "roles": {}}"#,
        r#"{"keys": [{"ann-has-this-key": "ann"}], "roles": {}}"#,
        r#"{"keys": [{"key": "ann-has-this-key", "actor": 7}], "roles": {}}"#,
        r#"{"keys": [{"key": "ann-has-this-key"}], "roles": "ann-has-this-key"}"#,
        r#"{"ann-has-this-key": []}"#,
        r#""ann-has-this-key""#,
        r#"{"keys": [{"key": "ann-has-this-key"}], "roles": {}"#,
    ] {
        std::fs::write(&file, text).expect("it can be written");
        let said = Bank::refused(&["--store", "memory", "--auth-keys", path]);
        assert!(said.contains("keys.json: line 1, column ") && !said.contains("has-this"), "{text}: {said}");
    }
    let misspelt = r#"{"keys": [{"key": "ann-has-this-key", "roles": ["tellr"]}], "roles": {"teller": {}}}"#;
    std::fs::write(&file, misspelt).expect("it can be written");
    let said = Bank::refused(&["--store", "memory", "--auth-keys", path]);
    assert!(said.contains("the role tellr, and there is no such role"), "{said}");
    std::fs::remove_file(&file).expect("it can be removed");
    let said = Bank::refused(&["--store", "memory", "--auth-keys", path]);
    assert!(said.contains("keys.json: "), "{said}");
}
