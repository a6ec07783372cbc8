//! Asking typed questions of any query bus.

use super::question::{Question, Reply};
use crate::domain::{Codec, Json};
use crate::ports::{QueryBus, QueryEnvelope, QueryError, Source};
use crate::values::{Metadata, Name, Position};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Comfort on any query bus.
pub trait QueryBusExt: QueryBus {
    /// Asks a typed question, once it is awaited: `bus.query(balance).at_least(position).await`.
    fn query<Q: Question + Serialize>(&self, question: Q) -> Asking<'_, Self, Q> {
        Asking { bus: self, question, metadata: Metadata::default(), within: None, at_least: None }
    }
}

impl<B: QueryBus + ?Sized> QueryBusExt for B {}

/// A question about to be asked. Await it; until then nothing happens.
#[must_use = "a question is asked when this is awaited"]
pub struct Asking<'a, B: ?Sized, Q> {
    bus: &'a B,
    question: Q,
    metadata: Metadata,
    within: Option<Duration>,
    at_least: Option<Position>,
}

impl<B: ?Sized, Q: Question> fmt::Debug for Asking<'_, B, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("name", &Q::NAME).finish_non_exhaustive()
    }
}

impl<B: ?Sized, Q> Asking<'_, B, Q> {
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

    /// With this metadata, in place of what was given before.
    pub fn metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }

    /// To be answered within this time.
    pub fn deadline(self, within: Duration) -> Self {
        Self { within: Some(within), ..self }
    }

    /// To be answered by nothing older than this position, such as that of a receipt.
    pub fn at_least(self, position: impl Into<Option<Position>>) -> Self {
        Self { at_least: position.into(), ..self }
    }
}

impl<'a, B, Q> IntoFuture for Asking<'a, B, Q>
where
    B: QueryBus + ?Sized,
    Q: Question + Serialize,
    Q::Answer: DeserializeOwned,
{
    type Output = Result<Reply<Q::Answer>, QueryError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let name = Name::new(Q::NAME).map_err(|error| QueryError::Other(Source::new(error)))?;
            let parameters = Json::encode(&self.question).map_err(|error| QueryError::Other(Source::new(error)))?;
            let mut envelope = QueryEnvelope::new(name, parameters).with_metadata(self.metadata);
            (envelope.within, envelope.at_least) = (self.within, self.at_least);
            let answer = self.bus.ask(envelope).await?;
            let body = Json::decode(&answer.body).map_err(|error| QueryError::Other(Source::new(error)))?;
            Ok(Reply::new(body).at(answer.revision))
        })
    }
}
