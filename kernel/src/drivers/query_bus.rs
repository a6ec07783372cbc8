//! The query bus of an application in its own process.

use super::handlers::RegisterError;
use super::loading::{LoadError, Loaded, Loader};
use crate::domain::{Aggregate, Codec, CodecError, Event, Json, RecordedAs};
use crate::ports::{Answer, EventStore, QueryBus, QueryEnvelope, QueryError, QueryInfo, Source};
use crate::values::{Metadata, Name, Recorded, Revision, StreamId};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::any::type_name;
use core::fmt;
use core::marker::PhantomData;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One thing to ask: its parameters, its wire name, and what the answer is.
///
/// The parameters cross a bus as a JSON object. Over HTTP they come from a query string, where every value is a
/// string: so for now parameters are strings (or `Option`s of them), parsed by the handler.
///
/// ```
/// use portolan_kernel::drivers::Question;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct AccountQuery { account_id: String }
///
/// #[derive(Serialize, Deserialize)]
/// struct AccountView { owner: String, balance: u64 }
///
/// impl Question for AccountQuery {
///     const NAME: &'static str = "account";
///     type Answer = AccountView;
/// }
/// ```
pub trait Question: DeserializeOwned + Send + 'static {
    /// The wire name, in kebab case.
    const NAME: &'static str;

    /// What it answers, for a person.
    const DESCRIPTION: &'static str = "";

    /// What it is answered with.
    type Answer: Serialize + Send;

    /// The JSON Schema (2020-12) of its parameters, for whoever asks from outside; `None`: none is published.
    #[must_use]
    fn schema() -> Option<Value> {
        None
    }

    /// The JSON Schema (2020-12) of its answer; `None`: none is published.
    #[must_use]
    fn answer_schema() -> Option<Value> {
        None
    }
}

/// An answer, and the revision of the stream it was made from, if it was one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply<T> {
    /// The answer.
    pub answer: T,
    /// The stream's last revision.
    pub revision: Option<Revision>,
}

impl<T> Reply<T> {
    /// An answer made from more than one stream.
    #[must_use]
    pub fn new(answer: T) -> Self {
        Self { answer, revision: None }
    }

    /// The same answer, made from one stream at this revision.
    #[must_use]
    pub fn at(self, revision: Option<Revision>) -> Self {
        Self { revision, ..self }
    }
}

/// What a query handler answers from. A clone is the same.
#[derive(Debug, Clone)]
pub struct QueryContext {
    loader: Loader,
    metadata: Metadata,
}

impl QueryContext {
    /// The state of the stream now, folded from its events.
    ///
    /// # Errors
    ///
    /// [`LoadError`], which `?` turns into a [`QueryError`].
    pub async fn load<A: Aggregate>(&self, stream: StreamId) -> Result<Loaded<A>, LoadError> {
        self.loader.load(stream).await
    }

    /// The typed events in a recorded one of the log, upcast like every other.
    ///
    /// # Errors
    ///
    /// [`LoadError`], which `?` turns into a [`QueryError`].
    pub fn decode<E: Event>(&self, recorded: &Arc<Recorded>) -> Result<Vec<RecordedAs<E>>, LoadError> {
        self.loader.decode(recorded)
    }

    /// The log. [`EventStoreExt`](super::EventStoreExt) reads it page after page.
    #[must_use]
    pub fn events(&self) -> &Arc<dyn EventStore> {
        self.loader.events()
    }

    /// Who asks, in which trace.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Answers one kind of question: any `async fn(Q, QueryContext) -> Result<Reply<Q::Answer>, QueryError>`.
pub trait QueryHandler<Q: Question>: Send + Sync + 'static {
    /// The answer.
    fn answer(&self, question: Q, context: QueryContext) -> BoxFuture<'static, Result<Reply<Q::Answer>, QueryError>>;
}

impl<Q, F, Fut> QueryHandler<Q> for F
where
    Q: Question,
    F: Fn(Q, QueryContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Reply<Q::Answer>, QueryError>> + Send + 'static,
{
    fn answer(&self, question: Q, context: QueryContext) -> BoxFuture<'static, Result<Reply<Q::Answer>, QueryError>> {
        Box::pin(self(question, context))
    }
}

/// Finds the handler by name, and has it answer.
pub struct LocalQueryBus {
    loader: Loader,
    handlers: BTreeMap<Name, Registered>,
}

struct Registered {
    handler: Box<dyn Handler>,
    by: &'static str,
    info: QueryInfo,
}

impl fmt::Debug for LocalQueryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}

impl LocalQueryBus {
    /// A bus without handlers.
    #[must_use]
    pub fn new(loader: Loader) -> Self {
        Self { loader, handlers: BTreeMap::new() }
    }

    /// Lets the handler answer such questions.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] when another handler has the question's name.
    pub fn register<Q: Question, H: QueryHandler<Q>>(&mut self, handler: H) -> Result<(), RegisterError> {
        let by = type_name::<H>();
        let name = Name::new(Q::NAME).map_err(|source| RegisterError::InvalidName { of: type_name::<Q>(), source })?;
        if let Some(first) = self.handlers.get(&name) {
            return Err(RegisterError::taken(name, first.by, by));
        }
        let handler = Box::new(Answered { handler, question: PhantomData });
        let info =
            QueryInfo::new(name.clone()).with_description(Q::DESCRIPTION).with_schemas(Q::schema(), Q::answer_schema());
        self.handlers.insert(name, Registered { handler, by, info });
        Ok(())
    }
}

#[async_trait]
impl QueryBus for LocalQueryBus {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        match self.handlers.get(&query.name) {
            Some(registered) => registered.handler.handle(self.loader.clone(), query).await,
            None => Err(QueryError::UnknownQuery(query.name)),
        }
    }

    fn queries(&self) -> Vec<QueryInfo> {
        self.handlers.values().map(|registered| registered.info.clone()).collect()
    }
}

#[async_trait]
trait Handler: Send + Sync {
    async fn handle(&self, loader: Loader, query: QueryEnvelope) -> Result<Answer, QueryError>;
}

/// Questions `Q` are answered by the handler `H`.
struct Answered<Q, H> {
    handler: H,
    question: PhantomData<fn() -> Q>,
}

#[async_trait]
impl<Q: Question, H: QueryHandler<Q>> Handler for Answered<Q, H> {
    async fn handle(&self, loader: Loader, query: QueryEnvelope) -> Result<Answer, QueryError> {
        let question: Q = Json::decode_object(&query.parameters).map_err(|error| match error.into_violation() {
            Ok(violation) => QueryError::Invalid(alloc::vec![violation]),
            Err(CodecError::Malformed(reason)) => QueryError::Malformed(reason),
            Err(other) => QueryError::Malformed(other.to_string()),
        })?;
        let context = QueryContext { loader, metadata: query.metadata };
        let reply = self.handler.answer(question, context).await?;
        let body = Json::encode(&reply.answer).map_err(|error| QueryError::Other(Source::new(error)))?;
        Ok(Answer::json(body).with_revision(reply.revision))
    }
}

/// Comfort on any query bus.
#[async_trait]
pub trait QueryBusExt: QueryBus {
    /// Asks a typed question.
    ///
    /// # Errors
    ///
    /// [`QueryError`]; a question can always be repeated.
    async fn query<Q>(&self, question: Q) -> Result<Reply<Q::Answer>, QueryError>
    where
        Q: Question + Serialize + Sync,
        Q::Answer: DeserializeOwned,
    {
        let name = Name::new(Q::NAME).map_err(|error| QueryError::Other(Source::new(error)))?;
        let parameters = Json::encode(&question).map_err(|error| QueryError::Other(Source::new(error)))?;
        let answer = self.ask(QueryEnvelope::new(name, parameters)).await?;
        let body = Json::decode(&answer.body).map_err(|error| QueryError::Other(Source::new(error)))?;
        Ok(Reply { answer: body, revision: answer.revision })
    }
}

impl<B: QueryBus + ?Sized> QueryBusExt for B {}
