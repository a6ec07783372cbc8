//! What a bus keeps of many keys: nothing that grows with them.

use crate::account::{self, Deposit};
use crate::support::Outcome;
use crate::support::machine;
use crate::support::report::say;
use portolan::memory::MemoryStore;
use portolan::ports::{AppendError, Capabilities, ReadError, StoreId};
use portolan::prelude::*;
use portolan::values::{Append, Appended, CheckpointState, Page, Read, Recalled, Revision, Token};
use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Takes everything and keeps nothing.
#[derive(Default)]
struct Nowhere(AtomicU64);

/// A future as the port has it.
type Answer<'f, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'f>>;

fn answer<'f, T: Send + 'f, E: Send + 'f>(answer: Result<T, E>) -> Answer<'f, T, E> {
    Box::pin(ready(answer))
}

// Written out, because the facade's benches have no `async_trait`.
impl EventStore for Nowhere {
    fn append<'s: 'f, 'f>(&'s self, append: Append) -> Answer<'f, Appended, AppendError>
    where
        Self: 'f,
    {
        let position = Position::new(self.0.fetch_add(1, Ordering::Relaxed));
        let streams = append.expect.into_iter().map(|(stream, _)| (stream, Some(Revision::FIRST))).collect();
        answer(Ok(Appended::new(position, position, streams)))
    }
    fn read<'s: 'f, 'f>(&'s self, _: Read) -> Answer<'f, Page, ReadError>
    where
        Self: 'f,
    {
        answer(Ok(Page::default()))
    }
    fn recall<'s: 'f, 'f>(&'s self, _: Name, _: Name) -> Answer<'f, Option<Recalled>, ReadError>
    where
        Self: 'f,
    {
        answer(Ok(None))
    }
    fn checkpoint<'s: 'f, 'f>(&'s self, _: Name) -> Answer<'f, CheckpointState, ReadError>
    where
        Self: 'f,
    {
        answer(Ok(CheckpointState::new(self.capabilities().identity, None, Token(0))))
    }
    fn changed<'s: 'f, 'f>(&'s self, _: Query, _: Option<Position>) -> Answer<'f, (), ReadError>
    where
        Self: 'f,
    {
        Box::pin(pending())
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(StoreId::from_bytes([1; 16]))
    }
}

/// Sends so many distinct ids, and tells what the bus keeps of them.
pub(crate) async fn keys(keys: u64) -> Outcome<()> {
    let storage = Storage::new(Arc::new(Nowhere::default()), Arc::new(MemoryStore::new()));
    let bank = account::open(storage).await?.ports();
    let resident = || machine::resident_bytes().unwrap_or_default() >> 10;
    let (mut grown, before) = (Vec::new(), resident());
    for part in 0..4 {
        for key in part * keys / 4..(part + 1) * keys / 4 {
            bank.commands.send(Deposit::to(key)).id(format!("key-{key}")).await?;
        }
        grown.push(format!("{} KiB", resident().saturating_sub(before)));
    }
    say(&format!(
        "\n{keys} distinct ids through the bus, to a store that keeps nothing; memory grown after each quarter: {}",
        grown.join(", ")
    ));
    Ok(())
}
