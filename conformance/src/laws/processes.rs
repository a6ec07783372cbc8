//! ES-25: several handles and processes on one store.

use super::killed_writers::{a_reader_beside_killed_writers, append_beside_a_reader};
use crate::ask::{Ask, Store, event, key, name, nothing, one, tagged};
use crate::child::{Child, asked, tell};
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use futures::future::join_all;
use portolan_kernel::ports::{AppendError, Capability, EventStore};
use portolan_kernel::values::{
    Append, Checkpoint, Expected, Guard, Item, Move, Position, Query, Read, Recorded, Revision, Token,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

law! {
    dyn EventStore, es_25_several_processes, "ES-25",
    "Two handles and two processes on one store keep all laws.",
    checks: [
        two_handles_are_one_store if [SeveralProcesses],
        two_handles_race if [SeveralProcesses],
        processes_race_for_revisions if [SeveralProcesses],
        processes_run_each_key_once if [SeveralProcesses, Keys],
        processes_race_for_guards if [SeveralProcesses, Guard],
        processes_race_for_a_checkpoint if [SeveralProcesses, Checkpoints],
        the_hint_comes_from_another_process if [SeveralProcesses],
        a_reader_beside_killed_writers if [SeveralProcesses, Durability],
    ],
    roles: [
        race_for_revisions,
        run_keys,
        race_for_guards,
        race_for_a_checkpoint,
        append_when_asked,
        append_beside_a_reader,
    ],
}

/// How many rounds processes race.
const ROUNDS: u32 = 25;

async fn two_handles_are_one_store(trial: &Trial<dyn EventStore>) -> Verdict {
    let (one_, other) = (trial.open().await?, trial.open().await?);
    expect_eq!(one_.capabilities(), other.capabilities(), "what two handles say of their store");
    for number in 0..6_u32 {
        let (writer, reader) = if number % 2 == 0 { (&one_, &other) } else { (&other, &one_) };
        let expected = Expected::unchanged_since(number.checked_sub(1).map(|last| Revision::new(last.into())));
        writer.wrote(one("a-1", number).expect(name("a-1"), expected)).await?;
        let seen: Vec<_> = reader.log().await?.iter().map(|event| event.event.clone()).collect();
        let written: Vec<_> = (0..=number).map(|number| event("a-1", number)).collect();
        expect_eq!(seen, written, "what one handle sees of what the other wrote");
    }
    if trial.has(Capability::Keys) {
        let done = one_.wrote(one("b-1", 0).key(key("k", 1))).await?;
        let again = other.wrote(one("b-1", 0).key(key("k", 1))).await?;
        expect_eq!(again, done.as_repeated(), "an append under a key, repeated through another handle");
        let reused = one_.refused(one("b-1", 0).key(key("k", 2))).await?;
        expect_is!(reused, AppendError::KeyReused { .. }, "the key with another digest");
    }
    if trial.has(Capability::Checkpoints) {
        let claim = Checkpoint::new(name("c"), one_.stands("c").await?, Token(5), Move::Claim);
        one_.wrote(nothing().checkpoint(claim)).await?;
        expect_eq!(other.stands("c").await?.token, Token(5), "a token that was raised through another handle");
        let late = Checkpoint::new(name("c"), other.stands("c").await?, Token(4), Move::Claim);
        let refusal = other.refused(nothing().checkpoint(late)).await?;
        expect_is!(refusal, AppendError::CheckpointMoved { token: Token(5), .. }, "a smaller token, elsewhere");
    }
    drop(one_);
    other.wrote(one("a-1", 6).expect(name("a-1"), Expected::Exact(Revision::new(5)))).await?;
    Ok(())
}

async fn two_handles_race(trial: &Trial<dyn EventStore>) -> Verdict {
    let handles = [trial.open().await?, trial.open().await?];
    let racing = (0..6).map(|racer| {
        let store = handles[racer % 2].clone();
        tokio::spawn(async move { win(&store, u32::try_from(racer).unwrap_or(0), ROUNDS, |_| {}).await })
    });
    let mut won = BTreeMap::new();
    for racer in join_all(racing).await {
        let racer = racer.map_err(|error| Broken::new("a racer", "no panic", error.to_string()))??;
        won.extend(racer.into_iter().map(|revision| (revision, ())));
    }
    one_winner_each(&handles[0], won.len()).await?;
    one_winner_each(&handles[1], won.len()).await
}

/// Appends to one stream at the revision after the last, again and again; the revisions won.
async fn win(store: &Store, racer: u32, rounds: u32, mut told: impl FnMut(u64)) -> Verdict<Vec<u64>> {
    let mut won = Vec::new();
    for round in 0..100_000 {
        let last = store.page(Read::stream(name("race-1")).backward().limit(1)).await?.revision;
        if last >= Some(Revision::new(u64::from(rounds) - 1)) {
            break;
        }
        let append = one("race-1", racer * 1_000 + round).expect(name("race-1"), Expected::unchanged_since(last));
        match store.try_append(append).await {
            Ok(_) => {
                let revision = Revision::after(last).get();
                told(revision);
                won.push(revision);
            }
            Err(AppendError::Conflict { actual, .. }) => {
                expect!(actual > last, "a conflict with a later revision than {last:?}, and not {actual:?}");
            }
            Err(error) => return Err(Broken::new("a racing append", "a win or a conflict", error.to_string())),
        }
    }
    Ok(won)
}

async fn one_winner_each(store: &Store, wins: usize) -> Verdict {
    let events = store.all(Read::stream(name("race-1"))).await?;
    let revisions: Vec<_> = events.iter().map(|event| event.revision.get()).collect();
    expect_eq!(revisions, (0..revisions.len() as u64).collect::<Vec<_>>(), "the revisions that were raced for");
    expect_eq!(wins, events.len(), "wins, beside {} events", events.len());
    Ok(())
}

/// Starts children and gives what each told, in order, while `meanwhile` looks on.
async fn told_by_children(
    trial: &Trial<dyn EventStore>,
    role: &'static str,
    count: usize,
    meanwhile: impl AsyncFnOnce(&AtomicBool) -> Verdict,
) -> Verdict<Vec<Vec<String>>> {
    let mut children = Vec::new();
    for number in 0..count {
        let mut child = trial.child(role)?;
        // Each waits until all are there.
        let ready = child.next();
        expect_eq!(ready.as_deref(), Some("ready"), "the first words of child {number} that is to {role}");
        children.push(child);
    }
    let over = Arc::new(AtomicBool::new(false));
    let listening = {
        let over = over.clone();
        tokio::task::spawn_blocking(move || {
            for (number, child) in children.iter_mut().enumerate() {
                // A child that has died already tells nothing, which is found below.
                let _ = child.ask(&number.to_string());
            }
            let listening = |mut child: Child| {
                std::thread::spawn(move || {
                    let mut told = Vec::new();
                    while let Some(line) = child.next() {
                        told.push(line);
                    }
                    (told, child.finish())
                })
            };
            let threads: Vec<_> = children.into_iter().map(listening).collect();
            let told: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect();
            over.store(true, Ordering::SeqCst);
            told
        })
    };
    meanwhile(&over).await?;
    let told = listening.await.map_err(|error| Broken::new("listening to children", "no panic", error.to_string()))?;
    let well = told.iter().all(|(_, well)| *well);
    expect!(well, "children that {role} and end well; their own words are above");
    Ok(told.into_iter().map(|(told, _)| told).collect())
}

/// A child's beginning: it is ready, and waits for its number.
pub(super) fn begin() -> Verdict<u32> {
    tell("ready");
    let number = asked().and_then(|line| line.parse().ok());
    number.ok_or_else(|| Broken::new("a child's number", "a number from its parent", "none"))
}

async fn race_for_revisions(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let racer = begin()?;
    win(&store, racer, ROUNDS * 2, |revision| tell(&revision.to_string())).await?;
    Ok(())
}

async fn processes_race_for_revisions(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let told =
        told_by_children(trial, "race_for_revisions", 2, async |over| watch_the_frontier(&store, over).await).await?;
    let wins: Vec<_> = told.iter().flatten().collect();
    let different: BTreeSet<_> = wins.iter().collect();
    expect_eq!(different.len(), wins.len(), "revisions that were won, each by one process");
    one_winner_each(&store, wins.len()).await
}

/// A reader in a third process: what it has not seen at or below a frontier never appears (ES-03).
async fn watch_the_frontier(store: &Store, over: &AtomicBool) -> Verdict {
    let (mut seen, mut frontier): (Vec<Arc<Recorded>>, Option<Position>) = (Vec::new(), None);
    loop {
        let last = over.load(Ordering::SeqCst);
        for page in store.pages(Read::log_after(Query::all(), frontier)).await? {
            seen.extend(page.events);
            frontier = frontier.max(page.frontier);
        }
        if last {
            let log: Vec<_> = store.log().await?.iter().map(|event| event.position).collect();
            let seen: Vec<_> = seen.iter().map(|event| event.position).collect();
            expect_eq!(seen, log, "what a reader saw that went on from frontier to frontier, beside the whole log");
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

async fn run_keys(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let child = begin()?;
    for number in 0..ROUNDS {
        // Which of them writes is told by the stream.
        let append = one(&format!("by-{child}"), number).key(key(&number.to_string(), 1));
        let done = store.wrote(append).await?;
        let position = done.first.map_or(0, Position::get);
        tell(&format!("{number} {position} {}", if done.repeated { "repeated" } else { "done" }));
    }
    Ok(())
}

async fn processes_run_each_key_once(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let told = told_by_children(trial, "run_keys", 2, async |_| Ok(())).await?;
    let of = |lines: &[String]| -> Vec<(String, bool)> {
        let line = |line: &String| {
            let (outcome, how) = line.rsplit_once(' ').unwrap_or_default();
            (outcome.to_string(), how == "done")
        };
        lines.iter().map(line).collect()
    };
    let (left, right) = (of(&told[0]), of(&told[1]));
    for (left, right) in left.iter().zip(&right) {
        expect_eq!(left.0, right.0, "key and position that two processes were told for one key");
        expect!(left.1 != right.1, "key {} run by one process and repeated by the other", left.0);
    }
    expect_eq!(store.log().await?.len(), ROUNDS as usize, "events of {ROUNDS} keys, each run by two processes");
    Ok(())
}

async fn race_for_guards(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let child = begin()?;
    for seat in 0..ROUNDS {
        let tag = format!("seat-{seat}");
        let taken = Query::of(Item::new().tag(name(&tag)));
        let append = Append::new([tagged(&format!("by-{child}"), seat, &[&tag])]).guard(Guard::new(taken, None));
        match store.try_append(append).await {
            Ok(_) => tell(&seat.to_string()),
            Err(AppendError::GuardFailed { .. }) => {}
            Err(error) => return Err(Broken::new("an append under a guard", "a win or a refusal", error.to_string())),
        }
    }
    Ok(())
}

async fn processes_race_for_guards(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let told = told_by_children(trial, "race_for_guards", 2, async |_| Ok(())).await?;
    let mut seats: Vec<u32> = told.iter().flatten().filter_map(|seat| seat.parse().ok()).collect();
    seats.sort_unstable();
    expect_eq!(seats, (0..ROUNDS).collect::<Vec<_>>(), "seats that were taken, each by one of two processes");
    expect_eq!(store.log().await?.len(), ROUNDS as usize, "events of {ROUNDS} seats");
    Ok(())
}

async fn race_for_a_checkpoint(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let log = store.log().await?;
    begin()?;
    for _ in 0..100_000 {
        let state = store.stands("c").await?;
        let Some(next) = log.iter().map(|event| event.position).find(|position| Some(*position) > state.position)
        else {
            return Ok(());
        };
        let moved = Checkpoint::new(name("c"), state, Token(1), Move::At(next));
        match store.try_append(nothing().checkpoint(moved)).await {
            Ok(_) => tell(&next.to_string()),
            Err(AppendError::CheckpointMoved { .. }) => {}
            Err(error) => return Err(Broken::new("a racing checkpoint", "a win or a refusal", error.to_string())),
        }
    }
    Err(Broken::new("a racing checkpoint", "the end of the log", "it never comes there"))
}

async fn processes_race_for_a_checkpoint(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for number in 0..ROUNDS {
        store.wrote(one("a-1", number)).await?;
    }
    let log: Vec<_> = store.log().await?.iter().map(|event| event.position.get()).collect();
    let told = told_by_children(trial, "race_for_a_checkpoint", 2, async |_| Ok(())).await?;
    let mut moves: Vec<u64> = told.iter().flatten().filter_map(|position| position.parse().ok()).collect();
    moves.sort_unstable();
    expect_eq!(moves, log, "moves of a checkpoint, each made by one of two processes");
    expect_eq!(
        store.stands("c").await?.position.map(Position::get),
        log.last().copied(),
        "where the checkpoint stands"
    );
    Ok(())
}

async fn append_when_asked(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    tell("ready");
    while let Some(number) = asked().and_then(|line| line.parse().ok()) {
        let done = store.wrote(one("a-1", number)).await?;
        tell(&done.last.map_or(0, Position::get).to_string());
    }
    Ok(())
}

async fn the_hint_comes_from_another_process(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limit = store.capabilities().hint_latency * 4 + Duration::from_secs(2);
    let mut child = trial.child("append_when_asked")?;
    expect_eq!(child.next().as_deref(), Some("ready"), "the first words of a child");
    let mut after = None;
    for number in 0..5 {
        let waiting = {
            let store = store.clone();
            tokio::spawn(async move { store.changed(Query::all(), after).await })
        };
        tokio::time::sleep(Duration::from_millis(5)).await;
        // When the child is gone it tells nothing, and that is found.
        let _ = child.ask(&number.to_string());
        let position = child.next().and_then(|position| Position::new(position.parse().ok()?));
        expect!(position.is_some(), "a position from a child that appends; its own words are above");
        let hinted = tokio::time::timeout(limit, waiting).await;
        expect_is!(hinted, Ok(Ok(Ok(()))), "a hint of what another process wrote, within {limit:?}");
        after = position;
    }
    expect!(child.finish(), "a child that ends well");
    Ok(())
}
