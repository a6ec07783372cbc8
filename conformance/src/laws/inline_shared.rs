//! PR-08 beyond one handle: what is left after an end and a kill, and what several handles and processes make.

use crate::ask::{Ask, all_of};
use crate::child::{Child, tell};
use crate::inline::{Both, TALLY, count, counted, tallies};
use crate::{Broken, Trial, Verdict, expect, expect_eq};
use core::time::Duration;
use portolan_kernel::application::Storage;
use portolan_kernel::values::{Append, Edition, Position};

const FIRST: Edition = Edition::first(1);

pub(super) async fn is_there_after_reopening(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_with(tallies()).await?;
    for n in 0..5 {
        store.events.wrote(count("tally-a", "added", n)).await?;
    }
    let before = store.both_never_behind().await?;
    drop(store);
    for life in 0..2 {
        let store = trial.open_with(tallies()).await?;
        let after = store.both_never_behind().await?;
        if life == 0 {
            expect_eq!(after, before, "rows and checkpoint after reopening");
        }
        store.events.wrote(count("tally-a", "added", life)).await?;
        store.both_never_behind().await?;
    }
    Ok(())
}

/// Appends for ever with four writers, who are refused now and then, and tells of each append that was taken.
pub(super) async fn append_until_killed(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_with(tallies()).await?;
    let writers = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move { append_for_ever(&store, &format!("tally-{writer}")).await })
    });
    all_of(writers).await.map(drop)
}

pub(super) async fn append_to_one_until_killed(trial: &Trial<Storage>) -> Verdict {
    append_for_ever(&trial.open_with(tallies()).await?, "tally-one").await
}

async fn append_for_ever(store: &Both, stream: &str) -> Verdict {
    for n in 0_u64.. {
        let events = [counted(stream, "added", n), counted("tally-all", "added", n)];
        let done = store.events.wrote(Append::new(events)).await?;
        tell(&done.last.map_or(0, Position::get).to_string());
        if n % 5 == 4 {
            let refused = [counted(stream, "added", n), counted("tally-all", "refused", n)];
            store.events.refused(Append::new(refused)).await?;
        }
    }
    Ok(())
}

fn heard(line: Option<String>) -> Option<u64> {
    line.and_then(|line| line.parse().ok())
}

/// Lets the child acknowledge so many appends; gives the largest position that it told.
fn listen(child: &mut Child, appends: usize) -> Verdict<u64> {
    let mut largest = 0;
    for _ in 0..appends {
        let ended = || Broken::new("the child", "appends until it is killed", "it ended");
        largest = heard(child.next()).ok_or_else(ended)?.max(largest);
    }
    Ok(largest)
}

pub(super) async fn survives_being_killed(trial: &Trial<Storage>) -> Verdict {
    drop(trial.open_with(tallies()).await?);
    let mut random = fastrand::Rng::new();
    for _ in 0..trial.rounds(8).max(4) {
        let mut child = trial.child("append_until_killed")?;
        let mut acknowledged = listen(&mut child, random.usize(5..60))?;
        std::thread::sleep(Duration::from_micros(random.u64(..3_000)));
        child.kill();
        while let Some(position) = heard(child.next()) {
            acknowledged = acknowledged.max(position);
        }
        let store = trial.open_with(tallies()).await?;
        let [stands, _] = store.both_never_behind().await?;
        let there = stands.position.map_or(0, Position::get);
        expect!(there >= acknowledged, "rows of all that was acknowledged, up to {acknowledged}, and not {there}");
    }
    Ok(())
}

pub(super) async fn a_handle_without_it_leaves_it_behind(trial: &Trial<Storage>) -> Verdict {
    let (with, without) = (trial.open_tally().await?, trial.open_with(Vec::new()).await?);
    with.events.wrote(count("tally-a", "added", 1)).await?;
    let before = with.never_behind(&TALLY, FIRST).await?;
    without.far_away(0).await?;
    without.events.wrote(count("tally-a", "added", 2)).await?;
    expect_eq!(with.folded(&TALLY, FIRST).await?, before, "rows after appends through a handle without the projection");
    with.events.wrote(count("tally-a", "added", 3)).await?;
    expect_eq!(with.folded(&TALLY, FIRST).await?, before, "an edition that was left far behind");
    with.put_at(&TALLY, FIRST, with.frontier().await?, 2).await?;
    for n in 0..4 {
        with.events.wrote(count("tally-a", "added", n)).await?;
        with.never_behind(&TALLY, FIRST).await?;
        // One event behind: the store may close the gap, and never applies what is after it alone.
        without.events.wrote(count("tally-a", "added", n)).await?;
        let stands = with.folded(&TALLY, FIRST).await?;
        expect!(stands.position < with.frontier().await?, "a checkpoint that a handle without it leaves behind");
        with.events.wrote(count("tally-b", "added", n)).await?;
        with.folded(&TALLY, FIRST).await?;
        with.put_at(&TALLY, FIRST, with.frontier().await?, 2).await?;
    }
    Ok(())
}

pub(super) async fn processes_count_together(trial: &Trial<Storage>) -> Verdict {
    let store = trial.open_with(tallies()).await?;
    let mut children = (0..2).map(|_| trial.child("append_to_one_until_killed")).collect::<Verdict<Vec<_>>>()?;
    for child in &mut children {
        listen(child, 5)?;
    }
    let mut last = 0;
    for n in 0..trial.rounds(20).max(5) {
        store.events.wrote(count("tally-here", "added", n)).await?;
        last = children
            .iter_mut()
            .map(|child| listen(child, 3))
            .collect::<Verdict<Vec<_>>>()?
            .into_iter()
            .fold(last, u64::max);
    }
    children.iter_mut().for_each(Child::kill);
    let [stands, _] = store.both_never_behind().await?;
    let there = stands.position.map_or(0, Position::get);
    expect!(there >= last, "rows of what all processes have appended, up to {last}, and not {there}");
    store.events.wrote(count("tally-here", "added", 0)).await?;
    store.both_never_behind().await?;
    Ok(())
}
