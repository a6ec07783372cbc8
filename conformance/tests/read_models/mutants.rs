//! Stores of read models that are wrong.

use crate::store::{Kept, Mutant, RIGHT, moves, remove};
use core::cmp::Ordering;
use core::ops::Bound;
use portolan_kernel::ports::RowError;
use portolan_kernel::values::{Cell, Change, CheckpointState, Move, RowKey, Token};

/// A checkpoint judged rightly, but for what `bend` makes of it and of where it stands.
macro_rules! bent {
    (|$checkpoint:ident, $stands:ident| $bend:expr) => {
        |checkpoint, stands| {
            let ($checkpoint, $stands) = (&mut checkpoint.clone(), &mut stands.clone());
            $bend;
            moves($checkpoint, *$stands)
        }
    };
}

fn only_last(changes: Vec<Change>, keep: impl Fn(usize, usize) -> bool) -> Vec<Change> {
    let of = |one: &Change, other: &Change| {
        (&one.collection, one.version, &one.key) == (&other.collection, other.version, &other.key)
    };
    let places = |change: &Change| -> Vec<usize> {
        changes.iter().enumerate().filter(|(_, other)| of(change, other)).map(|(at, _)| at).collect()
    };
    let kept = changes.iter().enumerate().filter(|(at, change)| {
        let places = places(change);
        places.iter().position(|place| place == at).is_some_and(|nth| keep(nth, places.len()))
    });
    kept.map(|(_, change)| change.clone()).collect()
}

pub const MUTANTS: &[Mutant] = &[
    // Batches and checkpoints.
    Mutant {
        name: "keeps the first changes of a refused batch",
        breaks: &["RM-01", "RM-03"],
        on_refusal: |_, half| half.clone(),
        ..RIGHT
    },
    Mutant {
        name: "activates in a refused batch",
        breaks: &["RM-01"],
        on_refusal: |before, half| Kept { active: half.active.clone(), ..before.clone() },
        ..RIGHT
    },
    Mutant {
        name: "writes whatever the checkpoint",
        breaks: &["RM-01", "RM-04", "RM-07"],
        moves: |checkpoint, stands| {
            let to = match checkpoint.to {
                Move::Claim => stands.and_then(|stands| stands.position),
                Move::At(to) => Some(to),
                Move::Reset(to) => to,
            };
            Ok(CheckpointState::new(checkpoint.store, to, checkpoint.token))
        },
        removal: |kept, collection, version, checkpoint| {
            if kept.active.get(collection) == Some(&version) {
                return Err(RowError::Invalid("it is active".into()));
            }
            kept.tables.remove(&(collection.clone(), version));
            let stands = kept.checkpoints.get(&checkpoint.name).copied();
            let position = stands.and_then(|stands| stands.position);
            let moved = CheckpointState::new(checkpoint.store, position, checkpoint.token);
            kept.checkpoints.insert(checkpoint.name.clone(), moved);
            Ok(())
        },
        ..RIGHT
    },
    Mutant {
        name: "wants a claim to say where the checkpoint stands",
        breaks: &["RM-01"],
        moves: |checkpoint, stands| {
            let position = stands.and_then(|stands| stands.position);
            if matches!(checkpoint.to, Move::Claim) && checkpoint.from != position {
                let token = stands.map_or(Token(0), |stands| stands.token);
                return Err(RowError::CheckpointMoved { name: checkpoint.name.clone(), actual: position, token });
            }
            moves(checkpoint, stands)
        },
        ..RIGHT
    },
    Mutant {
        name: "overlooks where the checkpoint stands",
        breaks: &["RM-01"],
        moves: bent!(|checkpoint, stands| checkpoint.from = stands.and_then(|stands| stands.position)),
        ..RIGHT
    },
    Mutant {
        name: "overlooks tokens",
        breaks: &["RM-01", "RM-07"],
        moves: bent!(|checkpoint, stands| if let Some(stands) = stands {
            stands.token = stands.token.min(checkpoint.token);
        }),
        ..RIGHT
    },
    Mutant {
        name: "wants a larger token each time",
        breaks: &["RM-01", "RM-02", "RM-03", "RM-04", "RM-07"],
        moves: bent!(|checkpoint, stands| if let Some(stands) = stands
            && !matches!(checkpoint.to, Move::Claim)
        {
            stands.token.0 += 1;
        }),
        ..RIGHT
    },
    Mutant {
        name: "keeps the first token",
        breaks: &["RM-01"],
        moves: |checkpoint, stands| {
            let moved = moves(checkpoint, stands)?;
            let token = stands.map_or(moved.token, |stands| stands.token);
            Ok(CheckpointState::new(moved.store, moved.position, token))
        },
        ..RIGHT
    },
    Mutant {
        name: "moves the checkpoint with a claim",
        breaks: &["RM-01"],
        moves: |checkpoint, stands| {
            let moved = moves(checkpoint, stands)?;
            let position = if matches!(checkpoint.to, Move::Claim) { None } else { moved.position };
            Ok(CheckpointState::new(moved.store, position, moved.token))
        },
        ..RIGHT
    },
    Mutant {
        name: "goes back without a reset",
        breaks: &["RM-01"],
        moves: bent!(|checkpoint, _stands| if let Move::At(to) = checkpoint.to {
            checkpoint.to = Move::Reset(Some(to));
        }),
        ..RIGHT
    },
    Mutant {
        name: "goes forward alone, also in a reset",
        breaks: &["RM-01"],
        moves: |checkpoint, stands| {
            let moved = moves(checkpoint, stands)?;
            let before = stands.and_then(|stands| stands.position);
            Ok(CheckpointState::new(moved.store, moved.position.max(before), moved.token))
        },
        ..RIGHT
    },
    Mutant {
        name: "overlooks the log",
        breaks: &["RM-01"],
        moves: bent!(|checkpoint, stands| if let Some(stands) = stands {
            stands.store = checkpoint.store;
        }),
        ..RIGHT
    },
    Mutant {
        name: "never lets another log take over",
        breaks: &["RM-01"],
        moves: |checkpoint, stands| match stands {
            Some(stands) if stands.store != checkpoint.store => Err(RowError::WrongStore {
                name: checkpoint.name.clone(),
                named: checkpoint.store,
                actual: stands.store,
            }),
            stands => moves(checkpoint, stands),
        },
        ..RIGHT
    },
    Mutant { name: "looks, and then writes", breaks: &["RM-01"], races: true, ..RIGHT },
    // Several changes in a batch.
    Mutant {
        name: "lets the first change of a key count",
        breaks: &["RM-03", "RM-04"],
        changes: |changes| only_last(changes, |nth, _| nth == 0),
        ..RIGHT
    },
    Mutant {
        name: "carries out puts before deletions",
        breaks: &["RM-03"],
        changes: |mut changes| {
            changes.sort_by_key(|change| change.cells.is_none());
            changes
        },
        ..RIGHT
    },
    Mutant { name: "judges each change alone", breaks: &["RM-03"], judges_each: true, ..RIGHT },
    Mutant { name: "has no unique index", breaks: &["RM-01", "RM-03"], same: |_, _| false, ..RIGHT },
    Mutant { name: "takes nothing for the same as nothing", breaks: &["RM-02", "RM-03"], same: |a, b| a == b, ..RIGHT },
    // Versions.
    Mutant {
        name: "takes every definition for the same",
        breaks: &["RM-04", "RM-06"],
        defined_alike: |_, _| true,
        ..RIGHT
    },
    Mutant {
        name: "compares columns alone",
        breaks: &["RM-04"],
        defined_alike: |one, other| one.columns == other.columns,
        ..RIGHT
    },
    Mutant { name: "empties what is defined again", breaks: &["RM-04"], define_empties: true, ..RIGHT },
    Mutant { name: "defines and writes anything", breaks: &["RM-04", "RM-05"], checked: false, ..RIGHT },
    Mutant {
        name: "activates what is newest",
        breaks: &["RM-01", "RM-04"],
        activates: |kept, batch| {
            let newest = |name| kept.tables.keys().filter(|(of, _)| of == name).map(|(_, version)| *version).max();
            let named =
                batch.changes.iter().map(|change| &change.collection).chain(batch.activate.iter().map(|(n, _)| n));
            named.filter_map(|name| Some((name.clone(), newest(name)?))).collect()
        },
        ..RIGHT
    },
    Mutant {
        name: "never goes back to an old version",
        breaks: &["RM-04"],
        activates: |kept, batch| {
            let newer = |(name, version): &&(_, u32)| kept.active.get(name).is_none_or(|active| active <= version);
            batch.activate.iter().filter(newer).cloned().collect()
        },
        ..RIGHT
    },
    Mutant {
        name: "follows the active version with a cursor",
        breaks: &["RM-04"],
        version: |asked, _, active| asked.or(active),
        ..RIGHT
    },
    Mutant {
        name: "reads the active version whatever is asked",
        breaks: &["RM-04", "RM-06"],
        version: |_, cursor, active| cursor.or(active),
        ..RIGHT
    },
    Mutant { name: "remembers what is active", breaks: &["RM-04", "RM-06"], handle_remembers_active: true, ..RIGHT },
    Mutant {
        name: "removes what is active",
        breaks: &["RM-04"],
        removal: |kept, collection, version, checkpoint| {
            let active = kept.active.remove(collection).filter(|active| *active != version);
            let removed = remove(kept, collection, version, checkpoint);
            if let Some(active) = active {
                kept.active.insert(collection.clone(), active);
            }
            removed
        },
        ..RIGHT
    },
    Mutant {
        name: "removes without asking for the token",
        breaks: &["RM-04"],
        removal: |kept, collection, version, checkpoint| {
            let mut checkpoint = checkpoint.clone();
            if let Some(stands) = kept.checkpoints.get(&checkpoint.name) {
                checkpoint.token = checkpoint.token.max(stands.token);
            }
            remove(kept, collection, version, &checkpoint)
        },
        ..RIGHT
    },
    Mutant {
        name: "forgets the checkpoint with its version",
        breaks: &["RM-04", "RM-07"],
        removal: |kept, collection, version, checkpoint| {
            remove(kept, collection, version, checkpoint)?;
            kept.checkpoints.remove(&checkpoint.name);
            Ok(())
        },
        ..RIGHT
    },
    Mutant {
        name: "keeps the rows of what is removed",
        breaks: &["RM-04", "RM-06"],
        removal: |kept, collection, version, checkpoint| {
            let table = kept.tables.get(&(collection.clone(), version)).cloned();
            remove(kept, collection, version, checkpoint)?;
            if let Some(table) = table {
                kept.tables.insert((collection.clone(), version), table);
            }
            Ok(())
        },
        ..RIGHT
    },
    // Limits.
    Mutant { name: "states limits and keeps none", breaks: &["RM-05"], limited: false, ..RIGHT },
    // Finding.
    Mutant {
        name: "folds the case of keys",
        breaks: &["RM-02"],
        key: |key| RowKey::new(key.to_lowercase()).unwrap(),
        ..RIGHT
    },
    Mutant { name: "trims keys", breaks: &["RM-02"], key: |key| RowKey::new(key.trim()).unwrap(), ..RIGHT },
    Mutant {
        name: "gives rows in the order of keys",
        breaks: &["RM-02"],
        got: |mut rows| {
            rows.sort_by(|one, other| one.key.cmp(&other.key));
            rows
        },
        ..RIGHT
    },
    Mutant {
        name: "gives no more than one row by key",
        breaks: &["RM-02", "RM-03"],
        got: |rows| if rows.len() == 1 || rows.is_empty() { rows } else { rows[..1].to_vec() },
        ..RIGHT
    },
    Mutant {
        name: "keeps an empty text as nothing",
        breaks: &["RM-02"],
        cell: |cell| if cell == Cell::Text(String::new()) { Cell::Null } else { cell },
        ..RIGHT
    },
    Mutant {
        name: "keeps whole reals as integers",
        breaks: &["RM-02"],
        cell: |cell| match cell {
            Cell::Real(3.0) => Cell::Integer(3),
            other => other,
        },
        ..RIGHT
    },
    Mutant {
        name: "keeps 53 bits of a number",
        breaks: &["RM-02"],
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "that is what is wrong")]
        cell: |cell| match cell {
            Cell::Integer(number) => Cell::Integer(number as f64 as i64),
            other => other,
        },
        ..RIGHT
    },
    Mutant {
        name: "ends a text at its first zero",
        breaks: &["RM-02"],
        cell: |cell| match cell {
            Cell::Text(text) => Cell::Text(text.split('\0').next().unwrap_or_default().into()),
            other => other,
        },
        ..RIGHT
    },
    Mutant {
        name: "orders numbers as texts",
        breaks: &["RM-02"],
        order: |one, other| match (one, other) {
            (Cell::Integer(one), Cell::Integer(other)) => one.to_string().cmp(&other.to_string()),
            (one, other) => one.cmp(other),
        },
        ..RIGHT
    },
    Mutant {
        name: "orders reals by their bits",
        breaks: &["RM-02"],
        order: |one, other| match (one, other) {
            (Cell::Real(one), Cell::Real(other)) => (one + 0.0).to_bits().cmp(&(other + 0.0).to_bits()),
            (one, other) => one.cmp(other),
        },
        ..RIGHT
    },
    Mutant {
        name: "tells both zeros apart",
        breaks: &["RM-02"],
        order: |one, other| match (one, other) {
            (Cell::Real(one), Cell::Real(other)) => one.total_cmp(other),
            (one, other) => one.cmp(other),
        },
        ..RIGHT
    },
    Mutant {
        name: "orders texts without case",
        breaks: &["RM-02"],
        order: |one, other| match (one, other) {
            (Cell::Text(one), Cell::Text(other)) => one.to_lowercase().cmp(&other.to_lowercase()),
            (one, other) => one.cmp(other),
        },
        ..RIGHT
    },
    Mutant {
        name: "orders texts by UTF-16",
        breaks: &["RM-02"],
        order: |one, other| match (one, other) {
            (Cell::Text(one), Cell::Text(other)) => one.encode_utf16().cmp(other.encode_utf16()),
            (one, other) => one.cmp(other),
        },
        ..RIGHT
    },
    Mutant {
        name: "puts nothing last",
        breaks: &["RM-02"],
        order: |one, other| match (one, other) {
            (Cell::Null, Cell::Null) => Ordering::Equal,
            (Cell::Null, _) => Ordering::Greater,
            (_, Cell::Null) => Ordering::Less,
            (one, other) => one.cmp(other),
        },
        ..RIGHT
    },
    Mutant { name: "orders ties backward", breaks: &["RM-02", "RM-03"], ties_by_key: false, ..RIGHT },
    Mutant {
        name: "never finds nothing",
        breaks: &["RM-02", "RM-03"],
        chosen: |values, equals, range| !equals.contains(&Cell::Null) && (RIGHT.chosen)(values, equals, range),
        ..RIGHT
    },
    Mutant {
        name: "leaves nothing out of ranges",
        breaks: &["RM-02"],
        chosen: |values, equals, range| {
            let bounded = *range != (Bound::Unbounded, Bound::Unbounded);
            !(bounded && values.get(equals.len()) == Some(&Cell::Null)) && (RIGHT.chosen)(values, equals, range)
        },
        ..RIGHT
    },
    Mutant {
        name: "takes every bound for inclusive",
        breaks: &["RM-02"],
        chosen: |values, equals, range| {
            let inclusive = |bound: &Bound<Cell>| match bound {
                Bound::Excluded(cell) => Bound::Included(cell.clone()),
                other => other.clone(),
            };
            (RIGHT.chosen)(values, equals, &(inclusive(&range.0), inclusive(&range.1)))
        },
        ..RIGHT
    },
    Mutant {
        name: "finds texts by their beginning",
        breaks: &["RM-02"],
        chosen: |values, equals, range| match (values, equals) {
            ([Cell::Text(text)], [Cell::Text(asked)]) => text.starts_with(asked),
            _ => (RIGHT.chosen)(values, equals, range),
        },
        ..RIGHT
    },
    Mutant { name: "gives the last row of a page again", breaks: &["RM-02", "RM-04"], after: Ordering::is_ge, ..RIGHT },
    Mutant { name: "ends after the first page", breaks: &["RM-02", "RM-04"], next: |_, _| None, ..RIGHT },
    Mutant { name: "goes on after the end", breaks: &["RM-02"], next: |cursor, _| Some(cursor), ..RIGHT },
    Mutant {
        name: "goes on by values alone",
        breaks: &["RM-02"],
        next: |mut cursor, more| {
            if !cursor.values.is_empty() {
                cursor.key = RowKey::new("\u{10ffff}").unwrap();
            }
            more.then_some(cursor)
        },
        ..RIGHT
    },
    // Durability.
    Mutant {
        name: "forgets all when it is closed",
        breaks: &["RM-06"],
        reopen: |kept| *kept = Kept::default(),
        ..RIGHT
    },
    Mutant {
        name: "forgets what is active when it is closed",
        breaks: &["RM-06"],
        reopen: |kept| kept.active.clear(),
        ..RIGHT
    },
    Mutant {
        name: "forgets tokens when it is closed",
        breaks: &["RM-06"],
        reopen: |kept| kept.checkpoints.values_mut().for_each(|state| state.token = Token(0)),
        ..RIGHT
    },
];
