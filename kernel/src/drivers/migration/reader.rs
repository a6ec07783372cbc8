//! The events of a log, page by page, up to its frontier at the first page.

use super::MigrationError;
use super::chain::is_record;
use crate::ports::{EventStore, ReadError};
use crate::values::{Position, Query, Read, Recorded};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

pub(super) struct Reader<'a> {
    store: &'a dyn EventStore,
    failed: fn(ReadError) -> MigrationError,
    next: Option<Read>,
    events: vec::IntoIter<Arc<Recorded>>,
    /// Once something has been read.
    pub(super) frontier: Option<Position>,
}

/// Events a page.
const PAGE: u32 = 1_000;

impl<'a> Reader<'a> {
    pub(super) fn new(
        store: &'a dyn EventStore,
        failed: fn(ReadError) -> MigrationError,
        query: Query,
        after: Option<Position>,
    ) -> Self {
        let next = Some(Read::log_after(query, after).limit(PAGE));
        Self { store, failed, next, events: Vec::new().into_iter(), frontier: None }
    }

    /// The next event that is no record of a migration.
    pub(super) async fn next(&mut self) -> Result<Option<Arc<Recorded>>, MigrationError> {
        loop {
            if let Some(event) = self.events.find(|event| !is_record(&event.stream)) {
                return Ok(Some(event));
            }
            let Some(read) = self.next.take() else { return Ok(None) };
            let page = self.store.read(read).await.map_err(self.failed)?;
            (self.events, self.next, self.frontier) = (page.events.into_iter(), page.next, page.frontier);
        }
    }
}
