//! The bank, attacked as it runs: real processes, real sockets, real SIGKILL, on one SQLite file and on one DynamoDB table.

mod access;
mod migrating;
mod process;
mod read_models;
mod rolling;
mod traffic;
mod transfers;

use process::{Bank, Client, Place};
use rstest::rstest;
use serde_json::json;
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use traffic::{Traffic, fold};

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::dynamodb(Place::dynamodb())]
fn a_life_of_an_account_survives_sigkill(#[case] place: Place) {
    let bank = Bank::start(&place, &[]);
    let client = bank.client();
    let opened = client.open("ann");
    assert_eq!(opened.body["stream"], "account-ann");
    assert_eq!(opened.body["revision"], 0);
    assert!(opened.body["position"].is_string(), "positions are strings: {opened:?}");

    let mut live = bank.live("/streams/account-ann", None);
    let first = client.done("deposit", Some("k-1"), &json!({"account_id": "ann", "amount": 100}));
    client.done("withdraw", None, &json!({"account_id": "ann", "amount": 30}));
    let refused = client.command("withdraw", None, &json!({"account_id": "ann", "amount": 71})).expect("an answer");
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!("insufficient-funds")), "{refused:?}");
    assert_eq!(refused.body["fields"]["missing"], 1, "{refused:?}");
    assert!(live.any(|line| line.starts_with("data:") && line.contains("account.withdrawn")), "seen live");

    let before = client.account("ann");
    assert_eq!((&before["balance"], &before["revision"]), (&json!(70), &json!(2)), "{before}");
    let events = client.events("account-ann");
    bank.kill();

    let bank = Bank::start(&place, &[]);
    let client = bank.client();
    assert_eq!(client.account("ann"), before);
    assert_eq!(client.events("account-ann"), events);
    let again = client.done("deposit", Some("k-1"), &json!({"account_id": "ann", "amount": 100}));
    assert_eq!(again.body["repeated"], true, "{again:?}");
    assert_eq!(again.body["position"], first.body["position"]);
    assert_eq!(again.body["events"], first.body["events"]);
    let reused = client.command("deposit", Some("k-1"), &json!({"account_id": "ann", "amount": 1})).expect("an answer");
    assert_eq!(reused.status, 409, "{reused:?}");
    assert_eq!(client.account("ann"), before);
}

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::dynamodb(Place::dynamodb())]
fn live_events_resume_after_the_last_one_seen(#[case] place: Place) {
    let bank = Bank::start(&place, &[]);
    let client = bank.client();
    client.open("ann");
    let second = client.done("deposit", None, &json!({"account_id": "ann", "amount": 1}));
    client.done("deposit", None, &json!({"account_id": "ann", "amount": 2}));

    let position = second.body["position"].as_str().expect("a string").to_owned();
    let mut live = bank.live("/events", Some(&position));
    let next = live.find(|line| line.starts_with("data:") && line.contains("account.")).expect("an event");
    assert!(next.contains(r#""amount":2"#), "the first after the resumed position: {next}");
    client.done("deposit", None, &json!({"account_id": "ann", "amount": 3}));
    let next = live.find(|line| line.starts_with("data:") && line.contains("account.")).expect("an event");
    assert!(next.contains(r#""amount":3"#), "the one that came live: {next}");
}

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::dynamodb(Place::dynamodb())]
fn one_key_runs_once_for_64_callers_and_after_a_restart(#[case] place: Place) {
    let bank = Bank::start(&place, &[]);
    bank.client().open("ann");
    let deposit = json!({"account_id": "ann", "amount": 5});
    let receipts: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let client = bank.client();
                let deposit = &deposit;
                scope.spawn(move || client.done("deposit", Some("same"), deposit).body)
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().expect("no caller fails")).collect()
    });
    assert_eq!(receipts.iter().filter(|receipt| receipt["repeated"] == false).count(), 1, "one is the original");
    assert!(receipts.iter().all(|receipt| receipt["position"] == receipts[0]["position"]));
    bank.kill();

    let bank = Bank::start(&place, &[]);
    assert_eq!(bank.client().done("deposit", Some("same"), &deposit).body["repeated"], true);
    assert_eq!(bank.client().account("ann")["balance"], 5);
}

fn audit(client: &Client, acknowledged: &HashSet<String>) {
    let events = client.events("account-ann");
    let ids: HashSet<_> = events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(ids.len(), events.len(), "no command ran twice");
    let lost: Vec<_> = acknowledged.difference(&ids).collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    assert_eq!(client.account("ann")["balance"], fold(&events), "the balance is the fold of the events");
    assert!(acknowledged.len() > 20, "there was traffic: {}", acknowledged.len());
}

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::dynamodb(Place::dynamodb())]
fn sixty_four_clients_and_sigkill_lose_nothing_acknowledged(#[case] place: Place) {
    let mut acknowledged = HashSet::new();
    for round in 0..3 {
        let bank = Bank::start(&place, &[]);
        let client = bank.client();
        if round == 0 {
            client.open("ann");
        } else {
            audit(&client, &acknowledged);
        }
        let clients: Vec<_> = (0..64).map(|_| bank.client()).collect();
        let (traffic, sender) = Traffic::start(&["ann"], clients, round);
        traffic.wait(Duration::from_millis(1500));
        bank.kill();
        traffic.stop();
        acknowledged.extend(sender.join().expect("no client fails"));
    }
    let bank = Bank::start(&place, &[]);
    audit(&bank.client(), &acknowledged);
}

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::dynamodb(Place::dynamodb())]
fn two_banks_on_one_store_are_one_bank(#[case] place: Place) {
    let (left, right) = (Bank::start(&place, &[]), Bank::start(&place, &[]));
    left.client().open("ann");
    let mut live = right.live("/events", None);
    let clients: Vec<_> = (0..32).map(|n| if n % 2 == 0 { left.client() } else { right.client() }).collect();
    let (traffic, sender) = Traffic::start(&["ann"], clients, 0);
    assert!(live.any(|line| line.starts_with("data:") && line.contains("account.opened")), "seen from the other");
    traffic.wait(Duration::from_millis(1000));
    left.kill();
    std::thread::sleep(Duration::from_millis(500));
    traffic.stop();
    let acknowledged = sender.join().expect("no client fails");
    audit(&right.client(), &acknowledged);
}

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::dynamodb(Place::dynamodb())]
fn sigterm_finishes_what_was_accepted_and_exits_0(#[case] place: Place) {
    let bank = Bank::start(&place, &[]);
    bank.client().open("ann");
    let live = bank.live("/events", None);
    let clients: Vec<_> = (0..8).map(|_| bank.client()).collect();
    let (traffic, sender) = Traffic::start(&["ann"], clients, 0);
    traffic.wait(Duration::from_millis(500));
    assert!(bank.terminate().success(), "it exits with 0");
    traffic.stop();
    let acknowledged = sender.join().expect("no client fails");
    live.for_each(drop);
    let bank = Bank::start(&place, &[]);
    audit(&bank.client(), &acknowledged);
}

#[test]
fn raw_appends_are_off_unless_asked_for() {
    let place = Place::sqlite();
    let body = json!({"events": [{"type": "account.opened", "data": {"owner": "Eve", "currency": "EUR"}}]});
    let post = |bank: &Bank| {
        let url = format!("http://{}/streams/account-eve", bank.address);
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.post(url).header("If-None-Match", "*").send_json(&body).expect("an answer").status().as_u16()
    };
    let bank = Bank::start(&place, &[]);
    assert!(matches!(post(&bank), 403..=405));
    assert_eq!(bank.client().get("/streams/account-eve").expect("an answer").status, 404);
    bank.kill();
    let bank = Bank::start(&place, &["--raw-appends"]);
    assert!(matches!(post(&bank), 200 | 201));
    assert_eq!(post(&bank), 412, "the stream is there now");
    assert_eq!(bank.client().account("eve")["owner"], "Eve");
    let account = bank.client().get("/queries/account?account_id=eve").expect("an answer");
    assert_eq!(account.etag.as_deref(), Some("\"0\""), "{account:?}");
}

/// A request whose body never ends holds up the first signal, and not the second.
#[test]
fn a_second_signal_ends_it_at_once() {
    let bank = Bank::start(&Place::sqlite(), &[]);
    let head =
        "POST /commands/deposit HTTP/1.1\r\nHost: bank\r\nContent-Type: application/json\r\nContent-Length: 9\r\n";
    let mut slow = TcpStream::connect(&bank.address).expect("it listens");
    write!(slow, "{head}Expect: 100-continue\r\n\r\n").expect("sent");
    let mut said = String::new();
    BufReader::new(slow.try_clone().expect("a handle")).read_line(&mut said).expect("an answer");
    assert!(said.contains("100"), "it waits for the body: {said}");
    bank.signal("TERM");
    process::eventually("it listens no more", || TcpStream::connect(&bank.address).is_err());
    assert!(!bank.terminate().success(), "it did not wait for the first to be done");
}

#[test]
fn where_the_file_is_damaged_is_told_to_the_operator_alone() {
    let place = Place::sqlite();
    let data = place.dir().join("bank.db");
    let bank = Bank::start(&place, &[]);
    let client = bank.client();
    client.open("ann");
    let deposited = client.done("deposit", None, &json!({"account_id": "ann", "amount": 987_654_321}));
    let position = format!("position {}", deposited.body["position"].as_str().expect("a string"));
    assert!(bank.terminate().success());
    let mut bytes = std::fs::read(&data).expect("the file of the bank");
    let payload = bytes.windows(9).position(|window| window == b"987654321").expect("the payload is readable");
    bytes[payload] ^= 1;
    std::fs::write(&data, bytes).expect("the file can be written");

    let bank = Bank::start(&place, &[]);
    let client = bank.client();
    let path = data.to_str().expect("a path in UTF-8");
    let answers = [
        client.command("deposit", None, &json!({"account_id": "ann", "amount": 1})),
        client.get("/queries/account?account_id=ann"),
        client.get("/streams/account-ann"),
    ];
    for answer in answers {
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, &answer.body["type"]), (500, &json!("urn:portolan:problem:corrupt")), "{answer:?}");
        assert!(!answer.body.to_string().contains(path), "{answer:?}");
    }
    process::eventually("the operator knows", || {
        let heard = bank.complaints.lock().expect("no one panicked");
        heard.contains(path) && heard.contains(&position)
    });
}

#[test]
fn without_tls_dynamodb_needs_an_endpoint_over_plain_http() {
    for endpoint in [&[][..], &["--endpoint", "https://127.0.0.1:1"]] {
        let said = Bank::refused(&[&["--store", "dynamodb"], endpoint].concat());
        assert!(said.contains("`dynamodb` of portolan") && said.contains("http://"), "{said}");
    }
}

#[test]
fn two_lives_in_memory_are_two_banks() {
    let place = Place::memory();
    let bank = Bank::start(&place, &[]);
    bank.client().open("ann");
    bank.kill();
    assert_eq!(place.dir().read_dir().expect("it is there").count(), 0, "memory leaves no file");
    let bank = Bank::start(&place, &[]);
    let missing = bank.client().get("/queries/account?account_id=ann").expect("an answer");
    assert_eq!(missing.status, 404, "{missing:?}");
    process::eventually("it is ready", || bank.client().get("/readyz").is_some_and(|answer| answer.status == 200));
}
