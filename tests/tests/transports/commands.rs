//! Commands: what becomes of them, and what they leave in the log.

use super::jars::SealJar;
use super::outcome::{name, outcome, pages, position_of};
use super::table::{come_out_alike, steps};
use core::time::Duration;
use portolan::ports::Body;
use portolan::prelude::*;
use portolan::values::{Format, Read};
use serde_json::{Value, json};

/// A command with a correlation: HTTP gives one to each request that has none.
fn command(of: &str, body: Value) -> CommandEnvelope {
    let mut command = CommandEnvelope::new(name(of), Body::Encoded(body.to_string().into(), Format::Json));
    command.metadata.correlation = Some("c-1".into());
    command
}

fn fill(jar: &str, coins: impl Into<Value>) -> CommandEnvelope {
    let coins: Value = coins.into();
    command("fill-jar", json!({ "jar": jar, "coins": coins, "by": "ann" }))
}

async fn sent(ports: &Ports, command: CommandEnvelope) -> String {
    outcome(ports.commands.dispatch(command).await)
}

async fn what_there_is(ports: &Ports) -> String {
    format!("{:?}", ports.commands.commands())
}

/// Everything that metadata can hold.
async fn fresh(ports: &Ports) -> String {
    let mut command = fill("new", 60).with_id(name("k-1"));
    command.metadata.causation = Some("c-0".into());
    command.metadata.actor = Some("Ann Größe".into());
    command.metadata.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    command.metadata.more.insert("ship".into(), json!({ "deck": [1, null, "größer"] }));
    sent(ports, command).await
}

async fn repeated(ports: &Ports) -> String {
    sent(ports, fill("new", 60).with_id(name("k-1"))).await
}

async fn key_reused(ports: &Ports) -> String {
    sent(ports, fill("new", 61).with_id(name("k-1"))).await
}

async fn same_key_in_another_tenant(ports: &Ports) -> String {
    let mut command = fill("new", 1).with_id(name("k-1"));
    command.metadata.tenant = Some("t-2".into());
    sent(ports, command).await
}

/// Its receipt has ids made of a fresh one, and a fresh correlation, which are removed.
async fn without_an_id(ports: &Ports) -> String {
    let mut command = fill("free", 2);
    command.metadata.correlation = None;
    let receipt = ports.commands.dispatch(command).await;
    outcome(receipt.map(|receipt| {
        let (of_an_id, events) = (receipt.correlation.is_some() && receipt.command.is_some(), receipt.events.len());
        let rest = Receipt::new(receipt.streams, receipt.position, vec![], receipt.repeated);
        (rest, of_an_id, events)
    }))
}

async fn typed(ports: &Ports) -> String {
    outcome(ports.commands.send(SealJar { jar: "b".into() }).id("k-2").actor("bob").correlation("c-2").await)
}

/// It writes nothing.
async fn without_effect(ports: &Ports) -> String {
    outcome(ports.commands.send(SealJar { jar: "b".into() }).id("k-3").correlation("c-2").await)
}

async fn rejected(ports: &Ports) -> String {
    sent(ports, fill("new", u64::MAX).with_id(name("k-4"))).await
}

async fn rejected_without_fields(ports: &Ports) -> String {
    sent(ports, fill("c", 1).with_id(name("k-5"))).await
}

async fn invalid(ports: &Ports) -> String {
    sent(ports, command("fill-jar", json!({ "jar": "new", "coins": 0, "by": "" })).with_id(name("k-6"))).await
}

async fn of_another_type(ports: &Ports) -> String {
    sent(ports, fill("new", "many").with_id(name("k-7"))).await
}

async fn with_an_unknown_field(ports: &Ports) -> String {
    let body = json!({ "jar": "new", "coins": 1, "by": "ann", "colour": "red" });
    sent(ports, command("fill-jar", body).with_id(name("k-8"))).await
}

async fn malformed(ports: &Ports) -> String {
    let body = Body::Encoded(r#"{"jar": "new", "#.into(), Format::Json);
    sent(ports, CommandEnvelope::new(name("fill-jar"), body).with_id(name("k-9"))).await
}

async fn no_object(ports: &Ports) -> String {
    sent(ports, command("fill-jar", json!([1])).with_id(name("k-10"))).await
}

async fn of_an_impossible_stream(ports: &Ports) -> String {
    sent(ports, fill("a\u{7}", 1).with_id(name("k-11"))).await
}

async fn unknown(ports: &Ports) -> String {
    sent(ports, command("größer/jar ?", json!({}))).await
}

async fn denied(ports: &Ports) -> String {
    sent(ports, command("break-jar", json!({ "jar": "a" }))).await
}

async fn without_time(ports: &Ports) -> String {
    sent(ports, fill("new", 1).within(Duration::ZERO)).await
}

/// Long enough for the answer to come before the caller stops waiting for it, also on a machine that is busy.
async fn past_its_deadline(ports: &Ports) -> String {
    sent(ports, command("count-jar", json!({ "jar": "a" })).within(Duration::from_secs(3))).await
}

async fn waited_for(ports: &Ports) -> String {
    sent(ports, fill("d", 1).with_id(name("k-12")).wait_for(name("jars")).wait_for(name("fresh"))).await
}

/// Nobody works on one of the two.
async fn not_caught_up(ports: &Ports) -> String {
    let command = fill("d", 2).with_id(name("k-13")).within(Duration::from_secs(2));
    sent(ports, command.wait_for(name("held")).wait_for(name("jars"))).await
}

/// One has stopped, so that waiting longer is of no use.
async fn waiting_in_vain(ports: &Ports) -> String {
    sent(ports, fill("d", 3).with_id(name("k-14")).wait_for(name("strict"))).await
}

async fn waiting_for_nobody(ports: &Ports) -> String {
    sent(ports, fill("d", 3).with_id(name("k-15")).wait_for(name("nobody"))).await
}

/// What all of these have written, ids of the one without an id aside.
async fn log_of_it(ports: &Ports) -> String {
    let free = position_of(ports, "jar-free").await;
    let pages = pages(ports, Read::log(Query::all())).await.unwrap();
    let events = pages.iter().flat_map(|page| &page.events).filter(|event| event.position != free);
    format!("{:?}", events.collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_come_out_alike() {
    come_out_alike(&steps![
        what_there_is => "[CommandInfo",
        fresh => "Receipt",
        repeated => "Receipt",
        key_reused => "KeyReused",
        same_key_in_another_tenant => "Receipt",
        without_an_id => "(Receipt",
        typed => "Receipt",
        without_effect => "Receipt",
        rejected => "Rejected { code: \"too-full\"",
        rejected_without_fields => "Rejected { code: \"sealed\"",
        invalid => "Invalid([Violation { path: \"coins\"",
        of_another_type => "Invalid([Violation { path: \"coins\"",
        with_an_unknown_field => "Invalid([Violation { path: \"colour\"",
        malformed => "Malformed",
        no_object => "Invalid([Violation { path: \"\"",
        of_an_impossible_stream => "Invalid([Violation",
        unknown => "UnknownCommand",
        denied => "Denied",
        without_time => "DeadlinePassed",
        past_its_deadline => "DeadlinePassed",
        waited_for => "Receipt",
        not_caught_up => "NotCaughtUp",
        waiting_in_vain => "NotCaughtUp",
        waiting_for_nobody => "Invalid([Violation { path: \"wait_for\"",
        log_of_it => "[Recorded",
    ])
    .await;
}
