//! A bus that is an application's but for one thing.

use async_trait::async_trait;
use futures::future::BoxFuture;
use portolan_conformance::{CommandBus, Composition, Crossing, Fixture, Served};
use portolan_kernel::ports::{CommandEnvelope, CommandError, CommandInfo, Receipt};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub type Outcome = Result<Receipt, CommandError>;
pub type Dispatch = fn(Arc<Inner>, CommandEnvelope) -> BoxFuture<'static, Outcome>;

/// One wrong bus: what it does otherwise, and the laws that this breaks.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    pub breaks: &'static [&'static str],
    /// What becomes of a command.
    pub command: fn(CommandEnvelope) -> CommandEnvelope,
    /// What becomes of an outcome.
    pub outcome: fn(Outcome) -> Outcome,
    /// What becomes of the descriptions.
    pub commands: fn(Vec<CommandInfo>) -> Vec<CommandInfo>,
    /// How a command gets to the application.
    pub dispatch: Dispatch,
    /// Whether every second command goes to an application of its own, of the same world.
    pub divided: bool,
    /// What it says that it lacks.
    pub lacks: &'static [Crossing],
    /// What the application is made of.
    pub compose: Option<fn(Composition) -> Composition>,
}

impl Mutant {
    pub const fn new(name: &'static str, breaks: &'static [&'static str]) -> Self {
        Self {
            name,
            breaks,
            command: |command| command,
            outcome: |outcome| outcome,
            commands: |commands| commands,
            dispatch: |inner, command| Box::pin(async move { inner.bus.dispatch(command).await }),
            divided: false,
            lacks: &[],
            compose: None,
        }
    }

    pub const fn lacks(self, lacks: &'static [Crossing]) -> Self {
        Self { lacks, ..self }
    }

    pub const fn divided(self) -> Self {
        Self { divided: true, ..self }
    }

    pub const fn command(self, command: fn(CommandEnvelope) -> CommandEnvelope) -> Self {
        Self { command, ..self }
    }

    pub const fn outcome(self, outcome: fn(Outcome) -> Outcome) -> Self {
        Self { outcome, ..self }
    }

    pub const fn commands(self, commands: fn(Vec<CommandInfo>) -> Vec<CommandInfo>) -> Self {
        Self { commands, ..self }
    }

    pub const fn dispatch(self, dispatch: Dispatch) -> Self {
        Self { dispatch, ..self }
    }

    pub const fn compose(self, compose: fn(Composition) -> Composition) -> Self {
        Self { compose: Some(compose), ..self }
    }

    pub fn fixture(self) -> Fixture<dyn CommandBus> {
        let fixture = Fixture::command_bus(async move |served: &Served| {
            let ports = match self.compose {
                Some(compose) => served.composed(compose).await.map_err(|error| error.to_string())?,
                None => served.ports(),
            };
            let mut buses = vec![ports.commands];
            if self.divided {
                buses.push(served.composed(|parts| parts).await.map_err(|error| error.to_string())?.commands);
            }
            let bus = Arc::new(Divided { buses, count: AtomicUsize::new(0) });
            let inner = Inner { bus, kept: Mutex::default(), one: tokio::sync::Mutex::new(()) };
            Ok::<_, String>(MutantBus { inner: Arc::new(inner), mutant: self })
        });
        self.lacks.iter().fold(fixture, |fixture, lack| fixture.lacks(*lack, "a variant"))
    }
}

/// What a mutant's dispatch works on.
pub struct Inner {
    pub bus: Arc<dyn CommandBus>,
    /// For whatever a mutant has to remember.
    pub kept: Mutex<HashMap<String, Outcome>>,
    pub one: tokio::sync::Mutex<()>,
}

/// Sends commands to one bus after another.
struct Divided {
    buses: Vec<Arc<dyn CommandBus>>,
    count: AtomicUsize,
}

#[async_trait]
impl CommandBus for Divided {
    async fn dispatch(&self, command: CommandEnvelope) -> Outcome {
        let n = self.count.fetch_add(1, Ordering::Relaxed) % self.buses.len();
        self.buses[n].dispatch(command).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.buses[0].commands()
    }
}

struct MutantBus {
    inner: Arc<Inner>,
    mutant: Mutant,
}

#[async_trait]
impl CommandBus for MutantBus {
    async fn dispatch(&self, command: CommandEnvelope) -> Outcome {
        let command = (self.mutant.command)(command);
        (self.mutant.outcome)((self.mutant.dispatch)(self.inner.clone(), command).await)
    }

    fn commands(&self) -> Vec<CommandInfo> {
        (self.mutant.commands)(self.inner.bus.commands())
    }
}
