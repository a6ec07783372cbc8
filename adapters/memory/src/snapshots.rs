//! Snapshots.

use crate::MemoryStore;
use alloc::collections::BTreeMap;
use async_trait::async_trait;
use portolan_kernel::ports::{Snapshot, SnapshotError, SnapshotStore};
use portolan_kernel::values::{Name, Revision, StreamId};
use std::collections::HashMap;
use std::sync::PoisonError;

/// By stream and kind, then by revision.
pub(crate) type Snapshots = HashMap<(StreamId, Name), BTreeMap<Revision, Snapshot>>;

// No step below leaves the map half changed, so a lock that a panic poisoned guards good data.

#[async_trait]
impl SnapshotStore for MemoryStore {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let at_most = at_most.unwrap_or(Revision::new(u64::MAX));
        let snapshots = self.0.snapshots.read().unwrap_or_else(PoisonError::into_inner);
        let latest = snapshots.get(&(stream, kind)).and_then(|kept| kept.range(..=at_most).next_back());
        Ok(latest.map(|(_, snapshot)| snapshot.clone()))
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        let key = (snapshot.stream.clone(), snapshot.kind.clone());
        let mut snapshots = self.0.snapshots.write().unwrap_or_else(PoisonError::into_inner);
        snapshots.entry(key).or_default().insert(snapshot.revision, snapshot);
        Ok(())
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        let key = (stream, kind);
        let mut snapshots = self.0.snapshots.write().unwrap_or_else(PoisonError::into_inner);
        let kept = below.and_then(|below| snapshots.get_mut(&key).map(|kept| kept.split_off(&below)));
        match kept {
            Some(kept) if !kept.is_empty() => drop(snapshots.insert(key, kept)),
            _ => drop(snapshots.remove(&key)),
        }
        Ok(())
    }
}
