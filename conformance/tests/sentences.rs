//! The sentences of the suite are those of the ports' documentation.

use portolan_conformance::{Law, Port, laws};

/// The documentation of a port as plain text: no links, no code marks, one space between words.
fn plain(source: &str) -> String {
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix("///"));
    let text = lines
        .collect::<Vec<_>>()
        .join(" ")
        .replace(['`', '[', ']', '*'], "")
        .replace("(super::Clock)", "")
        .replace("(super::EventStore)", "")
        .replace("(AuthenticationError::Missing)", "")
        .replace("(SagaError::StartedOtherwise)", "")
        .replace("(SagaError::NotNow)", "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A law as its port should say it.
fn said<P: Port + ?Sized>(laws: Vec<Law<P>>) -> Vec<String> {
    let named = laws.into_iter().filter(|law| law.id.contains('-') && !law.id.ends_with("-model"));
    named.map(|law| format!("{} {}", law.id, law.sentence.replace('`', ""))).collect()
}

fn unsaid(said: Vec<String>, port: &str) -> Vec<String> {
    said.into_iter().filter(|said| !port.contains(said)).collect()
}

#[test]
fn each_law_says_what_its_port_says() {
    let events = plain(include_str!("../../kernel/src/ports/event_store.rs"))
        + &plain(include_str!("../../kernel/src/drivers/subscription/mod.rs"));
    let ports = [
        (said(laws::event_store()), 27, events),
        (said(laws::snapshot_store()), 6, plain(include_str!("../../kernel/src/ports/snapshot_store.rs"))),
        (said(laws::read_model_store()), 7, plain(include_str!("../../kernel/src/ports/read_model_store.rs"))),
        (said(laws::lease_store()), 5, plain(include_str!("../../kernel/src/ports/lease_store.rs"))),
        (said(laws::projection_registry()), 7, plain(include_str!("../../kernel/src/ports/projection_registry.rs"))),
        (said(laws::saga_orchestrator()), 9, plain(include_str!("../../kernel/src/ports/saga_orchestrator.rs"))),
        (said(laws::inline()), 1, plain(include_str!("../../kernel/src/ports/inline.rs"))),
        (said(laws::authenticator()), 4, plain(include_str!("../../kernel/src/ports/authenticator.rs"))),
        (said(laws::command_bus()), 13, plain(include_str!("../../kernel/src/ports/command_bus.rs"))),
    ];
    let mut missing = Vec::new();
    for (said, laws, port) in ports {
        assert_eq!(said.len(), laws, "{said:#?}");
        missing.extend(unsaid(said, &port));
    }
    assert!(missing.is_empty(), "the ports do not say: {missing:#?}");
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
    check_names(laws::read_model_store());
    check_names(laws::lease_store());
    check_names(laws::command_bus());
    check_names(laws::projection_registry());
    check_names(laws::saga_orchestrator());
    check_names(laws::inline());
    check_names(laws::authenticator());
}
