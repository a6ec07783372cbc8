//! A small log in which every kind of query finds something and misses something.

use crate::Verdict;
use crate::ask::{Ask, Store, name, tagged};
use portolan_kernel::ports::{Capabilities, StoreId};
use portolan_kernel::values::{Append, Item, Query, Read, Recorded};
use std::sync::Arc;

/// Stream, type and tags of each event. Names that differ little are there on purpose.
const EVENTS: [(&str, &str, &[&str]); 18] = [
    ("account-ann", "opened", &["a"]),
    ("account-bob", "opened", &["a", "b"]),
    ("accounts-ann", "opened", &["b", "a"]),
    ("account", "deposited", &["b"]),
    ("account-ann", "deposited", &[]),
    ("$system-1", "opened", &["a"]),
    ("acc-1", "Opened", &["A"]),
    ("account-ann-2", "opened.twice", &["a", "a"]),
    ("-x", "deposited", &["a "]),
    ("account-bob", "deposited", &["b", "c"]),
    ("$system", "deposited", &["a", "b"]),
    ("Account-ann", "withdrawn", &["e\u{301}"]),
    ("account-ann ", "opened", &["\u{e9}"]),
    ("account-ann", "withdrawn", &["a", "b", "c"]),
    ("x", "op", &["ab"]),
    ("$x-1", "withdrawn", &["c"]),
    ("account-%", "opened", &["a%", "_"]),
    ("account-bob", "withdrawn", &["c"]),
];

/// Writes the log, one append an event, and gives it as the store recorded it.
pub(super) async fn write(store: &Store) -> Verdict<Vec<Arc<Recorded>>> {
    for ((stream, kind, tags), number) in EVENTS.into_iter().zip(0..) {
        let mut event = tagged(stream, number, tags);
        event.event_type = name(kind);
        store.wrote(Append::new([event])).await?;
    }
    store.log().await
}

/// Queries of every shape.
pub(super) fn queries() -> Vec<Query> {
    let stream = |text| Item::new().stream(name(text));
    let category = |text| Item::new().category(name(text));
    let kind = |text| Item::new().event_type(name(text));
    let tag = |text| Item::new().tag(name(text));
    let mut items = vec![Item::new()];
    items.extend(
        ["account-ann", "account", "account-bob", "account-ann ", "Account-ann", "$system-1", "-x", "missing"]
            .map(stream),
    );
    items.extend(
        ["account", "acc", "accounts", "Account", "-x", "x", "$system", "$x", "a", "account-ann"].map(category),
    );
    items.extend(["opened", "Opened", "op", "deposited", "open", "opened.twice", "withdrawn"].map(kind));
    items.extend(["a", "A", "b", "c", "a ", "ab", "\u{e9}", "e\u{301}", "a%", "_", "%", "missing"].map(tag));
    items.extend([
        tag("a").tag(name("b")),
        tag("b").tag(name("a")),
        tag("a").tag(name("b")).tag(name("c")),
        tag("a").tag(name("missing")),
        tag("a").tag(name("a")),
        tag("b").tag(name("b")).tag(name("b")),
        stream("account-ann").stream(name("account-ann")),
        category("account").category(name("account")),
        kind("opened").event_type(name("opened")),
        stream("account-ann").stream(name("account-bob")),
        stream("account-bob").stream(name("account-ann")),
        category("account").category(name("x")),
        category("x").category(name("account")),
        kind("opened").event_type(name("withdrawn")),
        kind("withdrawn").event_type(name("opened")),
        stream("account-ann").event_type(name("withdrawn")),
        stream("account-ann").category(name("acc")),
        stream("account-ann").tag(name("b")),
        category("account").event_type(name("deposited")),
        category("account").tag(name("b")).tag(name("c")),
        category("$system").event_type(name("opened")),
        kind("deposited").tag(name("b")),
        category("account").event_type(name("withdrawn")).stream(name("account-bob")).tag(name("c")),
    ]);
    let mut queries = vec![Query::all(), Query::all().with_system()];
    queries.extend(items.into_iter().map(Query::of));
    queries.extend([
        Query::of(kind("withdrawn")).or(kind("deposited")),
        Query::of(tag("c")).or(kind("opened")),
        Query::of(tag("a")).or(tag("b")),
        Query::of(stream("x")).or(stream("account")),
        Query::of(category("account")).or(category("account")),
        Query::of(tag("missing")).or(kind("Opened")),
        Query::of(kind("opened")).or(stream("$system")),
        Query::of(kind("opened")).with_system(),
        Query::of(tag("a").tag(name("b"))).or(tag("c")).with_system(),
        Query::of(tag("missing")).or(stream("missing")),
        Query::of(kind("opened")).or(tag("c")).or(category("x")).or(stream("$system-1")),
        Query::of(kind("opened")).or(tag("c")).or(category("x")).with_system(),
    ]);
    queries
}

/// The events that all pages of a read together should hold, by the reference.
pub(super) fn expected(log: &[Arc<Recorded>], read: &Read) -> Vec<Arc<Recorded>> {
    let mut model = crate::Model::new(Capabilities::new(StoreId::from_bytes([0; 16])));
    model.capabilities.limits.page_events = u32::MAX;
    model.capabilities.limits.query_terms = u32::MAX;
    model.events = log.to_vec();
    model.read(&read.clone().limit(u32::MAX)).map(|page| page.events).unwrap_or_default()
}
