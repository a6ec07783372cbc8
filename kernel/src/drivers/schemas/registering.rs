//! Registering: what is new is appended to the stream, if nobody was faster.

use super::catalogue::SchemaCatalogue;
use super::judging::{New, judge};
use super::options::SchemaOptions;
use super::refusal::SchemaRefusal;
use super::stored::StoredSchemas;
use super::stream::{Registered, SchemasEvent, read_after, stream};
use crate::domain::new_event;
use crate::drivers::backoff::Backoff;
use crate::ports::{AppendError, EventStore, IdSource, ReadError, Sleep, Source};
use crate::values::{Append, Expected, NewEvent};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// How often a busy store is asked again, and others are let go first.
const PAUSES: u32 = 40;

/// Judges what is told by what is registered in the store, and registers what is new: all of it in one append, or in as many as
/// the store takes it in.
///
/// Several processes may do so at once. Whoever was slower reads what the faster one has registered, and judges again.
///
/// - A version that is registered must not have changed. If it was registered without a schema, it gets one now.
/// - A version that comes after all others whose schemas are registered must be as `options` ask.
/// - A version that others have gone past is not judged further: a process of before a deploy starts again beside one of
///   after it. If it was never registered, it is now.
/// - What is registered and no longer told is left as it is.
/// - What stands in the stream and is no registration that this application can read is passed over.
///
/// Who may append raw, and has no judge before it, can write to the stream too, and so register what applications are then
/// held to.
///
/// # Errors
///
/// [`SchemaRefusal`]. Nothing is registered then, unless it took several appends.
///
/// # Cancellation
///
/// Dropping the future leaves what was appended, and the next call goes on from there.
pub async fn register_schemas(
    own: SchemaCatalogue,
    options: &SchemaOptions,
    events: Arc<dyn EventStore>,
    ids: &dyn IdSource,
    sleep: &dyn Sleep,
) -> Result<StoredSchemas, SchemaRefusal> {
    let mut registered = Registered::default();
    let mut pauses = Backoff::new(ids, sleep, PAUSES);
    loop {
        let tried = attempt(&own, options, &*events, ids, &mut registered).await;
        match tried {
            Ok(()) => return Ok(StoredSchemas::new(own, events, registered)),
            Err(Failed::Refused(refusal)) => return Err(refusal),
            Err(Failed::Again(error)) => {
                if !pauses.pause().await {
                    return Err(gave_up(error));
                }
            }
        }
    }
}

enum Failed {
    Refused(SchemaRefusal),
    /// Somebody was faster, or the store is busy, or it cannot tell.
    Again(AppendError),
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Busy(source) => Self::Again(AppendError::Busy(source)),
            ReadError::Denied(reason) => Self::Refused(SchemaRefusal::Denied(reason)),
            ReadError::Corrupt { place } => Self::Refused(SchemaRefusal::Corrupt { place }),
            other => Self::Refused(SchemaRefusal::Store(Source::new(other))),
        }
    }
}

impl From<AppendError> for Failed {
    fn from(error: AppendError) -> Self {
        match error {
            // Of an unknown append it shows in the stream whether it was written. If it comes yet, the next one conflicts.
            AppendError::Conflict { .. } | AppendError::Busy(_) | AppendError::Unknown(_) => Self::Again(error),
            AppendError::Denied(reason) => Self::Refused(SchemaRefusal::Denied(reason)),
            AppendError::Corrupt { place } => Self::Refused(SchemaRefusal::Corrupt { place }),
            other => Self::Refused(SchemaRefusal::Store(Source::new(other))),
        }
    }
}

fn gave_up(last: AppendError) -> SchemaRefusal {
    match last {
        AppendError::Busy(source) => SchemaRefusal::Busy(source),
        other => SchemaRefusal::Busy(Source::new(other)),
    }
}

async fn attempt(
    own: &SchemaCatalogue,
    options: &SchemaOptions,
    events: &dyn EventStore,
    ids: &dyn IdSource,
    registered: &mut Registered,
) -> Result<(), Failed> {
    loop {
        let read = read_after(events, registered.last).await?;
        registered.take(&read);
        let new = judge(own, &registered.schemas, options).map_err(Failed::Refused)?;
        if new.is_empty() {
            return Ok(());
        }
        let part = as_much_as_fits(&new, events, ids)?;
        let expected = Expected::unchanged_since(registered.last);
        events.append(Append::new(part).expect(stream(), expected)).await?;
    }
}

/// As many of them as one append takes: at least one, of which the store says itself when it is too large.
fn as_much_as_fits(new: &[New], events: &dyn EventStore, ids: &dyn IdSource) -> Result<Vec<NewEvent>, Failed> {
    let limits = events.capabilities().limits;
    let (mut part, mut bytes) = (Vec::new(), 0);
    for one in new.iter().take(limits.append_events as usize) {
        let event = new_event(&SchemasEvent::of(one), stream(), ids.new_id(), Bytes::new());
        let event = event.map_err(|error| Failed::Refused(SchemaRefusal::Store(Source::new(error))))?;
        bytes += event.bytes();
        if bytes > limits.append_bytes && !part.is_empty() {
            break;
        }
        part.push(event);
    }
    Ok(part)
}
