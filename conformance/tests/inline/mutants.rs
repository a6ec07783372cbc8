//! Stores that run projections wrongly.

use crate::rows;
use crate::store::{First, Mutant, RIGHT, STAY, define, each_checkpoint, with_checkpoint};
use portolan_kernel::ports::{INLINE_GAP, is_edition_of, runs_at};
use portolan_kernel::values::{CheckpointState, Edition, Move, Token};

pub const MUTANTS: &[Mutant] = &[
    // What is applied.
    Mutant {
        name: "activates what it defines",
        breaks: &["editions_come_and_go", "the_first_edition_is_defined"],
        opened: |kept, inline| {
            define(kept, inline);
            kept.active.extend(inline.iter().map(|inline| (inline.collection().name, inline.collection().version)));
        },
        ..RIGHT
    },
    Mutant {
        name: "applies the last event first",
        breaks: &["a_small_gap_is_closed_whole_or_not_at_all", "events_are_applied_in_order"],
        applied: |wants, events| (RIGHT.applied)(wants, events).into_iter().rev().collect(),
        ..RIGHT
    },
    Mutant {
        name: "shows an event the rows before the append",
        breaks: &["a_small_gap_is_closed_whole_or_not_at_all", "events_are_applied_in_order"],
        sees_changes: false,
        ..RIGHT
    },
    Mutant {
        name: "applies the first event alone",
        breaks: &[
            "a_gap_that_cannot_be_closed_harms_no_append",
            "a_panic_is_a_refusal",
            "a_refusal_harms_no_other_append",
            "a_refusal_leaves_nothing",
            "a_small_gap_is_closed_whole_or_not_at_all",
            "each_edition_of_its_version_is_run",
            "events_are_applied_in_order",
            "one_that_refuses_spares_the_others",
            "rows_that_are_refused_refuse_the_append",
            "unique_values_may_be_handed_on",
        ],
        applied: |wants, events| (RIGHT.applied)(wants, events).into_iter().take(1).collect(),
        ..RIGHT
    },
    Mutant {
        name: "applies what is not wanted",
        breaks: &["a_refusal_leaves_nothing", "only_what_is_wanted_is_applied"],
        applied: |_, events| events,
        ..RIGHT
    },
    Mutant {
        name: "moves the checkpoint for wanted events alone",
        breaks: &["a_refusal_leaves_nothing", "only_what_is_wanted_is_applied"],
        batch: |batch, wanted| if wanted { batch } else { with_checkpoint(batch, STAY) },
        ..RIGHT
    },
    Mutant {
        name: "moves no checkpoint",
        breaks: &[
            "one_of_many_claims_wins",
            "a_handle_without_it_leaves_it_behind",
            "a_panic_is_a_refusal",
            "a_refusal_harms_no_other_append",
            "a_refusal_leaves_nothing",
            "a_repetition_is_not_applied",
            "a_small_gap_is_closed_whole_or_not_at_all",
            "an_append_of_nothing_moves_nothing",
            "an_edition_is_handed_over",
            "each_edition_of_its_version_is_run",
            "editions_come_and_go",
            "events_are_applied_in_order",
            "is_there_after_reopening",
            "one_that_refuses_spares_the_others",
            "only_what_is_wanted_is_applied",
            "other_editions_are_left_alone",
            "rows_and_events_are_visible_together",
            "rows_that_are_refused_refuse_the_append",
            "the_first_edition_is_defined",
            "the_rows_of_another_log_are_left_alone",
            "unique_values_may_be_handed_on",
            "what_is_refused_otherwise_is_not_applied",
        ],
        batch: |batch, _| with_checkpoint(batch, STAY),
        ..RIGHT
    },
    Mutant {
        name: "claims the checkpoint for itself",
        breaks: &[
            "a_gap_that_cannot_be_closed_harms_no_append",
            "a_handle_without_it_leaves_it_behind",
            "a_small_gap_is_closed_whole_or_not_at_all",
            "an_edition_elsewhere_is_left_alone",
            "an_edition_is_handed_over",
            "each_edition_of_its_version_is_run",
            "events_are_applied_in_order",
        ],
        batch: |batch, _| with_checkpoint(batch, |checkpoint| checkpoint.token.0 += 1),
        ..RIGHT
    },
    // Visible together.
    Mutant {
        name: "shows rows before their events",
        breaks: &["rows_and_events_are_visible_together"],
        torn: Some(First::Rows),
        ..RIGHT
    },
    Mutant {
        name: "shows events before their rows",
        breaks: &["rows_and_events_are_visible_together"],
        torn: Some(First::Events),
        ..RIGHT
    },
    // Refusals.
    Mutant {
        name: "keeps the rows of the editions before a refusal",
        breaks: &["one_that_refuses_spares_the_others"],
        on_refusal: |_, half, _| half.clone(),
        ..RIGHT
    },
    Mutant {
        name: "keeps the events of a refused append",
        breaks: &[
            "one_of_many_claims_wins",
            "a_panic_is_a_refusal",
            "a_refusal_harms_no_other_append",
            "a_refusal_leaves_nothing",
            "each_edition_of_its_version_is_run",
            "one_that_refuses_spares_the_others",
            "rows_that_are_refused_refuse_the_append",
        ],
        log_on_refusal: |model, append, now| drop(model.write(append, now)),
        ..RIGHT
    },
    Mutant {
        name: "keeps the key of a refused append",
        breaks: &["a_refusal_leaves_nothing"],
        log_on_refusal: |model, append, now| {
            let mut written = model.clone();
            written.write(append, now);
            model.keys = written.keys;
        },
        ..RIGHT
    },
    Mutant {
        name: "refuses those that wait when a projection panics",
        breaks: &["a_refusal_harms_no_other_append"],
        takes_others_along: true,
        ..RIGHT
    },
    Mutant {
        name: "panics with the projection",
        breaks: &["a_panic_is_a_refusal", "a_refusal_harms_no_other_append"],
        catches_panics: false,
        ..RIGHT
    },
    Mutant {
        name: "does not judge rows",
        breaks: &["one_of_many_claims_wins", "rows_that_are_refused_refuse_the_append"],
        rows: rows::Mutant { limited: false, checked: false, same: |_, _| false, ..rows::RIGHT },
        ..RIGHT
    },
    Mutant {
        name: "judges rows one after another",
        breaks: &["unique_values_may_be_handed_on"],
        rows: rows::Mutant { judges_each: true, ..rows::RIGHT },
        ..RIGHT
    },
    Mutant {
        name: "asks the projection first",
        breaks: &["what_is_refused_otherwise_is_not_applied"],
        asks_first: true,
        ..RIGHT
    },
    Mutant {
        name: "applies what is refused otherwise",
        breaks: &["a_repetition_is_not_applied", "what_is_refused_otherwise_is_not_applied"],
        applies_refused: true,
        ..RIGHT
    },
    Mutant {
        name: "applies what is repeated",
        breaks: &["a_repetition_is_not_applied"],
        applies_repeated: true,
        ..RIGHT
    },
    Mutant {
        name: "claims the checkpoint when nothing is appended",
        breaks: &["an_append_of_nothing_moves_nothing"],
        nothing: |kept| each_checkpoint(kept, |state| state.token.0 += 1),
        ..RIGHT
    },
    // Which editions.
    Mutant {
        name: "runs an edition wherever it stands",
        breaks: &[
            "a_gap_that_cannot_be_closed_harms_no_append",
            "a_handle_without_it_leaves_it_behind",
            "a_small_gap_is_closed_whole_or_not_at_all",
            "an_edition_elsewhere_is_left_alone",
            "an_edition_is_handed_over",
            "the_rows_of_another_log_are_left_alone",
        ],
        runs: |_, _| true,
        ..RIGHT
    },
    Mutant {
        name: "closes any gap",
        breaks: &[
            "a_gap_that_cannot_be_closed_harms_no_append",
            "a_handle_without_it_leaves_it_behind",
            "an_edition_elsewhere_is_left_alone",
            "an_edition_is_handed_over",
        ],
        gap: u64::MAX,
        ..RIGHT
    },
    Mutant {
        name: "runs no edition that a worker has held",
        breaks: &[
            "a_handle_without_it_leaves_it_behind",
            "an_edition_is_handed_over",
            "each_edition_of_its_version_is_run",
            "editions_come_and_go",
        ],
        runs: |stands, model| (RIGHT.runs)(stands, model) && stands.is_none_or(|stands| stands.token == Token(0)),
        gap: 0,
        ..RIGHT
    },
    Mutant {
        name: "applies half of a gap",
        breaks: &["a_gap_that_cannot_be_closed_harms_no_append", "a_small_gap_is_closed_whole_or_not_at_all"],
        gap_events: |mut events| events.split_off(events.len() / 2),
        ..RIGHT
    },
    Mutant {
        name: "goes on over a gap",
        breaks: &[
            "a_gap_that_cannot_be_closed_harms_no_append",
            "a_handle_without_it_leaves_it_behind",
            "a_small_gap_is_closed_whole_or_not_at_all",
        ],
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
    Mutant {
        name: "refuses an append over a gap that it cannot close",
        breaks: &["a_gap_that_cannot_be_closed_harms_no_append"],
        gap_refuses: true,
        ..RIGHT
    },
    Mutant {
        name: "overlooks whose log the rows are of",
        breaks: &["the_rows_of_another_log_are_left_alone"],
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
        breaks: &["each_edition_of_its_version_is_run"],
        is_edition: |defined, of| defined.name == of.name && defined.version == of.version,
        ..RIGHT
    },
    Mutant {
        name: "runs editions of other versions",
        breaks: &["other_editions_are_left_alone"],
        is_edition: |defined, of| defined.name == of.name && defined.columns == of.columns,
        ..RIGHT
    },
    Mutant {
        name: "runs editions with other columns",
        breaks: &["other_editions_are_left_alone"],
        is_edition: |defined, of| {
            defined.name == of.name && Edition::stored(defined.version).version == Edition::stored(of.version).version
        },
        ..RIGHT
    },
    Mutant {
        name: "runs collections of other names",
        breaks: &["other_editions_are_left_alone"],
        is_edition: |defined, of| {
            let mut named = defined.clone();
            named.name = of.name.clone();
            is_edition_of(&named, of)
        },
        ..RIGHT
    },
    Mutant {
        name: "remembers which editions there were",
        breaks: &["each_edition_of_its_version_is_run", "editions_come_and_go"],
        remembers_editions: true,
        ..RIGHT
    },
    // Several lives and handles.
    Mutant {
        name: "forgets the rows when it is opened",
        breaks: &["is_there_after_reopening", "one_that_refuses_spares_the_others"],
        opened: |kept, inline| {
            kept.tables.values_mut().for_each(|(_, rows)| rows.clear());
            define(kept, inline);
        },
        ..RIGHT
    },
    Mutant {
        name: "forgets the checkpoints when it is opened",
        breaks: &["is_there_after_reopening", "one_that_refuses_spares_the_others"],
        opened: |kept, inline| {
            kept.checkpoints.clear();
            define(kept, inline);
        },
        ..RIGHT
    },
    Mutant {
        name: "runs on what it ran before",
        breaks: &[
            "a_gap_that_cannot_be_closed_harms_no_append",
            "a_handle_without_it_leaves_it_behind",
            "a_small_gap_is_closed_whole_or_not_at_all",
            "an_edition_elsewhere_is_left_alone",
            "an_edition_is_handed_over",
            "the_rows_of_another_log_are_left_alone",
        ],
        remembers_running: true,
        ..RIGHT
    },
];
