//! What there is to see in a storage.

use portolan_kernel::application::Storage;
use portolan_kernel::values::{Cell, Find, Name, Query, Read};
use std::collections::BTreeMap;

/// Every stream and its events, as type and payload. System streams are left out, as they are of every query that does not
/// name them.
///
/// # Panics
///
/// When the log cannot be read.
pub async fn streams(storage: &Storage) -> BTreeMap<String, Vec<String>> {
    let mut streams = BTreeMap::<_, Vec<_>>::new();
    let mut next = Some(Read::log(Query::all()));
    while let Some(read) = next {
        let page = storage.events.read(read).await.unwrap_or_else(|error| panic!("the log cannot be read: {error}"));
        for event in &page.events {
            let text = format!("{} {}", event.event_type, String::from_utf8_lossy(&event.payload));
            streams.entry(event.stream.to_string()).or_default().push(text);
        }
        next = page.next;
    }
    streams
}

/// The rows of the active version of a collection, by key; none where there is no such version.
///
/// # Panics
///
/// When the rows cannot be read, or the storage has none.
pub async fn rows(storage: &Storage, collection: &str) -> BTreeMap<String, Vec<Cell>> {
    let name = Name::new(collection).unwrap_or_else(|error| panic!("{collection} is no collection: {error}"));
    let stored = storage.read_models.as_ref().expect("a storage with rows");
    let versions = stored.versions(name.clone()).await;
    let mut rows = BTreeMap::new();
    if versions.unwrap_or_else(|error| panic!("{error}")).active.is_none() {
        return rows;
    }
    let mut find = Find::all(name);
    loop {
        let page = stored.find(find.clone()).await.unwrap_or_else(|error| panic!("{error}"));
        rows.extend(page.rows.into_iter().map(|row| (row.key.to_string(), row.cells)));
        match page.next {
            Some(next) => find.after = Some(next),
            None => return rows,
        }
    }
}
