//! Writers at full speed, and hundreds of subscriptions whose readers take nothing.

use super::frames::{Raw, frame};
use super::live::Socket;
use super::support::house;
use core::time::Duration;
use portolan::ports::EventStore as _;
use portolan::values::{Append, NewEvent};
use serde_json::json;
use std::sync::atomic::Ordering;

const PATIENCE: Duration = Duration::from_secs(120);
const SOCKETS: usize = 5;
const SUBSCRIPTIONS: usize = 100;
const WRITERS: usize = 4;
const APPENDS: usize = 100;
const PAYLOAD: usize = 20_000;

/// How many bytes of memory the process has.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_who_take_nothing_hold_up_no_writer_and_cost_little() {
    let house = house().await;
    let mut slow = Vec::new();
    for _ in 0..SOCKETS {
        let mut socket = Raw::open(&house).await;
        let mut bytes = frame(0x81, br#"{"type":"connection_init"}"#);
        for id in 0..SUBSCRIPTIONS {
            let query = if id % 2 == 0 {
                "subscription { events { position event { id dataBase64 } } }".to_owned()
            } else {
                format!("subscription {{ balances(key: \"acc-{}\") {{ balance }} }}", id % 5)
            };
            let subscribe = json!({ "type": "subscribe", "id": id.to_string(), "payload": { "query": query } });
            bytes.extend(frame(0x81, subscribe.to_string().as_bytes()));
        }
        tokio::io::AsyncWriteExt::write_all(&mut socket.0, &bytes).await.unwrap();
        slow.push(socket);
    }
    let mut quick = Socket::open(house.address, "/graphql").await;
    quick.subscribe("a", "subscription { events { position } }").await;
    let mut row = Socket::open(house.address, "/graphql").await;
    row.subscribe("a", "subscription { balances(key: \"acc-1\") { balance } }").await;
    assert_eq!(row.field("a", "balances").await["balance"], "-100");

    #[cfg(target_os = "linux")]
    let before = resident();
    let asked = house.shelf.asked.load(Ordering::SeqCst);
    let payload = "x".repeat(PAYLOAD);
    let write = |writer: usize| {
        let (store, payload) = (house.store.clone(), payload.clone());
        async move {
            for _ in 0..APPENDS {
                let stream = format!("thing-{writer}").parse().unwrap();
                let mut append = Append::default();
                append.events = vec![NewEvent::new(stream, "thing.happened".parse().unwrap(), payload.clone())];
                store.append(append).await.unwrap();
            }
        }
    };
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(writer))).collect();
    for writer in writers {
        tokio::time::timeout(PATIENCE, writer).await.expect("nobody holds a writer up").unwrap();
    }
    let mut last = 0;
    for _ in 0..WRITERS * APPENDS {
        let message = quick.field("a", "events").await;
        let position: u64 = message["position"].as_str().unwrap().parse().unwrap();
        assert!(position > last, "{position} after {last}");
        last = position;
    }
    house.shelf.rows.lock().unwrap().insert("acc-1".into(), super::shelf::cells("Bob", 7));
    house.append("thing-1", &["0"]).await;
    assert_eq!(row.field("a", "balances").await["balance"], "7");

    // One by one they would have asked for each of their rows after each event.
    let (events, watched) = (WRITERS * APPENDS, SOCKETS * SUBSCRIPTIONS / 2);
    let asked = house.shelf.asked.load(Ordering::SeqCst) - asked;
    assert!(asked < events * watched / 20, "{asked}");
    #[cfg(target_os = "linux")]
    {
        let grown = resident().saturating_sub(before);
        let (stored, untaken) = (events * PAYLOAD, events * PAYLOAD * watched);
        assert!(grown < untaken / 20, "{grown} bytes more, of which {stored} are the store's");
    }
    drop(slow);
    assert!(house.data("{ store { identity } }", json!({})).await["store"]["identity"].is_string());
}
