//! Upcasting: the one place between stored events and their types.

use super::current::Place;
use super::event::EventError;
use super::history::{Histories, HistoryError, Kind, Object, Then, Transcoding};
use super::projection::EventSet;
use crate::ports::{RawEvent, UpcastError};
use crate::values::{EventType, Format, Recorded, Revision, StreamId};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::OnceCell;
use core::fmt;

/// The hops from old versions to newer ones, judged: every chain of them ends at what is current.
///
/// They come of the histories of event types ([`of`](Self::of), [`Histories::judge`]); those of an application are
/// [`Application::upcasters`](crate::application::Application::upcasters).
///
/// An event of a current version passes untouched, after one look at its type. A chain reads the names of a payload's
/// fields once, and writes them once.
#[derive(Clone, Default)]
pub struct Upcasters {
    pub(super) types: BTreeMap<EventType, Known>,
    histories: Histories,
    on_skipped: Option<OnSkipped>,
}

type OnSkipped = Arc<dyn Fn(&Recorded) + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Known {
    /// The version that is written now, where that is told.
    pub(super) current: Option<u32>,
    pub(super) ways: BTreeMap<u32, Way>,
    /// The versions that hops lead to.
    pub(super) arrivals: BTreeSet<u32>,
}

/// A hop, and what its results may be.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) kind: Kind,
    pub(super) to: Vec<(EventType, u32)>,
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let starts =
            self.types.iter().flat_map(|(event_type, known)| known.ways.keys().map(move |of| (event_type, of)));
        f.debug_set().entries(starts).finish()
    }
}

impl Upcasters {
    /// None: every event is taken to be of the current version.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of the histories of these events.
    ///
    /// # Errors
    ///
    /// [`HistoryError`], which is a mistake of the application.
    pub fn of<E: EventSet>() -> Result<Self, HistoryError> {
        Histories::of::<E>().judge()
    }

    pub(super) fn judged(
        types: impl Iterator<Item = (EventType, Option<u32>, BTreeMap<u32, Way>)>,
        histories: Histories,
    ) -> Self {
        let of = |(event_type, current, ways)| (event_type, Known { current, ways, arrivals: BTreeSet::new() });
        let mut types: BTreeMap<_, _> = types.map(of).collect();
        let ways = types.values().flat_map(|known| known.ways.values());
        let arrivals: Vec<_> = ways.flat_map(|way| way.to.iter().cloned()).collect();
        for (event_type, version) in arrivals {
            types.entry(event_type).or_default().arrivals.insert(version);
        }
        Self { types, histories, on_skipped: None }
    }

    /// The same, and this is told of each event that [`Unknown::Skip`] passes over, each time that it is: a fold tells of it
    /// whenever it is folded; and of each that is [for no process](crate::domain::saga::Process::correlate). It is called while
    /// events are decoded, so it has to be quick.
    #[must_use]
    pub fn on_skipped(self, hook: impl Fn(&Recorded) + Send + Sync + 'static) -> Self {
        Self { on_skipped: Some(Arc::new(hook)), ..self }
    }

    pub(crate) fn tell_skipped(&self, recorded: &Recorded) {
        if let Some(hook) = &self.on_skipped {
            hook(recorded);
        }
    }

    /// The same, with the histories of these events, where they are not among them. That judges all of them anew, so it is
    /// done once a read and not once an event.
    ///
    /// # Errors
    ///
    /// [`HistoryError`], which is a mistake of the application.
    pub fn covering<E: EventSet>(self: &Arc<Self>) -> Result<Arc<Self>, HistoryError> {
        match self.histories.beyond::<E>() {
            None => Ok(self.clone()),
            Some(all) => Ok(Arc::new(Self { on_skipped: self.on_skipped.clone(), ..all.judge()? })),
        }
    }

    /// The types and versions that are told of, in order, and whether each is written now.
    pub fn known(&self) -> impl Iterator<Item = (&EventType, u32, bool)> {
        self.types.iter().flat_map(|(event_type, known)| {
            let old = known.ways.keys().map(move |version| (event_type, *version, false));
            old.chain(known.current.map(|current| (event_type, current, true)))
        })
    }

    fn way(&self, event: &RawEvent) -> Option<&Way> {
        self.types.get(&event.event_type)?.ways.get(&event.version)
    }

    /// The events of current versions that this stored one has become, in order: none when it is retired.
    ///
    /// # Errors
    ///
    /// [`UpcastError`] when a hop fails.
    pub fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, UpcastError> {
        let mut current = Vec::with_capacity(1);
        self.follow(event, &mut current)?;
        Ok(current)
    }

    /// Goes on from a stored event, or from what a function or a hop by hand has made. It goes down a step for each of
    /// those, and chains end, so there are as many as somebody has written.
    fn follow(&self, mut event: RawEvent, current: &mut Vec<RawEvent>) -> Result<(), UpcastError> {
        let payload = event.payload.clone();
        let text = OnceCell::new();
        let mut changed: Option<(Object<'_>, Option<Transcoding>)> = None;
        while let Some(way) = self.way(&event) {
            let hop = match &way.kind {
                Kind::Declared(hop) => hop,
                Kind::ByHand(upcaster) => {
                    write(&mut event, changed.take())?;
                    let from = event.clone();
                    for result in upcaster.upcast(event)? {
                        way.check(&from, &result.event_type, result.version)?;
                        self.follow(result, current)?;
                    }
                    return Ok(());
                }
            };
            let failed = |event: &RawEvent| {
                let event = event.clone();
                move |reason: String| UpcastError::new(&event, reason)
            };
            if !hop.is_plain() {
                if changed.is_none() {
                    if text.get().is_none() {
                        let _ = text.set(as_json(&event, &payload, hop.transcoding)?);
                    }
                    let text: &Bytes = text.get().expect("it was set above");
                    changed = Some((Object::parse(text).map_err(failed(&event))?, hop.transcoding));
                }
                if let Some((object, _)) = &mut changed {
                    hop.change(object).map_err(failed(&event))?;
                }
            }
            match &hop.then {
                Then::Nothing => return Ok(()),
                Then::One(_) => {
                    let (event_type, version) = &way.to[0];
                    (event.event_type, event.version) = (event_type.clone(), *version);
                }
                Then::Made(make, _) => {
                    write(&mut event, changed.take())?;
                    let old = as_json(&event, &event.payload, hop.transcoding)?;
                    let made = make(&old).map_err(failed(&event))?;
                    let payload = in_format(&event, made, hop.transcoding)?;
                    let (event_type, version) = way.to[0].clone();
                    return self.follow(RawEvent::new(event_type, version, event.format, payload), current);
                }
                Then::Split(split, _) => {
                    write(&mut event, changed.take())?;
                    let old = as_json(&event, &event.payload, hop.transcoding)?;
                    let pieces = split(&old).and_then(|pieces| pieces.events()).map_err(failed(&event))?;
                    for (event_type, version, payload) in pieces {
                        let event_type = way.check(&event, &event_type, version)?;
                        let payload = in_format(&event, payload, hop.transcoding)?;
                        self.follow(RawEvent::new(event_type, version, event.format, payload), current)?;
                    }
                    return Ok(());
                }
            }
        }
        write(&mut event, changed)?;
        current.push(event);
        Ok(())
    }

    /// The events of a type that a recorded one holds: one, unless a hop has retired or split it. Every path from stored bytes
    /// to values goes through here.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] with the event's place.
    pub fn decode<E: EventSet>(&self, recorded: &Recorded, unknown: Unknown) -> Result<Decoded<E>, DecodeError> {
        let stored =
            RawEvent::new(recorded.event_type.clone(), recorded.version, recorded.format, recorded.payload.clone());
        self.decode_stored(stored, recorded, unknown).map_err(|reason| DecodeError {
            stream: recorded.stream.clone(),
            revision: recorded.revision,
            event_type: recorded.event_type.clone(),
            version: recorded.version,
            reason,
        })
    }

    fn decode_stored<E: EventSet>(
        &self,
        stored: RawEvent,
        recorded: &Recorded,
        unknown: Unknown,
    ) -> Result<Decoded<E>, DecodeReason> {
        let mut decoded = Decoded { events: Vec::with_capacity(1), skipped: 0 };
        let category = recorded.stream.category();
        if self.place(&stored.event_type, stored.version) != Place::Old {
            let current = self.types.get(&stored.event_type).and_then(|known| known.current);
            self.take(&stored, current, category, recorded, unknown, &mut decoded)?;
            return Ok(decoded);
        }
        for raw in self.upcast(stored)? {
            let current = self.types.get(&raw.event_type).and_then(|known| known.current);
            self.take(&raw, current, category, recorded, unknown, &mut decoded)?;
        }
        Ok(decoded)
    }

    fn take<E: EventSet>(
        &self,
        raw: &RawEvent,
        current: Option<u32>,
        category: &str,
        recorded: &Recorded,
        unknown: Unknown,
        decoded: &mut Decoded<E>,
    ) -> Result<(), DecodeReason> {
        let reason = match decode_current(category, raw, current) {
            Ok(event) => {
                decoded.events.push(event);
                return Ok(());
            }
            Err(reason) if reason.is_unknown() => reason,
            Err(reason) => return Err(reason),
        };
        match (E::of_unknown(raw), unknown) {
            (Some(event), _) => decoded.events.push(event),
            (None, Unknown::Skip) => {
                decoded.skipped += 1;
                self.tell_skipped(recorded);
            }
            (None, Unknown::Fail) => return Err(reason),
        }
        Ok(())
    }
}

impl Way {
    /// The type, if the hop may have such results.
    fn check(&self, from: &RawEvent, event_type: &str, version: u32) -> Result<EventType, UpcastError> {
        let is_told = |(told, of): &&(EventType, u32)| **told == *event_type && *of == version;
        self.to.iter().find(is_told).map(|(told, _)| told.clone()).ok_or_else(|| {
            let reason = alloc::format!("its hop gave {event_type} version {version}, which it does not tell of");
            UpcastError::new(from, reason)
        })
    }
}

/// A payload of this event as JSON.
fn as_json(event: &RawEvent, payload: &Bytes, transcoding: Option<Transcoding>) -> Result<Bytes, UpcastError> {
    let format = transcoding.map_or(Format::Json, |transcoding| transcoding.format);
    if format != event.format {
        let reason = alloc::format!("its payload is {:?}, and its hop is for {format:?}", event.format);
        return Err(UpcastError::new(event, reason));
    }
    match transcoding {
        None => Ok(payload.clone()),
        Some(of) => (of.to_json)(payload).map(Bytes::from).map_err(|error| UpcastError::new(event, error.to_string())),
    }
}

/// JSON in the format of the event.
fn in_format(event: &RawEvent, text: Bytes, transcoding: Option<Transcoding>) -> Result<Bytes, UpcastError> {
    match transcoding {
        None => Ok(text),
        Some(of) => (of.from_json)(&text).map_err(|error| UpcastError::new(event, error.to_string())),
    }
}

/// Writes what has been changed of the payload.
fn write(event: &mut RawEvent, changed: Option<(Object<'_>, Option<Transcoding>)>) -> Result<(), UpcastError> {
    if let Some((object, transcoding)) = changed {
        let text = object.print().map_err(|reason| UpcastError::new(event, reason))?;
        event.payload = in_format(event, text, transcoding)?;
    }
    Ok(())
}

/// What a reader does about an event of a type that it does not know, or of a version from the future: one that a newer
/// application has written (UP-04).
///
/// To get such events as they are stored, read them as [`OrRaw`](super::OrRaw).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Unknown {
    /// The read fails there, and says why.
    #[default]
    Fail,
    /// The event is passed over. Whoever folds has a state without it, for good: right for a reader to whom new events
    /// cannot matter, wrong for one whose rules they may change. It is told to [`Upcasters::on_skipped`].
    Skip,
}

/// What a recorded event holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded<E> {
    /// The events, in order.
    pub events: Vec<E>,
    /// How many were passed over as [`Unknown::Skip`] says.
    pub skipped: usize,
}

/// Why a recorded event could not be decoded, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {revision} of {stream} ({event_type} version {version}) cannot be decoded: {reason}")]
#[non_exhaustive]
pub struct DecodeError {
    /// Its stream.
    pub stream: StreamId,
    /// Its place there.
    pub revision: Revision,
    /// Its stored type.
    pub event_type: EventType,
    /// Its stored version.
    pub version: u32,
    /// What is wrong.
    #[source]
    pub reason: DecodeReason,
}

/// What is wrong with a recorded event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeReason {
    /// A hop failed.
    #[error(transparent)]
    Upcast(#[from] UpcastError),
    /// The version is not the current one, and no hop starts from it.
    #[error(
        "it has version {stored} after upcasting, and the application knows version {current}; register an upcaster, or update the application"
    )]
    WrongVersion {
        /// The version after upcasting.
        stored: u32,
        /// The version the application writes.
        current: u32,
    },
    /// It is none of the type's events.
    #[error(transparent)]
    Event(#[from] EventError),
}

impl DecodeReason {
    /// Whether a newer application may have written it: its type is unknown here, or its version from the future.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Event(EventError::UnknownType(_)) => true,
            Self::WrongVersion { stored, current } => stored > current,
            _ => false,
        }
    }
}

/// The events of a type that a recorded one holds, for a reader to whom none may be unknown.
///
/// # Errors
///
/// As [`Upcasters::decode`].
pub fn decode_recorded<E: EventSet>(upcasters: &Upcasters, recorded: &Recorded) -> Result<Vec<E>, DecodeError> {
    Ok(upcasters.decode(recorded, Unknown::Fail)?.events)
}

fn decode_current<E: EventSet>(category: &str, raw: &RawEvent, told: Option<u32>) -> Result<E, DecodeReason> {
    let wrong = |current| DecodeReason::WrongVersion { stored: raw.version, current };
    // Before its payload, which may be of any shape.
    if let Some(current) = told.filter(|current| *current != raw.version) {
        return Err(wrong(current));
    }
    let event = E::decode_in(category, raw)?;
    match event.current_version() {
        current if current == raw.version => Ok(event),
        current => Err(wrong(current)),
    }
}
