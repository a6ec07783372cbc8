//! The sentences of the suite are those of the ports' documentation.

use portolan_conformance::{Law, Port, laws};

/// The documentation of a port as plain text: no links, no code marks, one space between words.
fn plain(source: &str) -> String {
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix("///"));
    let text = lines.collect::<Vec<_>>().join(" ").replace(['`', '[', ']', '*'], "").replace("(super::Clock)", "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A law as its port should say it.
fn said<P: Port + ?Sized>(laws: Vec<Law<P>>) -> Vec<String> {
    let named = laws.into_iter().filter(|law| law.id.contains('-') && !law.id.ends_with("-model"));
    named.map(|law| format!("{} {}", law.id, law.sentence)).collect()
}

fn unsaid(said: Vec<String>, port: &str) -> Vec<String> {
    said.into_iter().filter(|said| !port.contains(said)).collect()
}

#[test]
fn each_law_says_what_its_port_says() {
    let port = plain(include_str!("../../kernel/src/ports/event_store.rs"))
        + &plain(include_str!("../../kernel/src/drivers/subscription/mod.rs"));
    let stores = said(laws::event_store());
    let buses = said(laws::command_bus());
    assert_eq!((stores.len(), buses.len()), (27, 13));
    let bus = plain(include_str!("../../kernel/src/ports/command_bus.rs"));
    let unsaid = [unsaid(stores, &port), unsaid(buses, &bus)].concat();
    assert!(unsaid.is_empty(), "the ports do not say: {unsaid:#?}");
}

fn check_names<P: Port + ?Sized>(laws: Vec<Law<P>>) {
    for law in laws {
        let id = law.id.to_lowercase().replace('-', "_");
        assert!(law.name.starts_with(&id), "{} is not the name of {}", law.name, law.id);
    }
}

#[test]
fn ids_and_names_agree() {
    check_names(laws::event_store());
    check_names(laws::snapshot_store());
    check_names(laws::command_bus());
}
