//! Documents stay true: what they name exists. (`.ci/run` also runs the README's lines as they stand.)

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text(of: &str) -> String {
    std::fs::read_to_string(root().join(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

/// All Rust files of the workspace, by path.
fn sources() -> BTreeMap<PathBuf, String> {
    let mut sources = BTreeMap::new();
    let folders = ["src", "kernel", "adapters", "conformance", "examples", "tests", "benches"];
    let mut paths: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.insert(path.strip_prefix(root()).unwrap().to_owned(), std::fs::read_to_string(&path).unwrap());
        }
    }
    sources
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut fences = text.split("```").skip(1).step_by(2);
    fences.by_ref().filter_map(|block| block.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

/// What stands between single backquotes, outside of fenced blocks.
fn quoted(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').collect()
}

/// Targets of links, and quoted texts that are written as paths of this repository.
fn paths(text: &str) -> BTreeSet<String> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains("://"));
    let is_place = |path: &&String| {
        let folder = path.split('/').next().unwrap_or_default();
        !path.contains([' ', '{', '*']) && path.contains('/') && !folder.is_empty() && root().join(folder).is_dir()
    };
    links.map(str::to_owned).chain(quoted(text).iter().filter(is_place).cloned()).collect()
}

/// `cargo` and `.ci/run` lines, quoted or in a block.
fn commands(text: &str) -> Vec<String> {
    let lines = blocks(text, "sh").join("\n");
    let lines = lines.lines().map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    lines.chain(quoted(text)).filter(|line| line.starts_with("cargo ")).collect()
}

/// What is wrong with a cargo line, if anything.
fn fault(command: &str, targets: &BTreeSet<(String, String)>) -> Option<String> {
    let own = command.split(" -- ").next().unwrap_or_default();
    let parts: Vec<_> = own.split_whitespace().collect();
    for pair in parts.windows(2) {
        let kind = match pair[0] {
            "--example" => "example",
            "--bench" => "bench",
            "--test" => "test",
            "--bin" => "bin",
            "--package" | "-p" => "package",
            _ => continue,
        };
        if !targets.contains(&(kind.to_owned(), pair[1].to_owned())) {
            return Some(format!("`{command}`: there is no {kind} {}", pair[1]));
        }
    }
    None
}

fn targets() -> BTreeSet<(String, String)> {
    let metadata = cargo_metadata::MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    let metadata = metadata.unwrap();
    let mut targets = BTreeSet::new();
    for package in &metadata.packages {
        targets.insert(("package".to_owned(), package.name.to_string()));
        for target in &package.targets {
            targets.extend(target.kind.iter().map(|kind| (kind.to_string(), target.name.clone())));
        }
    }
    targets
}

#[test]
fn what_documents_point_to_exists() {
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let paths = paths(&text(document));
        assert!(!paths.is_empty(), "{document} points to nothing; the test has lost its object");
        let gone = paths.into_iter().filter(|path| !root().join(path).exists());
        missing.extend(gone.map(|path| format!("{document} names {path}, which does not exist")));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(paths("see [x](gone.md)").contains("gone.md") && paths("in `tests/gone.rs`").contains("tests/gone.rs"));
}

#[test]
fn commands_name_what_there_is() {
    let targets = targets();
    for document in DOCUMENTS {
        let faults: Vec<_> = commands(&text(document)).iter().filter_map(|line| fault(line, &targets)).collect();
        assert!(faults.is_empty(), "{document}: {faults:?}");
    }
    let readme = commands(&text("README.md"));
    assert!(readme.len() >= 3, "the README's commands are not found: {readme:?}");
    let ghost = fault("cargo run --example ghost", &targets);
    assert_eq!(ghost.as_deref(), Some("`cargo run --example ghost`: there is no example ghost"));
}

#[test]
fn the_two_commands_stand_first() {
    let first = blocks(&text("README.md"), "sh").remove(0);
    let lines: Vec<_> = first.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).collect();
    assert_eq!(lines, ["cargo run --example bank", "cargo test --workspace"]);
}

#[test]
fn flags_are_those_of_the_bank() {
    let (readme, bank) = (text("README.md"), text("examples/bank.rs"));
    let flags: Vec<_> = quoted(&readme).into_iter().filter(|quoted| quoted.starts_with("--")).collect();
    assert!(!flags.is_empty(), "the README names no flag; the test has lost its object");
    for flag in flags {
        let field = flag.split([' ', '=']).next().unwrap_or_default().trim_start_matches('-').replace('-', "_");
        assert!(bank.contains(&format!("{field}:")), "the README names {flag}, and the bank has no flag {field}");
    }
}

#[test]
fn curl_lines_speak_of_commands_and_fields_of_the_bank() {
    let (readme, bank) = (text("README.md"), text("examples/bank.rs"));
    let block = blocks(&readme, "sh").into_iter().find(|block| block.contains("curl")).unwrap();
    assert_eq!(block.matches("curl ").count(), 3, "three curl lines: open, deposit, live events");
    for name in block.split("/commands/").skip(1).map(|rest| rest.split_whitespace().next().unwrap_or_default()) {
        let type_name: String = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        assert!(bank.contains(&format!("struct {type_name}")), "the README posts {name}; the bank has no {type_name}");
    }
    for body in block.split("-d '").skip(1).map(|rest| rest.split('\'').next().unwrap_or_default()) {
        let body: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body).unwrap();
        for field in body.keys() {
            assert!(bank.contains(&format!("{field}:")), "the README sends {field}, which no command of the bank has");
        }
    }
}

/// A snippet may leave things out, and may not call what is not there.
#[test]
fn snippets_call_what_exists() {
    let sources = sources();
    let known: BTreeSet<_> =
        sources.iter().filter(|(path, _)| !path.ends_with("readme.rs")).flat_map(|(_, text)| words(text)).collect();
    let snippets = blocks(&text("README.md"), "rust");
    assert!(snippets.len() >= 3, "the README's snippets are not found");
    for snippet in &snippets {
        for line in snippet.lines() {
            let unknown: Vec<_> = words(line).into_iter().filter(|word| !known.contains(word)).collect();
            // The name of the reader's own store.
            let unknown: Vec<_> = unknown.into_iter().filter(|word| !matches!(*word, "MyStore" | "my")).collect();
            assert!(unknown.is_empty(), "the README says {unknown:?}, which no source does, in: {line}");
        }
    }
    let bank = text("examples/bank.rs");
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    assert!(squeezed(&bank).contains(&squeezed(&snippets[0])), "the README's decision is no longer that of the bank");
}

/// The numbered invariants of a document, each with what it quotes.
fn invariants(architecture: &str) -> Vec<(String, Vec<String>)> {
    let marked = architecture.split("<!-- invariants -->").nth(1).and_then(|rest| rest.split("<!-- end -->").next());
    let mut found: Vec<String> = Vec::new();
    for line in marked.unwrap_or_default().lines() {
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            found.push(line.to_owned());
        } else if let Some(last) = found.last_mut() {
            *last += "\n";
            *last += line;
        }
    }
    found.into_iter().map(|item| (item.clone(), quoted(&item))).collect()
}

/// Whether the quoted text is the name of a test (a function with the attribute) or a law of the suite.
fn is_test(name: &str, sources: &BTreeMap<PathBuf, String>) -> bool {
    let is_law = |path: &Path| path.starts_with("conformance/src/laws");
    sources.iter().any(|(path, text)| {
        text.match_indices(&format!("fn {name}(")).any(|(at, _)| {
            let before = &text[..at];
            before
                .rsplit("}\n")
                .next()
                .is_some_and(|between| ["#[test]", "::test", "#[rstest]"].iter().any(|mark| between.contains(mark)))
        }) || is_law(path) && words(text).contains(name)
    })
}

#[test]
fn invariants_name_tests_that_exist() {
    let sources = sources();
    let invariants = invariants(&text("ARCHITECTURE.md"));
    assert!(invariants.len() >= 5, "the invariants of ARCHITECTURE.md are not found");
    for (invariant, quoted) in invariants {
        let names =
            quoted.iter().filter(|name| name.contains('_') && name.chars().all(|c| c == '_' || c.is_alphanumeric()));
        let names: Vec<_> = names.filter(|name| **name != "no_std").collect();
        assert!(!names.is_empty(), "no test holds this invariant; name one, or write it:\n{invariant}");
        for name in names {
            assert!(is_test(name, &sources), "there is no test {name}, which is to hold:\n{invariant}");
        }
    }
    assert!(is_test("invariants_name_tests_that_exist", &sources));
    assert!(!is_test("is_test", &sources) && !is_test("no_such_test", &sources));
}
