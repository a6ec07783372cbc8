//! Middleware that keeps what it sees.

use async_trait::async_trait;
use portolan_kernel::drivers::{Failure, Hooked, Hooks, Middleware};
use portolan_kernel::ports::{CommandEnvelope, CommandError, Receipt};
use portolan_kernel::values::Name;
use std::sync::{Arc, Mutex, PoisonError};

/// The layers, the outermost first.
pub(crate) const LAYERS: [&str; 3] = ["outer", "middle", "inner"];

/// What a layer saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Before,
    Refused,
    After,
    Failed,
}

/// What all layers saw, in order.
#[derive(Debug, Default)]
pub(crate) struct Layers(Mutex<Vec<(Option<Name>, &'static str, Step)>>);

impl Layers {
    /// The layers of an application.
    pub(super) fn middleware(layers: &Arc<Self>) -> Vec<Arc<dyn Middleware>> {
        let layer = |name| Arc::new(Hooked::new(Layer { name, layers: layers.clone() })) as Arc<dyn Middleware>;
        LAYERS.map(layer).into()
    }

    /// What the layers saw of the command with this id.
    pub(crate) fn of(&self, id: &str) -> Vec<(&'static str, Step)> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_command =
            seen.iter().filter(|(command, ..)| command.as_ref().is_some_and(|command| command.as_str() == id));
        of_command.map(|(_, layer, step)| (*layer, *step)).collect()
    }

    fn note(&self, command: &CommandEnvelope, layer: &'static str, step: Step) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((command.id.clone(), layer, step));
    }
}

struct Layer {
    name: &'static str,
    layers: Arc<Layers>,
}

#[async_trait]
impl Hooks for Layer {
    /// Refuses a command whose actor is not for this layer to let pass.
    async fn before(&self, command: CommandEnvelope) -> Result<CommandEnvelope, CommandError> {
        if command.metadata.actor.as_deref() == Some(&*format!("not for {}", self.name)) {
            self.layers.note(&command, self.name, Step::Refused);
            return Err(CommandError::Denied(format!("{} says no", self.name)));
        }
        self.layers.note(&command, self.name, Step::Before);
        Ok(command)
    }

    fn after(&self, command: &CommandEnvelope, _: &Receipt) {
        self.layers.note(command, self.name, Step::After);
    }

    fn failed(&self, command: &CommandEnvelope, _: &Failure) {
        self.layers.note(command, self.name, Step::Failed);
    }
}
