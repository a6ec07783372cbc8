//! Judging histories: every chain of hops ends at what is current.

use super::hop::{Hop, Version};
use super::{Histories, Kind};
use crate::domain::upcasting::{Upcasters, Way};
use crate::values::{EventType, InvalidName};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Why histories are refused (UP-02). It is a mistake of the application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The name of a stored type is none.
    #[error("{owner}: {event_type:?} is no name of a stored type: {source}")]
    Name {
        /// Who names it.
        owner: &'static str,
        /// The name.
        event_type: String,
        /// What is wrong with it.
        source: InvalidName,
    },
    /// Versions begin at 1.
    #[error("{owner}: {event_type} has a version 0; versions begin at 1")]
    VersionZero {
        /// Who says so.
        owner: &'static str,
        /// The type.
        event_type: EventType,
    },
    /// A hop cannot work at all.
    #[error("{owner}: the hop from {event_type} version {version}: {reason}")]
    Hop {
        /// Whose it is.
        owner: &'static str,
        /// The type it starts from.
        event_type: EventType,
        /// The version it starts from.
        version: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// Two hops start from one version of a type.
    #[error(
        "two hops start from {event_type} version {version}, one of {first} and one of {second}; a version has one way on, \
         so take one of them out, or let one hop do what both do"
    )]
    TwoWays {
        /// The type.
        event_type: EventType,
        /// The version.
        version: u32,
        /// Who has the first.
        first: &'static str,
        /// Who has the second.
        second: &'static str,
    },
    /// Two versions of a type are said to be current.
    #[error(
        "{first} writes {event_type} in version {version}, and {second} in version {other}; they have to agree, so give both \
         the same version"
    )]
    TwoCurrents {
        /// The type.
        event_type: EventType,
        /// Who says the one.
        first: &'static str,
        /// The one.
        version: u32,
        /// Who says the other.
        second: &'static str,
        /// The other.
        other: u32,
    },
    /// No hop starts from a version that is not the current one.
    #[error(
        "{event_type} version {version} leads nowhere{}; add a hop from {event_type} version {version}, or retire it",
        current_is(current)
    )]
    Gap {
        /// The type.
        event_type: EventType,
        /// The version.
        version: u32,
        /// The current version, where it is told.
        current: Option<u32>,
    },
    /// A hop leads to what none of its event type's variants is stored as.
    #[error(
        "{owner}: the hop from {event_type} version {version} leads to {to}, which {owner} does not store; correct the name, \
         or add a hop from there"
    )]
    Nowhere {
        /// Whose hop it is.
        owner: &'static str,
        /// The type it starts from.
        event_type: EventType,
        /// The version it starts from.
        version: u32,
        /// The type it leads to.
        to: EventType,
    },
    /// A hop leads past the current version.
    #[error(
        "the hop from {event_type} version {version} leads to {to} version {past}, and version {current} is current; raise the \
         version of the event to {past}, or let the hop lead to {current}"
    )]
    Past {
        /// The type it starts from.
        event_type: EventType,
        /// The version it starts from.
        version: u32,
        /// The type it leads to.
        to: EventType,
        /// The version it leads to.
        past: u32,
        /// The current version of that.
        current: u32,
    },
    /// A hop starts from the current version, or a later one.
    #[error(
        "a hop starts from {event_type} version {version}, and version {current} is current; raise the version of the event, \
         or take the hop out"
    )]
    FromCurrent {
        /// The type.
        event_type: EventType,
        /// The version it starts from.
        version: u32,
        /// The current one.
        current: u32,
    },
    /// A hop leads to the version it starts from, or to an earlier one.
    #[error("the hop from {event_type} version {version} leads back to version {to}; a hop leads to a later version")]
    Back {
        /// The type.
        event_type: EventType,
        /// The version it starts from.
        version: u32,
        /// The version it leads to.
        to: u32,
    },
    /// Hops lead round in a circle.
    #[error("hops lead round in a circle: {path}; let one of them lead to a type and version that is not on it")]
    Cycle {
        /// The types and versions on it, from one to the same.
        path: String,
    },
}

fn current_is(current: &Option<u32>) -> String {
    current.map_or_else(String::new, |current| alloc::format!(", and version {current} is current"))
}

/// What is known of the versions of a stored type.
#[derive(Default)]
struct Known {
    /// The current version, and who says so.
    current: Option<(u32, &'static str)>,
    ways: BTreeMap<u32, (Way, &'static str)>,
    /// Whether a hop of somebody who tells what is current starts here.
    is_told: bool,
    /// The version that it came with, where that is told.
    first: Option<u32>,
    /// The earliest version that events of other types become.
    arrives: Option<u32>,
}

type Types = BTreeMap<EventType, Known>;

impl Histories {
    /// The hops of all of them, with every chain ending at what is current.
    ///
    /// What is current is known where a history tells it, as the derive does; then every version from 1 on has to lead there
    /// (for a type that began as a rename of another, or that [came later](super::History::first), every version from that on). Where it is not told, a chain may end
    /// anywhere past the last hop.
    ///
    /// # Errors
    ///
    /// [`HistoryError`], which names the type, the hop and the mend.
    pub fn judge(&self) -> Result<Upcasters, HistoryError> {
        let mut types = Types::new();
        for (owner, history) in &self.parts {
            for (event_type, version) in &history.current {
                let (event_type, version) = checked(owner, event_type, *version)?;
                current(&mut types, owner, event_type, version)?;
            }
            for (event_type, version) in &history.first {
                let (event_type, version) = checked(owner, event_type, *version)?;
                let first = &mut types.entry(event_type).or_default().first;
                *first = Some(first.map_or(version, |other| other.min(version)));
            }
            let tells = !history.current.is_empty();
            for hop in &history.hops {
                add(&mut types, owner, tells, &hop.0)?;
            }
        }
        note_arrivals(&mut types);
        for (event_type, known) in &types {
            for (version, (way, owner)) in &known.ways {
                starts_rightly(event_type, *version, known)?;
                for (to, arrival) in &way.to {
                    leads_rightly(&types, (event_type, *version, owner), (to, *arrival))?;
                }
            }
            has_no_gap(event_type, known)?;
        }
        has_no_circle(&types)?;
        let ways = types.into_iter().map(|(event_type, known)| {
            let ways = known.ways.into_iter().map(|(version, (way, _))| (version, way));
            (event_type, known.current.map(|(current, _)| current), ways.collect())
        });
        Ok(Upcasters::judged(ways, self.clone()))
    }
}

fn checked(owner: &'static str, event_type: &str, version: u32) -> Result<(EventType, u32), HistoryError> {
    let named = EventType::new(event_type);
    let event_type =
        named.map_err(|source| HistoryError::Name { owner, event_type: event_type.to_string(), source })?;
    if version == 0 {
        return Err(HistoryError::VersionZero { owner, event_type });
    }
    Ok((event_type, version))
}

fn current(types: &mut Types, owner: &'static str, event_type: EventType, version: u32) -> Result<(), HistoryError> {
    let known = types.entry(event_type.clone()).or_default();
    match known.current {
        Some((other, first)) if other != version => {
            Err(HistoryError::TwoCurrents { event_type, first, version: other, second: owner, other: version })
        }
        _ => {
            known.current = Some((version, owner));
            Ok(())
        }
    }
}

fn add(types: &mut Types, owner: &'static str, tells: bool, kind: &Kind) -> Result<(), HistoryError> {
    let (from, to) = match kind {
        Kind::Declared(hop) => ends_of(owner, hop)?,
        Kind::ByHand(upcaster) => {
            let valid = |(event_type, version): (EventType, u32)| checked(owner, &event_type, version);
            (valid(upcaster.from())?, upcaster.to().into_iter().map(valid).collect::<Result<_, _>>()?)
        }
    };
    let (event_type, version) = from;
    let known = types.entry(event_type.clone()).or_default();
    known.is_told |= tells;
    if let Some((_, first)) = known.ways.get(&version) {
        return Err(HistoryError::TwoWays { event_type, version, first, second: owner });
    }
    known.ways.insert(version, (Way { kind: kind.clone(), to }, owner));
    Ok(())
}

/// Where a hop starts, and what it leads to.
type Ends = ((EventType, u32), Vec<(EventType, u32)>);

/// Where the hop starts and what it leads to, if it can work.
fn ends_of(owner: &'static str, hop: &Hop) -> Result<Ends, HistoryError> {
    let valid = |(event_type, version): &Version| checked(owner, event_type, *version);
    let (event_type, version) = valid(&hop.from)?;
    if let Some(reason) = hop.flaw.clone() {
        return Err(HistoryError::Hop { owner, event_type, version, reason });
    }
    Ok(((event_type, version), hop.to().iter().map(valid).collect::<Result<_, _>>()?))
}

fn note_arrivals(types: &mut Types) {
    let mut arrivals: BTreeMap<EventType, u32> = BTreeMap::new();
    for (event_type, known) in &*types {
        let all = known.ways.values().flat_map(|(way, _)| &way.to);
        for (to, version) in all.filter(|(to, _)| to != event_type) {
            let earliest = arrivals.entry(to.clone()).or_insert(*version);
            *earliest = (*earliest).min(*version);
        }
    }
    for (event_type, version) in arrivals {
        if let Some(known) = types.get_mut(&event_type) {
            known.arrives = Some(version);
        }
    }
}

fn starts_rightly(event_type: &EventType, version: u32, known: &Known) -> Result<(), HistoryError> {
    match known.current {
        Some((current, _)) if version >= current => {
            Err(HistoryError::FromCurrent { event_type: event_type.clone(), version, current })
        }
        _ => Ok(()),
    }
}

fn leads_rightly(
    types: &Types,
    (event_type, version, owner): (&EventType, u32, &&'static str),
    (to, arrival): (&EventType, u32),
) -> Result<(), HistoryError> {
    let event_type = event_type.clone();
    if event_type == *to && arrival <= version {
        return Err(HistoryError::Back { event_type, version, to: arrival });
    }
    let known = types.get(to);
    let goes_on = known.is_some_and(|known| known.ways.contains_key(&arrival));
    let last_start = known.and_then(|known| known.ways.keys().next_back().copied());
    let gap = |current| HistoryError::Gap { event_type: to.clone(), version: arrival, current };
    match known.and_then(|known| known.current) {
        Some((current, _)) if arrival > current => {
            Err(HistoryError::Past { event_type, version, to: to.clone(), past: arrival, current })
        }
        Some((current, _)) if arrival < current && !goes_on => Err(gap(Some(current))),
        Some(_) => Ok(()),
        None if goes_on => Ok(()),
        None if last_start.is_some_and(|start| start > arrival) => Err(gap(None)),
        None if types[&event_type].is_told => Err(HistoryError::Nowhere { owner, event_type, version, to: to.clone() }),
        None => Ok(()),
    }
}

/// Every version leads on that was stored before the current one, or before the last that a hop starts from.
fn has_no_gap(event_type: &EventType, known: &Known) -> Result<(), HistoryError> {
    let starts = &known.ways;
    let earliest = starts.keys().next().copied();
    let first = match (known.arrives, known.current.is_some() || known.is_told) {
        // It began as another type.
        (Some(arrives), _) => earliest.unwrap_or(arrives).min(arrives),
        (None, true) => known.first.unwrap_or(1),
        (None, false) => earliest.unwrap_or(1),
    };
    let current = known.current.map(|(current, _)| current);
    let end = current.or_else(|| starts.keys().next_back().copied()).unwrap_or(1);
    match (first..end).find(|version| !starts.contains_key(version)) {
        Some(version) => Err(HistoryError::Gap { event_type: event_type.clone(), version, current }),
        None => Ok(()),
    }
}

fn has_no_circle(types: &Types) -> Result<(), HistoryError> {
    let mut done = BTreeSet::new();
    for (event_type, known) in types {
        for version in known.ways.keys() {
            follow(types, (event_type, *version), &mut Vec::new(), &mut done)?;
        }
    }
    Ok(())
}

type At<'a> = (&'a EventType, u32);

/// Follows the hops from there on. It goes down a step a hop, of which there are as many as somebody has written.
fn follow<'a>(
    types: &'a Types,
    at: At<'a>,
    path: &mut Vec<At<'a>>,
    done: &mut BTreeSet<At<'a>>,
) -> Result<(), HistoryError> {
    if let Some(begins) = path.iter().position(|before| *before == at) {
        let path = path[begins..].iter().chain([&at]);
        let path = path.map(|(event_type, version)| alloc::format!("{event_type} version {version}"));
        return Err(HistoryError::Cycle { path: path.collect::<Vec<_>>().join(" to ") });
    }
    let Some((way, _)) = types.get(at.0).and_then(|known| known.ways.get(&at.1)) else { return Ok(()) };
    if done.contains(&at) {
        return Ok(());
    }
    path.push(at);
    for (to, version) in &way.to {
        follow(types, (to, *version), path, done)?;
    }
    path.pop();
    done.insert(at);
    Ok(())
}
