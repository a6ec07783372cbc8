//! Each rule, seen red.

use super::rules::{self, CONFORMANCE, FACADE, KERNEL, MACROS};
use super::{floors, manifests, metadata};
use serde_json::{Value, json};

fn package<'a>(metadata: &'a mut Value, name: &str) -> &'a mut Value {
    metadata["packages"].as_array_mut().unwrap().iter_mut().find(|package| package["name"] == name).unwrap()
}

fn dependency(name: &str, kind: &str, changes: Value) -> Value {
    let mut dependency = json!({
        "name": name, "source": null, "req": "*", "kind": if kind == "normal" { Value::Null } else { kind.into() },
        "rename": null, "optional": false, "uses_default_features": false, "features": [], "target": null,
        "registry": null,
    });
    for (field, value) in changes.as_object().unwrap() {
        dependency[field] = value.clone();
    }
    dependency
}

/// What a change of the metadata breaks that was whole before.
fn broken_by(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let breaches = |metadata: &Value| rules::breaches(&serde_json::from_value(metadata.clone()).unwrap());
    let mut metadata = metadata();
    let before = breaches(&metadata);
    change(&mut metadata);
    let mut after = breaches(&metadata);
    after.retain(|sentence| !before.contains(sentence));
    after
}

fn depends(metadata: &mut Value, of: &str, added: Value) {
    package(metadata, of)["dependencies"].as_array_mut().unwrap().push(added);
}

/// The one sentence that follows from one more dependency.
#[track_caller]
fn one_breach(of: &str, added: Value) -> String {
    let found = broken_by(|metadata| depends(metadata, of, added));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

#[track_caller]
fn says(sentence: &str, words: &[&str]) {
    for word in words {
        assert!(sentence.contains(word), "`{word}` is missing in: {sentence}");
    }
}

#[test]
fn a_kernel_that_knows_a_runtime() {
    let sentence = one_breach(KERNEL, dependency("tokio", "normal", json!({})));
    says(&sentence, &["Rule 1", "the dependency tokio", "a port"]);
}

#[test]
fn a_kernel_that_takes_default_features() {
    let sentence = one_breach(KERNEL, dependency("bytes", "normal", json!({"uses_default_features": true})));
    says(&sentence, &["Rule 1", "bytes", "default-features = false"]);
}

#[test]
fn a_kernel_that_asks_for_std() {
    let sentence = one_breach(KERNEL, dependency("serde", "normal", json!({"features": ["alloc", "std"]})));
    says(&sentence, &["Rule 1", "serde", "feature std"]);
}

#[test]
fn a_kernel_that_always_validates() {
    let sentence = one_breach(KERNEL, dependency("validator", "normal", json!({})));
    says(&sentence, &["Rule 1", "always has the dependency validator", "optional"]);
    let optional = dependency("validator", "normal", json!({"optional": true}));
    assert_eq!(broken_by(|metadata| depends(metadata, KERNEL, optional)), [""; 0]);
}

#[test]
fn derives_that_know_the_kernel() {
    let sentence = one_breach(MACROS, dependency(KERNEL, "normal", json!({})));
    says(&sentence, &["Rule 4", "portolan-macros has the dependency portolan-kernel", "dev-dependency"]);
    let found = broken_by(|metadata| depends(metadata, MACROS, dependency(FACADE, "dev", json!({}))));
    assert_eq!(found.len(), 1, "{found:#?}");
    says(&found[0], &["Rule 4", "portolan-macros has the dev-dependency portolan"]);
}

#[test]
fn a_kernel_that_tests_with_an_adapter() {
    let added = dependency("portolan-memory", "dev", json!({}));
    let found = broken_by(|metadata| depends(metadata, KERNEL, added)).join("\n");
    says(&found, &["Rule 1", "Rule 5", "the dev-dependency portolan-memory"]);
}

#[test]
fn an_adapter_that_knows_another() {
    for kind in ["normal", "dev"] {
        let sentence = one_breach("portolan-http", dependency("portolan-sqlite", kind, json!({})));
        says(&sentence, &["Rule 2", "portolan-http", "portolan-sqlite", "tests/"]);
    }
}

#[test]
fn an_adapter_that_knows_the_facade() {
    let sentence = one_breach("portolan-http", dependency(FACADE, "dev", json!({})));
    says(&sentence, &["Rule 2", "portolan-http has the dev-dependency portolan."]);
}

#[test]
fn an_adapter_that_ships_the_suite() {
    let sentence = one_breach("portolan-sqlite", dependency(CONFORMANCE, "normal", json!({})));
    says(&sentence, &["Rule 4", "portolan-sqlite", "[dev-dependencies]"]);
}

#[test]
fn an_adapter_without_the_kernel() {
    let found = broken_by(|metadata| {
        let of_memory = package(metadata, "portolan-memory")["dependencies"].as_array_mut().unwrap();
        of_memory.retain(|dependency| dependency["name"] != KERNEL);
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    says(&found[0], &["Rule 2", "portolan-memory does not depend on portolan-kernel"]);
}

#[test]
fn a_suite_that_knows_a_store() {
    let added = dependency("portolan-memory", "dev", json!({}));
    let found = broken_by(|metadata| depends(metadata, CONFORMANCE, added)).join("\n");
    says(&found, &["Rule 4", "Rule 5", "portolan-conformance has the dev-dependency portolan-memory"]);
}

#[test]
fn a_testing_crate_that_knows_a_store() {
    let added = dependency("portolan-memory", "dev", json!({}));
    let found = broken_by(|metadata| depends(metadata, "portolan-testing", added)).join("\n");
    says(&found, &["Rule 4", "Rule 5", "portolan-testing has the dev-dependency portolan-memory"]);
}

#[test]
fn an_adapter_that_ships_test_helpers() {
    let sentence = one_breach("portolan-http", dependency("portolan-testing", "normal", json!({})));
    says(&sentence, &["Rule 4", "portolan-http", "portolan-testing", "[dev-dependencies]"]);
}

#[test]
fn a_facade_that_tests_with_mocks() {
    let sentence = one_breach(FACADE, dependency("portolan-testing", "dev", json!({})));
    says(&sentence, &["Rule 6", "portolan-testing", "Move the test"]);
}

#[test]
fn a_backend_for_tests_that_knows_the_ports() {
    let sentence = one_breach("portolan-dynamodb-emulator", dependency("portolan-kernel", "dev", json!({})));
    says(
        &sentence,
        &["Rule 4", "portolan-dynamodb-emulator has the dev-dependency portolan-kernel", "start the backend"],
    );
}

#[test]
fn an_adapter_that_ships_a_backend_for_tests() {
    let sentence = one_breach("portolan-sqlite", dependency("portolan-dynamodb-emulator", "normal", json!({})));
    says(&sentence, &["Rule 4", "portolan-sqlite", "[dev-dependencies]"]);
}

#[test]
fn a_package_at_an_unknown_place() {
    let found = broken_by(|metadata| {
        let root = metadata["workspace_root"].as_str().unwrap().to_owned();
        let mut stray = package(metadata, CONFORMANCE).clone();
        stray["name"] = "portolan-stray".into();
        stray["manifest_path"] = format!("{root}/stray/Cargo.toml").into();
        metadata["packages"].as_array_mut().unwrap().push(stray);
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    says(&found[0], &["Rule 5", "portolan-stray"]);
}

#[test]
fn a_facade_that_always_has_an_adapter() {
    let sentence = one_breach(FACADE, dependency("portolan-sqlite", "normal", json!({})));
    says(&sentence, &["Rule 6", "portolan-sqlite", "optional"]);
}

#[test]
fn a_facade_that_turns_too_much_on() {
    let found = broken_by(|metadata| {
        let features = &mut package(metadata, FACADE)["features"];
        features["default"].as_array_mut().unwrap().push("grpc".into());
        features["grpc"] = json!(["portolan-http/grpc"]);
    });
    assert_eq!(found.len(), 2, "{found:#?}");
    says(&found[0], &["Rule 6", "grpc", "default features"]);
    says(&found[1], &["Rule 6", "portolan-http/grpc", "workspace.dependencies"]);
}

#[test]
fn a_facade_that_tests_with_more_than_the_bank_uses() {
    let sentence = one_breach(FACADE, dependency("proptest", "dev", json!({})));
    says(&sentence, &["Rule 6", "proptest", "Move the test"]);
}

#[test]
fn a_member_with_features_of_its_own() {
    let breach = |line: &str| manifests::own_dependencies("x/Cargo.toml", &format!("[dependencies]\n{line}\n"));
    for good in [
        "a.workspace = true",
        "a = { workspace = true, optional = true }",
        "portolan-kernel = { workspace = true, features = [\"macros\", \"validator\"] }",
        "# a = \"1\"",
        "",
    ] {
        assert_eq!(breach(good), [""; 0], "{good}");
    }
    for bad in [
        "a = \"1\"",
        "a = { workspace = true, features = [\"std\"] }",
        "a = { path = \"../a\" }",
        "portolan-kernel = { path = \"../kernel\", features = [] }",
    ] {
        says(&breach(bad).join("\n"), &["Rule 6", bad, "x/Cargo.toml", "workspace = true"]);
    }
    let table = manifests::own_dependencies("x/Cargo.toml", "[dev-dependencies.a]\nversion = \"1\"\n");
    assert_eq!(table.len(), 1, "{table:#?}");
    assert_eq!(manifests::own_dependencies("Cargo.toml", "[workspace.dependencies]\na = \"1\"\n"), [""; 0]);
}

#[test]
fn a_kernel_file_that_imports_from_above() {
    let up = |file: &str, line: &str| floors::upward_imports(file, &format!("{line}\n"));
    for (file, line) in [
        ("values/append.rs", "use crate::ports::StoreId;"),
        ("values/append.rs", "let x = crate::drivers::load();"),
        ("values/append.rs", "use super::super::ports::StoreId;"),
        ("ports/mod.rs", "use crate::{values::Name, domain::{Event, Codec}};"),
        ("domain/event.rs", "use crate::application::Ports;"),
        ("drivers/subscription/tail.rs", "use crate::application::Ports;"),
    ] {
        let found = up(file, line);
        assert_eq!(found.len(), 1, "{file}: {line}: {found:#?}");
        says(&found[0], &["only go down", file]);
    }
    for (file, line) in [
        ("ports/event_store.rs", "use crate::values::Append;"),
        ("values/event.rs", "/// See [`Limits`](crate::ports::Limits)."),
        ("values/event.rs", "use crate::values::{ports_of, Name};"),
        ("application/parts.rs", "use crate::drivers::Subscriptions;"),
        ("lib.rs", "pub use crate::ports::Source;"),
    ] {
        assert_eq!(up(file, line), [""; 0], "{file}: {line}");
    }
}

#[test]
fn a_kernel_with_std() {
    assert_eq!(floors::no_std("#![no_std]\nextern crate alloc;\n"), [""; 0]);
    assert_eq!(floors::no_std("#![cfg_attr(not(test), no_std)]\n").len(), 1);
    assert_eq!(floors::no_std("#![no_std]\nextern crate std;\n").len(), 1);
}
