//! Questions and their answers.

use super::outcome::{frontier, name, outcome};
use super::table::{come_out_alike, steps};
use core::time::Duration;
use portolan::ports::QueryEnvelope;
use portolan::prelude::*;

fn asking(parameters: &'static str) -> QueryEnvelope {
    QueryEnvelope::new(name("jar"), parameters)
}

async fn asked(ports: &Ports, query: QueryEnvelope) -> String {
    outcome(ports.queries.ask(query).await)
}

async fn what_there_is(ports: &Ports) -> String {
    format!("{:?}", ports.queries.queries())
}

async fn answer(ports: &Ports) -> String {
    asked(ports, asking(r#"{"jar":"a"}"#)).await
}

async fn answer_with_all_parameters(ports: &Ports) -> String {
    asked(ports, asking(r#"{"jar":"c","unit":3}"#)).await
}

async fn not_found(ports: &Ports) -> String {
    asked(ports, asking(r#"{"jar":"größer? & more"}"#)).await
}

async fn invalid(ports: &Ports) -> String {
    asked(ports, asking(r#"{"jar":"a","unit":0}"#)).await
}

async fn of_another_type(ports: &Ports) -> String {
    asked(ports, asking(r#"{"jar":"a","unit":"euro"}"#)).await
}

async fn with_an_unknown_parameter(ports: &Ports) -> String {
    asked(ports, asking(r#"{"jar":"a","colour":"red"}"#)).await
}

async fn without_a_parameter(ports: &Ports) -> String {
    asked(ports, asking("{}")).await
}

async fn malformed(ports: &Ports) -> String {
    asked(ports, asking(r#"{"jar":"#)).await
}

async fn unknown(ports: &Ports) -> String {
    asked(ports, QueryEnvelope::new(name("bottle/größer ?"), "{}")).await
}

async fn of_a_damaged_stream(ports: &Ports) -> String {
    asked(ports, asking(r#"{"jar":"odd"}"#)).await
}

async fn at_least(ports: &Ports) -> String {
    asked(ports, asking(r#"{"jar":"a"}"#).at_least(frontier(ports).await)).await
}

/// The log does not come there in this time.
async fn never_there(ports: &Ports) -> String {
    let query = asking(r#"{"jar":"a"}"#).at_least(Position::MAX).within(Duration::from_millis(500));
    asked(ports, query).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_come_out_alike() {
    come_out_alike(&steps![
        what_there_is => "[QueryInfo",
        answer => "Answer",
        answer_with_all_parameters => "Answer",
        not_found => "NotFound",
        invalid => "Invalid([Violation { path: \"unit\"",
        of_another_type => "Invalid([Violation { path: \"unit\"",
        with_an_unknown_parameter => "Invalid([Violation { path: \"colour\"",
        without_a_parameter => "Invalid([Violation { path: \"jar\"",
        malformed => "Malformed",
        unknown => "UnknownQuery",
        of_a_damaged_stream => "Other",
        at_least => "Answer",
        never_there => "Busy",
    ])
    .await;
}
