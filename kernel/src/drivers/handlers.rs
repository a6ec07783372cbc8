//! Who decides which command.

use super::execution::Execution;
use super::order::Order;
use super::progress::Progress;
use crate::domain::{
    Aggregate, CodecError, Command, CommandVisitor, Commands, Decide, DecisionModel, Json, StreamCommand,
};
use crate::ports::{Body, CommandEnvelope, CommandError, CommandInfo, Receipt};
use crate::values::{Format, InvalidName, Name};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::{Any, type_name};
use core::fmt;
use core::marker::PhantomData;
use futures::future::{BoxFuture, ready};

/// The handlers of a command bus, one a command name (CB-01).
#[derive(Default)]
pub struct CommandHandlers {
    by_name: BTreeMap<Name, Registered>,
}

struct Registered {
    handler: Box<dyn Handler>,
    by: &'static str,
    info: CommandInfo,
    /// That of its streams; `None` when a model decides.
    category: Option<&'static str>,
}

impl fmt::Debug for CommandHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.by_name.iter().map(|(name, registered)| (name, registered.by))).finish()
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
    /// One handler is registered twice, or lists a name twice.
    #[error("{of} answers to the name {name} twice; register it once, and list each command once")]
    Twice {
        /// The name.
        name: Name,
        /// What was registered.
        of: &'static str,
    },
    /// A command's streams are of another category than the aggregate that decides on it.
    #[error(
        "{command} is for streams of category {category}, and {aggregate}, which is to decide on it, is of category \
         {expected}; correct the command's stream, or let another aggregate decide"
    )]
    OtherCategory {
        /// The command.
        command: &'static str,
        /// The category of its streams.
        category: &'static str,
        /// What is to decide on it.
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

impl RegisterError {
    pub(super) fn taken(name: Name, first: &'static str, second: &'static str) -> Self {
        if first == second { Self::Twice { name, of: first } } else { Self::NameTaken { name, first, second } }
    }
}

impl CommandHandlers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the aggregate decide on its commands.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] when one of them has a handler already, or is for streams of another category.
    pub fn register<A: Aggregate>(&mut self) -> Result<(), RegisterError> {
        let mut registration = Registration { handlers: self, outcome: Ok(()) };
        A::Commands::visit::<Registration<'_>>(&mut registration);
        registration.outcome
    }

    /// Lets the model decide on its command.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] when it has a handler already.
    pub fn register_model<M: DecisionModel>(&mut self) -> Result<(), RegisterError> {
        self.add::<M::Command>(type_name::<M>(), None, Box::new(ByModel::<M>(PhantomData)))
    }

    fn add<C: Command>(
        &mut self,
        by: &'static str,
        category: Option<&'static str>,
        handler: Box<dyn Handler>,
    ) -> Result<(), RegisterError> {
        let name = Name::new(C::NAME).map_err(|source| RegisterError::InvalidName { of: type_name::<C>(), source })?;
        if let Some(first) = self.by_name.get(&name) {
            return Err(RegisterError::taken(name, first.by, by));
        }
        let info = CommandInfo::new(name.clone()).with_description(C::DESCRIPTION);
        let info = info.with_version(C::VERSION).with_schema(C::schema());
        self.by_name.insert(name, Registered { handler, by, info, category });
        Ok(())
    }

    pub(super) fn of(&self, name: &Name) -> Result<&dyn Handler, CommandError> {
        let registered = self.by_name.get(name).ok_or_else(|| CommandError::UnknownCommand(name.clone()))?;
        Ok(&*registered.handler)
    }

    /// Whether one of them answers to this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        Name::new(name).is_ok_and(|name| self.by_name.contains_key(&name))
    }

    /// Each command, and the category of its streams.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&CommandInfo, Option<&'static str>)> {
        self.by_name.values().map(|registered| (&registered.info, registered.category))
    }

    pub(super) fn infos(&self) -> Vec<CommandInfo> {
        self.by_name.values().map(|registered| registered.info.clone()).collect()
    }
}

struct Registration<'a> {
    handlers: &'a mut CommandHandlers,
    outcome: Result<(), RegisterError>,
}

impl<A: Aggregate> CommandVisitor<A> for Registration<'_> {
    fn command<C: StreamCommand>(&mut self)
    where
        A: Decide<C>,
    {
        if self.outcome.is_ok() {
            self.outcome = check_category::<A, C>().and_then(|()| {
                let handler = Box::new(ByAggregate::<A, C>(PhantomData));
                self.handlers.add::<C>(type_name::<A>(), Some(A::CATEGORY), handler)
            });
        }
    }
}

fn check_category<A: Aggregate, C: StreamCommand>() -> Result<(), RegisterError> {
    match C::CATEGORY {
        Some(category) if category != A::CATEGORY => Err(RegisterError::OtherCategory {
            command: type_name::<C>(),
            category,
            aggregate: type_name::<A>(),
            expected: A::CATEGORY,
        }),
        _ => Ok(()),
    }
}

/// Decides on the commands of one name.
///
/// A command is decoded where its future is made, so that this holds what is needed of it and not the whole envelope besides.
pub(super) trait Handler: Send + Sync {
    fn handle<'f>(
        &'f self,
        execution: &'f Execution,
        command: CommandEnvelope,
        progress: &'f Progress,
    ) -> BoxFuture<'f, Result<Receipt, CommandError>>;
}

/// The command `C` is decided by the aggregate `A`.
struct ByAggregate<A, C>(PhantomData<fn() -> (A, C)>);

impl<A: Decide<C>, C: StreamCommand> Handler for ByAggregate<A, C> {
    fn handle<'f>(
        &'f self,
        execution: &'f Execution,
        command: CommandEnvelope,
        progress: &'f Progress,
    ) -> BoxFuture<'f, Result<Receipt, CommandError>> {
        match ordered::<C>(execution, command, progress) {
            Ok((value, order)) => Box::pin(async move { execution.execute::<A, C>(&value, &order).await }),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }
}

/// Its command is decided by the model `M`.
struct ByModel<M>(PhantomData<fn() -> M>);

impl<M: DecisionModel> Handler for ByModel<M> {
    fn handle<'f>(
        &'f self,
        execution: &'f Execution,
        command: CommandEnvelope,
        progress: &'f Progress,
    ) -> BoxFuture<'f, Result<Receipt, CommandError>> {
        match ordered::<M::Command>(execution, command, progress) {
            Ok((value, order)) => Box::pin(async move { execution.execute_model::<M>(&value, &order).await }),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }
}

/// The command of an envelope, and the order to carry it out.
fn ordered<'f, C: Command>(
    execution: &Execution,
    command: CommandEnvelope,
    progress: &'f Progress,
) -> Result<(Arc<C>, Order<'f>), CommandError> {
    let value = command_in::<C>(&command)?;
    let order = Order::new(&*value, command.id, command.metadata, &**execution.ids(), progress)?;
    Ok((value, order))
}

/// The command in an envelope, as a handler sees it: a value of the very type is taken as it is; anything else is
/// decoded from JSON. For a policy or a middleware that looks at fields.
///
/// # Errors
///
/// [`CommandError::Malformed`] when the body is no JSON, [`CommandError::Invalid`] when its fields are wrong.
pub fn command_in<C: Command>(envelope: &CommandEnvelope) -> Result<Arc<C>, CommandError> {
    let bytes = match &envelope.body {
        Body::Typed(value) => {
            // Another type of the same name goes by its JSON, as it would over a wire.
            let any: Arc<dyn Any + Send + Sync> = value.clone();
            match any.downcast() {
                Ok(command) => return Ok(command),
                Err(_) => value.encode().map_err(CommandError::Other)?,
            }
        }
        Body::Encoded(bytes, Format::Json) => bytes.clone(),
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
