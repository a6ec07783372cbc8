//! The table: steps, run over every wire, and compared.

use super::application::application;
use super::brews::brewing;
use super::wires::Wire;
use core::time::Duration;
use futures::future::{BoxFuture, join_all};
use portolan::application::Ports;

/// What is done to ports, and how what comes of it begins where the application is in the same process: so that no step
/// is about something else than it says.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) begins: &'static str,
    pub(crate) run: for<'a> fn(&'a Ports) -> BoxFuture<'a, String>,
}

/// `[name => "how its outcome begins", …]`: each name is an `async fn(&Ports) -> String`.
macro_rules! steps {
    ($($step:ident => $begins:literal),* $(,)?) => {
        [$($crate::table::Step { name: stringify!($step), begins: $begins, run: |ports| Box::pin($step(ports)) }),*]
    };
}
pub(crate) use steps;

/// No step takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What comes of each step over a wire.
async fn run(wire: Wire, steps: &[Step]) -> Vec<String> {
    let application = application().await;
    let ports = wire.open(brewing(application.ports())).await;
    let store = ports.events.capabilities().identity.to_string();
    let mut outcomes = Vec::new();
    for step in steps {
        let outcome = tokio::time::timeout(PATIENCE, (step.run)(&ports)).await;
        let outcome = outcome.unwrap_or_else(|_| format!("nothing within {PATIENCE:?}"));
        outcomes.push(outcome.replace(&store, "<store>"));
    }
    outcomes
}

/// Runs all steps over all wires.
///
/// # Panics
///
/// With every step that comes out otherwise over a wire than in process.
pub(crate) async fn come_out_alike(steps: &[Step]) {
    come_out_alike_over(&Wire::ALL, steps).await;
}

/// The same over these wires, the first the one that others are measured by.
pub(crate) async fn come_out_alike_over(wires: &[Wire], steps: &[Step]) {
    let outcomes = join_all(wires.iter().map(|wire| run(*wire, steps))).await;
    let (inside, remote) = outcomes.split_first().expect("there are wires");
    let mut wrong = Vec::new();
    for (at, Step { name, begins, .. }) in steps.iter().enumerate() {
        let expected = &inside[at];
        if !expected.starts_with(begins) {
            wrong.push(format!("`{name}`, in process: it does not begin with {begins}\n    {expected}"));
        }
        for (wire, outcomes) in wires[1..].iter().zip(remote) {
            if outcomes[at] != *expected {
                let (expected, got) = where_they_part(expected, &outcomes[at]);
                wrong.push(format!("`{name}`, over {wire:?}:\n    in process: {expected}\n    over it:    {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} steps:\n\n{}\n", wrong.len(), steps.len(), wrong.join("\n\n"));
}

/// Both texts from a little before the first difference on, and not all of what follows it.
fn where_they_part(one: &str, other: &str) -> (String, String) {
    const BEFORE: usize = 120;
    const ALL: usize = 600;
    let common = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    let part = |text: &str| text.chars().skip(common.saturating_sub(BEFORE)).take(ALL).collect();
    (part(one), part(other))
}
