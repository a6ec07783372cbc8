//! Transfers between accounts, which are sagas: banks that drive them are killed and stopped, and no cent is lost or moved twice.

use crate::process::{Answer, Bank, Client, Place, eventually};
use crate::read_models::catches_up;
use crate::traffic::fold;
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many transfers are driven under SIGKILL, and how often that comes; raise them with `TRANSFERS` and `KILLS`. A kill may
/// cost a transfer an attempt, and of those there are twenty at each step.
const TRANSFERS: usize = 1_000;
const KILLS: usize = 6;

/// So many accounts pay each other, and have so much at first.
const ACCOUNTS: usize = 12;
const CENTS: u64 = 100_000;

fn set(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|set| set.parse().ok()).unwrap_or(usual)
}

/// Where the transfers go, beside the accounts that pay each other: each refuses in its own way.
const OTHERS: [&str; 4] = ["closed", "nobody", "dollars", "poor"];

#[derive(Debug, Clone)]
struct Transfer {
    id: String,
    from: String,
    to: String,
    amount: u64,
}

impl Transfer {
    /// One in four fails, in one of four ways.
    fn nth(n: usize) -> Self {
        let (from, to) =
            (format!("a{}", n % ACCOUNTS), format!("a{}", (n + 1 + n / ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS));
        let (from, to) = match n % 16 {
            0 => (from, "closed".into()),
            1 => (from, "nobody".into()),
            2 => (from, "dollars".into()),
            3 => ("poor".into(), to),
            _ => (from, to),
        };
        Self { id: format!("t-{n}"), from, to, amount: 1 + n as u64 % 97 }
    }

    fn goes_well(&self) -> bool {
        ![&self.from, &self.to].iter().any(|account| OTHERS.contains(&account.as_str()))
    }

    fn path(&self) -> String {
        format!("/sagas/transfer-money/{}", self.id)
    }

    fn start(&self, client: &Client) -> Option<Answer> {
        let body = json!({"from": self.from, "to": self.to, "amount": self.amount});
        client.post("/sagas/transfer-money", &[("Idempotency-Key", &self.id)], &body)
    }
}

fn open_accounts(client: &Client) {
    for n in 0..ACCOUNTS {
        let account = format!("a{n}");
        client.open(&account);
        client.done("deposit", None, &json!({"account_id": account, "amount": CENTS}));
    }
    client.open("poor");
    client.open("closed");
    client.done("close-account", None, &json!({"account_id": "closed"}));
    client.done("open-account", None, &json!({"account_id": "dollars", "owner": "Don", "currency": "USD"}));
}

/// Who starts transfers, at whichever bank is there, until each has been accepted.
struct Starters {
    transfers: Vec<Transfer>,
    next: AtomicUsize,
    repeated: AtomicUsize,
    banks: Mutex<Vec<Client>>,
}

impl Starters {
    fn new(transfers: usize) -> Self {
        let transfers = (0..transfers).map(Transfer::nth).collect();
        Self { transfers, next: AtomicUsize::new(0), repeated: AtomicUsize::new(0), banks: Mutex::default() }
    }

    fn at(&self, banks: Vec<Client>) {
        *self.banks.lock().unwrap_or_else(PoisonError::into_inner) = banks;
    }

    /// One of many threads.
    fn work(&self, thread: usize) {
        let start = Instant::now();
        while let Some(transfer) = self.transfers.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            for turn in 0.. {
                let bank = {
                    let banks = self.banks.lock().unwrap_or_else(PoisonError::into_inner);
                    (!banks.is_empty()).then(|| banks[(thread + turn) % banks.len()].clone())
                };
                match bank.and_then(|bank| transfer.start(&bank)) {
                    Some(answer) if matches!(answer.status, 200 | 201) => {
                        let repeated = usize::from(answer.body["repeated"] == true);
                        self.repeated.fetch_add(repeated, Ordering::Relaxed);
                        break;
                    }
                    // It may have been started, and is started again.
                    None => assert!(start.elapsed() < Duration::from_secs(600), "{transfer:?} is never answered"),
                    Some(answer) => assert!(matches!(answer.status, 500 | 503), "{transfer:?}: {answer:?}"),
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Waits until no transfer is on its way, for at most two minutes.
fn all_have_ended(client: &Client, transfers: &[Transfer]) -> BTreeMap<String, Value> {
    let start = Instant::now();
    let mut ended = BTreeMap::new();
    loop {
        for transfer in transfers {
            if ended.contains_key(&transfer.id) {
                continue;
            }
            let answer = client.get(&transfer.path()).expect("an answer");
            assert_eq!(answer.status, 200, "{transfer:?}: {answer:?}");
            match answer.body["phase"].as_str().expect("a phase") {
                "completed" | "compensated" => ended.insert(transfer.id.clone(), answer.body),
                "running" | "waiting" | "compensating" if start.elapsed() < Duration::from_secs(120) => break,
                _ => panic!("{transfer:?} has not ended: {answer:?}"),
            };
        }
        if ended.len() == transfers.len() {
            return ended;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the accounts' events say of a transfer: amounts withdrawn, paid in, and paid back.
#[derive(Debug, Default, PartialEq)]
struct Moved {
    debits: Vec<(String, u64)>,
    credits: Vec<(String, u64)>,
    refunds: Vec<(String, u64)>,
}

/// Each transfer that has ended is done or undone, once, and there is as much money as there was.
fn audit(client: &Client, transfers: &[Transfer], ended: &BTreeMap<String, Value>) -> usize {
    let mut moved: BTreeMap<String, Moved> = BTreeMap::new();
    let mut total = 0;
    let accounts: Vec<_> = (0..ACCOUNTS).map(|n| format!("a{n}")).collect();
    for account in accounts.iter().map(String::as_str).chain(["poor", "closed", "dollars"]) {
        let events = client.events(&format!("account-{account}"));
        total += fold(&events);
        for event in &events {
            let Some(saga) = event["metadata"]["saga"].as_str() else { continue };
            assert_eq!(event["metadata"]["correlation_id"], saga, "{event}");
            let id = saga.strip_prefix("transfer-money/").expect("no other saga moves money");
            let of = moved.entry(id.to_owned()).or_default();
            let amount = (account.to_owned(), event["data"]["amount"].as_u64().expect("an amount"));
            match (event["type"].as_str(), event["data"]["reference"].as_str()) {
                (Some("account.withdrawn"), None) => of.debits.push(amount),
                (Some("account.deposited"), Some(said)) if said == format!("refund of transfer {id}") => {
                    of.refunds.push(amount);
                }
                (Some("account.deposited"), Some(said)) if said.starts_with(&format!("transfer {id} from ")) => {
                    of.credits.push(amount);
                }
                _ => panic!("{event}"),
            }
        }
    }
    assert_eq!(total, ACCOUNTS as u64 * CENTS, "there is as much money as there was");
    let gone = client.get("/streams/account-nobody").expect("an answer");
    assert_eq!(gone.status, 404, "nobody has no account");

    let mut completed = 0;
    for transfer in transfers {
        let (from, to) = ((transfer.from.clone(), transfer.amount), (transfer.to.clone(), transfer.amount));
        let moved = moved.remove(&transfer.id).unwrap_or_default();
        let status = &ended[&transfer.id];
        if status["phase"] == "completed" {
            completed += 1;
            assert!(transfer.goes_well(), "{transfer:?}: {status}");
            assert_eq!(moved, Moved { debits: vec![from], credits: vec![to], refunds: vec![] }, "{transfer:?}");
        } else {
            assert_eq!(moved.credits, [], "{transfer:?}: {status}");
            assert!(moved.debits.is_empty() || moved.debits == [from], "{transfer:?}: {moved:?}");
            assert_eq!(moved.refunds, moved.debits, "{transfer:?}: {status}");
            // Only of those that are refused by the payee has something been undone.
            assert_eq!(!moved.debits.is_empty(), transfer.to == "closed", "{transfer:?}: {moved:?} {status}");
        }
    }
    assert!(moved.is_empty(), "nothing moves for transfers that nobody has started: {moved:?}");
    let well = transfers.iter().filter(|transfer| transfer.goes_well()).count();
    assert_eq!(completed, well, "whatever happens to the bank, a transfer that can be done is done");

    catches_up(client, "balances");
    let rows = client.get("/projections/balances/rows?limit=1000").expect("an answer");
    let rows = rows.body["rows"].as_array().expect("a page").clone();
    assert_eq!(rows.iter().map(|row| row["row"]["balance"].as_u64().expect("a balance")).sum::<u64>(), total);
    completed
}

#[rstest]
#[case::sqlite(Place::sqlite())]
#[case::memory(Place::memory())]
#[case::dynamodb(Place::dynamodb())]
fn a_transfer_is_done_or_undone(#[case] place: Place) {
    let bank = Bank::start(&place, &[]);
    let client = bank.client();
    open_accounts(&client);
    let transfers: Vec<_> = (0..16).map(Transfer::nth).collect();
    for (n, transfer) in transfers.iter().enumerate() {
        let started = transfer.start(&client).expect("an answer");
        assert_eq!((started.status, &started.body["repeated"]), (201, &json!(false)), "{n}: {started:?}");
    }
    let ended = all_have_ended(&client, &transfers);
    audit(&client, &transfers, &ended);
    let whys = [
        (0, "the account is closed, for good"),
        (1, "there is no account nobody"),
        (2, "EUR is not USD"),
        (3, "4 cents are missing"),
    ];
    for (n, why) in whys {
        let said = ended[&transfers[n].id]["reason"].as_str().expect("a reason");
        assert!(said.contains(why), "{said}");
    }
    let again = transfers[5].start(&client).expect("an answer");
    assert_eq!((again.status, &again.body["repeated"]), (200, &json!(true)), "{again:?}");
    let other = Transfer { amount: 1_000, ..transfers[5].clone() }.start(&client).expect("an answer");
    assert_eq!((other.status, &other.body["type"]), (409, &json!("urn:portolan:problem:saga-started-otherwise")));
    assert!(bank.terminate().success());
}

#[test]
fn a_transfer_that_is_none_is_not_started() {
    let bank = Bank::start(&Place::memory(), &[]);
    let client = bank.client();
    let start = |id: &str, body: Value| {
        client.post("/sagas/transfer-money", &[("Idempotency-Key", id)], &body).expect("an answer")
    };
    let wrong = start("t-1", json!({"from": " ", "to": " ", "amount": 0}));
    assert_eq!(wrong.status, 422, "{wrong:?}");
    let found = wrong.body["violations"].as_array().expect("a list").clone();
    let found: Vec<_> = found.iter().map(|wrong| (wrong["path"].as_str(), wrong["code"].as_str())).collect();
    let expected = [("from", "blank"), ("to", "blank"), ("amount", "zero"), ("to", "same-account")];
    assert_eq!(found, expected.map(|(path, code)| (Some(path), Some(code))));
    let more = start("t-1", json!({"from": "a", "to": "b", "amount": 1, "fee": 1}));
    assert_eq!(more.status, 422, "{more:?}");
    assert_eq!(client.get("/sagas/transfer-money/t-1").expect("an answer").status, 404);

    let definitions = client.get("/saga-definitions").expect("an answer");
    let schema = definitions.body["definitions"].as_array().expect("a list").iter();
    let schema = schema.map(|of| (&of["name"], &of["schema"]["properties"])).collect::<Vec<_>>();
    assert_eq!(schema.len(), 1, "{definitions:?}");
    assert_eq!((schema[0].0, &schema[0].1["amount"]["minimum"]), (&json!("transfer-money"), &json!(1)));
    assert_eq!(schema[0].1["from"]["description"], "The account that pays.");
}

#[test]
fn killed_over_and_over_it_ends_each_transfer_once() {
    let (transfers, kills) = (set("TRANSFERS", TRANSFERS), set("KILLS", KILLS));
    let place = Place::sqlite();
    let starters = Starters::new(transfers);
    let begin = Instant::now();
    let open = || Bank::start(&place, &["--lease", "0.5"]);
    let bank = open();
    open_accounts(&bank.client());
    let bank = std::thread::scope(|scope| {
        let mut bank = bank;
        starters.at(vec![bank.client()]);
        for thread in 0..8 {
            let starters = &starters;
            scope.spawn(move || starters.work(thread));
        }
        // From just now to long enough to have taken over all shards; wherever it falls.
        let mut random = u64::from(std::process::id()) ^ 0x9e37_79b9_7f4a_7c15;
        for _ in 0..kills {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_millis(200 + random % 3_000));
            starters.at(vec![]);
            bank.kill();
            bank = open();
            starters.at(vec![bank.client()]);
        }
        bank
    });
    let client = bank.client();
    let ended = all_have_ended(&client, &starters.transfers);
    let completed = audit(&client, &starters.transfers, &ended);
    // Past the test harness, for whoever raises the numbers.
    let _ = writeln!(
        std::io::stderr(),
        "{kills} kills, {transfers} transfers, of which {completed} were done and {} undone; {} starts were repeated; {:?}",
        transfers - completed,
        starters.repeated.load(Ordering::Relaxed),
        begin.elapsed()
    );
    // Nothing happens once it is over: the same file, opened again, has the same events.
    let events = |client: &Client| (0..ACCOUNTS).map(|n| client.events(&format!("account-a{n}"))).collect::<Vec<_>>();
    let before = events(&client);
    bank.kill();
    let bank = open();
    assert_eq!(audit(&bank.client(), &starters.transfers, &ended), completed);
    assert_eq!(events(&bank.client()), before);
}

/// Stops a bank at a moment at which it does not hold the file, for that would stop the others too.
fn stop_between_writes(stopped: &Bank, other: &Client) {
    let mut tries = 0;
    eventually("it is stopped between two writes", || {
        stopped.signal("STOP");
        tries += 1;
        let body = json!({"account_id": format!("probe-{tries}"), "owner": "Pru", "currency": "EUR"});
        let written = other.post("/commands/open-account", &[("Request-Timeout", "1")], &body);
        let is_written = written.is_some_and(|answer| answer.status == 200 || answer.status == 201);
        if !is_written {
            stopped.signal("CONT");
        }
        is_written
    });
}

#[test]
fn two_banks_drive_together_and_one_that_was_stopped_does_nothing_twice() {
    const STOPS: usize = 3;
    let place = Place::sqlite();
    let open = || Bank::start(&place, &["--lease", "1"]);
    let (left, right) = (open(), open());
    open_accounts(&left.client());
    let starters = Starters::new(set("TRANSFERS", TRANSFERS) / 2);
    let mut meanwhile = Vec::new();
    std::thread::scope(|scope| {
        starters.at(vec![left.client(), right.client()]);
        for thread in 0..8 {
            let starters = &starters;
            scope.spawn(move || starters.work(thread));
        }
        for stop in 0..STOPS {
            std::thread::sleep(Duration::from_millis(700));
            let (stopped, other) = if stop % 2 == 0 { (&left, &right) } else { (&right, &left) };
            let client = other.client();
            stop_between_writes(stopped, &client);
            // The leases of the one that is stopped run out, and the other does all there is, whosever it was.
            let more: Vec<_> = (0..24).map(|n| Transfer { id: format!("m-{stop}-{n}"), ..Transfer::nth(n) }).collect();
            for transfer in &more {
                let started = transfer.start(&client).expect("an answer");
                assert_eq!(started.status, 201, "{started:?}");
            }
            all_have_ended(&client, &more);
            meanwhile.extend(more);
            stopped.signal("CONT");
        }
    });
    let transfers = [&starters.transfers[..], &meanwhile].concat();
    let ended = all_have_ended(&right.client(), &transfers);
    audit(&left.client(), &transfers, &ended);

    // One leaves in the middle of it, as it should, and the other goes on.
    let last: Vec<_> = (0..64).map(|n| Transfer { id: format!("l-{n}"), ..Transfer::nth(n) }).collect();
    for transfer in &last {
        assert_eq!(transfer.start(&left.client()).expect("an answer").status, 201);
    }
    assert!(left.terminate().success());
    let transfers = [&transfers[..], &last].concat();
    let ended = all_have_ended(&right.client(), &transfers);
    audit(&right.client(), &transfers, &ended);
}
