//! RM-01 and RM-03 to RM-05: batches, checkpoints, versions and limits of read models.

use crate::law::law;
use crate::rows::{AskRows, LOG, OTHER_LOG, account, accounts, at, cells, key, named, numbered};
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{ReadModelStore, RowError};
use portolan_kernel::values::{
    Batch, Cell, Checkpoint, CheckpointState, Collection, ColumnType, Find, Index, KeyedRow, Move, Token,
};

law! {
    dyn ReadModelStore, rm_01_batches, "RM-01",
    "Row changes, activation and checkpoint of a batch commit together or not at all. The checkpoint moves by \
     compare-and-set under a fencing token, as ES-13 says, but for the frontier, which this store does not know, and for a \
     claim, which moves nothing and is judged by its token alone. A checkpoint belongs to the log that first moved it: another is `RowError::WrongStore`, until a `Reset` takes it over.",
    checks: [
        rows_and_checkpoint_move_together, a_refused_batch_leaves_nothing, checkpoints_compare_and_set,
        tokens_fence, a_checkpoint_keeps_to_its_log, one_of_many_racers_wins,
    ],
}

law! {
    dyn ReadModelStore, rm_03_final_state, "RM-03",
    "A batch is judged by its final state, unique indexes included: of several changes of one key the last counts, and \
     two rows may exchange their values.",
    checks: [the_last_change_counts, unique_values_may_be_exchanged, unique_is_unique, nothing_is_never_the_same],
}

law! {
    dyn ReadModelStore, rm_04_versions, "RM-04",
    "Versions are defined, activated and removed. Defining the same again changes nothing; defining it otherwise is \
     `RowError::DefinedOtherwise`. Activation is one atomic switch for all handles and processes. A cursor stays on its version, \
     or fails as `RowError::Gone` once that is removed.",
    checks: [
        definitions, versions_are_apart, activation_switches_readers, a_cursor_stays_on_its_version,
        removal, wrong_definitions_are_refused,
    ],
}

law! {
    dyn ReadModelStore, rm_05_limits, "RM-05",
    "Limits are stated and kept: what is larger is `RowError::TooLarge`, and nothing of it is written.",
    checks: [limits_are_kept, pages_are_bounded, what_does_not_fit_is_invalid],
}

law! {
    dyn ReadModelStore, rm_07_tokens, "RM-07",
    "A token once seen under a checkpoint's name is never forgotten, also when versions are removed.",
    checks: [tokens_outlive_versions],
}

async fn rows_and_checkpoint_move_together(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    expect_eq!(store.stands("p").await?, None, "a checkpoint that nobody has moved");
    store.moved("p", 5, |batch| batch.put(named("accounts"), 1, account("ann", "Ann", 5))).await?;
    let state = CheckpointState::new(LOG, Some(at(5)), Token(1));
    expect_eq!(store.stands("p").await?, Some(state), "the checkpoint after a batch");
    expect_eq!(store.got(&["ann"]).await?, [account("ann", "Ann", 5)], "the row after a batch");
    store.moved("p", 5, |batch| batch).await?;
    store.moved("p", 9, |batch| batch.delete(named("accounts"), 1, key("ann"))).await?;
    expect_eq!(store.got(&["ann"]).await?, [], "a deleted row");
    expect_eq!(store.stands("p").await?.and_then(|state| state.position), Some(at(9)), "the checkpoint after all");
    // A missing row is deleted like any other.
    store.moved("p", 10, |batch| batch.delete(named("accounts"), 1, key("nobody"))).await
}

async fn a_refused_batch_leaves_nothing(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    store.moved("p", 5, |batch| batch.put(named("accounts"), 1, account("ann", "Ann", 5))).await?;
    store.defines(Collection::new(named("other"), 1)).await?;
    let stands = store.stands("p").await?;
    let good = |to| {
        let state = CheckpointState::new(LOG, Some(at(5)), Token(1));
        let checkpoint = Checkpoint::new(named("p"), state, Token(1), Move::At(at(to)));
        Batch::new(checkpoint)
            .put(named("accounts"), 1, account("bob", "Bob", 1))
            .delete(named("accounts"), 1, key("ann"))
            .activate(named("other"), 1)
    };
    let missing = store.refused(good(6).put(named("accounts"), 7, account("x", "X", 1))).await?;
    expect_is!(missing, RowError::UnknownCollection { version: Some(7), .. }, "a change of a missing version");
    let missing = store.refused(good(6).activate(named("accounts"), 7)).await?;
    expect_is!(missing, RowError::UnknownCollection { version: Some(7), .. }, "activation of a missing version");
    let twice = store.refused(good(6).put(named("accounts"), 1, account("bob-2", "Bob", 1))).await?;
    expect_is!(twice, RowError::NotUnique { .. }, "two rows with one unique value");
    let back = store.refused(good(4)).await?;
    expect_is!(back, RowError::Invalid(_), "a checkpoint that goes back");
    expect_eq!(store.got(&["ann", "bob"]).await?, [account("ann", "Ann", 5)], "rows after four refusals");
    expect_eq!(store.stands("p").await?, stands, "the checkpoint after four refusals");
    let versions = store.has_versions("other").await?;
    expect_eq!(versions.active, None, "the active version after four refusals");
    Ok(())
}

async fn checkpoints_compare_and_set(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let step = |from: Option<u64>, to| {
        let state = CheckpointState::new(LOG, from.map(at), Token(0));
        Batch::new(Checkpoint::new(named("p"), state, Token(3), to))
    };
    let moved = |error: &RowError, actual: Option<u64>| {
        let (position, largest) = (actual.map(at), actual.map_or(0, |_| 3));
        matches!(error, RowError::CheckpointMoved { name, actual, token }
            if *name == "p" && *actual == position && token.0 == largest)
    };
    let error = store.refused(step(Some(1), Move::At(at(2)))).await?;
    expect!(moved(&error, None), "a checkpoint at nothing, not at 1: {error:?}");
    store.commits(step(None, Move::At(at(7)))).await?;
    for from in [None, Some(6), Some(8)] {
        for to in [Move::At(at(9)), Move::Reset(None)] {
            let error = store.refused(step(from, to)).await?;
            expect!(moved(&error, Some(7)), "a checkpoint at 7, not at {from:?}: {error:?}");
        }
        store.commits(step(from, Move::Claim)).await?;
    }
    store.commits(step(Some(7), Move::Claim)).await?;
    expect_eq!(store.stands("p").await?.and_then(|state| state.position), Some(at(7)), "a claim moves nothing");
    store.commits(step(Some(7), Move::Reset(Some(at(2))))).await?;
    store.commits(step(Some(2), Move::Reset(None))).await?;
    expect_eq!(store.stands("p").await?.map(|state| state.position), Some(None), "reset to the beginning");
    expect_eq!(store.stands("q").await?, None, "another checkpoint");
    Ok(())
}

async fn tokens_fence(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let step = |from: Option<u64>, token, to| {
        let state = CheckpointState::new(LOG, from.map(at), Token(0));
        Batch::new(Checkpoint::new(named("p"), state, Token(token), to))
    };
    store.commits(step(None, 5, Move::Claim)).await?;
    expect_eq!(store.stands("p").await?.map(|state| state.token), Some(Token(5)), "the token after a claim");
    for to in [Move::At(at(1)), Move::Claim, Move::Reset(None)] {
        let error = store.refused(step(None, 4, to)).await?;
        expect_is!(error, RowError::CheckpointMoved { token: Token(5), .. }, "{to:?} under a smaller token");
    }
    store.commits(step(None, 5, Move::At(at(1)))).await?;
    store.commits(step(Some(1), 9, Move::At(at(2)))).await?;
    let error = store.refused(step(Some(2), 5, Move::At(at(3)))).await?;
    expect_is!(error, RowError::CheckpointMoved { token: Token(9), .. }, "a former holder that wakes up late");
    Ok(())
}

async fn a_checkpoint_keeps_to_its_log(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    store.moved("p", 5, |batch| batch).await?;
    let step = |to| {
        let state = CheckpointState::new(OTHER_LOG, Some(at(5)), Token(1));
        Batch::new(Checkpoint::new(named("p"), state, Token(1), to))
    };
    for to in [Move::At(at(6)), Move::Claim] {
        let error = store.refused(step(to).put(named("accounts"), 1, account("ann", "Ann", 5))).await?;
        expect_is!(
            error,
            RowError::WrongStore { named: OTHER_LOG, actual: LOG, .. },
            "{to:?} of a checkpoint by another log"
        );
    }
    expect_eq!(store.got(&["ann"]).await?, [], "rows made of another log");
    store.commits(step(Move::Reset(None))).await?;
    let state = CheckpointState::new(OTHER_LOG, None, Token(1));
    expect_eq!(store.stands("p").await?, Some(state), "a checkpoint that another log has taken over");
    Ok(())
}

async fn one_of_many_racers_wins(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    for round in 0..trial.rounds(20) as u64 {
        let state = store.stands("p").await?.unwrap_or(CheckpointState::new(LOG, None, Token(0)));
        let racers = (0..8_i64).map(|racer| {
            let (store, state) = (store.clone(), state);
            tokio::spawn(async move {
                let checkpoint = Checkpoint::new(named("p"), state, Token(1), Move::At(at(round + 1)));
                let row = account("ann", "Ann", racer);
                let batch = Batch::new(checkpoint).put(named("accounts"), 1, row);
                store.try_commit(batch).await.map(|()| racer)
            })
        });
        let mut won = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            match racer.await {
                Ok(Ok(racer)) => won.push(racer),
                Ok(Err(RowError::CheckpointMoved { .. })) => {}
                other => expect!(false, "a racer that wins or finds the checkpoint moved, and not {other:?}"),
            }
        }
        expect_eq!(won.len(), 1, "winners of eight with one checkpoint");
        expect_eq!(store.got(&["ann"]).await?, [account("ann", "Ann", won[0])], "the row of the winner");
    }
    Ok(())
}

async fn the_last_change_counts(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let accounts = || named("accounts");
    store
        .moved("p", 1, |batch| {
            batch
                .put(accounts(), 1, account("a", "Ann", 1))
                .put(accounts(), 1, account("b", "Bob", 1))
                .delete(accounts(), 1, key("a"))
                .put(accounts(), 1, account("b", "Bob", 2))
                .delete(accounts(), 1, key("c"))
                .put(accounts(), 1, account("c", "Cid", 3))
        })
        .await?;
    let expected = [account("b", "Bob", 2), account("c", "Cid", 3)];
    expect_eq!(store.got(&["a", "b", "c"]).await?, expected, "rows by key after several changes of each");
    expect_eq!(store.listed(Find::all(accounts())).await?, expected, "rows listed after several changes of each");
    let of_ann = Find::equal(accounts(), named("owner"), vec![Cell::Text("Ann".into())]);
    expect_eq!(store.listed(of_ann).await?, [], "what an index finds of a row that came and went in one batch");
    Ok(())
}

async fn unique_values_may_be_exchanged(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let accounts = || named("accounts");
    // The unique e-mail address follows the owner.
    store
        .moved("p", 1, |batch| {
            batch.put(accounts(), 1, account("a", "Ann", 1)).put(accounts(), 1, account("b", "Bob", 2))
        })
        .await?;
    store
        .moved("p", 2, |batch| {
            batch.put(accounts(), 1, account("a", "Bob", 1)).put(accounts(), 1, account("b", "Ann", 2))
        })
        .await?;
    // A value given up in one row may be taken by another, in either order.
    store
        .moved("p", 3, |batch| batch.put(accounts(), 1, account("c", "Ann", 3)).delete(accounts(), 1, key("b")))
        .await?;
    let expected = [account("a", "Bob", 1), account("c", "Ann", 3)];
    expect_eq!(store.listed(Find::all(accounts())).await?, expected, "rows whose unique values changed hands");
    for (owner, row) in [("Bob", &expected[0]), ("Ann", &expected[1])] {
        let found = store.listed(Find::equal(accounts(), named("email"), vec![email(owner)])).await?;
        expect_eq!(found, std::slice::from_ref(row), "the row with the e-mail address of {owner}");
    }
    Ok(())
}

fn email(owner: &str) -> Cell {
    cells(owner, 0)[6].clone()
}

async fn unique_is_unique(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    store.moved("p", 1, |batch| batch.put(named("accounts"), 1, account("a", "Ann", 1))).await?;
    let mut state = CheckpointState::new(LOG, Some(at(1)), Token(1));
    let next = |state| Batch::new(Checkpoint::new(named("p"), state, Token(1), Move::At(at(2))));
    let error = store.refused(next(state).put(named("accounts"), 1, account("b", "Ann", 2))).await?;
    expect_is!(
        error,
        RowError::NotUnique { collection, index, one, other }
            if *collection == "accounts" && *index == "email"
                && [one.as_str(), other.as_str()].iter().all(|key| ["a", "b"].contains(key)) && one != other,
        "a second row with a unique value"
    );
    // The same row again is no second one; in another version neither.
    store.commits(next(state).put(named("accounts"), 1, account("a", "Ann", 3))).await?;
    state.position = Some(at(2));
    store.defines(crate::rows::collection(2)).await?;
    let checkpoint = Checkpoint::new(named("p"), state, Token(1), Move::At(at(3)));
    store.commits(Batch::new(checkpoint).put(named("accounts"), 2, account("b", "Ann", 2))).await
}

async fn nothing_is_never_the_same(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let row = |of: &str| {
        let mut row = account(of, of, 1);
        row.cells[6] = Cell::Null;
        row
    };
    store.moved("p", 1, |batch| batch.put(named("accounts"), 1, row("a")).put(named("accounts"), 1, row("b"))).await?;
    store.moved("p", 2, |batch| batch.put(named("accounts"), 1, row("c"))).await?;
    let found = store.listed(Find::equal(named("accounts"), named("email"), vec![Cell::Null])).await?;
    expect_eq!(found, [row("a"), row("b"), row("c")], "rows with nothing in a unique index");
    Ok(())
}

async fn definitions(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = trial.open().await?;
    expect_eq!(store.has_versions("accounts").await?.defined, [], "versions of a missing collection");
    let error = store.get(named("accounts"), None, vec![key("a")]).await;
    expect_is!(error, Err(RowError::UnknownCollection { version: None, .. }), "a row of a missing collection");
    let first = crate::rows::collection(1);
    store.defines(first.clone()).await?;
    let error = store.find(Find::all(named("accounts"))).await;
    expect_is!(error, Err(RowError::UnknownCollection { version: None, .. }), "rows before any version is active");
    store.moved("p", 1, |batch| batch.put(named("accounts"), 1, account("a", "Ann", 1))).await?;
    store.defines(first.clone()).await?;
    let row = store.answered(store.get(named("accounts"), Some(1), vec![key("a")])).await?;
    expect_eq!(row.rows, [account("a", "Ann", 1)], "a row after its version was defined again");
    for otherwise in [
        first.clone().column(named("more columns"), ColumnType::Text),
        first.clone().index(Index::new(named("balance"), [named("balance")])),
        Collection::new(named("accounts"), 1),
    ] {
        let error = store.define(otherwise).await;
        expect_is!(error, Err(RowError::DefinedOtherwise { version: 1, .. }), "another definition of a version");
    }
    expect_eq!(store.has_versions("accounts").await?.defined, [first], "the versions after all");
    Ok(())
}

async fn versions_are_apart(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let second = Collection::new(named("accounts"), 2).column(named("owner"), ColumnType::Text);
    store.defines(second.clone()).await?;
    let small = KeyedRow::new(key("a"), vec![Cell::Text("Ann".into())]);
    store.moved("p", 1, |batch| batch.put(named("accounts"), 1, account("a", "Ann", 1))).await?;
    store.moved("p-2", 1, |batch| batch.put(named("accounts"), 2, small.clone())).await?;
    for (version, row) in [(None, account("a", "Ann", 1)), (Some(1), account("a", "Ann", 1)), (Some(2), small)] {
        let got = store.answered(store.get(named("accounts"), version, vec![key("a")])).await?;
        expect_eq!((got.version, got.rows), (version.unwrap_or(1), vec![row]), "a row of version {version:?}");
    }
    let versions = store.has_versions("accounts").await?;
    expect_eq!(versions.defined, [crate::rows::collection(1), second], "two versions side by side");
    expect_eq!(versions.active, Some(1), "the active one");
    Ok(())
}

async fn activation_switches_readers(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    store.defines(crate::rows::collection(2)).await?;
    store.moved("p", 1, |batch| batch.put(named("accounts"), 1, account("a", "Ann", 1))).await?;
    store.moved("p-2", 1, |batch| batch.put(named("accounts"), 2, account("a", "Ann", 2))).await?;
    let reader = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while !seen.ends_with(&[2; 3]) {
                let set = store.answered(store.find(Find::all(named("accounts")))).await?;
                let of_version = account("a", "Ann", i64::from(set.version));
                expect_eq!(set.rows, [of_version], "rows of the version that the answer names");
                seen.push(set.version);
            }
            expect!(seen.is_sorted(), "one switch, and no way back: {seen:?}");
            Ok(())
        })
    };
    let row = account("b", "Bob", 2);
    store
        .moved("p-2", 2, |batch| {
            batch.put(named("accounts"), 2, row).delete(named("accounts"), 2, key("b")).activate(named("accounts"), 2)
        })
        .await?;
    match tokio::time::timeout(trial.patience(), reader).await {
        Ok(Ok(verdict)) => verdict?,
        other => expect!(false, "a reader that sees the switch, and not {other:?}"),
    }
    expect_eq!(store.has_versions("accounts").await?.active, Some(2), "the active version after the switch");
    // And back, for a rollback.
    store.moved("p", 2, |batch| batch.activate(named("accounts"), 1)).await?;
    expect_eq!(store.got(&["a"]).await?, [account("a", "Ann", 1)], "the row after a rollback");
    Ok(())
}

async fn a_cursor_stays_on_its_version(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    store.defines(crate::rows::collection(2)).await?;
    store.moved("p", 1, |batch| numbered(batch, 1, 0..6)).await?;
    store.moved("p-2", 1, |batch| numbered(batch, 2, 0..2)).await?;
    let questions = [Find::all(named("accounts")), Find::by(named("accounts"), crate::rows::by_index("richest"))];
    let mut cursors = Vec::new();
    for find in questions {
        let page = store.answered(store.find(find.clone().limit(2))).await?;
        expect!(page.next.is_some(), "more than two rows of six");
        cursors.push((page.rows.len(), find.limit(2).after(page.next)));
    }
    store.moved("p-2", 2, |batch| batch.activate(named("accounts"), 2)).await?;
    for (before, find) in &cursors {
        let page = store.answered(store.find(find.clone())).await?;
        expect_eq!(page.version, 1, "the version of a page after the switch, by a cursor from before it");
        // A page may hold fewer rows than its limit, and the pages after it are of the same version.
        let rest = store.listed(find.clone()).await?.len();
        expect_eq!(before + rest, 6, "rows of all pages, {before} of them before the switch");
    }
    store.removes("accounts", 1, "p").await?;
    for (_, find) in cursors {
        let gone = store.find(find).await;
        expect_is!(gone, Err(RowError::Gone { version: 1, .. }), "a cursor on a version that was removed");
    }
    Ok(())
}

async fn removal(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    store.defines(crate::rows::collection(2)).await?;
    store.moved("p", 1, |batch| numbered(batch, 1, 0..3)).await?;
    store.moved("p-2", 1, |batch| numbered(batch, 2, 0..3)).await?;
    let claim = |token| {
        Checkpoint::new(named("p-2"), CheckpointState::new(LOG, Some(at(1)), Token(0)), Token(token), Move::Claim)
    };
    let active = store.remove(named("accounts"), 1, claim(1)).await;
    expect_is!(active, Err(RowError::Invalid(_)), "the removal of the active version");
    store.answered(store.remove(named("accounts"), 2, claim(4))).await?;
    expect_eq!(store.stands("p-2").await?.map(|state| state.token), Some(Token(4)), "the token after a removal");
    store.defines(crate::rows::collection(2)).await?;
    let fenced = store.remove(named("accounts"), 2, claim(3)).await;
    expect_is!(fenced, Err(RowError::CheckpointMoved { .. }), "a removal under a smaller token");
    let left = store.answered(store.find(Find::all(named("accounts")).version(2))).await?;
    expect_eq!(left.rows, [], "rows of a version that was removed and defined again");
    store.answered(store.remove(named("accounts"), 9, claim(4))).await?;
    expect_eq!(store.listed(Find::all(named("accounts"))).await?.len(), 3, "rows of the other version");
    Ok(())
}

async fn wrong_definitions_are_refused(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = trial.open().await?;
    let one = || Collection::new(named("wrong"), 1).column(named("a"), ColumnType::Text);
    for wrong in [
        Collection::new(named("wrong"), 0),
        one().column(named("a"), ColumnType::Integer),
        one().index(Index::new(named("i"), [named("b")])),
        one().index(Index::new(named("i"), [])),
        one().index(Index::new(named("i"), [named("a"), named("a")])),
        one().index(Index::new(named("i"), [named("a")])).index(Index::new(named("i"), [named("a")])),
        one().column(named("j"), ColumnType::Json).index(Index::new(named("i"), [named("j")])),
    ] {
        let what = format!("{wrong:?}");
        expect_is!(store.define(wrong).await, Err(RowError::Invalid(_)), "the definition of {what}");
    }
    expect_eq!(store.has_versions("wrong").await?.defined, [], "versions after refusals");
    Ok(())
}

async fn limits_are_kept(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let limits = store.limits();
    let too_large = |error: &RowError, of: u64| matches!(error, RowError::TooLarge { size, limit, .. } if *limit == of && *size > of);
    let batch =
        Batch::new(Checkpoint::new(named("p"), CheckpointState::new(LOG, None, Token(0)), Token(1), Move::At(at(1))));
    let many = (0..=limits.batch_changes)
        .fold(batch.clone(), |batch, n| batch.delete(named("accounts"), 1, key(&format!("k-{n}"))));
    let error = store.refused(many).await?;
    expect!(too_large(&error, limits.batch_changes.into()), "too many changes, as TooLarge: {error:?}");
    let mut large = account("ann", "Ann", 1);
    large.cells[5] = Cell::Text(format!("\"{}\"", "x".repeat(usize::try_from(limits.row_bytes).unwrap_or(usize::MAX))));
    let error = store.refused(batch.clone().put(named("accounts"), 1, large)).await?;
    let either = too_large(&error, limits.row_bytes) || too_large(&error, limits.batch_bytes);
    expect!(either, "a row too large, as TooLarge: {error:?}");
    let mut wide = account("ann", "Ann", 1);
    wide.cells[0] = Cell::Text("x".repeat(usize::try_from(limits.index_bytes + 1).unwrap_or(usize::MAX)));
    let error = store.refused(batch.put(named("accounts"), 1, wide)).await?;
    expect!(too_large(&error, limits.index_bytes), "an index entry too large, as TooLarge: {error:?}");
    let keys = (0..=limits.page_rows).map(|n| key(&format!("k-{n}"))).collect();
    match store.get(named("accounts"), None, keys).await {
        Err(error) => expect!(too_large(&error, limits.page_rows.into()), "too many keys, as TooLarge: {error:?}"),
        Ok(_) => expect!(false, "more keys than a page has, refused"),
    }
    expect_eq!(store.stands("p").await?, None, "the checkpoint after refusals");
    // What is just as large as the limits say is taken.
    let mut wide = account("ann", "Ann", 1);
    wide.cells[0] = Cell::Text("x".repeat(usize::try_from(limits.index_bytes).unwrap_or(usize::MAX)));
    store.moved("p", 1, |batch| batch.put(named("accounts"), 1, wide.clone())).await?;
    expect_eq!(store.got(&["ann"]).await?, [wide], "a row with an index entry as large as can be");
    Ok(())
}

async fn pages_are_bounded(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let none = store.find(Find::all(named("accounts")).limit(0)).await;
    expect_is!(none, Err(RowError::Invalid(_)), "a page of no rows");
    let most = store.limits().batch_changes.min(40);
    store.moved("p", 1, |batch| numbered(batch, 1, 0..most)).await?;
    for limit in [1, 7, u32::MAX] {
        let page = store.answered(store.find(Find::all(named("accounts")).limit(limit))).await?;
        let bound = limit.min(store.limits().page_rows);
        expect!(page.rows.len() <= bound as usize, "at most {bound} rows, and not {}", page.rows.len());
    }
    Ok(())
}

async fn what_does_not_fit_is_invalid(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let batch = |row| {
        let checkpoint =
            Checkpoint::new(named("p"), CheckpointState::new(LOG, None, Token(0)), Token(1), Move::At(at(1)));
        Batch::new(checkpoint).put(named("accounts"), 1, row)
    };
    let with = |at: usize, cell: Cell| {
        let mut row = account("ann", "Ann", 1);
        row.cells[at] = cell;
        row
    };
    let short = KeyedRow::new(key("ann"), vec![Cell::Null]);
    let wrong = [
        short,
        with(0, Cell::Integer(1)),
        with(1, Cell::Text("1".into())),
        with(1, Cell::Real(1.0)),
        with(2, Cell::Integer(1)),
        with(2, Cell::Real(f64::NAN)),
        with(3, Cell::Integer(1)),
        with(4, Cell::Text("x".into())),
        with(5, Cell::Bytes("x".into())),
    ];
    for row in wrong {
        let what = format!("{:?}", row.cells);
        expect_is!(store.refused(batch(row)).await?, RowError::Invalid(_), "a row that does not fit: {what}");
    }
    for by in [
        crate::rows::by_index("no such index"),
        crate::rows::equal_to("owner", [Cell::Integer(1)]),
        crate::rows::equal_to("owner", [Cell::Null, Cell::Null]),
    ] {
        let what = format!("{by:?}");
        let answer = store.find(Find::by(named("accounts"), by)).await;
        expect_is!(answer, Err(RowError::Invalid(_)), "a question that does not fit: {what}");
    }
    Ok(())
}

async fn tokens_outlive_versions(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    store.defines(crate::rows::collection(2)).await?;
    let claim = |token, to| Checkpoint::new(named("p-2"), CheckpointState::new(LOG, None, Token(0)), Token(token), to);
    store.commits(Batch::new(claim(8, Move::Claim))).await?;
    store.answered(store.remove(named("accounts"), 2, claim(8, Move::Reset(None)))).await?;
    store.defines(crate::rows::collection(2)).await?;
    let error = store.refused(Batch::new(claim(7, Move::At(at(1))))).await?;
    expect_is!(error, RowError::CheckpointMoved { token: Token(8), .. }, "a smaller token after a removal");
    Ok(())
}
