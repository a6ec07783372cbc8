//! The rules of the house: who may depend on whom. Checked on what is declared (`cargo metadata`, manifests) and on
//! the imports within the kernel; each rule is seen broken by an injected breach.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod breaches;
mod floors;
mod manifests;
mod rules;

use cargo_metadata::{Metadata, MetadataCommand};
use std::path::{Path, PathBuf};

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What `cargo metadata` says of the workspace, as JSON, so that a breach can be injected.
fn metadata() -> serde_json::Value {
    let manifest = root().join("Cargo.toml");
    let output = MetadataCommand::new().manifest_path(manifest).no_deps().cargo_command().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The same, typed.
fn declared() -> Metadata {
    serde_json::from_value(metadata()).unwrap()
}

#[track_caller]
fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn the_kernel_stands_alone_on_few_dependencies() {
    assert_none(&rules::kernel_stands_alone(&declared()));
}

#[test]
fn adapters_know_the_kernel_and_no_other_adapter() {
    assert_none(&rules::adapters_know_no_adapter(&declared()));
}

#[test]
fn conformance_knows_the_kernel_alone() {
    assert_none(&rules::conformance_knows_the_kernel_alone(&declared()));
}

#[test]
fn derives_know_no_package_of_the_workspace() {
    assert_none(&rules::derives_know_nothing_of_ours(&declared()));
}

#[test]
fn backends_for_tests_know_no_workspace_crate() {
    assert_none(&rules::backends_know_nothing(&declared()));
}

#[test]
fn only_facade_tests_and_examples_name_adapters() {
    assert_none(&rules::few_name_adapters(&declared()));
}

#[test]
fn features_of_the_facade_only_add() {
    assert_none(&rules::features_only_add(&declared()));
}

#[test]
fn the_facade_builds_what_the_bank_runs_on() {
    assert_none(&rules::the_facade_builds_little(&declared()));
}

#[test]
fn the_kernel_is_no_std() {
    let lib = std::fs::read_to_string(root().join("kernel/src/lib.rs")).unwrap();
    assert_none(&floors::no_std(&lib));
}

#[test]
fn imports_in_the_kernel_only_go_down() {
    let mut breaches = Vec::new();
    let mut files = vec![root().join("kernel/src")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(root().join("kernel/src")).unwrap().display().to_string();
            breaches.extend(floors::upward_imports(&inside, &std::fs::read_to_string(&path).unwrap()));
        }
    }
    assert_none(&breaches);
}

#[test]
fn features_of_dependencies_are_set_in_the_workspace_alone() {
    let metadata = metadata();
    let manifests = metadata["packages"].as_array().unwrap().iter().map(|package| &package["manifest_path"]);
    let mut breaches = Vec::new();
    for manifest in manifests.map(|path| path.as_str().unwrap()) {
        breaches.extend(manifests::own_dependencies(manifest, &std::fs::read_to_string(manifest).unwrap()));
    }
    assert_none(&breaches);
}
