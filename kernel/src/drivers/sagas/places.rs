//! Where feeders of processes stand: one checkpoint for each newest version that a deployment has had.
//!
//! Code that is newer may want more events than older code, which passes them over. So each has a lease and a checkpoint of
//! its own, and both feed while both run: what the one has had received, the other finds received. The stream of a name tells
//! which versions there have been; a new one begins where those before it stand.

use crate::ports::{EventStore, IdSource, ReadError};
use crate::values::{CheckpointState, EventType, Name, NewEvent, Position, Read, StreamId, Token};
use alloc::collections::BTreeSet;
use alloc::format;
use serde::{Deserialize, Serialize};

/// A version is deployed that has not been before.
const DEPLOYED: &str = "$process.deployed";

#[derive(Debug, Serialize, Deserialize)]
struct Deployed {
    version: u32,
}

/// The name of the lease and of the checkpoint of feeders whose newest version this is.
pub(super) fn place(name: &Name, version: u32) -> Name {
    Name::new(format!("$process/{name}/{version}")).expect("a saga's name has at most 100 bytes")
}

fn stream(name: &Name) -> StreamId {
    StreamId::new(format!("$process-{name}")).expect("a saga's name has at most 100 bytes")
}

/// The fact that this version is deployed. It is appended with the first move of the version's checkpoint.
pub(super) fn deployed(ids: &dyn IdSource, name: &Name, version: u32) -> NewEvent {
    let payload = serde_json::to_vec(&Deployed { version }).expect("a number under a name");
    let event_type = EventType::new(DEPLOYED).expect("a plain name is one of a type");
    NewEvent::new(stream(name), event_type, payload).with_id(ids.new_id())
}

/// Whether anybody has moved or claimed it.
pub(super) fn is_set(state: &CheckpointState) -> bool {
    state.token > Token(0) || state.position.is_some()
}

/// How far feeders of this name have come, whatever their version; `None`: there has been none in this store.
pub(super) async fn furthest(events: &dyn EventStore, name: &Name) -> Result<Option<Option<Position>>, ReadError> {
    let mut versions = BTreeSet::new();
    let mut next = Some(Read::stream(stream(name)));
    while let Some(read) = next {
        let page = events.read(read).await?;
        let deployed = page.events.iter().filter_map(|event| serde_json::from_slice::<Deployed>(&event.payload).ok());
        versions.extend(deployed.map(|deployed| deployed.version));
        next = page.next;
    }
    let mut furthest = None;
    for version in versions {
        let state = events.checkpoint(place(name, version)).await?;
        // A log that was copied tells of versions whose checkpoints are elsewhere.
        if is_set(&state) {
            furthest = furthest.max(Some(state.position));
        }
    }
    Ok(furthest)
}
