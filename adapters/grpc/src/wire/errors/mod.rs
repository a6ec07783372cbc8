//! The errors of the ports as statuses, and back: what leaves a server as one error arrives as the same (TR-2).

mod buses;
mod event_store;
mod projections;
mod sagas;
#[cfg(test)]
mod tests;

use super::status::{Details, Told, reason};
use crate::proto;
use core::error::Error;
use portolan_kernel::drivers::{LoadError, ReadRowsError};
use portolan_kernel::ports::{AppendError, ProjectionError, ReadError, RowError, Source};
use prost::Message;
use std::borrow::Cow;
use std::io::{self, Write as _};
use tonic::{Code, Status};

/// An error of a port that has a form on the wire.
pub(crate) trait PortError: Sized {
    /// The message of `portolan.v1` that holds it.
    type Detail: Message + Default;
    /// That message's name.
    const DETAIL: &'static str;

    fn detail(&self) -> Self::Detail;

    /// The status, still without the detail.
    fn told(&self) -> Told;

    /// Where the store is damaged, if that is what it tells of.
    fn damage(&self) -> Option<&str>;

    /// `None` for one of a kind that is not known here.
    fn from_detail(detail: Self::Detail) -> Option<Self>;

    fn into_status(self) -> Status {
        if let Some(place) = self.damage() {
            // A path is nobody's business but the operator's. There is nobody to tell if that fails.
            let _ = writeln!(io::stderr(), "portolan-grpc: the store is damaged at {place}");
        }
        self.told().detail(Self::DETAIL, &self.detail()).into_status()
    }

    /// `None` for a status that is not this port's.
    fn from_status(status: &Status) -> Option<Self> {
        Self::from_detail(Details::of(status).own(Self::DETAIL)?)
    }
}

/// What stands for the place on the wire.
const PLACE: &str = "a place that the server's log names";

fn corrupt() -> Told {
    Told::new(Code::DataLoss, "CORRUPT", format!("the store is damaged at {PLACE}"))
}

/// What a source is on the wire: its text, or, where it tells of damage, nothing that names the place.
fn text_of(source: &Source) -> String {
    match damage(source) {
        Some(_) => format!("the store is damaged at {PLACE}"),
        None => source.to_string(),
    }
}

/// Where the store is damaged, if that is what stopped a command, a query or a projection.
fn damage(source: &Source) -> Option<&str> {
    let mut next: Option<&(dyn Error + 'static)> = Some(source.get());
    while let Some(error) = next {
        // A source stands for what it holds, and is no source of it.
        let error = error.downcast_ref::<Source>().map_or(error, |held| held.get());
        let read = match error.downcast_ref() {
            Some(LoadError::Read(read)) => Some(read),
            _ => error.downcast_ref::<ReadError>(),
        };
        if let Some(ReadError::Corrupt { place }) = read {
            return Some(place);
        }
        if let Some(AppendError::Corrupt { place }) = error.downcast_ref() {
            return Some(place);
        }
        if let Some(RowError::Corrupt { place }) = error.downcast_ref() {
            return Some(place);
        }
        let rows = match error.downcast_ref() {
            Some(ReadRowsError::Projection(rows)) => Some(rows),
            _ => error.downcast_ref::<ProjectionError>(),
        };
        if let Some(ProjectionError::Corrupt { place }) = rows {
            return Some(place);
        }
        next = error.source();
    }
    None
}

fn too_large(what: &str, size: u64, limit: u64) -> proto::TooLarge {
    proto::TooLarge { what: what.to_owned(), size, limit }
}

fn sizes(given: proto::TooLarge) -> (Cow<'static, str>, u64, u64) {
    (Cow::Owned(given.what), given.size, given.limit)
}

fn told_too_large(message: String, size: u64, limit: u64) -> Told {
    Told::new(Code::OutOfRange, "TOO_LARGE", message).info("size", size).info("limit", limit)
}

fn told_busy(message: String) -> Told {
    Told::new(Code::Unavailable, reason::BUSY, message).retry()
}

fn told_denied(message: String) -> Told {
    Told::new(Code::PermissionDenied, reason::DENIED, message)
}

fn told_failed(message: String) -> Told {
    Told::new(Code::Internal, "FAILED", message)
}
