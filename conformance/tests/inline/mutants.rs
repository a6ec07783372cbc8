//! Stores that run projections wrongly.

use crate::rows;
use crate::store::{First, Mutant, RIGHT, STAY, define, each_checkpoint, with_checkpoint};
use portolan_kernel::ports::{INLINE_GAP, is_edition_of, runs_at};
use portolan_kernel::values::{CheckpointState, Edition, Move, Token};

pub const MUTANTS: &[Mutant] = &[
    // What is applied.
    Mutant {
        name: "activates what it defines",
        breaks: &[],
        opened: |kept, inline| {
            define(kept, inline);
            kept.active.extend(inline.iter().map(|inline| (inline.collection().name, inline.collection().version)));
        },
        ..RIGHT
    },
    Mutant {
        name: "applies the last event first",
        breaks: &[],
        applied: |wants, events| (RIGHT.applied)(wants, events).into_iter().rev().collect(),
        ..RIGHT
    },
    Mutant { name: "shows an event the rows before the append", breaks: &[], sees_changes: false, ..RIGHT },
    Mutant {
        name: "applies the first event alone",
        breaks: &[],
        applied: |wants, events| (RIGHT.applied)(wants, events).into_iter().take(1).collect(),
        ..RIGHT
    },
    Mutant { name: "applies what is not wanted", breaks: &[], applied: |_, events| events, ..RIGHT },
    Mutant {
        name: "moves the checkpoint for wanted events alone",
        breaks: &[],
        batch: |batch, wanted| if wanted { batch } else { with_checkpoint(batch, STAY) },
        ..RIGHT
    },
    Mutant { name: "moves no checkpoint", breaks: &[], batch: |batch, _| with_checkpoint(batch, STAY), ..RIGHT },
    Mutant {
        name: "claims the checkpoint for itself",
        breaks: &[],
        batch: |batch, _| with_checkpoint(batch, |checkpoint| checkpoint.token.0 += 1),
        ..RIGHT
    },
    // Visible together.
    Mutant { name: "shows rows before their events", breaks: &[], torn: Some(First::Rows), ..RIGHT },
    Mutant { name: "shows events before their rows", breaks: &[], torn: Some(First::Events), ..RIGHT },
    // Refusals.
    Mutant {
        name: "keeps the rows of the editions before a refusal",
        breaks: &[],
        on_refusal: |_, half, _| half.clone(),
        ..RIGHT
    },
    Mutant {
        name: "keeps the events of a refused append",
        breaks: &[],
        log_on_refusal: |model, append, now| drop(model.write(append, now)),
        ..RIGHT
    },
    Mutant {
        name: "keeps the key of a refused append",
        breaks: &[],
        log_on_refusal: |model, append, now| {
            let mut written = model.clone();
            written.write(append, now);
            model.keys = written.keys;
        },
        ..RIGHT
    },
    Mutant { name: "refuses with an append those that wait", breaks: &[], takes_others_along: true, ..RIGHT },
    Mutant { name: "panics with the projection", breaks: &[], catches_panics: false, ..RIGHT },
    Mutant {
        name: "does not judge rows",
        breaks: &[],
        rows: rows::Mutant { limited: false, checked: false, same: |_, _| false, ..rows::RIGHT },
        ..RIGHT
    },
    Mutant {
        name: "judges rows one after another",
        breaks: &[],
        rows: rows::Mutant { judges_each: true, ..rows::RIGHT },
        ..RIGHT
    },
    Mutant { name: "asks the projection first", breaks: &[], asks_first: true, ..RIGHT },
    Mutant { name: "applies what is refused otherwise", breaks: &[], applies_refused: true, ..RIGHT },
    Mutant { name: "applies what is repeated", breaks: &[], applies_repeated: true, ..RIGHT },
    Mutant {
        name: "claims the checkpoint when nothing is appended",
        breaks: &[],
        nothing: |kept| each_checkpoint(kept, |state| state.token.0 += 1),
        ..RIGHT
    },
    // Which editions.
    Mutant { name: "runs an edition wherever it stands", breaks: &[], runs: |_, _| true, ..RIGHT },
    Mutant { name: "closes any gap", breaks: &[], gap: u64::MAX, ..RIGHT },
    Mutant {
        name: "runs no edition that a worker has held",
        breaks: &[],
        runs: |stands, model| (RIGHT.runs)(stands, model) && stands.is_none_or(|stands| stands.token == Token(0)),
        gap: 0,
        ..RIGHT
    },
    Mutant {
        name: "applies half of a gap",
        breaks: &[],
        gap_events: |mut events| events.split_off(events.len() / 2),
        ..RIGHT
    },
    Mutant {
        name: "goes on over a gap",
        breaks: &[],
        gap: 0,
        runs: |stands, model| {
            let gap = |stands: CheckpointState| {
                let behind = model.events.iter().filter(|event| Some(event.position) > stands.position);
                stands.store == model.capabilities.identity && behind.count() as u64 <= INLINE_GAP
            };
            stands.map_or(model.events.is_empty(), gap)
        },
        ..RIGHT
    },
    Mutant { name: "refuses an append over a gap that it cannot close", breaks: &[], gap_refuses: true, ..RIGHT },
    Mutant {
        name: "overlooks whose log the rows are of",
        breaks: &[],
        runs: |stands, model| {
            runs_at(stands, stands.map_or(model.capabilities.identity, |stands| stands.store), model.frontier())
        },
        batch: |batch, _| {
            with_checkpoint(batch, |checkpoint| {
                checkpoint.to = match checkpoint.to {
                    Move::At(to) => Move::Reset(Some(to)),
                    to => to,
                }
            })
        },
        ..RIGHT
    },
    Mutant {
        name: "runs the first edition alone",
        breaks: &[],
        is_edition: |defined, of| defined.name == of.name && defined.version == of.version,
        ..RIGHT
    },
    Mutant {
        name: "runs editions of other versions",
        breaks: &[],
        is_edition: |defined, of| defined.name == of.name && defined.columns == of.columns,
        ..RIGHT
    },
    Mutant {
        name: "runs editions with other columns",
        breaks: &[],
        is_edition: |defined, of| {
            defined.name == of.name && Edition::stored(defined.version).version == Edition::stored(of.version).version
        },
        ..RIGHT
    },
    Mutant {
        name: "runs collections of other names",
        breaks: &[],
        is_edition: |defined, of| {
            let mut named = defined.clone();
            named.name = of.name.clone();
            is_edition_of(&named, of)
        },
        ..RIGHT
    },
    Mutant { name: "remembers which editions there were", breaks: &[], remembers_editions: true, ..RIGHT },
    // Several lives and handles.
    Mutant {
        name: "forgets the rows when it is opened",
        breaks: &[],
        opened: |kept, inline| {
            kept.tables.values_mut().for_each(|(_, rows)| rows.clear());
            define(kept, inline);
        },
        ..RIGHT
    },
    Mutant {
        name: "forgets the checkpoints when it is opened",
        breaks: &[],
        opened: |kept, inline| {
            kept.checkpoints.clear();
            define(kept, inline);
        },
        ..RIGHT
    },
    Mutant { name: "runs on what it ran before", breaks: &[], remembers_running: true, ..RIGHT },
];
