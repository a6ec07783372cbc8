//! RM-06: what is left of read models after an end and a kill, and what several handles see.

use crate::child::tell;
use crate::law::law;
use crate::rows::{AskRows, LOG, Rows, account, accounts, at, key, named};
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::ports::{ReadModelStore, RowError};
use portolan_kernel::values::{Batch, Checkpoint, CheckpointState, Collection, Find, KeyedRow, Move, Position, Token};

law! {
    dyn ReadModelStore, rm_06_durability, "RM-06",
    "What was committed is there after reopening, also after SIGKILL at any moment, and no part of a batch is, on a \
     store that is durable. Two handles and two processes on one store keep all laws, where it allows them.",
    checks: [
        is_there_after_reopening if [Durability], survives_being_killed if [Durability],
        two_handles_are_one_store if [Durability, SeveralProcesses],
        processes_take_turns if [Durability, SeveralProcesses],
    ],
    roles: [commit_until_killed, commit_in_turns],
}

async fn is_there_after_reopening(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    store.defines(crate::rows::collection(2)).await?;
    store.moved("p", 5, |batch| batch.put(named("accounts"), 1, account("a", "Ann", 5))).await?;
    let claim = CheckpointState::new(LOG, None, Token(0));
    store.commits(Batch::new(Checkpoint::new(named("p-2"), claim, Token(9), Move::Claim))).await?;
    let contents = async |store: &Rows| -> Verdict<_> {
        let rows = store.listed(Find::all(named("accounts"))).await?;
        Ok((rows, store.has_versions("accounts").await?, store.stands("p").await?, store.stands("p-2").await?))
    };
    let before = contents(&store).await?;
    drop(store);
    for life in 0..2 {
        let after = contents(&trial.open().await?).await?;
        expect_eq!(after, before, "everything there is, after reopening for the {life}. time");
    }
    Ok(())
}

/// Batch `n` moves the checkpoint from `n` to `n + 1`, and counts up one of seven rows and the row of all.
fn batch(state: CheckpointState, n: u64) -> Batch {
    let checkpoint = Checkpoint::new(named("p"), state, Token(1), Move::At(at(n + 1)));
    let rows = fold(n + 1);
    let changed = [format!("row-{}", n % 7), "all".to_owned()];
    let changed = rows.into_iter().filter(|row| changed.iter().any(|key| row.key == *key.as_str()));
    changed.fold(Batch::new(checkpoint), |batch, row| batch.put(named("accounts"), 1, row))
}

/// The rows after this many batches.
fn fold(batches: u64) -> Vec<KeyedRow> {
    let count = |of: String, n: u64| account(&of, &of, i64::try_from(n).unwrap_or(i64::MAX));
    let rows = (0..7.min(batches)).map(|row| count(format!("row-{row}"), (batches - row).div_ceil(7)));
    let all = (batches > 0).then(|| count("all".into(), batches));
    all.into_iter().chain(rows).collect()
}

async fn go_on(store: &Rows, told: impl Fn(u64)) -> Verdict<RowError> {
    loop {
        let state = store.stands("p").await?.unwrap_or(CheckpointState::new(LOG, None, Token(0)));
        let n = state.position.map_or(0, Position::get);
        match store.try_commit(batch(state, n)).await {
            Ok(()) => told(n + 1),
            Err(error) => return Ok(error),
        }
    }
}

async fn commit_until_killed(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = trial.open().await?;
    let error = go_on(&store, |n| tell(&n.to_string())).await?;
    Err(Broken::new("commits of a child that is alone", "no end", error.to_string()))
}

async fn survives_being_killed(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    drop(accounts(trial).await?);
    let mut random = fastrand::Rng::new();
    let mut acknowledged = 0;
    for round in 0..trial.rounds(6).max(3) {
        let mut child = trial.child("commit_until_killed")?;
        let enough = acknowledged + random.u64(5..60);
        let heard = |line: Option<String>| line.and_then(|line| line.parse::<u64>().ok());
        while acknowledged < enough {
            let Some(n) = heard(child.next()) else {
                return Err(Broken::new(
                    format!("the child of round {round}"),
                    "commits until it is killed",
                    "it ended",
                ));
            };
            acknowledged = n;
        }
        std::thread::sleep(Duration::from_micros(random.u64(..3_000)));
        child.kill();
        while let Some(n) = heard(child.next()) {
            acknowledged = n;
        }
        is_a_fold(&trial.open().await?, acknowledged).await?;
    }
    Ok(())
}

/// The rows are those that the checkpoint says, which is at or past what was acknowledged.
async fn is_a_fold(store: &Rows, acknowledged: u64) -> Verdict {
    let batches = store.stands("p").await?.and_then(|state| state.position).map_or(0, Position::get);
    expect!(batches >= acknowledged, "{acknowledged} acknowledged batches, and not {batches}");
    let rows = store.listed(Find::all(named("accounts"))).await?;
    expect_eq!(rows, fold(batches), "the rows of {batches} batches");
    for row in &rows {
        let by_owner = Find::equal(named("accounts"), named("owner"), vec![row.cells[0].clone()]);
        expect_eq!(store.listed(by_owner).await?, std::slice::from_ref(row), "the row {} by an index", row.key);
    }
    Ok(())
}

async fn two_handles_are_one_store(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let one = accounts(trial).await?;
    let other = trial.open().await?;
    one.moved("p", 1, |batch| batch.put(named("accounts"), 1, account("a", "Ann", 1))).await?;
    expect_eq!(one.got(&["a"]).await?, [account("a", "Ann", 1)], "a row, seen by the handle that put it");
    expect_eq!(other.got(&["a"]).await?, [account("a", "Ann", 1)], "a row, seen by another handle");
    other.defines(crate::rows::collection(2)).await?;
    other.moved("p-2", 1, |batch| batch.activate(named("accounts"), 2)).await?;
    let seen = one.answered(one.find(Find::all(named("accounts")))).await?;
    expect_eq!((seen.version, seen.rows), (2, vec![]), "the switch, seen by another handle");
    let otherwise = one.define(Collection::new(named("accounts"), 2)).await;
    expect_is!(otherwise, Err(RowError::DefinedOtherwise { .. }), "a version that another handle defined");
    other.removes("accounts", 1, "p").await?;
    let gone = one.get(named("accounts"), Some(1), vec![key("a")]).await;
    expect_is!(gone, Err(RowError::UnknownCollection { .. }), "a version that another handle removed");
    Ok(())
}

/// Commits until another process was faster once, again and again.
async fn commit_in_turns(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = trial.open().await?;
    loop {
        let error = go_on(&store, |n| tell(&n.to_string())).await?;
        expect_is!(error, RowError::CheckpointMoved { .. }, "a batch beside another process");
    }
}

async fn processes_take_turns(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let mut children = Vec::new();
    for _ in 0..3 {
        children.push(trial.child("commit_in_turns")?);
    }
    let most = trial.rounds(60).max(20);
    let mut told = Vec::new();
    for child in &mut children {
        told.extend((0..most).map_while(|_| child.next()).filter_map(|line| line.parse::<u64>().ok()));
    }
    for child in &mut children {
        child.kill();
        while let Some(line) = child.next() {
            told.extend(line.parse::<u64>());
        }
    }
    told.sort_unstable();
    let twice = told.windows(2).find(|two| two[0] == two[1]);
    expect_eq!(twice, None, "batches that were acknowledged to two processes");
    is_a_fold(&store, told.last().copied().unwrap_or(0)).await
}
