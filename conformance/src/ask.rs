//! Asking a store, and words to build what it is asked.

use crate::{Broken, Verdict};
use core::fmt::Debug;
use core::time::Duration;
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::*;
use std::panic::Location;
use std::sync::Arc;

/// The store under trial.
pub(crate) type Store = Arc<dyn EventStore>;

/// Questions that a store has to answer, or the law is broken at the asking line.
pub(crate) trait Ask {
    /// An append; `Busy` is tried again for a while.
    fn try_append(&self, append: Append) -> impl Future<Output = Result<Appended, AppendError>> + Send;
    /// An append that has to be taken.
    fn wrote(&self, append: Append) -> impl Future<Output = Verdict<Appended>> + Send;
    /// An append that has to be refused.
    fn refused(&self, append: Append) -> impl Future<Output = Verdict<AppendError>> + Send;
    /// One page.
    fn page(&self, read: Read) -> impl Future<Output = Verdict<Page>> + Send;
    /// The events of all pages.
    fn all(&self, read: Read) -> impl Future<Output = Verdict<Vec<Arc<Recorded>>>> + Send;
    /// All pages.
    fn pages(&self, read: Read) -> impl Future<Output = Verdict<Vec<Page>>> + Send;
    /// The whole log, system streams included.
    fn log(&self) -> impl Future<Output = Verdict<Vec<Arc<Recorded>>>> + Send;
    /// What is recorded under a key of scope `scope`.
    fn recalled(&self, id: &str) -> impl Future<Output = Verdict<Option<Recalled>>> + Send;
    /// Where a checkpoint stands.
    fn stands(&self, name: &str) -> impl Future<Output = Verdict<CheckpointState>> + Send;
}

/// A chain of pages longer than this never ends.
const MOST_PAGES: usize = 10_000;

impl Ask for dyn EventStore {
    async fn try_append(&self, append: Append) -> Result<Appended, AppendError> {
        for pause in 0..200 {
            match self.append(append.clone()).await {
                Err(AppendError::Busy(_)) => tokio::time::sleep(Duration::from_millis(pause.min(20))).await,
                outcome => return outcome,
            }
        }
        self.append(append).await
    }

    #[track_caller]
    fn wrote(&self, append: Append) -> impl Future<Output = Verdict<Appended>> + Send {
        let at = Location::caller();
        async move {
            let said = brief(&append);
            answered(self.try_append(append).await, || format!("append of {said}"), at)
        }
    }

    #[track_caller]
    fn refused(&self, append: Append) -> impl Future<Output = Verdict<AppendError>> + Send {
        let at = Location::caller();
        async move {
            let said = brief(&append);
            match self.try_append(append).await {
                Err(error) => Ok(error),
                Ok(done) => Err(Broken::new(format!("append of {said}"), "a refusal", format!("{done:?}")).at(at)),
            }
        }
    }

    #[track_caller]
    fn page(&self, read: Read) -> impl Future<Output = Verdict<Page>> + Send {
        let at = Location::caller();
        async move { answered(self.read(read.clone()).await, || format!("{read:?}"), at) }
    }

    #[track_caller]
    fn all(&self, read: Read) -> impl Future<Output = Verdict<Vec<Arc<Recorded>>>> + Send {
        let pages = self.pages(read);
        async move { Ok(pages.await?.into_iter().flat_map(|page| page.events).collect()) }
    }

    #[track_caller]
    fn pages(&self, read: Read) -> impl Future<Output = Verdict<Vec<Page>>> + Send {
        let at = Location::caller();
        async move {
            let (mut pages, mut next) = (Vec::new(), Some(read.clone()));
            while let Some(read) = next {
                let page = answered(self.read(read.clone()).await, || format!("{read:?}"), at)?;
                next = page.next.clone();
                pages.push(page);
                if pages.len() > MOST_PAGES {
                    return Err(Broken::new(format!("the pages of {read:?}"), "an end", "more and more pages").at(at));
                }
            }
            Ok(pages)
        }
    }

    #[track_caller]
    fn log(&self) -> impl Future<Output = Verdict<Vec<Arc<Recorded>>>> + Send {
        self.all(Read::log(Query::all().with_system()))
    }

    #[track_caller]
    fn recalled(&self, id: &str) -> impl Future<Output = Verdict<Option<Recalled>>> + Send {
        let (at, id) = (Location::caller(), name::<Name>(id));
        async move { answered(self.recall(name("scope"), id.clone()).await, || format!("recall of {id}"), at) }
    }

    #[track_caller]
    fn stands(&self, checkpoint: &str) -> impl Future<Output = Verdict<CheckpointState>> + Send {
        let (at, checkpoint) = (Location::caller(), name::<Name>(checkpoint));
        async move { answered(self.checkpoint(checkpoint.clone()).await, || format!("checkpoint {checkpoint}"), at) }
    }
}

fn answered<T, E: core::error::Error>(
    answer: Result<T, E>,
    what: impl FnOnce() -> String,
    at: &'static Location<'static>,
) -> Verdict<T> {
    answer.map_err(|error| Broken::new(what(), "an answer", format!("refused: {error}")).at(at))
}

/// An append in few words.
fn brief(append: &Append) -> String {
    let streams: Vec<_> = append.events.iter().take(5).map(|event| event.stream.as_str()).collect();
    let mut words = format!("{} events ({}…)", append.events.len(), streams.join(", "));
    let mut add = |part: Option<&dyn Debug>| words.extend(part.map(|part| format!(", {part:?}")));
    add((!append.expect.is_empty()).then_some(&append.expect));
    add(append.guard.as_ref().map(|guard| guard as &dyn Debug));
    add(append.checkpoint.as_ref().map(|checkpoint| checkpoint as &dyn Debug));
    add(append.key.as_ref().map(|key| key as &dyn Debug));
    words
}

/// A name of any kind, from a text that is one.
#[track_caller]
pub(crate) fn name<T: for<'a> TryFrom<&'a str, Error = InvalidName>>(text: &str) -> T {
    match T::try_from(text) {
        Ok(name) => name,
        Err(error) => panic!("the suite itself uses a bad name: {error}"),
    }
}

/// An event of type `happened` in this stream, told from others by its number.
pub(crate) fn event(stream: &str, number: u32) -> NewEvent {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&number.to_be_bytes());
    NewEvent::new(name(stream), name("happened"), format!(r#"{{"number":{number}}}"#)).with_id(EventId::from_bytes(id))
}

/// An event with these tags.
pub(crate) fn tagged(stream: &str, number: u32, tags: &[&str]) -> NewEvent {
    event(stream, number).with_tags(tags.iter().map(|tag| name(tag)))
}

/// An event with this payload.
pub(crate) fn carrying(stream: &str, number: u32, payload: bytes::Bytes, format: Format) -> NewEvent {
    let mut event = event(stream, number).with_format(format);
    event.payload = payload;
    event
}

/// An append of one event.
pub(crate) fn one(stream: &str, number: u32) -> Append {
    Append::new([event(stream, number)])
}

/// An append of events with these numbers to one stream.
pub(crate) fn some(stream: &str, numbers: impl IntoIterator<Item = u32>) -> Append {
    Append::new(numbers.into_iter().map(|number| event(stream, number)))
}

/// An append without events.
pub(crate) fn nothing() -> Append {
    Append::default()
}

/// A key in the scope `scope`, with a digest that is told by one byte.
pub(crate) fn key(id: &str, digest: u8) -> IdempotencyKey {
    IdempotencyKey::new(name("scope"), name(id), [digest; 32])
}

/// What an event is, without where it stands: to compare with what was given.
pub(crate) fn given(events: &[Arc<Recorded>]) -> Vec<NewEvent> {
    events.iter().map(|event| event.event.clone()).collect()
}

/// The events as `stream@revision`, to compare and to print.
pub(crate) fn places(events: &[Arc<Recorded>]) -> Vec<String> {
    events.iter().map(|event| format!("{}@{}", event.stream, event.revision)).collect()
}

/// Waits for tasks, and gives what they came to.
pub(crate) async fn all_of<T: Send + 'static>(
    tasks: impl IntoIterator<Item = tokio::task::JoinHandle<Verdict<T>>>,
) -> Verdict<Vec<T>> {
    // All are started before the first is waited for.
    let tasks: Vec<_> = tasks.into_iter().collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.map_err(|error| Broken::new("a task of the check", "no panic", error.to_string()))??);
    }
    Ok(results)
}
