//! Sending typed commands to any command bus.

use crate::domain::Command;
use crate::ports::{Body, CommandBus, CommandEnvelope, CommandError, Receipt, Source, Violation};
use crate::values::{InvalidName, Metadata, Name};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use futures::future::BoxFuture;

/// Comfort on any command bus.
pub trait CommandBusExt: CommandBus {
    /// Sends a typed command, once it is awaited: `bus.send(deposit).id("k-1").await`.
    ///
    /// Whether anything decides on it is known to the bus alone, and shows here as
    /// [`CommandError::UnknownCommand`]; an application that is to take it says so by
    /// [`expects`](crate::application::ApplicationBuilder::expects), and is not built without.
    fn send<C: Command>(&self, command: C) -> Sending<'_, Self> {
        Sending {
            bus: self,
            name: C::NAME,
            body: Body::Typed(Arc::new(command)),
            id: None,
            metadata: Metadata::default(),
            within: None,
            wait_for: Vec::new(),
        }
    }
}

impl<B: CommandBus + ?Sized> CommandBusExt for B {}

/// A command about to be sent. Await it; until then nothing happens.
#[must_use = "a command is sent when this is awaited"]
pub struct Sending<'a, B: ?Sized> {
    bus: &'a B,
    name: &'static str,
    body: Body,
    id: Option<String>,
    metadata: Metadata,
    within: Option<Duration>,
    wait_for: Vec<String>,
}

impl<B: ?Sized> fmt::Debug for Sending<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("name", &self.name).field("id", &self.id).finish_non_exhaustive()
    }
}

impl<B: ?Sized> Sending<'_, B> {
    /// Under this id: the same id has the same effect, once.
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// On behalf of this actor.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.metadata.actor = Some(actor.into());
        self
    }

    /// In this tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.metadata.tenant = Some(tenant.into());
        self
    }

    /// As part of what this id holds together.
    pub fn correlation(mut self, correlation: impl Into<String>) -> Self {
        self.metadata.correlation = Some(correlation.into());
        self
    }

    /// To be answered within this time (CB-08).
    pub fn deadline(self, within: Duration) -> Self {
        Self { within: Some(within), ..self }
    }

    /// To be answered once this projection too has applied the command's events (CB-09).
    pub fn wait_for(mut self, projection: impl Into<String>) -> Self {
        self.wait_for.push(projection.into());
        self
    }

    /// With this metadata, in place of what was given before.
    pub fn metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }
}

impl<'a, B: CommandBus + ?Sized> IntoFuture for Sending<'a, B> {
    type Output = Result<Receipt, CommandError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let name = Name::new(self.name).map_err(|error| CommandError::Other(Source::new(error)))?;
            let invalid = |code: &str, error: InvalidName| {
                CommandError::Invalid(alloc::vec![Violation::new("", code, error.to_string())])
            };
            let mut envelope = CommandEnvelope::new(name, self.body).with_metadata(self.metadata);
            envelope.id = self.id.map(Name::new).transpose().map_err(|error| invalid("invalid-command-id", error))?;
            envelope.within = self.within;
            for projection in self.wait_for {
                let projection = Name::new(projection).map_err(|error| invalid("invalid-projection-name", error))?;
                envelope = envelope.wait_for(projection);
            }
            self.bus.dispatch(envelope).await
        })
    }
}
