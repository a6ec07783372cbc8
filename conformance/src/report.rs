//! Results for machines, and the capability matrix made of them.

use crate::{Crossing, Damage, Lack, Outcome, Passing};
use portolan_kernel::ports::Capability;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Names a folder; each law then adds one line of JSON to `<folder>/<package>.jsonl`.
pub const REPORT: &str = "PORTOLAN_LAWS_REPORT";

pub(crate) struct Report<'a> {
    pub(crate) port: &'a str,
    pub(crate) package: &'a str,
    pub(crate) test: &'a str,
    pub(crate) law: &'a str,
    pub(crate) outcome: &'a Outcome,
    pub(crate) blind: &'a BTreeMap<Damage, &'static str>,
}

impl Report<'_> {
    pub(crate) fn write(&self) {
        let Some(dir) = std::env::var_os(REPORT) else { return };
        let file = Path::new(&dir).join(self.package).with_extension("jsonl");
        let written = fs::create_dir_all(&dir).and_then(|()| {
            // One write a line: tests run side by side.
            let line = format!("{}\n", self.to_json());
            fs::OpenOptions::new().create(true).append(true).open(&file)?.write_all(line.as_bytes())
        });
        if let Err(error) = written {
            panic!("the result of {} cannot be written to {}: {error}", self.law, file.display());
        }
    }

    fn to_json(&self) -> Value {
        let (verdict, checks, lacked) = match self.outcome {
            Outcome::Kept { checks, lacked } if lacked.is_empty() => ("kept", *checks, json!({})),
            Outcome::Kept { checks, lacked } => ("lacked", *checks, json!(lacked)),
            Outcome::NotRun { .. } => ("not run", 0, json!({})),
            Outcome::Broken { .. } => ("broken", 0, json!({})),
            Outcome::Unreachable(_) => ("unreachable", 0, json!({})),
        };
        let blind: BTreeMap<_, _> = self.blind.iter().map(|(damage, why)| (damage.as_str(), *why)).collect();
        json!({
            "blind": blind, "port": self.port, "package": self.package, "test": self.test,
            "law": self.law, "verdict": verdict, "checks": checks, "lacks": lacked,
        })
    }
}

/// The capability matrix in Markdown, of all the results in a folder: a row a store or bus, a column a capability.
///
/// # Errors
///
/// When the folder cannot be read, a line is not a result, or there is no result at all.
pub fn capability_matrix(dir: &Path) -> std::io::Result<String> {
    let mut stores: BTreeMap<String, Store> = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            for line in fs::read_to_string(&path)?.lines() {
                let line: Value = serde_json::from_str(line).map_err(std::io::Error::other)?;
                let test = line["test"].as_str().unwrap_or_default();
                let module = test.rsplit_once("::").map_or(test, |(module, _)| module);
                let package = line["package"].as_str().unwrap_or_default();
                stores.entry(format!("{package} ({module})")).or_default().add(test, &line);
            }
        }
    }
    if stores.is_empty() {
        return Err(std::io::Error::other(format!("{} holds no result; set {REPORT} and run the laws", dir.display())));
    }
    Ok(table(&stores))
}

#[derive(Default)]
struct Store {
    port: String,
    // By test: a later run takes the place of an earlier one.
    verdicts: BTreeMap<String, String>,
    lacks: BTreeMap<String, String>,
    blind: BTreeMap<String, String>,
}

impl Store {
    fn add(&mut self, test: &str, line: &Value) {
        self.port = line["port"].as_str().unwrap_or_default().to_string();
        self.verdicts.insert(test.to_string(), line["verdict"].as_str().unwrap_or_default().to_string());
        for (lack, why) in line["lacks"].as_object().into_iter().flatten() {
            self.lacks.insert(lack.clone(), why.as_str().unwrap_or_default().to_string());
        }
        for (damage, why) in line["blind"].as_object().into_iter().flatten() {
            self.blind.insert(damage.clone(), why.as_str().unwrap_or_default().to_string());
        }
    }

    /// Whether the port has laws about it.
    fn asks(&self, lack: &str) -> bool {
        match self.port.as_str() {
            "snapshot_store" => lack == Capability::Durability.as_str(),
            "read_model_store" | "lease_store" | "projection_registry" | "saga_orchestrator" | "inline" => {
                [Capability::Durability, Capability::SeveralProcesses].iter().any(|asked| asked.as_str() == lack)
            }
            _ => true,
        }
    }

    fn laws(&self) -> String {
        let kept = self.verdicts.values().filter(|verdict| matches!(verdict.as_str(), "kept" | "lacked")).count();
        let not_run = self.verdicts.values().filter(|verdict| *verdict == "not run").count();
        let not_run = if not_run > 0 { format!(", {not_run} not run") } else { String::new() };
        format!("{kept} of {}{not_run}", self.verdicts.len())
    }
}

/// A table for stores, one for buses and one for authenticators, each if there is one; then the reasons.
fn table(stores: &BTreeMap<String, Store>) -> String {
    let of_ports = |ports: &[&str]| stores.iter().filter(|(_, of)| ports.contains(&of.port.as_str())).collect();
    let stored = [
        "event_store",
        "snapshot_store",
        "read_model_store",
        "lease_store",
        "projection_registry",
        "saga_orchestrator",
        "inline",
    ];
    let mut text = rows::<Capability>(of_ports(&stored));
    text += &rows::<Crossing>(of_ports(&["command_bus"]));
    text += &rows::<Passing>(of_ports(&["authenticator"]));
    for (store, of) in stores {
        for (lack, why) in &of.lacks {
            text += &format!("- {store} lacks {lack}: {why}\n");
        }
        for (damage, why) in &of.blind {
            text += &format!("- {store} does not notice {damage}: {why}\n");
        }
    }
    text
}

fn rows<L: Lack>(stores: Vec<(&String, &Store)>) -> String {
    if stores.is_empty() {
        return String::new();
    }
    let names: Vec<_> = L::ALL.iter().map(|lack| lack.as_str()).collect();
    let heads: String = names.iter().map(|name| format!(" {name} |")).collect();
    let mut text = format!("| | laws kept |{heads}\n|---|---|{}\n", "---|".repeat(names.len()));
    for (store, of) in stores {
        let has = names.iter().map(|name| match of.lacks.contains_key(*name) {
            true => " no |",
            false if !of.asks(name) => " – |",
            false => " yes |",
        });
        text += &format!("| {store} | {} |{}\n", of.laws(), has.collect::<String>());
    }
    text + "\n"
}
