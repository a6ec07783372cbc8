//! The query bus of an application in its own process.

use super::handlers::RegisterError;
use super::loading::{LoadError, Loader};
use super::options::BusOptions;
use super::question::{QueryContext, QueryHandler, Question};
use crate::domain::{Codec, CodecError, Json};
use crate::ports::{Answer, QueryBus, QueryEnvelope, QueryError, QueryInfo, Sleep, Source};
use crate::values::{Name, Position, Query, Read};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::any::type_name;
use core::fmt;
use core::marker::PhantomData;
use core::pin::pin;
use core::time::Duration;
use futures::future::{Either, select};

/// Finds the handler by name, and has it answer.
///
/// Handlers fold the log itself, so that an answer is as new as the log at the time; a question that must not be older
/// than a position waits until the store shows it. Without a deadline of its own such a wait ends after 10 seconds,
/// or as [`BusOptions::catch_up`](super::BusOptions::catch_up) says.
pub struct LocalQueryBus {
    loader: Loader,
    sleep: Arc<dyn Sleep>,
    catch_up: Duration,
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
    pub fn new(loader: Loader, sleep: Arc<dyn Sleep>, options: &BusOptions) -> Self {
        Self { loader, sleep, catch_up: options.catch_up, handlers: BTreeMap::new() }
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

const NOT_REACHED: &str = "the log has not come to the position that the answer must not be older than";

/// The work, unless the time ends before.
async fn in_time<T>(
    work: impl Future<Output = Result<T, QueryError>>,
    time: impl Future<Output = ()>,
    otherwise: &'static str,
) -> Result<T, QueryError> {
    match select(pin!(work), pin!(time)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(QueryError::Busy(Source::new(otherwise))),
    }
}

impl LocalQueryBus {
    /// Returns once the log shows this position.
    async fn reached(&self, position: Position) -> Result<(), QueryError> {
        let events = self.loader.events();
        let all = Query::all().with_system();
        loop {
            let newest = Read::log(all.clone()).backward().limit(1);
            let frontier = events.read(newest).await.map_err(LoadError::Read)?.frontier;
            if frontier >= Some(position) {
                return Ok(());
            }
            events.changed(all.clone(), frontier).await.map_err(LoadError::Read)?;
        }
    }
}

#[async_trait]
impl QueryBus for LocalQueryBus {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        let registered = self.handlers.get(&query.name).ok_or_else(|| QueryError::UnknownQuery(query.name.clone()))?;
        let (within, at_least) = (query.within, query.at_least);
        let answer = async {
            if let Some(position) = at_least {
                let reached = self.reached(position);
                // The whole has a deadline, or this part of it has.
                match within {
                    Some(_) => reached.await?,
                    None => in_time(reached, self.sleep.sleep(self.catch_up), NOT_REACHED).await?,
                }
            }
            registered.handler.handle(self.loader.clone(), query).await
        };
        match within {
            Some(within) => in_time(answer, self.sleep.sleep(within), "the deadline passed").await,
            None => answer.await,
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
        let context = QueryContext::new(loader, query.metadata);
        let reply = self.handler.answer(question, context).await?;
        let body = Json::encode(&reply.answer).map_err(|error| QueryError::Other(Source::new(error)))?;
        Ok(Answer::json(body).with_revision(reply.revision))
    }
}
