//! Orchestrators that drive sagas otherwise than they should; and those that are right.

use crate::facts::{Edit, Fact};
use crate::mutant::Mutant;
use crate::plain::Flaw;
use async_trait::async_trait;
use portolan_kernel::ports::{CommandBus, CommandEnvelope, CommandError, CommandInfo, Receipt};
use portolan_kernel::values::Name;
use serde_json::{Value, json};
use std::sync::Arc;

pub const RIGHT: &[Mutant] =
    &[Mutant::new("the kernel's orchestrator", &[]), Mutant::new("a plain orchestrator", &[]).plain(Flaw::None)];

/// A bus that sends each command under a key of its own.
struct NewKeys(Arc<dyn CommandBus>);

#[async_trait]
impl CommandBus for NewKeys {
    async fn dispatch(&self, mut command: CommandEnvelope) -> Result<Receipt, CommandError> {
        command.id = Some(Name::new(format!("key-{}", fastrand::u64(..))).unwrap());
        self.0.dispatch(command).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.0.commands()
    }

    fn leading_to(&self, end: Arc<dyn CommandBus>) -> Option<Arc<dyn CommandBus>> {
        self.0.leading_to(end)
    }
}

/// The step that has happened first of those that are neither undone nor being undone.
fn first_done(before: &[Fact]) -> Option<String> {
    let is = |fact: &Fact, kind: &str, way: &str| fact.kind == kind && fact.text("way") == way;
    let done = before.iter().filter(|fact| is(fact, "$saga.succeeded", "forward"));
    let is_back = |step: &str| before.iter().any(|fact| is(fact, "$saga.begun", "back") && fact.text("step") == step);
    done.map(|fact| fact.text("step").to_owned()).find(|step| !is_back(step))
}

pub const MUTANTS: &[Mutant] = &[
    Mutant::new("sends each attempt's command under a new key", &["SG-01", "SG-02", "SG-04", "SG-07"])
        .commands(|commands| Arc::new(NewKeys(commands))),
    Mutant::new("does not ask how long keys are kept", &["SG-01"]).plain(Flaw::TrustsKeys),
    Mutant::new("tries again under keys that may be forgotten", &["SG-01"]).plain(Flaw::OutlivesKeys),
    Mutant::new("forgets its sagas when it dies", &["SG-01", "SG-02", "SG-06", "SG-07", "SG-08"])
        .plain(Flaw::ForgetsItsPast),
    Mutant::new("loses timers that are overdue", &["SG-06"]).plain(Flaw::LosesOverdueTimers),
    Mutant::new("records whatever others have recorded", &["SG-03", "SG-07", "SG-09"])
        .perhaps(&["SG-06"])
        .edit(Edit::Unexpecting),
    Mutant::new("undoes steps in their order", &["SG-01", "SG-04", "SG-05", "SG-08"]).edit(Edit::Recorded(
        |fact, before| {
            if fact.kind != "$saga.begun" || fact.text("way") != "back" || fact.data["attempt"] != 1 {
                return false;
            }
            match first_done(before) {
                Some(first) if first != fact.text("step") => {
                    fact.data["step"] = first.into();
                    true
                }
                _ => false,
            }
        },
    )),
    Mutant::new("takes what is unknown for what has not happened", &["SG-01", "SG-04", "SG-06", "SG-07"]).edit(
        Edit::Recorded(|fact, _| {
            if fact.kind != "$saga.failed" || fact.text("way") != "forward" || fact.text("class") != "unknown" {
                return false;
            }
            let is_last = fact.data.get("retry_at").is_none_or(Value::is_null);
            fact.data["class"] = if is_last { "refused" } else { "retry" }.into();
            true
        }),
    ),
    Mutant::new("gives up at the first failure", &["SG-01", "SG-03", "SG-04", "SG-05", "SG-06", "SG-08", "SG-09"])
        .edit(Edit::Recorded(|fact, _| {
            fact.kind == "$saga.failed" && fact.data.as_object_mut().unwrap().remove("retry_at").is_some()
        })),
    Mutant::new("gives up a compensation at its first failure", &["SG-01", "SG-05"]).edit(Edit::Recorded(|fact, _| {
        let is_of = fact.kind == "$saga.failed" && fact.text("way") == "back";
        is_of && fact.data.as_object_mut().unwrap().remove("retry_at").is_some()
    })),
    Mutant::new("pauses for as long each time", &["SG-06"]).edit(Edit::Recorded(|fact, _| {
        let Some(retry_at) = fact.data["retry_at"].as_u64() else { return false };
        let at = fact.data["at"].as_u64().unwrap();
        let without_jitter = at + if retry_at - at <= 40_000 { 40_000 } else { 80_000 };
        let is_other = retry_at - at < 80_000 && retry_at != without_jitter;
        fact.data["retry_at"] = without_jitter.into();
        is_other
    })),
    Mutant::new("goes on by the newest definition", &["SG-08"]).edit(Edit::Read(|fact, handlers, saga| {
        if let Some(newest) = handlers.latest(saga.name()).filter(|_| fact.kind == "$saga.started") {
            fact.data["version"] = newest.version().into();
            fact.data["plan"] = json!(**newest.plan());
        }
    })),
];
