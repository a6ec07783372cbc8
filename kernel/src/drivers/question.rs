//! Questions: what can be asked of an application, and what a handler answers from.

use super::loading::{LoadError, Loaded, Loader};
use super::typed::typed;
use crate::domain::{Aggregate, EventSet, RecordedAs, Unknown};
use crate::ports::{EventStore, QueryError};
use crate::values::{Metadata, Query, Read, Recorded, Revision, StreamId};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One thing to ask: its parameters, its wire name, and what the answer is.
///
/// The parameters cross a bus as a JSON object. Over HTTP they may come from a query string, where every value is
/// text: a question with fields of other types tells them by its [`schema`](Self::schema), and without one has
/// strings (or `Option`s of them) alone. A field that it does not have is
/// refused.
///
/// With the feature `macros` there is a derive, `Query`. By hand it is:
///
/// ```
/// use portolan_kernel::drivers::Question;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
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
    unknown: Unknown,
}

/// How many events a page of the log asks for.
const PAGE: u32 = 1_000;

impl QueryContext {
    pub(super) fn new(loader: Loader, metadata: Metadata) -> Self {
        Self { loader, metadata, unknown: Unknown::Fail }
    }

    /// The state of the stream now, folded from its events.
    ///
    /// # Errors
    ///
    /// [`LoadError`], which `?` turns into a [`QueryError`].
    pub async fn load<A: Aggregate>(&self, stream: StreamId) -> Result<Loaded<A>, LoadError> {
        self.loader.load(stream).await
    }

    /// The same, with this done about events that a type does not know. Of events of [`OrRaw`](crate::domain::OrRaw) all are
    /// known; an aggregate says itself what is done.
    #[must_use]
    pub fn on_unknown(self, unknown: Unknown) -> Self {
        Self { unknown, ..self }
    }

    /// The typed events of the log that a query chooses, in order, upcast like every other. All of them have to be of
    /// this type's or set's. It ends at the frontier as it was at the first page, or after the first error.
    ///
    /// ```
    /// # use futures::TryStreamExt;
    /// # use portolan_kernel::{domain::Event, drivers::{LoadError, QueryContext}, values::{Item, Query, Tag}};
    /// # async fn count<E: Event>(context: QueryContext, course: Tag) -> Result<usize, LoadError> {
    /// let events = context.events_of::<E>(Query::of(Item::new().tag(course)));
    /// events.try_fold(0, async |count, _| Ok(count + 1)).await
    /// # }
    /// ```
    pub fn events_of<E: EventSet>(&self, query: Query) -> BoxStream<'_, Result<RecordedAs<E>, LoadError>> {
        typed(self.events(), self.loader.upcasters(), Read::log(query).limit(PAGE), self.unknown)
    }

    /// The typed events in a recorded one of the log, upcast like every other.
    ///
    /// # Errors
    ///
    /// [`LoadError`], which `?` turns into a [`QueryError`].
    pub fn decode<E: EventSet>(&self, recorded: &Arc<Recorded>) -> Result<Vec<RecordedAs<E>>, LoadError> {
        self.loader.decode(recorded, self.unknown)
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
