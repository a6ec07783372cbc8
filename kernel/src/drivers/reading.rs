//! Reading on, page after page.

use crate::ports::{EventStore, ReadError};
use crate::values::{Read, Recorded};
use alloc::sync::Arc;
use alloc::vec;
use futures::stream::{BoxStream, StreamExt, try_unfold};

/// Comfort on any event store.
pub trait EventStoreExt: EventStore {
    /// All events of a read, across its pages. Its limit bounds a page, not the whole.
    ///
    /// It ends at the frontier as it was at the first page, or after the first error.
    fn read_all(&self, read: Read) -> BoxStream<'_, Result<Arc<Recorded>, ReadError>> {
        let start = (vec![].into_iter(), Some(read));
        try_unfold(start, async move |(mut events, mut next)| {
            loop {
                if let Some(event) = events.next() {
                    return Ok(Some((event, (events, next))));
                }
                let Some(read) = next else { return Ok(None) };
                let page = self.read(read).await?;
                (events, next) = (page.events.into_iter(), page.next);
            }
        })
        .boxed()
    }
}

impl<S: EventStore + ?Sized> EventStoreExt for S {}
