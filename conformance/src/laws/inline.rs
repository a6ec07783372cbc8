//! PR-08: projections that a store runs inside of its appends.

use super::inline_shared::{
    a_handle_without_it_leaves_it_behind, append_to_one_until_killed, append_until_killed, is_there_after_reopening,
    processes_count_together, survives_being_killed,
};
use crate::ask::{Ask, all_of, key, name, nothing};
use crate::inline::{Both, SECOND, TALLY, Tally, checkpoint, count, counted, fold, last_of, tallies, tally};
use crate::law::law;
use crate::rows::{AskRows, OTHER_LOG, named};
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{AppendError, Inline, ReadModelStore, RowError};
use portolan_kernel::values::{
    Append, Batch, Cell, Checkpoint, CheckpointState, Collection, Edition, Expected, Find, Guard, KeyedRow, Move,
    Position, Query, Read, Revision, Token,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

law! {
    Storage, pr_08_inline, "PR-08",
    "An inline projection is applied to the events of each append that it wants, in order, each seeing the rows that \
     those before have left. Rows, checkpoint and events become visible and durable together. The checkpoint goes to the \
     append's last position, also when no event is wanted, and keeps its token. What the projection refuses, a panic, and \
     rows that the read models refuse, fail the append as `AppendError::InlineRefused`: nothing of it is written, and \
     other appends are not harmed. What is refused otherwise, or repeats an earlier append, is not applied. An edition \
     whose checkpoint stands elsewhere is left alone until it stands at the frontier.",
    checks: [
        the_first_edition_is_defined,
        events_are_applied_in_order,
        only_what_is_wanted_is_applied,
        rows_and_events_are_visible_together,
        a_refusal_leaves_nothing,
        a_refusal_harms_no_other_append,
        a_panic_is_a_refusal,
        rows_that_are_refused_refuse_the_append,
        one_of_many_claims_wins,
        unique_values_may_be_handed_on,
        what_is_refused_otherwise_is_not_applied,
        a_repetition_is_not_applied if [Keys],
        an_append_of_nothing_moves_nothing,
        one_that_refuses_spares_the_others,
        an_edition_elsewhere_is_left_alone,
        an_edition_is_handed_over,
        a_small_gap_is_closed_whole_or_not_at_all,
        a_gap_that_cannot_be_closed_harms_no_append,
        the_rows_of_another_log_are_left_alone,
        each_edition_of_its_version_is_run,
        other_editions_are_left_alone,
        editions_come_and_go,
        is_there_after_reopening if [Durability],
        survives_being_killed if [Durability],
        a_handle_without_it_leaves_it_behind if [Durability, SeveralProcesses],
        processes_count_together if [Durability, SeveralProcesses],
    ],
    roles: [append_until_killed, append_to_one_until_killed],
}

const FIRST: Edition = Edition::first(1);
const AGAIN: Edition = Edition { version: 1, rebuild: 1 };

async fn the_first_edition_is_defined(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    let versions = store.rows.has_versions(TALLY.name).await?;
    expect_eq!(versions.defined, [TALLY.collection()], "what a store defines that is given a projection");
    expect_eq!(versions.active, None, "the active version, before a worker has said so");
    store.never_behind(&TALLY, FIRST).await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    let stands = store.never_behind(&TALLY, FIRST).await?;
    expect_eq!(stands.rows.len(), 1, "rows after the first append to an empty log");
    Ok(())
}

async fn events_are_applied_in_order(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    for n in 0..4_u64 {
        let events = [
            counted("tally-a", "added", n),
            counted("tally-a", "added", n * 7),
            counted("tally-a", if n == 2 { "cleared" } else { "claimed" }, format!("mark {n}")),
            counted("tally-a", "added", n * 3),
        ];
        store
            .events
            .wrote(Append::new(events).expect(name("tally-a"), Expected::unchanged_since(last_of(n * 4))))
            .await?;
        let stands = store.never_behind(&TALLY, FIRST).await?;
        let counted = if n < 2 { 3 * (n as i64 + 1) } else { 1 + 3 * (n as i64 - 2) };
        expect_eq!(stands.rows[0].cells[0], Cell::Integer(counted), "what is counted after append {n}");
        expect_eq!(stands.token, Token(0), "the token of a checkpoint that nobody has claimed");
    }
    let by_count = Find::equal(named("tally"), named("count"), vec![Cell::Integer(4)]).version(FIRST.to_stored());
    expect_eq!(store.rows.listed(by_count).await?.len(), 1, "rows found by an index");
    store.events.wrote(count("tally-a", "cleared", 0)).await?;
    expect_eq!(store.never_behind(&TALLY, FIRST).await?.rows, [], "rows after the last was deleted");
    Ok(())
}

async fn only_what_is_wanted_is_applied(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    store.events.wrote(count("other-a", "added", 1)).await?;
    let stands = store.never_behind(&TALLY, FIRST).await?;
    expect_eq!(stands.rows.len(), 1, "rows after an append that is not wanted");
    store.events.wrote(count("tally-a", "added", 1)).await?;
    store.never_behind(&TALLY, FIRST).await?;
    Ok(())
}

async fn rows_and_events_are_visible_together(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_with(tallies()).await?;
    let done = Arc::new(AtomicBool::new(false));
    let appends = trial.rounds(300).max(60);
    let writers = (0..2).map(|writer| {
        let events = store.events.clone();
        tokio::spawn(async move {
            for n in 0..appends {
                events.wrote(count("tally-a", "added", format!("{writer}/{n}"))).await?;
            }
            Ok(())
        })
    });
    let readers = (0..2).map(|_| {
        let (store, done) = (store.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                together(&store).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        })
    });
    let readers: Vec<_> = readers.collect();
    let written = all_of(writers).await;
    done.store(true, Ordering::Relaxed);
    all_of(readers).await?;
    written?;
    store.both_never_behind().await?;
    Ok(())
}

/// Whoever sees an event finds its row, and whoever sees a row finds its events.
async fn together(store: &Both) -> Verdict {
    let row = async || -> Verdict<u64> {
        let rows = store.rows.listed(Find::all(named("tally")).version(FIRST.to_stored())).await?;
        Ok(match rows.first().map(|row| &row.cells[0]) {
            Some(Cell::Integer(count)) => count.cast_unsigned(),
            _ => 0,
        })
    };
    let log = async || -> Verdict<u64> {
        let page = store.events.page(Read::stream(name("tally-a")).backward().limit(1)).await?;
        Ok(page.events.first().map_or(0, |event| event.revision.get() + 1))
    };
    let stands = async || -> Verdict<Option<Position>> {
        Ok(store.rows.stands(&checkpoint(&TALLY, FIRST)).await?.and_then(|state| state.position))
    };
    let (first, then) = (log().await?, row().await?);
    expect!(first <= then, "{first} events that were seen in the row, and not {then}");
    let (first, then) = (row().await?, log().await?);
    expect!(first <= then, "{first} events of a row that was seen in the log, and not {then}");
    let (first, then) = (store.frontier().await?, stands().await?);
    expect!(first <= then, "a checkpoint at or past the frontier {first:?} that was seen, and not {then:?}");
    let (first, then) = (stands().await?, store.frontier().await?);
    expect!(first <= then, "a frontier at or past the checkpoint {first:?} that was seen, and not {then:?}");
    Ok(())
}

/// Two events, of which the projection refuses the second.
fn refused(stream: &str) -> Append {
    Append::new([counted(stream, "added", 5), counted(stream, "refused", "this")])
}

async fn a_refusal_leaves_nothing(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    let before = (store.never_behind(&TALLY, FIRST).await?, store.events.log().await?);
    let mut append = refused("tally-a");
    if trial.has(portolan_kernel::ports::Capability::Keys) {
        append = append.key(key("k", 1));
    }
    for _ in 0..2 {
        let error = store.events.refused(append.clone()).await?;
        expect_is!(
            error,
            AppendError::InlineRefused { projection, reason } if *projection == TALLY.name && reason.contains("this"),
            "an append that the projection refuses"
        );
        let after = (store.never_behind(&TALLY, FIRST).await?, store.events.log().await?);
        expect_eq!(after, before, "rows and events after a refusal");
    }
    if trial.has(portolan_kernel::ports::Capability::Keys) {
        expect_eq!(store.events.recalled("k").await?, None, "the key of an append that was refused");
    }
    let unchanged = Expected::Exact(Revision::FIRST);
    store.events.wrote(count("tally-a", "added", 2).expect(name("tally-a"), unchanged)).await?;
    store.events.wrote(refused("other-a")).await?;
    store.never_behind(&TALLY, FIRST).await?;
    Ok(())
}

async fn a_refusal_harms_no_other_append(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_with(tallies()).await?;
    for round in 0..trial.rounds(20).max(4) {
        // All at once, so that a store that commits several together has good and bad ones in one.
        let appends = (0..24).map(|n| {
            let events = store.events.clone();
            tokio::spawn(async move {
                let stream = format!("tally-{}", n % 5);
                let append = match n % 4 {
                    0 => refused(&stream),
                    1 => Append::new([counted(&stream, "added", n), counted(&stream, "panicked", n)]),
                    _ => Append::new([counted(&stream, "added", n), counted("tally-all", "added", n)]),
                };
                Ok((n, events.try_append(append).await))
            })
        });
        for (n, outcome) in all_of(appends).await? {
            match (n % 4, outcome) {
                (0 | 1, Err(AppendError::InlineRefused { .. })) | (2 | 3, Ok(_)) => {}
                (_, other) => expect!(false, "append {n} to be judged by itself, and not {other:?}"),
            }
        }
        store.both_never_behind().await?;
        expect_eq!(store.events.log().await?.len(), (round + 1) * 24, "events of the appends that were not refused");
    }
    Ok(())
}

async fn a_panic_is_a_refusal(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    let append = Append::new([counted("tally-a", "added", 5), counted("tally-a", "panicked", "this")]);
    let error = store.events.refused(append).await?;
    expect_is!(error, AppendError::InlineRefused { .. }, "an append on which the projection panics");
    expect_eq!(store.never_behind(&TALLY, FIRST).await?.rows, [], "rows after a panic");
    expect_eq!(store.events.log().await?.len(), 0, "events after a panic");
    store.events.wrote(count("tally-a", "added", 1)).await?;
    store.never_behind(&TALLY, FIRST).await?;
    Ok(())
}

async fn rows_that_are_refused_refuse_the_append(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "claimed", "mine")).await?;
    let before = (store.never_behind(&TALLY, FIRST).await?, store.events.log().await?);
    let large = usize::try_from(store.rows.limits().index_bytes).unwrap_or(usize::MAX).saturating_add(1);
    let bad = [
        ("the unique value of another row", vec![counted("tally-b", "claimed", "mine")]),
        (
            "one unique value in two rows of one append",
            vec![counted("tally-b", "claimed", "ours"), counted("tally-c", "claimed", "ours")],
        ),
        ("a value that is too large for its index", vec![counted("tally-b", "claimed", "x".repeat(large))]),
    ];
    for (what, events) in bad {
        let events = [vec![counted("tally-d", "added", 1)], events].concat();
        let error = store.events.refused(Append::new(events)).await?;
        expect_is!(error, AppendError::InlineRefused { projection, .. } if *projection == TALLY.name, "{what}");
        let after = (store.never_behind(&TALLY, FIRST).await?, store.events.log().await?);
        expect_eq!(after, before, "rows and events after {what}");
    }
    Ok(())
}

/// At once, and behind others, so that a store that commits several together has many claims in one.
async fn one_of_many_claims_wins(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    for round in 0..trial.rounds(30).max(3) {
        let appends = (0..12).map(|n| {
            let (events, claims) = (store.events.clone(), n >= 4);
            let event_type = if claims { "claimed" } else { "added" };
            let append = count(&format!("tally-{n}"), event_type, format!("round {round}"));
            tokio::spawn(async move { Ok((claims, events.try_append(append).await)) })
        });
        let mut won = 0;
        for (claims, outcome) in all_of(appends).await? {
            match outcome {
                Ok(_) => won += usize::from(claims),
                Err(AppendError::InlineRefused { .. }) if claims => {}
                other => expect!(false, "an append that is taken or loses a claim, and not {other:?}"),
            }
        }
        expect_eq!(won, 1, "appends that claim one unique value");
        store.never_behind(&TALLY, FIRST).await?;
    }
    Ok(())
}

async fn unique_values_may_be_handed_on(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    let events = [counted("tally-a", "claimed", "one"), counted("tally-b", "claimed", "two")];
    store.events.wrote(Append::new(events)).await?;
    // An append is judged by what all of it has left.
    let swap = [counted("tally-a", "claimed", "two"), counted("tally-b", "claimed", "one")];
    store.events.wrote(Append::new(swap)).await?;
    let mut appends = Vec::new();
    for n in 0..6 {
        let (from, to) = if n % 2 == 0 { ("tally-a", "tally-c") } else { ("tally-c", "tally-a") };
        appends.push(Append::new([counted(from, "cleared", n), counted(to, "claimed", "two")]));
    }
    for append in appends {
        store.events.wrote(append).await?;
        store.never_behind(&TALLY, FIRST).await?;
    }
    Ok(())
}

async fn what_is_refused_otherwise_is_not_applied(trial: &Trial<Storage>) -> Verdict {
    use portolan_kernel::ports::Capability::{Checkpoints, Guard as Guards};
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    let before = store.never_behind(&TALLY, FIRST).await?;
    let mut bad = vec![count("tally-a", "added", 2).expect(name("tally-a"), Expected::NoStream)];
    if trial.has(Guards) {
        bad.push(count("tally-a", "added", 2).guard(Guard::new(Query::stream(name("tally-a")), None)));
    }
    if trial.has(Checkpoints) {
        let state = CheckpointState::new(store.events.capabilities().identity, store.frontier().await?, Token(0));
        let moved = Checkpoint::new(named("c"), state, Token(1), Move::Claim);
        bad.push(count("tally-a", "added", 2).checkpoint(moved));
    }
    for append in bad {
        // The projection is judged last: what else is wrong is said first.
        let mut with_refusal = append.clone();
        with_refusal.events = refused("tally-a").events;
        for append in [append, with_refusal] {
            let error = store.events.refused(append).await?;
            let inline = matches!(error, AppendError::InlineRefused { .. });
            expect!(!inline, "the other reason of a refusal, and not {error:?}");
            expect_eq!(store.never_behind(&TALLY, FIRST).await?, before, "rows after {error}");
        }
    }
    Ok(())
}

async fn a_repetition_is_not_applied(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    let append = count("tally-a", "added", 1).key(key("k", 1));
    let done = store.events.wrote(append.clone()).await?;
    let after = store.never_behind(&TALLY, FIRST).await?;
    for _ in 0..2 {
        expect_eq!(store.events.wrote(append.clone()).await?, done.clone().as_repeated(), "a repeated append");
        expect_eq!(store.never_behind(&TALLY, FIRST).await?, after, "rows after a repeated append");
    }
    store.events.wrote(count("tally-b", "added", 1)).await?;
    let error = store.events.refused(count("tally-a", "added", 1).key(key("k", 2))).await?;
    expect_is!(error, AppendError::KeyReused { .. }, "a key with another digest");
    // What would now be refused is still told as it was.
    expect_eq!(store.events.wrote(append).await?, done.as_repeated(), "a repeated append, later");
    store.never_behind(&TALLY, FIRST).await?;
    Ok(())
}

async fn an_append_of_nothing_moves_nothing(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(nothing().expect(name("tally-a"), Expected::NoStream)).await?;
    store.never_behind(&TALLY, FIRST).await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    let before = store.never_behind(&TALLY, FIRST).await?;
    store.events.wrote(nothing()).await?;
    expect_eq!(store.never_behind(&TALLY, FIRST).await?, before, "rows after an append without events");
    Ok(())
}

async fn one_that_refuses_spares_the_others(trial: &Trial<Storage>) -> Verdict {
    for order in 0..2 {
        let mut inline: Vec<Arc<dyn Inline>> = vec![Arc::new(TALLY), Arc::new(SECOND)];
        inline.rotate_left(order);
        let store = trial.open_with(inline).await?;
        let stream = format!("tally-{order}");
        store.events.wrote(count(&stream, "added", 1)).await?;
        let error = store.events.refused(refused(&stream)).await?;
        expect_is!(error, AppendError::InlineRefused { projection, .. } if *projection == TALLY.name, "who refuses");
        store.events.wrote(count(&stream, "added", 3)).await?;
        for of in [&TALLY, &SECOND] {
            let stands = store.never_behind(of, FIRST).await?;
            expect!(!stands.rows.is_empty(), "rows of {}", of.name);
        }
    }
    Ok(())
}

async fn an_edition_elsewhere_is_left_alone(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    let first = store.frontier().await?;
    store.far_away(0).await?;
    for elsewhere in [first, None] {
        store.put_at(&TALLY, FIRST, elsewhere, 3).await?;
        let before = store.folded(&TALLY, FIRST).await?;
        for n in 0..3 {
            store.events.wrote(count("tally-a", "added", n)).await?;
            // What it would refuse passes: nobody has asked it yet.
            store.events.wrote(count("tally-a", "happened", n)).await?;
            expect_eq!(store.folded(&TALLY, FIRST).await?, before, "an edition far behind, after an append");
        }
    }
    Ok(())
}

async fn an_edition_is_handed_over(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    store.far_away(0).await?;
    store.put_at(&TALLY, FIRST, None, 7).await?;
    store.events.wrote(count("tally-b", "added", 2)).await?;
    expect_eq!(store.folded(&TALLY, FIRST).await?.position, None, "the checkpoint before it is handed over");
    store.put_at(&TALLY, FIRST, store.frontier().await?, 7).await?;
    for n in 0..3 {
        store.events.wrote(count("tally-a", "added", n)).await?;
        let stands = store.never_behind(&TALLY, FIRST).await?;
        expect_eq!(stands.token, Token(7), "the token of the worker that has handed it over");
    }
    // The worker still holds it: it may take it back.
    store.put_at(&TALLY, FIRST, None, 7).await?;
    store.events.wrote(count("tally-a", "added", 9)).await?;
    expect_eq!(store.folded(&TALLY, FIRST).await?.position, None, "an edition that was taken back");
    Ok(())
}

async fn a_small_gap_is_closed_whole_or_not_at_all(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    let mut behind = None;
    for n in 0..12 {
        store.events.wrote(count(&format!("tally-{}", n % 3), "added", n)).await?;
        if n == 5 {
            behind = store.frontier().await?;
        }
    }
    store.put_at(&TALLY, FIRST, behind, 2).await?;
    for n in 0..4 {
        store.events.wrote(count("tally-0", "added", n)).await?;
        let stands = store.folded(&TALLY, FIRST).await?;
        let frontier = store.frontier().await?;
        expect!(
            stands.position == frontier || stands.position == behind,
            "a checkpoint where the worker left it or at the frontier, and not at {:?}",
            stands.position
        );
        expect_eq!(stands.token, Token(2), "the token of an edition that was behind");
    }
    Ok(())
}

/// The events of a gap were appended while the projection was not asked, and one of them it refuses.
async fn a_gap_that_cannot_be_closed_harms_no_append(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    let first = store.frontier().await?;
    store.far_away(0).await?;
    store.put_at(&TALLY, FIRST, first, 2).await?;
    store.events.wrote(count("tally-a", "added", 2)).await?;
    let before = store.frontier().await?;
    store.events.wrote(refused("tally-a")).await?;
    // Now it is only two events behind, and cannot be caught up.
    let log = store.events.log().await?;
    let rows = fold(&TALLY, &log, before)?;
    let identity = store.events.capabilities().identity;
    let moved = Checkpoint::new(
        named(&checkpoint(&TALLY, FIRST)),
        CheckpointState::new(identity, first, Token(2)),
        Token(2),
        Move::At(before.unwrap_or(Position::MAX)),
    );
    let put = |batch: Batch, row: KeyedRow| batch.put(named("tally"), FIRST.to_stored(), row);
    store.rows.commits(rows.iter().cloned().fold(Batch::new(moved), put)).await?;
    for n in 0..3 {
        store.events.wrote(count("tally-a", "added", n)).await?;
        let stands = store.edition(&TALLY, FIRST).await?;
        expect_eq!(stands.position, before, "the checkpoint of an edition whose next event is refused");
        expect_eq!(stands.rows, rows, "its rows");
    }
    Ok(())
}

async fn the_rows_of_another_log_are_left_alone(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    let stands = store.never_behind(&TALLY, FIRST).await?;
    let state = CheckpointState::new(OTHER_LOG, stands.position, stands.token);
    let taken = Checkpoint::new(named(&checkpoint(&TALLY, FIRST)), state, Token(1), Move::Reset(stands.position));
    store.rows.commits(Batch::new(taken)).await?;
    for n in 0..2 {
        store.events.wrote(count("tally-a", "added", n)).await?;
        let after = store.edition(&TALLY, FIRST).await?;
        expect_eq!((after.position, after.rows), (stands.position, stands.rows.clone()), "rows of another log");
    }
    Ok(())
}

/// The collection of an edition of the projection.
fn rows_of(edition: Edition) -> Collection {
    let mut collection = TALLY.collection();
    collection.version = edition.to_stored();
    collection
}

async fn each_edition_of_its_version_is_run(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    store.rows.defines(rows_of(AGAIN)).await?;
    store.put_at(&TALLY, AGAIN, store.frontier().await?, 4).await?;
    for n in 0..3 {
        store.events.wrote(count("tally-a", "added", n)).await?;
        store.never_behind(&TALLY, FIRST).await?;
        let stands = store.never_behind(&TALLY, AGAIN).await?;
        expect_eq!(stands.token, Token(4), "the token of the second edition");
    }
    let before = (store.never_behind(&TALLY, FIRST).await?, store.never_behind(&TALLY, AGAIN).await?);
    store.events.refused(refused("tally-a")).await?;
    let after = (store.never_behind(&TALLY, FIRST).await?, store.never_behind(&TALLY, AGAIN).await?);
    expect_eq!(after, before, "both editions after a refusal");
    Ok(())
}

async fn other_editions_are_left_alone(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    // The next version of the code, and a rebuild with other columns.
    let (next, other) = (Edition::first(2), AGAIN);
    store.rows.defines(rows_of(next)).await?;
    let columns = Collection::new(named("tally"), other.to_stored());
    store.rows.defines(columns.column(named("else"), portolan_kernel::values::ColumnType::Bool)).await?;
    let neighbour = Tally { name: "tally of others", strict: true };
    store.rows.defines(neighbour.collection()).await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    store.put_at(&neighbour, FIRST, store.frontier().await?, 1).await?;
    let before = store.frontier().await?;
    for n in 0..2 {
        store.events.wrote(count("tally-a", "added", n)).await?;
        store.never_behind(&TALLY, FIRST).await?;
        for edition in [next, other] {
            let stands = store.edition(&TALLY, edition).await?;
            expect_eq!(
                (stands.position, stands.rows),
                (None, vec![]),
                "edition {edition}, which is not the projection's"
            );
        }
        let stands = store.folded(&neighbour, FIRST).await?;
        expect_eq!(stands.position, before, "a projection that the store was not given");
    }
    Ok(())
}

async fn editions_come_and_go(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_tally().await?;
    store.events.wrote(count("tally-a", "added", 1)).await?;
    let state = CheckpointState::new(store.events.capabilities().identity, store.frontier().await?, Token(0));
    let claim = Checkpoint::new(named(&checkpoint(&TALLY, FIRST)), state, Token(1), Move::Claim);
    store.rows.answered(store.rows.remove(named("tally"), FIRST.to_stored(), claim)).await?;
    store.events.wrote(count("tally-a", "added", 2)).await?;
    let gone = store.rows.find(Find::all(named("tally")).version(FIRST.to_stored())).await;
    expect_is!(gone, Err(RowError::UnknownCollection { .. }), "an edition that was removed");
    // What nobody refuses any more is written.
    store.events.wrote(count("tally-a", "happened", 2)).await?;
    store.rows.defines(TALLY.collection()).await?;
    store.put_at(&TALLY, FIRST, store.frontier().await?, 2).await?;
    store.events.wrote(count("tally-a", "added", 3)).await?;
    store.never_behind(&TALLY, FIRST).await?;
    drop(store);
    let both = trial.open_with(tally()).await;
    expect!(both.is_ok(), "a store that opens again where its first edition is defined");
    Ok(())
}
