//! Many clients that move money, and what the events say of it.

use super::process::{self, Client};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the events say the balance is; it is never below zero on the way.
pub(crate) fn fold(events: &[Value]) -> u64 {
    events.iter().enumerate().fold(0, |balance: u64, (n, event)| {
        assert_eq!(event["revision"], n, "revisions are dense");
        let amount = event["data"]["amount"].as_u64().unwrap_or(0);
        match event["type"].as_str().expect("an event has a type") {
            "account.deposited" => balance + amount,
            "account.withdrawn" => balance.checked_sub(amount).expect("the balance is never negative"),
            _ => balance,
        }
    })
}

/// Money that moves on accounts.
#[derive(Default)]
pub(crate) struct Traffic {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Traffic {
    /// Moves money from many threads until told to stop; every acknowledged event id is kept.
    pub(crate) fn start(
        accounts: &'static [&'static str],
        clients: Vec<Client>,
        round: usize,
    ) -> (Arc<Self>, JoinHandle<HashSet<String>>) {
        let traffic = Arc::new(Self::default());
        let moving = std::thread::spawn({
            let traffic = traffic.clone();
            move || traffic.flow(accounts, clients, round)
        });
        (traffic, moving)
    }

    /// Lets it flow for a while, and for as long as it takes until something has come of it.
    pub(crate) fn wait(&self, at_least: Duration) {
        std::thread::sleep(at_least);
        process::eventually("there is traffic", || self.acknowledged.load(Ordering::Relaxed) > 20);
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn flow(&self, accounts: &[&str], clients: Vec<Client>, round: usize) -> HashSet<String> {
        let acknowledged = Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            for (n, client) in clients.into_iter().enumerate() {
                let acknowledged = &acknowledged;
                scope.spawn(move || {
                    for turn in 0.. {
                        if self.stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let name = if (n + turn) % 2 == 0 { "deposit" } else { "withdraw" };
                        let key = format!("{round}-{n}-{turn}");
                        let body = json!({"account_id": accounts[n % accounts.len()], "amount": 1 + n % 7});
                        let Some(answer) = client.command(name, Some(&key), &body) else { return };
                        match answer.status {
                            200 | 201 => {
                                let ids = answer.body["events"].as_array().expect("a receipt has events").clone();
                                let ids = ids.into_iter().map(|id| id.as_str().expect("ids are strings").to_owned());
                                acknowledged.lock().expect("no one panicked").extend(ids);
                                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                            }
                            409 | 422 | 503 => {}
                            _ => panic!("unexpected: {answer:?}"),
                        }
                    }
                });
            }
        });
        acknowledged.into_inner().expect("no one panicked")
    }
}
