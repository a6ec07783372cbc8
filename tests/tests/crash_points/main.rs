//! The crash-point runner: it lets right scenarios pass, on every store, and finds what is wrong with others, by name.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod bank;
mod dying;
mod right;
mod wrong;

use portolan::application::Storage;
use portolan::values::{Append, EventType, NewEvent, StreamId};
use portolan_testing::crash::{CrashReport, Problem};

/// An event in the stream of the same name.
fn event(name: &str) -> Append {
    let stream = StreamId::new(name).unwrap();
    Append::new([NewEvent::new(stream, EventType::new(name).unwrap(), "{}")])
}

/// Whether there is such an event.
async fn has(storage: &Storage, name: &str) -> bool {
    let read = portolan::values::Read::stream(StreamId::new(name).unwrap());
    !storage.events.read(read).await.unwrap().events.is_empty()
}

/// The first failure: where the process died, and why it was wrong.
fn first(report: &CrashReport) -> (String, &Problem) {
    let failure = report.failures.first().unwrap_or_else(|| panic!("it is found\n{report}"));
    (failure.to_string().lines().next().unwrap().to_owned(), &failure.problem)
}
