//! The bank's read models, attacked as they are made: their rows are the fold of the events, whatever happens.

use super::process::{Answer, Bank, Client, Place, eventually};
use super::traffic::{Traffic, fold};
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ACCOUNTS: &[&str] = &["ann", "bob", "cid"];

fn owner(account: &str) -> &'static str {
    if account == "bob" { "Bob" } else { "Ann" }
}

fn open_all(client: &Client) {
    for account in ACCOUNTS {
        client.open_for(account, owner(account));
    }
}

fn clients(banks: &[&Bank], many: usize) -> Vec<Client> {
    (0..many).map(|n| banks[n % banks.len()].client()).collect()
}

/// Waits until it has applied all there is.
pub(crate) fn catches_up(client: &Client, projection: &str) {
    let last = client.get("/events?direction=backward&limit=1").expect("an answer").body;
    let position = last["events"][0]["position"].as_str().expect("there are events").to_owned();
    let path = format!("/projections/{projection}/wait?position={position}");
    // The lease of one that was killed lives on for ten seconds.
    let waited = client.get_with(&path, &[("Prefer", "wait=25")]).expect("an answer");
    assert_eq!(waited.status, 204, "{waited:?}");
}

/// The rows of this path: keys, and the column `balance`.
fn balances(client: &Client, path: &str) -> Vec<(String, u64)> {
    let page = client.get(&format!("/projections/balances/rows{path}")).expect("an answer");
    assert_eq!((page.status, &page.body["next"]), (200, &Value::Null), "{page:?}");
    of_page(&page)
}

fn of_page(page: &Answer) -> Vec<(String, u64)> {
    let rows = page.body["rows"].as_array().unwrap_or_else(|| panic!("no page: {page:?}"));
    let balance = |row: &Value| {
        let key = row["key"].as_str().expect("a key").to_owned();
        assert_eq!((&row["row"]["owner"], &row["row"]["currency"]), (&json!(owner(&key)), &json!("EUR")));
        (key, row["row"]["balance"].as_u64().expect("a balance"))
    };
    rows.iter().map(balance).collect()
}

/// The balances by account, by owner and by size are those of the events.
fn balances_are_folded(client: &Client) {
    let of_events: BTreeMap<String, u64> = ACCOUNTS
        .iter()
        .map(|account| (account.to_string(), fold(&client.events(&format!("account-{account}")))))
        .collect();
    for (account, balance) in &of_events {
        let row = client.get(&format!("/projections/balances/rows/{account}")).expect("an answer");
        let expected = json!({ "owner": owner(account), "currency": "EUR", "balance": balance });
        assert_eq!(row.body["row"], expected, "{account}: {row:?}");
    }
    let all: Vec<_> = of_events.into_iter().collect();
    assert_eq!(balances(client, ""), all, "by key");
    for name in ["Ann", "Bob"] {
        let of_owner: Vec<_> = all.iter().filter(|(account, _)| owner(account) == name).cloned().collect();
        assert_eq!(balances(client, &format!("/by/owner?owner={name}")), of_owner, "of {name}");
    }
    let mut largest = all;
    largest.sort_by_key(|(account, balance)| std::cmp::Reverse((*balance, account.clone())));
    assert_eq!(balances(client, "/by/balance?direction=backward"), largest, "the largest first");
}

/// The totals of all days are those of the events.
fn totals_are_folded(client: &Client) {
    let days = client.get("/projections/daily-totals/rows").expect("an answer");
    let days = days.body["rows"].as_array().unwrap_or_else(|| panic!("no page: {days:?}")).clone();
    let events: Vec<_> = ACCOUNTS.iter().flat_map(|account| client.events(&format!("account-{account}"))).collect();
    for (column, event_type) in [("deposited", "account.deposited"), ("withdrawn", "account.withdrawn")] {
        let of_days: u64 = days.iter().map(|day| day["row"][column].as_u64().expect("a total")).sum();
        let of_events = events.iter().filter(|event| event["type"] == event_type);
        let of_events: u64 = of_events.map(|event| event["data"]["amount"].as_u64().expect("an amount")).sum();
        assert_eq!(of_days, of_events, "{column}");
    }
}

#[rstest]
#[case::sqlite(Place::sqlite(), true)]
#[case::dynamodb(Place::dynamodb(), false)]
fn read_models_are_the_fold_of_the_events_after_sigkill(#[case] place: Place, #[case] is_inline: bool) {
    for life in 0..3 {
        let bank = Bank::start(&place, &[]);
        let client = bank.client();
        if life == 0 {
            open_all(&client);
            // What was ready once is ready in each later life at once.
            catches_up(&client, "daily-totals");
        } else {
            if is_inline {
                totals_are_folded(&client);
            }
            catches_up(&client, "balances");
            balances_are_folded(&client);
        }
        if life == 2 {
            catches_up(&client, "daily-totals");
            totals_are_folded(&client);
            return;
        }
        let (traffic, moving) = Traffic::start(ACCOUNTS, clients(&[&bank], 64), life);
        traffic.wait(Duration::from_millis(1500));
        bank.kill();
        traffic.stop();
        moving.join().expect("no client fails");
    }
}

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::dynamodb(Place::dynamodb())]
fn whoever_waits_reads_what_was_written(#[case] place: Place) {
    let bank = Bank::start(&place, &[]);
    let waits = [("Portolan-Wait-For", "balances"), ("Prefer", "wait=5")];
    let balance = |client: &Client, account: &str, headers: &[(&str, &str)]| {
        let row = client.get_with(&format!("/projections/balances/rows/{account}"), headers).expect("an answer");
        row.body["row"]["balance"].as_u64().unwrap_or_else(|| panic!("no row: {row:?}"))
    };
    std::thread::scope(|scope| {
        for n in 0..8 {
            let client = bank.client();
            scope.spawn(move || {
                let account = format!("own-{n}");
                client.open(&account);
                for turn in 1..=10 {
                    let deposit = json!({"account_id": account, "amount": 3});
                    let sent = client.post("/commands/deposit", &waits, &deposit).expect("an answer");
                    assert_eq!(sent.status, 200, "{sent:?}");
                    assert_eq!(balance(&client, &account, &[]), 2 * turn + 1);
                    // Or the reader waits, for the position that the receipt names.
                    let sent = client.done("withdraw", None, &json!({"account_id": account, "amount": 1}));
                    let position = sent.body["position"].as_str().expect("a position");
                    assert_eq!(balance(&client, &account, &[("Portolan-At-Least", position)]), 2 * turn);
                }
            });
        }
    });

    // One that does not come is told, with the receipt; sent again, it is waited for again.
    let client = bank.client();
    client.act("/projections/balances/pause");
    let deposit = json!({"account_id": "own-0", "amount": 5});
    let headers = [waits.as_slice(), &[("Idempotency-Key", "k-1")]].concat();
    let sent = client.post("/commands/deposit", &headers, &deposit).expect("an answer");
    assert_eq!((sent.status, &sent.body["waiting"]), (202, &json!(["balances"])), "{sent:?}");
    assert_eq!((balance(&client, "own-0", &[]), &client.account("own-0")["balance"]), (20, &json!(25)));
    client.act("/projections/balances/resume");
    let again = client.post("/commands/deposit", &headers, &deposit).expect("an answer");
    assert_eq!((again.status, &again.body["repeated"]), (200, &json!(true)), "{again:?}");
    assert_eq!(balance(&client, "own-0", &[]), 25);
}

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::dynamodb(Place::dynamodb())]
fn a_rebuild_goes_on_beside_writers_and_readers(#[case] place: Place) {
    let bank = Bank::start(&place, &[]);
    let client = bank.client();
    open_all(&client);
    client.open("own");
    let (traffic, moving) = Traffic::start(ACCOUNTS, clients(&[&bank], 16), 0);
    traffic.wait(Duration::from_millis(1500));

    let stop = AtomicBool::new(false);
    let goes_on = || !stop.load(Ordering::Relaxed);
    let editions = std::thread::scope(|scope| {
        let reading = bank.client();
        let readers = scope.spawn(move || {
            let mut editions: Vec<String> = Vec::new();
            let mut reads_on = true;
            while reads_on {
                // The last read begins after it was switched, however long each takes.
                reads_on = goes_on();
                let page = reading.get("/projections/balances/rows?to=d").expect("an answer");
                assert_eq!(page.status, 200, "{page:?}");
                let keys: Vec<_> = of_page(&page).into_iter().map(|(key, _)| key).collect();
                assert_eq!(keys, ACCOUNTS, "rows of one that is not ready: {page:?}");
                let edition = page.body["edition"].as_str().expect("an edition").to_owned();
                if editions.last() != Some(&edition) {
                    editions.push(edition);
                }
            }
            editions
        });
        let writing = bank.client();
        let writer = scope.spawn(move || {
            for turn in 1.. {
                if !goes_on() {
                    return;
                }
                let headers = [("Portolan-Wait-For", "balances"), ("Prefer", "wait=20")];
                let deposit = json!({"account_id": "own", "amount": 1});
                let sent = writing.post("/commands/deposit", &headers, &deposit).expect("an answer");
                assert_eq!(sent.status, 200, "{sent:?}");
                let row = writing.get("/projections/balances/rows/own").expect("an answer");
                assert_eq!(row.body["row"]["balance"], turn, "what was written is read: {row:?}");
            }
        });
        client.act("/projections/balances/rebuild");
        let read = || client.get("/projections/balances").is_some_and(|status| status.body["edition"] == "2.1");
        let waits = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| eventually("it is rebuilt", read)));
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        traffic.stop();
        writer.join().expect("no writer fails");
        let editions = readers.join().expect("no reader fails");
        waits.expect("it is rebuilt");
        editions
    });
    moving.join().expect("no client fails");
    assert_eq!(editions, ["2", "2.1"], "readers were switched once");
    client.act("/projections/balances/remove?edition=2");
    catches_up(&client, "balances");
    let own = client.get("/projections/balances/rows/own").expect("an answer").body["row"]["balance"].clone();
    assert_eq!(own, client.account("own")["balance"]);
    client.done("withdraw", None, &json!({"account_id": "own", "amount": own}));
    let closed =
        client.post("/commands/close-account", &[("Portolan-Wait-For", "balances")], &json!({"account_id": "own"}));
    assert_eq!(closed.expect("an answer").status, 200);
    balances_are_folded(&client);
}

/// Who works on the balances.
fn holder(client: &Client) -> Option<String> {
    let status = client.get("/projections/balances").expect("an answer");
    status.body["editions"][0]["holder"].as_str().map(str::to_owned)
}

#[test]
fn a_bank_that_sleeps_past_its_lease_does_no_harm() {
    let place = Place::sqlite();
    let left = Bank::start(&place, &[]);
    open_all(&left.client());
    eventually("it works", || holder(&left.client()).is_some());
    let right = Bank::start(&place, &[]);
    let client = right.client();
    let of_left = holder(&client);

    let mut slept = false;
    for _ in 0..5 {
        left.signal("STOP");
        let sent = client.command("deposit", None, &json!({"account_id": "ann", "amount": 1})).expect("an answer");
        slept = sent.status == 200;
        if slept {
            break;
        }
        // It was stopped within a transaction, and nobody else can write until it goes on.
        left.signal("CONT");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(slept, "it was within a transaction five times");
    let (traffic, moving) = Traffic::start(ACCOUNTS, clients(&[&right], 16), 0);
    traffic.wait(Duration::from_millis(1000));
    traffic.stop();
    moving.join().expect("no client fails");
    catches_up(&client, "balances");
    assert_ne!(holder(&client), of_left, "the other took over");
    balances_are_folded(&client);
    totals_are_folded(&client);

    left.signal("CONT");
    let (traffic, moving) = Traffic::start(ACCOUNTS, clients(&[&left, &right], 16), 1);
    traffic.wait(Duration::from_millis(1000));
    traffic.stop();
    moving.join().expect("no client fails");
    for client in [left.client(), right.client()] {
        catches_up(&client, "balances");
        balances_are_folded(&client);
        totals_are_folded(&client);
    }
}

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::dynamodb(Place::dynamodb())]
fn a_poison_event_parks_its_account_alone(#[case] place: Place) {
    let bank = Bank::start(&place, &["--raw-appends"]);
    let client = bank.client();
    open_all(&client);
    let deposit = |account: &str| {
        let headers = [("Portolan-Wait-For", "balances"), ("Prefer", "wait=5")];
        let body = json!({"account_id": account, "amount": 5});
        client.post("/commands/deposit", &headers, &body).expect("an answer")
    };
    assert_eq!(deposit("ann").status, 200);

    // More cents than a column holds.
    let much = json!({"events": [{"type": "account.deposited", "data": {"amount": 1_u64 << 63}}]});
    let poison = client.post("/streams/account-ann", &[], &much).expect("an answer");
    assert!(matches!(poison.status, 200 | 201), "{poison:?}");
    let poison = poison.body["position"].as_str().expect("a position").to_owned();
    let later = deposit("ann");
    assert_eq!((later.status, &later.body["waiting"]), (202, &json!(["balances"])), "{later:?}");
    let waited = client.get(&format!("/projections/balances/wait?position={poison}")).expect("an answer");
    assert_eq!((waited.status, &waited.body["type"]), (409, &json!("urn:portolan:problem:event-parked")), "{waited:?}");
    for account in ["bob", "cid"] {
        assert_eq!(deposit(account).status, 200, "the others go on");
    }
    assert_eq!(balances(&client, "").iter().map(|(_, balance)| *balance).collect::<Vec<_>>(), [5, 5, 5]);
    let parked = || client.get("/projections/balances/parked").expect("an answer").body["events"].clone();
    let positions = |events: &Value| {
        let events = events.as_array().expect("a page").iter();
        events.map(|event| event["position"].clone()).collect::<Vec<_>>()
    };
    let events = parked();
    assert_eq!(positions(&events), [json!(poison), later.body["position"].clone()], "{events}");
    assert_eq!((&events[0]["stream"], &events[0]["key"]), (&json!("account-ann"), &json!("ann")), "{events}");

    client.act(&format!("/projections/balances/drop?position={poison}"));
    eventually("what came after it goes on", || parked() == json!([]));
    assert_eq!(deposit("ann").status, 200);
    assert_eq!(balances(&client, "/by/owner?owner=Ann"), [("ann".to_owned(), 15), ("cid".to_owned(), 5)]);
}
