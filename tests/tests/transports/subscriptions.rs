//! Live events: from anywhere, across the seam between what was there and what comes.

use super::jars::{FillJar, SealJar};
use super::outcome::{name, outcome, position_of};
use super::table::{come_out_alike, steps};
use futures::StreamExt as _;
use portolan::drivers::From;
use portolan::prelude::*;
use portolan::values::Item;

/// What is delivered: so many deliveries, each as text. How far the log has come is told when there is time, so that it is
/// left out.
async fn take(live: &mut Subscription, many: usize) -> String {
    let mut taken = Vec::new();
    while taken.len() < many {
        match live.next().await {
            Some(Ok(Delivery::Progress(_))) => {}
            Some(delivery) => taken.push(outcome(delivery)),
            None => {
                taken.push("the end".to_owned());
                break;
            }
        }
    }
    taken.join("; ")
}

async fn fill(ports: &Ports, id: &str, by: &str) {
    let command = FillJar { jar: "live".into(), coins: 1, by: by.into() };
    ports.commands.send(command).id(id).correlation("c").await.unwrap();
}

/// Seven events, the moment when it has caught up, and three more.
async fn across_the_seam(ports: &Ports) -> String {
    let mut live = ports.subscriptions.subscribe(Query::all(), From::Beginning);
    let before = take(&mut live, 8).await;
    assert!(before.contains("CaughtUp"), "{before}");
    for id in ["l-1", "l-2", "l-3"] {
        fill(ports, id, "ann").await;
    }
    format!("{before}; {}", take(&mut live, 3).await)
}

async fn of_a_query(ports: &Ports) -> String {
    let by_bob = Query::of(Item::new().tag("by:bob".parse().unwrap())).or(Item::new().category(name("$audit")));
    let mut live = ports.subscriptions.subscribe(by_bob, From::Beginning);
    let before = take(&mut live, 4).await;
    fill(ports, "l-4", "ann").await;
    fill(ports, "l-5", "bob").await;
    format!("{before}; {}", take(&mut live, 1).await)
}

async fn after_a_position(ports: &Ports) -> String {
    let after = position_of(ports, "jar-odd").await;
    let mut live = ports.subscriptions.subscribe(Query::of(Item::new().category(name("jar"))), From::After(after));
    take(&mut live, 8).await
}

async fn from_now_on(ports: &Ports) -> String {
    let mut live = ports.subscriptions.subscribe(Query::all(), From::Now);
    let before = take(&mut live, 1).await;
    ports.commands.send(SealJar { jar: "live".into() }).id("l-6").correlation("c").await.unwrap();
    format!("{before}; {}", take(&mut live, 1).await)
}

async fn past_the_frontier(ports: &Ports) -> String {
    let mut live = ports.subscriptions.subscribe(Query::all(), From::After(Position::MAX));
    take(&mut live, 2).await
}

async fn of_too_large_a_query(ports: &Ports) -> String {
    let item = (0..1_001).fold(Item::new(), |item, n| item.tag(format!("t-{n}").try_into().unwrap()));
    let mut live = ports.subscriptions.subscribe(Query::of(item), From::Beginning);
    take(&mut live, 2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_come_out_alike() {
    come_out_alike(&steps![
        across_the_seam => "Event(Recorded",
        of_a_query => "Event(Recorded",
        after_a_position => "Event(Recorded",
        from_now_on => "CaughtUp(",
        past_the_frontier => "AheadOfLog",
        of_too_large_a_query => "Read(TooLarge",
    ])
    .await;
}
