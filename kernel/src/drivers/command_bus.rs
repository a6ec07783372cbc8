//! The command bus of an application in its own process.

use super::execution::Execution;
use super::gate::Gate;
use crate::domain::{Aggregate, CodecError, Command, CommandVisitor, Commands, Decide, Json, StreamCommand};
use crate::ports::{Body, CommandBus, CommandEnvelope, CommandError, CommandInfo, Receipt, Source};
use crate::values::{Format, InvalidName, Name};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::any::{Any, type_name};
use core::fmt;
use core::marker::PhantomData;

/// Finds the handler by name, and has it decided and appended.
///
/// A typed body of the handler's own type is taken as it is; any other is decoded from JSON.
#[derive(Debug)]
pub struct LocalCommandBus {
    execution: Execution,
    handlers: BTreeMap<Name, Registered>,
    gate: Gate,
}

struct Registered {
    handler: Box<dyn Handler>,
    by: &'static str,
    info: CommandInfo,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.by)
    }
}

/// Why a handler cannot be registered. It is a mistake of the application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Two handlers have one name (CB-01).
    #[error("{first} and {second} both answer to the name {name}; give one of them another name")]
    NameTaken {
        /// The name.
        name: Name,
        /// What was registered first.
        first: &'static str,
        /// What was registered second.
        second: &'static str,
    },
    /// A command's streams are of another category than the aggregate that decides on it.
    #[error(
        "the command {command} is for streams of category {category:?}, and {aggregate}, which decides on it, is of \
         category {expected:?}; correct its stream, or let another aggregate decide"
    )]
    OtherCategory {
        /// The command.
        command: Name,
        /// The category of its streams.
        category: &'static str,
        /// What decides on it.
        aggregate: &'static str,
        /// The category of that.
        expected: &'static str,
    },
    /// The name is none.
    #[error("{of} has no usable name: {source}")]
    InvalidName {
        /// What has it.
        of: &'static str,
        /// What is wrong with it.
        source: InvalidName,
    },
}

impl LocalCommandBus {
    /// A bus without handlers.
    #[must_use]
    pub fn new(execution: Execution) -> Self {
        Self { execution, handlers: BTreeMap::new(), gate: Gate::default() }
    }

    /// Lets the aggregate decide on its commands.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] when another handler has the name of one of them.
    pub fn register<A: Aggregate>(&mut self) -> Result<(), RegisterError> {
        let mut registration = Registration { handlers: &mut self.handlers, outcome: Ok(()) };
        A::Commands::visit::<Registration<'_>>(&mut registration);
        registration.outcome
    }

    /// Refuses new commands from now on, and waits until all accepted ones are finished (CB-12).
    pub async fn shut_down(&self) {
        self.gate.shut().await;
    }
}

struct Registration<'a> {
    handlers: &'a mut BTreeMap<Name, Registered>,
    outcome: Result<(), RegisterError>,
}

impl<A: Aggregate> CommandVisitor<A> for Registration<'_> {
    fn command<C: StreamCommand>(&mut self)
    where
        A: Decide<C>,
    {
        if self.outcome.is_ok() {
            self.outcome = self.add::<A, C>();
        }
    }
}

impl Registration<'_> {
    fn add<A: Decide<C>, C: StreamCommand>(&mut self) -> Result<(), RegisterError> {
        let by = type_name::<A>();
        let name = Name::new(C::NAME).map_err(|source| RegisterError::InvalidName { of: type_name::<C>(), source })?;
        if let Some(category) = C::CATEGORY
            && category != A::CATEGORY
        {
            return Err(RegisterError::OtherCategory { command: name, category, aggregate: by, expected: A::CATEGORY });
        }
        let handler = Box::new(Decided::<A, C>(PhantomData));
        match self.handlers.get(&name) {
            Some(first) => Err(RegisterError::NameTaken { name, first: first.by, second: by }),
            None => {
                let info = CommandInfo::new(name.clone()).with_description(C::DESCRIPTION).with_schema(C::schema());
                self.handlers.insert(name, Registered { handler, by, info });
                Ok(())
            }
        }
    }
}

#[async_trait]
impl CommandBus for LocalCommandBus {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let _inside = self.gate.enter().ok_or(CommandError::ShuttingDown)?;
        match self.handlers.get(&command.name) {
            Some(registered) => registered.handler.handle(&self.execution, command).await,
            None => Err(CommandError::UnknownCommand(command.name)),
        }
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.handlers.values().map(|registered| registered.info.clone()).collect()
    }
}

#[async_trait]
trait Handler: Send + Sync {
    async fn handle(&self, execution: &Execution, command: CommandEnvelope) -> Result<Receipt, CommandError>;
}

/// The command `C` is decided by the aggregate `A`.
struct Decided<A, C>(PhantomData<fn() -> (A, C)>);

#[async_trait]
impl<A: Decide<C>, C: StreamCommand> Handler for Decided<A, C> {
    async fn handle(&self, execution: &Execution, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let value = typed::<C>(command.body)?;
        execution.execute::<A, C>(&value, command.id, command.metadata).await
    }
}

fn typed<C: Command>(body: Body) -> Result<Arc<C>, CommandError> {
    let bytes = match body {
        Body::Typed(value) => {
            // Another type of the same name goes by its JSON, as it would over a wire.
            if (&*value as &dyn Any).is::<C>() {
                let value: Arc<dyn Any + Send + Sync> = value;
                return value.downcast().map_err(|_| CommandError::Other(Source::new("a type is not what it is")));
            }
            value.encode().map_err(CommandError::Other)?
        }
        Body::Encoded(bytes, Format::Json) => bytes,
        Body::Encoded(_, format) => {
            return Err(CommandError::Malformed(alloc::format!("commands are taken as JSON, not as {format:?}")));
        }
    };
    Json::decode_object(&bytes).map(Arc::new).map_err(|error| match error.into_violation() {
        Ok(violation) => CommandError::Invalid(alloc::vec![violation]),
        Err(CodecError::Malformed(reason)) => CommandError::Malformed(reason),
        Err(other) => CommandError::Malformed(other.to_string()),
    })
}
