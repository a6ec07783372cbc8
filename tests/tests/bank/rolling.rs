//! A bank of before and a bank of now on one file, as in a rolling deployment: the old one meets events that it does not
//! know, does about them what it says, and harms nothing.

use super::process::{Answer, Bank, Client, Place, eventually};
use super::read_models::catches_up;
use super::traffic::{Traffic, fold};
use serde_json::{Value, json};
use std::time::Duration;

fn status(client: &Client, projection: &str) -> Value {
    let status = client.get(&format!("/projections/{projection}")).expect("an answer");
    assert_eq!(status.status, 200, "{status:?}");
    status.body
}

fn deposit(client: &Client, account: &str, amount: u64) -> Answer {
    client.done("deposit", None, &json!({"account_id": account, "amount": amount}))
}

/// The deposits of version 2 in the log, which the old bank does not know.
fn unknown(client: &Client, accounts: &[&str]) -> Vec<Value> {
    let events = accounts.iter().flat_map(|account| client.events(&format!("account-{account}")));
    events.filter(|event| event["type"] == "account.deposited" && event["version"] == 2).collect()
}

/// What the old bank says of an event that it does not know.
fn says_why(text: &str, stream: &str) {
    for words in [stream, "(account.deposited version 2)", "the application knows version 1", "update the application"]
    {
        assert!(text.contains(words), "`{words}` is missing in: {text}");
    }
}

/// The balances that the bank of now reads are the fold of the events, old and new.
fn balances_are_folded(client: &Client, accounts: &[&str]) {
    catches_up(client, "balances");
    for account in accounts {
        let row = client.get(&format!("/projections/balances/rows/{account}")).expect("an answer");
        let balance = fold(&client.events(&format!("account-{account}")));
        assert_eq!(row.body["row"]["balance"], balance, "{account}: {row:?}");
        assert_eq!(client.account(account)["balance"], balance, "{account}");
    }
}

fn editions(client: &Client) -> Vec<(Value, Value)> {
    let editions = status(client, "balances")["editions"].clone();
    let editions = editions.as_array().expect("a list").iter();
    editions.map(|edition| (edition["edition"].clone(), edition["holder"].clone())).collect()
}

/// The old bank refuses what it cannot judge, in words, and its projections do as they say.
fn keeps_its_policies(old: &Bank, new: &Client, unknown_to: &[&str]) {
    let client = old.client();
    let news = unknown(new, unknown_to);
    for account in unknown_to {
        let refused = client.command("deposit", None, &json!({"account_id": account, "amount": 1})).expect("an answer");
        assert_eq!(refused.status, 500, "{refused:?}");
        says_why(refused.body["detail"].as_str().expect("a detail"), &format!("account-{account}"));
    }
    // Parked, with the accounts that it is about.
    let count = || client.get("/projections/balances/parked?limit=1000").expect("an answer").body["events"].clone();
    let parked = || count().as_array().expect("a page").clone();
    eventually("they are parked", || {
        news.iter().all(|new| parked().iter().any(|of| of["position"] == new["position"]))
    });
    let first = parked().into_iter().find(|event| event["position"] == news[0]["position"]).expect("it is parked");
    says_why(first["reason"].as_str().expect("a reason"), first["stream"].as_str().expect("a stream"));
    assert!(status(&client, "balances")["parked"].as_u64() >= Some(news.len() as u64));
    // Stopped.
    eventually("it stops", || status(&client, "turnovers")["state"] == "stopped");
    says_why(status(&client, "turnovers")["reason"].as_str().expect("a reason"), "account-");
    // Skipped, and each counted once.
    eventually("it goes on", || {
        let status = status(&client, "deposits");
        status["lag"]["events"] == 0 && status["skipped"] == news.len()
    });
    assert_eq!(status(&client, "deposits")["last_error"], Value::Null);
    // Raw.
    eventually("it goes on", || status(&client, "kinds")["lag"]["events"] == 0);
    let kinds = client.get("/projections/kinds/rows/account.deposited").expect("an answer");
    assert_eq!(kinds.body["row"]["raw"], news.len(), "{kinds:?}");
}

#[test]
fn an_old_and_a_new_bank_on_one_file_harm_nothing() {
    let place = Place::sqlite();
    let old = Bank::start_before(&place);
    let before = old.client();
    for account in ["ann", "bob", "cid"] {
        before.open(account);
    }
    let body = json!({"account_id": "ann", "amount": 100});
    let first = before.done("deposit", Some("k-1"), &body);
    catches_up(&before, "balances");

    // The new one reads what there is, and knows what was sent before.
    let new = Bank::start(&place, &[]);
    let now = new.client();
    balances_are_folded(&now, &["ann", "bob", "cid"]);
    let again = now.done("deposit", Some("k-1"), &body);
    assert_eq!((&again.body["repeated"], &again.body["events"]), (&json!(true), &first.body["events"]));
    // Each is on rows of its own.
    let own = editions(&now);
    assert_eq!(own.iter().map(|(edition, _)| edition).collect::<Vec<_>>(), [&json!("1"), &json!("2")]);
    assert!(own[0].1 != own[1].1 && own.iter().all(|(_, holder)| holder.is_string()), "{own:?}");

    // What the old one writes from now on is read rightly too, and the new one writes what the old one does not know.
    deposit(&before, "ann", 7);
    let rent = json!({"account_id": "ann", "amount": 5, "reference": "rent"});
    let sent = now.done("deposit", Some("k-2"), &rent);
    assert_eq!(now.events("account-ann").last().expect("an event")["data"], json!({"amount": 5, "reference": "rent"}));
    balances_are_folded(&now, &["ann", "bob", "cid"]);
    keeps_its_policies(&old, &now, &["ann"]);
    // What was repeated was not written.
    let known = before.done("deposit", Some("k-1"), &body);
    assert_eq!(known.body["repeated"], true);

    // Both go on, each where it can.
    let (of_old, writing) = Traffic::start(&["bob"], (0..8).map(|_| old.client()).collect(), 0);
    let (of_new, moving) = Traffic::start(&["cid"], (0..8).map(|_| new.client()).collect(), 1);
    of_old.wait(Duration::from_millis(500));
    of_new.wait(Duration::from_millis(500));
    of_old.stop();
    of_new.stop();
    for traffic in [writing, moving] {
        assert!(traffic.join().expect("no client fails").len() > 20);
    }
    balances_are_folded(&now, &["ann", "bob", "cid"]);
    totals_are_folded(&now, &["ann", "bob", "cid"]);
    keeps_its_policies(&old, &now, &["ann", "cid"]);
    assert_eq!(editions(&now), own, "nobody worked on the rows of the other");

    // The old one ends, and the new one goes on, also where only the old one wrote.
    assert!(old.terminate().success());
    deposit(&now, "bob", 11);
    balances_are_folded(&now, &["ann", "bob", "cid"]);

    // The new one dies, and the deployment is taken back: the old one goes on as before.
    new.kill();
    let old = Bank::start_before(&place);
    let before = old.client();
    let place_of_sent = sent.body["position"].as_str().expect("a position").to_owned();
    let waited = before.get(&format!("/projections/balances/wait?position={place_of_sent}")).expect("an answer");
    assert_eq!((waited.status, &waited.body["type"]), (409, &json!("urn:portolan:problem:event-parked")), "{waited:?}");
    keeps_its_policies(&old, &before, &["ann", "bob", "cid"]);
    before.open("dan");
    deposit(&before, "dan", 3);
    assert!(old.terminate().success());

    // And once more forward.
    let new = Bank::start(&place, &[]);
    balances_are_folded(&new.client(), &["ann", "bob", "cid", "dan"]);
    totals_are_folded(&new.client(), &["ann", "bob", "cid", "dan"]);
    let standing = status(&new.client(), "balances");
    assert_eq!((&standing["edition"], &standing["parked"], &standing["skipped"]), (&json!("2"), &json!(0), &json!(0)));
}

/// The totals of all days are those of the events.
fn totals_are_folded(client: &Client, accounts: &[&str]) {
    catches_up(client, "daily-totals");
    let days = client.get("/projections/daily-totals/rows").expect("an answer");
    let days = days.body["rows"].as_array().unwrap_or_else(|| panic!("no page: {days:?}")).clone();
    let total = |column: &str| days.iter().map(|day| day["row"][column].as_u64().expect("a total")).sum::<u64>();
    let balance: u64 = accounts.iter().map(|account| fold(&client.events(&format!("account-{account}")))).sum();
    assert_eq!(total("deposited") - total("withdrawn"), balance);
}
