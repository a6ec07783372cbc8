//! How two plans differ, for a person.

use super::Plan;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::Value;

impl Plan {
    /// How this plan (here) differs from another (there): what changed between the registered definition and a saga that was
    /// started under the same name and version. `None`: they are equal.
    ///
    /// A saga goes on by its own plan whatever the difference, as long as the code has its functions (SG-8). A difference
    /// that changes what a step means should have raised the version. The steps of a process are of its past, and no
    /// difference.
    #[must_use]
    pub fn difference(&self, there: &Self) -> Option<String> {
        if self == there || (self.process.is_some() && self.process == there.process) {
            return None;
        }
        let mut found = Vec::new();
        let longest = |plan: &Self| plan.process.as_ref().map(|process| process.longest.as_millis().to_string());
        told("process.longest_ms", longest(self), longest(there), &mut found);
        if self.process.is_some() && there.process.is_some() {
            return Some(found.join(", "));
        }
        let millis = |plan: &Self| plan.timeout.map(|timeout| timeout.as_millis().to_string());
        told("timeout_ms", millis(self), millis(there), &mut found);
        let names: BTreeSet<_> = self.steps().chain(there.steps()).map(|step| &*step.name).collect();
        for name in names {
            match (self.step(name), there.step(name)) {
                (Some(here), Some(there)) => {
                    let as_json = |step| serde_json::to_value(step).unwrap_or_default();
                    compare(name, &as_json(here), &as_json(there), &mut found);
                }
                (Some(_), None) => found.push(format!("{name} is only here")),
                (None, _) => found.push(format!("{name} is only there")),
            }
        }
        let (here, there) = (self.outline(), there.outline());
        if here != there {
            found.push(format!("the groups are {here} here, and {there} there"));
        }
        Some(found.join(", "))
    }

    /// The names, groups apart.
    fn outline(&self) -> String {
        let group = |group: &Vec<super::StepPlan>| group.iter().map(|step| &*step.name).collect::<Vec<_>>().join(" ");
        self.groups.iter().map(group).collect::<Vec<_>>().join("; ")
    }
}

fn compare(path: &str, here: &Value, there: &Value, found: &mut Vec<String>) {
    match (here, there) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let fields: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            for field in fields {
                let of = |fields: &serde_json::Map<String, Value>| fields.get(field).cloned().unwrap_or_default();
                compare(&format!("{path}.{field}"), &of(ours), &of(theirs), found);
            }
        }
        _ => {
            let text = |value: &Value| if value.is_null() { None } else { Some(value.to_string()) };
            told(path, text(here), text(there), found);
        }
    }
}

fn told(path: &str, here: Option<String>, there: Option<String>, found: &mut Vec<String>) {
    if here != there {
        let text = |value: Option<String>| value.unwrap_or_else(|| "none".into());
        found.push(format!("{path}: {} here, {} there", text(here), text(there)));
    }
}
