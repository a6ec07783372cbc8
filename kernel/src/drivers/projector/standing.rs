//! What is known of a projection's editions: what is wished of them, which there are, and what their workers said.

use super::control::{self, Control, Kept};
use super::env::{Env, Model};
use super::parking;
use super::record::{self, Record};
use crate::ports::{ReadModelStore, RowError};
use crate::values::{CheckpointState, Collection, Edition, Token};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// What is known of a projection's editions. Everything that is decided about them is decided here, from what all
/// processes share.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// What operators wish.
    pub(super) kept: Kept,
    /// The edition that everybody reads who prefers no version.
    pub(super) active: Option<Edition>,
    /// The collections that there are.
    defined: Vec<Collection>,
    /// What was said of each edition that is defined or to be read, rising.
    said: Vec<(Edition, Option<Record>)>,
}

impl Standing {
    /// How the projection stands now, for whoever changes nothing of what is wished.
    ///
    /// # Errors
    ///
    /// What reading rows may fail with.
    pub(super) async fn load(env: &Env, model: &Model) -> Result<Self, RowError> {
        let control = unless_missing(control::read(&*env.rows, &model.name).await)?;
        Self::under(env, model, Kept::to_read(control)).await
    }

    /// The same, for a change of what is wished by compare-and-set.
    ///
    /// # Errors
    ///
    /// What reading rows may fail with.
    pub(super) async fn load_to_change(env: &Env, model: &Model) -> Result<Self, RowError> {
        let kept = unless_missing(control::load(&*env.rows, &model.name).await)?;
        Self::under(env, model, kept).await
    }

    async fn under(env: &Env, model: &Model, kept: Kept) -> Result<Self, RowError> {
        let rows = &*env.rows;
        let versions = rows.versions(model.name.clone()).await?;
        let mut editions: Vec<_> = versions.defined.iter().map(edition_of).collect();
        editions.push(kept.control.wanted(model.version));
        editions.sort_unstable();
        editions.dedup();
        let records = unless_missing(record::load(rows, &model.name, &editions).await)?;
        let records = records.into_iter().chain(core::iter::repeat(None));
        let said = editions.into_iter().zip(records).collect();
        Ok(Self { kept, active: versions.active.map(Edition::stored), defined: versions.defined, said })
    }

    pub(super) fn control(&self) -> &Control {
        &self.kept.control
    }

    /// All editions that are defined or to be read, rising.
    pub(super) fn editions(&self) -> impl Iterator<Item = Edition> {
        self.said.iter().map(|(edition, _)| *edition)
    }

    /// What the worker of this edition said last.
    pub(super) fn record(&self, edition: Edition) -> Option<&Record> {
        self.said.iter().find(|(of, _)| *of == edition).and_then(|(_, record)| record.as_ref())
    }

    pub(super) fn is_defined(&self, edition: Edition) -> bool {
        self.defined.iter().any(|collection| edition_of(collection) == edition)
    }

    /// Whether it has caught up once, and so may be read.
    pub(super) fn is_ready(&self, edition: Edition) -> bool {
        self.is_defined(edition) && self.record(edition).is_some_and(|record| record.is_ready)
    }

    /// The newest edition of this version that may be read. One past the wanted is of a rebuild that was cancelled.
    pub(super) fn ready_of(&self, version: u16) -> Option<Edition> {
        let wanted = self.control().wanted(version);
        let of_version = |edition: &Edition| edition.version == version && *edition <= wanted;
        self.editions().filter(of_version).filter(|edition| self.is_ready(*edition)).last()
    }

    /// The edition that readers were switched from to this rebuild, if it is there; `None` after a reset, which takes its
    /// rows from everybody at once.
    pub(super) fn switched_from(&self, rebuild: Edition) -> Option<Edition> {
        let wanted = self.control().wanted.get(&rebuild.version);
        if wanted.is_some_and(|wanted| wanted.at_once && wanted.rebuild == rebuild.rebuild) {
            return None;
        }
        let before = |edition: &Edition| edition.version == rebuild.version && *edition < rebuild;
        self.editions().filter(before).filter(|edition| self.is_ready(*edition)).last()
    }

    /// The edition that is read by whoever prefers this version.
    pub(super) fn read_by(&self, prefer: Option<u16>) -> Option<Edition> {
        match (self.active, prefer) {
            (Some(active), Some(version)) if active.version != version => self.ready_of(version).or(Some(active)),
            (None, Some(version)) => self.ready_of(version),
            (active, _) => active,
        }
    }

    /// The editions that a process with this version of the code works on: the wanted one, and until that may be read,
    /// the one of the same version that is.
    pub(super) fn worked_on(&self, version: u16) -> Vec<Edition> {
        let wanted = self.control().wanted(version);
        match self.ready_of(version) {
            Some(read) if read != wanted => vec![read, wanted],
            _ => vec![wanted],
        }
    }

    /// The edition that should be the active one: of the version that was named, else of the newest; `None` when there is
    /// no such one, or an operator has to name it.
    pub(super) fn to_activate(&self) -> Option<Edition> {
        if let Some(pinned) = self.control().pinned {
            return self.ready_of(pinned);
        }
        let newest = self.editions().filter_map(|edition| self.ready_of(edition.version)).max_by_key(|of| of.version);
        newest.filter(|newest| self.active.is_none_or(|active| newest.version >= active.version))
    }

    /// The editions of this version that nobody is to read again: cancelled ones, and those before a reset.
    pub(super) fn left_over(&self, version: u16) -> Vec<Edition> {
        let wanted = self.control().wanted(version);
        let was_reset = self.control().wanted.get(&version).is_some_and(|of| of.at_once) && self.is_ready(wanted);
        let is_over = |edition: &Edition| *edition > wanted || (was_reset && *edition < wanted);
        let of_version = self.editions().filter(|edition| edition.version == version && self.is_defined(*edition));
        of_version.filter(is_over).filter(|edition| self.active != Some(*edition)).collect()
    }
}

/// Where the edition's checkpoint stands; before its first move it belongs to the log of this process.
///
/// # Errors
///
/// What reading rows may fail with.
pub(super) async fn checkpoint(env: &Env, model: &Model, edition: Edition) -> Result<CheckpointState, RowError> {
    let name = edition.checkpoint(&model.name).map_err(|error| RowError::Invalid(alloc::format!("{error}")))?;
    let state = env.rows.checkpoint(name).await?;
    Ok(state.unwrap_or_else(|| CheckpointState::new(env.events.capabilities().identity, None, Token(0))))
}

/// Why an edition that stands there cannot go on: its rows are made of another log, or of this one before it was restored.
/// No worker can say so, because it can write nothing under such a checkpoint.
pub(super) fn is_foreign(env: &Env, state: &CheckpointState) -> Option<String> {
    let (made_of, log) = (state.store, env.events.capabilities().identity);
    (made_of != log).then(|| alloc::format!("its rows are made of the log {made_of}, and this is {log}; reset it"))
}

/// Defines what processes tell each other in.
///
/// # Errors
///
/// What defining may fail with.
pub(super) async fn define(rows: &dyn ReadModelStore) -> Result<(), RowError> {
    for collection in collections() {
        rows.define(collection).await?;
    }
    Ok(())
}

/// What processes tell each other in. Programs of several releases work on one store, so that a definition never changes:
/// what is new is said in a collection of its own.
fn collections() -> [Collection; 4] {
    [control::collection(), record::collection(), record::skipped_collection(), parking::collection()]
}

/// Nothing, where nobody has defined the system's collections yet.
pub(super) fn unless_missing<T: Default>(read: Result<T, RowError>) -> Result<T, RowError> {
    match read {
        Err(RowError::UnknownCollection { .. }) => Ok(T::default()),
        read => read,
    }
}

fn edition_of(collection: &Collection) -> Edition {
    Edition::stored(collection.version)
}

#[cfg(test)]
mod tests {
    use super::collections;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::fmt::Write as _;

    /// Stores out there have them so. If this fails, take the change back.
    const DEFINED: &str = "\
$projections 1
  paused_at Integer
  pinned Integer
  wanted Json
  requests Json
  last_request Integer
$editions 1
  ready Bool
  state Text
  reason Text
  stopped_at Integer
  holder Text
  said_at Integer
  moved_at Integer
  events_per_second Integer
  failed_at Integer
  failed_position Integer
  failure Text
  parked Integer
  requests_done Integer
  replayed_to Integer
$skipped 1
  skipped Integer
$parked 1
  edition Text
  sequence Text
  further Json
  position Integer
  stream Text
  waits Bool
  reason Text
  at Integer
  index edition: edition, position
";

    #[test]
    fn definitions_are_those_that_stores_have() {
        let mut defined = String::new();
        for collection in collections() {
            writeln!(defined, "{} {}", collection.name, collection.version).unwrap();
            for column in &collection.columns {
                writeln!(defined, "  {} {:?}", column.name, column.kind).unwrap();
            }
            for index in &collection.indexes {
                let unique = if index.unique { "unique " } else { "" };
                let columns: Vec<_> = index.columns.iter().map(|column| column.as_str()).collect();
                writeln!(defined, "  {unique}index {}: {}", index.name, columns.join(", ")).unwrap();
            }
        }
        assert_eq!(defined, DEFINED);
    }
}
