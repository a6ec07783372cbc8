//! What comes of a step, as text, and what steps are made of.

use core::error::Error;
use core::fmt::Debug;
use portolan::application::Ports;
use portolan::ports::{ProjectionStatus, ReadError};
use portolan::values::{Name, Page, Position, Query, Read, RowKey, StreamId};

/// A value, or an error with its fields and its words. Of a source there are the words alone: what type it has is not told
/// to another process.
pub(crate) fn outcome<T: Debug, E: Error>(result: Result<T, E>) -> String {
    let error = match result {
        Ok(value) => return format!("{value:?}"),
        Err(error) => error,
    };
    let mut fields = format!("{error:?}");
    if let Some(source) = error.source() {
        fields = fields.replace(&format!("{source:?}"), &format!("{:?}", source.to_string()));
    }
    format!("{fields}, which says: {error}")
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn stream(text: &str) -> StreamId {
    text.parse().unwrap()
}

pub(crate) fn key(text: &str) -> RowKey {
    text.parse().unwrap()
}

/// Where the last event of a stream is.
pub(crate) async fn position_of(ports: &Ports, of: &str) -> Position {
    let page = ports.events.read(Read::stream(stream(of)).backward().limit(1)).await.unwrap();
    page.events[0].position
}

/// How far the log has come.
pub(crate) async fn frontier(ports: &Ports) -> Position {
    let newest = Read::log(Query::all().with_system()).backward().limit(1);
    ports.events.read(newest).await.unwrap().frontier.unwrap()
}

/// All pages of a read, one after another.
pub(crate) async fn pages(ports: &Ports, read: Read) -> Result<Vec<Page>, ReadError> {
    let (mut pages, mut next) = (Vec::new(), Some(read));
    while let Some(read) = next {
        let page = ports.events.read(read).await?;
        next = page.next.clone();
        pages.push(page);
    }
    Ok(pages)
}

/// A status without the names of those who hold leases.
pub(crate) fn without_holders(mut status: ProjectionStatus) -> ProjectionStatus {
    for edition in &mut status.editions {
        edition.holder = edition.holder.is_some().then(|| name("somebody"));
    }
    status
}

/// The status, once it is as wished.
pub(crate) async fn status_once(ports: &Ports, of: &str, is_so: impl Fn(&ProjectionStatus) -> bool) -> String {
    // The table's patience ends it.
    loop {
        let status = ports.projections.status(name(of)).await;
        if status.as_ref().is_ok_and(|status| !is_so(status)) {
            tokio::time::sleep(core::time::Duration::from_millis(5)).await;
            continue;
        }
        return outcome(status.map(without_holders));
    }
}
