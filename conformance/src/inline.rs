//! The projections that the suite has stores run inside of appends, and words to ask about their rows.

use crate::ask::{Ask, Store, name};
use crate::rows::{AskRows, Rows, key, named};
use crate::{Broken, Place, Trial, Verdict, expect, expect_eq};
use core::fmt;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{Inline, InlineChanges, InlineRows};
use portolan_kernel::values::{
    Append, Batch, Cell, Checkpoint, CheckpointState, Collection, ColumnType, Edition, Find, Index, Item, KeyedRow,
    Move, Name, NewEvent, Position, Query, Read, Recorded, Revision, RowKey, Token,
};
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;

/// Where a store with inline projections is opened, and with which.
pub struct Inlining {
    /// The place.
    pub place: Place,
    /// What the store is to run.
    pub inline: Vec<Arc<dyn Inline>>,
}

impl fmt::Debug for Inlining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inline: Vec<_> = self.inline.iter().map(|inline| inline.collection().name).collect();
        f.debug_struct("Inlining").field("place", &self.place).field("inline", &inline).finish()
    }
}

/// Counts, and what shows their order: a row a stream of the category `tally`.
///
/// - `added`: counts, and takes the payload's number into a sum in which the order shows.
/// - `claimed`: puts the payload into `mark`, which is unique in a strict one.
/// - `cleared`: deletes the row.
/// - `refused`, `panicked`: fails, if the projection is a strict one.
pub(crate) struct Tally {
    pub(crate) name: &'static str,
    pub(crate) strict: bool,
}

pub(crate) const TALLY: Tally = Tally { name: "tally", strict: true };
pub(crate) const SECOND: Tally = Tally { name: "another tally", strict: false };

impl Inline for Tally {
    fn collection(&self) -> Collection {
        let mark = Index::new(named("mark"), [named("mark")]);
        Collection::new(named(self.name), Edition::first(1).to_stored())
            .column(named("count"), ColumnType::Integer)
            .column(named("trail"), ColumnType::Integer)
            .column(named("mark"), ColumnType::Text)
            .index(Index::new(named("count"), [named("count")]))
            .index(if self.strict { mark.unique() } else { mark })
    }

    fn wants(&self) -> Query {
        Query::of(Item::new().category(named("tally")))
    }

    fn apply(&self, event: &Arc<Recorded>, rows: &mut dyn InlineRows) -> Result<(), String> {
        let key = key(&event.stream);
        let text = String::from_utf8_lossy(&event.payload).into_owned();
        let row = rows.get(&key)?;
        let (mut count, mut trail, mut mark) = match row.as_deref() {
            Some([Cell::Integer(count), Cell::Integer(trail), mark]) => (*count, *trail, mark.clone()),
            Some(other) => return Err(format!("{key} holds {other:?}")),
            None => (0, 0, Cell::Null),
        };
        match event.event_type.as_str() {
            "added" => count += 1,
            "claimed" => mark = Cell::Text(text.clone()),
            "cleared" => {
                rows.set(key, None);
                return Ok(());
            }
            "refused" if self.strict => return Err(format!("it does not want {text}")),
            "panicked" if self.strict => std::panic::resume_unwind(Box::new("the suite panics")),
            _ => {}
        }
        let places = [event.position.get(), event.revision.get(), event.recorded_at.as_micros()];
        let seen = text.bytes().map(u64::from).chain(places);
        trail = seen.fold(trail, |trail, n| trail.wrapping_mul(31).wrapping_add(n.cast_signed()));
        rows.set(key, Some(vec![Cell::Integer(count), Cell::Integer(trail), mark]));
        Ok(())
    }
}

pub(crate) fn tally() -> Vec<Arc<dyn Inline>> {
    vec![Arc::new(TALLY)]
}

/// Two projections: a store may go other ways for rows with a unique index, and for those without.
pub(crate) fn tallies() -> Vec<Arc<dyn Inline>> {
    vec![Arc::new(TALLY), Arc::new(SECOND)]
}

/// An event that a [`Tally`] counts, or what its type says.
pub(crate) fn counted(stream: &str, event_type: &str, payload: impl fmt::Display) -> NewEvent {
    NewEvent::new(name(stream), name(event_type), payload.to_string())
}

/// An append of one event.
pub(crate) fn count(stream: &str, event_type: &str, payload: impl fmt::Display) -> Append {
    Append::new([counted(stream, event_type, payload)])
}

/// A log and the rows that it makes.
#[derive(Clone)]
pub(crate) struct Both {
    pub(crate) events: Store,
    pub(crate) rows: Rows,
}

impl Trial<Storage> {
    /// Opens the store with these projections.
    #[track_caller]
    pub(crate) fn open_with(&self, inline: Vec<Arc<dyn Inline>>) -> impl Future<Output = Verdict<Both>> {
        let at = Location::caller();
        async move {
            let given = inline.len();
            let site = Inlining { place: self.place().again(), inline };
            let storage = self.open_site(&site, at).await?;
            expect_eq!(storage.inline.len(), given, "the projections that the storage says it runs");
            let none = || Broken::new("the storage", "read models beside the log", "none");
            let rows = storage.read_models.clone().ok_or_else(none)?;
            Ok(Both { events: storage.events.clone(), rows })
        }
    }

    /// Opens the store with the first [`Tally`].
    #[track_caller]
    pub(crate) fn open_tally(&self) -> impl Future<Output = Verdict<Both>> {
        self.open_with(tally())
    }
}

/// How an edition of a [`Tally`] stands: its checkpoint, and rows that are a fold of the log up to there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stands {
    pub(crate) position: Option<Position>,
    pub(crate) token: Token,
    pub(crate) rows: Vec<KeyedRow>,
}

impl Both {
    /// Where the log ends.
    pub(crate) async fn frontier(&self) -> Verdict<Option<Position>> {
        Ok(self.events.page(Read::log(Query::all()).limit(1)).await?.frontier)
    }

    /// Where an edition stands, and what rows it has.
    pub(crate) async fn edition(&self, of: &Tally, edition: Edition) -> Verdict<Stands> {
        let state = self.rows.stands(&checkpoint(of, edition)).await?;
        let rows = self.rows.listed(Find::all(named(of.name)).version(edition.to_stored()).limit(1_000)).await?;
        let token = state.map_or(Token(0), |state| state.token);
        Ok(Stands { position: state.and_then(|state| state.position), token, rows })
    }

    /// An edition whose rows have to be a fold of the log up to its checkpoint.
    #[track_caller]
    pub(crate) fn folded(&self, of: &Tally, edition: Edition) -> impl Future<Output = Verdict<Stands>> {
        let at = Location::caller();
        async move {
            let stands = self.edition(of, edition).await?;
            let rows = fold(of, &self.events.log().await?, stands.position)?;
            let what = format!("the rows of {} {edition}, which stands at {:?}", of.name, stands.position);
            equal(&stands.rows, &rows, what, at)?;
            Ok(stands)
        }
    }

    /// An edition whose rows have to be a fold of all of the log, as its checkpoint has to say.
    #[track_caller]
    pub(crate) fn never_behind(&self, of: &Tally, edition: Edition) -> impl Future<Output = Verdict<Stands>> {
        let at = Location::caller();
        async move {
            let stands = self.folded(of, edition).await.map_err(|broken| broken.at(at))?;
            let frontier = self.frontier().await?;
            equal(&stands.position, &frontier, format!("the checkpoint of {} {edition}", of.name), at)?;
            Ok(stands)
        }
    }

    /// As [`never_behind`](Self::never_behind), of the first edition of each of the [`tallies`].
    #[track_caller]
    pub(crate) fn both_never_behind(&self) -> impl Future<Output = Verdict<[Stands; 2]>> {
        let at = Location::caller();
        async move {
            let first = self.never_behind(&TALLY, Edition::first(1)).await.map_err(|broken| broken.at(at))?;
            let second = self.never_behind(&SECOND, Edition::first(1)).await.map_err(|broken| broken.at(at))?;
            Ok([first, second])
        }
    }

    /// Moves an edition's checkpoint by a reset, with the rows of a fold up to there, as a worker would have made them.
    pub(crate) async fn put_at(&self, of: &Tally, edition: Edition, to: Option<Position>, token: u64) -> Verdict {
        let name = checkpoint(of, edition);
        let identity = self.events.capabilities().identity;
        let state = self.rows.stands(&name).await?.unwrap_or(CheckpointState::new(identity, None, Token(0)));
        let before = self.edition(of, edition).await?.rows;
        let moved = Checkpoint::new(named(&name), at_home(state, identity), Token(token), Move::Reset(to));
        let (collection, version) = (named(of.name), edition.to_stored());
        let batch =
            before.into_iter().fold(Batch::new(moved), |batch, row| batch.delete(collection.clone(), version, row.key));
        let rows = fold(of, &self.events.log().await?, to)?;
        let batch = rows.into_iter().fold(batch, |batch, row| batch.put(collection.clone(), version, row));
        self.rows.commits(batch).await
    }

    /// Appends that nobody counts, so many that no store closes the gap that they are.
    pub(crate) async fn far_away(&self, from: u32) -> Verdict {
        for n in 0..4 {
            let events = (0..100).map(|i| counted("other-far", "added", from + n * 100 + i));
            self.events.wrote(Append::new(events)).await?;
        }
        Ok(())
    }
}

fn at_home(state: CheckpointState, identity: portolan_kernel::values::StoreId) -> CheckpointState {
    CheckpointState::new(identity, state.position, state.token)
}

fn equal<T: PartialEq + fmt::Debug>(found: &T, expected: &T, what: String, at: &'static Location<'static>) -> Verdict {
    if found == expected {
        return Ok(());
    }
    Err(Broken::new(what, format!("{expected:?}"), format!("{found:?}")).at(at))
}

/// The name of an edition's checkpoint.
pub(crate) fn checkpoint(of: &Tally, edition: Edition) -> String {
    edition.checkpoint(&named(of.name)).map_or_else(|_| String::new(), |name: Name| name.to_string())
}

/// The rows that the events of a log make, up to a position.
pub(crate) fn fold(of: &Tally, log: &[Arc<Recorded>], to: Option<Position>) -> Verdict<Vec<KeyedRow>> {
    let mut rows: BTreeMap<RowKey, Option<Vec<Cell>>> = BTreeMap::new();
    let wants = of.wants();
    for event in log.iter().filter(|event| Some(event.position) <= to && wants.matches(event)) {
        let mut changes = InlineChanges::new(|key: &RowKey| Ok(rows.get(key).cloned().flatten()));
        let applied = of.apply(event, &mut changes);
        let changed = changes.into_changed();
        expect!(applied.is_ok(), "no event in the log that {} refuses, as the one at {}", of.name, event.position);
        rows.extend(changed);
    }
    Ok(rows.into_iter().filter_map(|(key, cells)| Some(KeyedRow::new(key, cells?))).collect())
}

/// The last revision after so many events.
pub(crate) fn last_of(events: u64) -> Option<Revision> {
    events.checked_sub(1).map(Revision::new)
}
