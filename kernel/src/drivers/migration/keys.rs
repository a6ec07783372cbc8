//! The ids of commands, found again by the ids of their events.

use super::MigrationError;
use crate::domain::IdSeed;
use crate::drivers::command_scope;
use crate::drivers::key::note_of_at_most;
use crate::ports::EventStore;
use crate::values::{EventId, IdempotencyKey, Metadata, Name, Recorded};

/// A command whose events are being gathered.
#[derive(Debug)]
pub(super) struct Keyed {
    key: IdempotencyKey,
    seed: IdSeed,
    seen: u32,
}

impl Keyed {
    /// The command that this event is the first of, when its key is still known.
    pub(super) async fn find(
        source: &dyn EventStore,
        commands: &[Name],
        recorded: &Recorded,
    ) -> Result<Option<Self>, MigrationError> {
        let metadata = Metadata::decode(&recorded.metadata);
        let Some(id) = metadata.command.and_then(|id| Name::new(id).ok()) else { return Ok(None) };
        let mut scopes = commands.iter().map(|command| command_scope(command, metadata.tenant.as_deref()));
        let seed = |scope: &Name| IdSeed::of_command(scope, &id);
        let Some(scope) = scopes.find(|scope| seed(scope).event_id(0) == recorded.id) else { return Ok(None) };
        let seed = seed(&scope);
        let recalled = source.recall(scope.clone(), id.clone()).await.map_err(MigrationError::Source)?;
        // An id that was used again once it had expired has its record from the later use.
        let recalled = recalled.filter(|recalled| recalled.appended.first == Some(recorded.position));
        Ok(recalled.map(|recalled| {
            let key = IdempotencyKey::new(scope, id, recalled.digest).with_note(recalled.appended.note);
            Self { key, seed, seen: 1 }
        }))
    }

    /// Whether the event is the next of the command; then it counts.
    pub(super) fn is_next(&mut self, id: EventId) -> bool {
        let is_next = self.seed.event_id(self.seen) == id;
        self.seen += u32::from(is_next);
        is_next
    }

    /// The key of an append of this many events.
    pub(super) fn into_key(self, events: usize) -> IdempotencyKey {
        let note = note_of_at_most(&self.key.note, events);
        self.key.with_note(note)
    }
}
