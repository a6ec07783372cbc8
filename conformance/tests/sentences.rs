//! The sentences of the suite are those of the ports' documentation.

use portolan_conformance::laws;

/// The documentation of a port as plain text: no links, no code marks, one space between words.
fn plain(source: &str) -> String {
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix("///"));
    let text = lines.collect::<Vec<_>>().join(" ").replace(['`', '[', ']', '*'], "").replace("(super::Clock)", "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_law_says_what_its_port_says() {
    let port = plain(include_str!("../../kernel/src/ports/event_store.rs"))
        + &plain(include_str!("../../kernel/src/drivers/subscription/mod.rs"));
    let laws = laws::event_store().into_iter().filter(|law| law.id.starts_with("ES-") && law.id != "ES-model");
    let said = laws.map(|law| format!("{} {}", law.id, law.sentence));
    let of_snapshots = plain(include_str!("../../kernel/src/ports/snapshot_store.rs"));
    // What drivers do with SN-04 is said beside it.
    for law in laws::snapshot_store() {
        let said = format!("{} {}", law.id, law.sentence.replace('`', ""));
        assert!(of_snapshots.contains(&said), "the port does not say: {said}");
    }
    let unsaid: Vec<_> = said.filter(|said| !port.contains(said)).collect();
    assert!(unsaid.is_empty(), "the ports do not say: {unsaid:#?}");
}

#[test]
fn ids_and_names_agree() {
    for law in laws::event_store() {
        let id = law.id.to_lowercase().replace('-', "_");
        assert!(law.name.starts_with(&id), "{} is not the name of {}", law.name, law.id);
    }
}
