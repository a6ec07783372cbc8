//! The bank moves into another file, and is killed while it does.

use crate::process::{Bank, Place, migrate_files};
use serde_json::json;
use std::ops::Range;
use std::process::Child;
use std::time::Duration;

fn migrate(place: &Place, more: &[&str]) -> Child {
    migrate_files(place, "bank.db", "new.db", more)
}

#[test]
fn a_move_survives_sigkill_and_the_bank_opens_there() {
    let place = Place::sqlite();
    let deposits = |bank: &Bank, numbers: Range<u64>| {
        let client = bank.client();
        for n in numbers {
            let (account, key) = (format!("a{}", n % 5), format!("k-{n}"));
            client.done("deposit", Some(&key), &json!({"account_id": account, "amount": n + 1}));
        }
    };
    let before = Bank::start_before(&place);
    let client = before.client();
    for account in 0..5 {
        client.open(&format!("a{account}"));
    }
    deposits(&before, 0..100);
    assert!(before.terminate().success());
    let bank = Bank::start(&place, &[]);
    let client = bank.client();
    deposits(&bank, 100..400);
    let receipt = client.done("deposit", Some("k-7"), &json!({"account_id": "a2", "amount": 8}));
    assert_eq!(receipt.body["repeated"], true);

    let said = migrate(&place, &["--dry-run"]).wait_with_output().expect("it ends");
    let said = String::from_utf8(said.stdout).expect("in UTF-8");
    for said_of_it in ["405 events (", "100  account.deposited 1  becomes ", "300  account.deposited 2  unchanged"] {
        assert!(said.contains(said_of_it), "{said}");
    }
    assert!(!place.dir().join("new.db").exists(), "it writes nothing");

    // While the bank is open, and killed over and over, each time a little later.
    let mut kills = 0;
    for millis in (0..).step_by(7) {
        let mut child = migrate(&place, &[]);
        std::thread::sleep(Duration::from_millis(millis));
        let has_ended = child.try_wait().expect("it can be asked").is_some();
        child.kill().expect("it can be killed");
        let status = child.wait().expect("it ends");
        if has_ended {
            assert!(status.success(), "it goes on wherever it was killed");
            break;
        }
        kills += 1;
    }
    assert!(kills > 2, "it was killed {kills} times");

    // The last deposit, the end of the old bank, and the last run.
    client.done("deposit", Some("k-last"), &json!({"account_id": "a0", "amount": 1}));
    let accounts: Vec<_> = (0..5).map(|n| client.account(&format!("a{n}"))).collect();
    let events: Vec<_> = (0..5).map(|n| client.events_in("current", &format!("account-a{n}"))).collect();
    let days = client.get("/projections/daily-totals/rows").expect("an answer").body;
    assert!(bank.terminate().success());
    let ended = migrate(&place, &[]).wait_with_output().expect("it ends");
    let said = String::from_utf8(ended.stdout).expect("in UTF-8");
    assert!(ended.status.success() && said.contains("406 events have become 406; 0 are missing"), "{said}");

    for end in ["", "-wal", "-shm"] {
        let (new, old) = (place.dir().join(format!("new.db{end}")), place.dir().join(format!("bank.db{end}")));
        if old.exists() {
            std::fs::rename(&old, place.dir().join(format!("old.db{end}"))).expect("it moves away");
        }
        if new.exists() {
            std::fs::rename(&new, &old).expect("it takes its place");
        }
    }
    let bank = Bank::start(&place, &[]);
    let client = bank.client();
    assert_eq!((0..5).map(|n| client.account(&format!("a{n}"))).collect::<Vec<_>>(), accounts);
    let without_positions = |events: Vec<Vec<serde_json::Value>>| -> Vec<_> {
        let of = |mut event: serde_json::Value| {
            event.as_object_mut().expect("an object").remove("position");
            event
        };
        events.into_iter().flatten().map(of).collect()
    };
    let there = (0..5).map(|n| client.events_in("current", &format!("account-a{n}"))).collect();
    assert_eq!(without_positions(there), without_positions(events), "ids, times and revisions");
    let mut stored = (0..5).flat_map(|n| client.events(&format!("account-a{n}")));
    assert!(
        stored.all(|event| event["type"] != "account.deposited" || event["version"] == 2),
        "as it would be written now"
    );
    // Each id finds its receipt.
    for (id, account, amount) in [("k-7", "a2", 8), ("k-399", "a4", 400), ("k-last", "a0", 1)] {
        let again = client.done("deposit", Some(id), &json!({"account_id": account, "amount": amount}));
        assert_eq!(again.body["repeated"], true, "{again:?}");
    }
    crate::process::eventually("the days are those of the old bank", || {
        let there = client.get("/projections/daily-totals/rows").expect("an answer").body;
        there["rows"] == days["rows"]
    });
    client.done("deposit", None, &json!({"account_id": "a0", "amount": 1}));
    assert!(bank.terminate().success());
    let refused = migrate_files(&place, "old.db", "bank.db", &[]).wait_with_output().expect("it ends");
    assert!(!refused.status.success(), "nothing is mixed into a bank that has opened");
}
