//! ES-24 and ES-26: what is left after an end, a kill, and damage.

use crate::ask::{Ask, Store, event, key, name, nothing, one, some};
use crate::law::law;
use crate::{Broken, Place, Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{AppendError, Capability, EventStore, ReadError, StoreId};
use portolan_kernel::values::{
    Append, Checkpoint, CheckpointState, Expected, Move, Query, Read, Recalled, Recorded, Token,
};
use std::sync::Arc;

use super::kill::{append_until_killed, survives_being_killed};
use super::power_cuts::{append_while_syncs_fail, nothing_is_acknowledged_while_syncs_fail, survives_a_power_cut};

law! {
    dyn EventStore, es_24_durability, "ES-24",
    "What was acknowledged is there after reopening, also after SIGKILL at any moment; no part of an append is. A sync \
     precedes each acknowledgement.",
    checks: [
        all_is_there_after_reopening if [Durability],
        refused_is_not_there_after_reopening if [Durability],
        survives_being_killed if [Durability],
        survives_a_power_cut if [Durability],
        nothing_is_acknowledged_while_syncs_fail if [Durability],
    ],
    roles: [append_until_killed, append_while_syncs_fail],
}

law! {
    dyn EventStore, es_26_damage, "ES-26",
    "A torn or damaged record, a flipped payload byte included, is an error that names the place; never a silent end, \
     never damaged data served as good.",
    checks: [damage_is_never_served if [Durability]],
}

/// All that can be read of a store.
#[derive(Debug, PartialEq)]
struct Contents {
    identity: StoreId,
    log: Vec<Arc<Recorded>>,
    stream: Vec<Arc<Recorded>>,
    recalled: Option<Recalled>,
    checkpoint: Option<CheckpointState>,
}

async fn contents(trial: &Trial<dyn EventStore>, store: &Store) -> Verdict<Contents> {
    Ok(Contents {
        identity: store.capabilities().identity,
        log: store.log().await?,
        stream: store.all(Read::stream(name("a-1")).backward().limit(3)).await?,
        recalled: if trial.has(Capability::Keys) { store.recalled("k-1").await? } else { None },
        checkpoint: if trial.has(Capability::Checkpoints) { Some(store.stands("c").await?) } else { None },
    })
}

/// Writes a little of everything that the store can do, differently in each life.
async fn write_all_kinds(trial: &Trial<dyn EventStore>, store: &Store, life: u32) -> Verdict {
    let mut append = some("a-1", life * 10..life * 10 + 3);
    if trial.has(Capability::SeveralStreams) {
        append.events.insert(1, event("b-1", life));
    }
    if trial.has(Capability::Keys) {
        append = append.key(key(&format!("k-{life}"), 7).with_note("a note"));
    }
    let last = store.wrote(append).await?.last;
    if let (true, Some(last)) = (trial.has(Capability::Checkpoints), last) {
        let to = Checkpoint::new(name("c"), store.stands("c").await?, Token(u64::from(life) + 1), Move::At(last));
        store.wrote(nothing().checkpoint(to)).await?;
    }
    store.wrote(one("$system-1", life)).await?;
    Ok(())
}

async fn all_is_there_after_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    for life in 0..3 {
        let store = trial.open().await?;
        write_all_kinds(trial, &store, life).await?;
        let before = contents(trial, &store).await?;
        drop(store);
        let after = contents(trial, &trial.open().await?).await?;
        expect_eq!(after, before, "everything there is, after reopening for the {life}. time");
    }
    Ok(())
}

async fn refused_is_not_there_after_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    write_all_kinds(trial, &store, 0).await?;
    let mut wrong = some("a-1", 90..93).expect(name("a-1"), Expected::NoStream);
    if trial.has(Capability::Keys) {
        wrong = wrong.key(key("k-1", 7));
    }
    expect_is!(store.refused(wrong).await?, AppendError::Conflict { .. }, "an append with a wrong expectation");
    let before = contents(trial, &store).await?;
    drop(store);
    expect_eq!(
        contents(trial, &trial.open().await?).await?,
        before,
        "everything there is, after a refusal and reopening"
    );
    Ok(())
}

/// What every damaged event holds in its payload, for a store that keeps payloads as they are.
const MARK: &str = "a payload that can be found in a file";

/// Why damage could not be tried.
pub(super) const NOTHING_TO_DAMAGE: &str =
    "no file holds the mark to damage; name a `damage:` hook that spoils bytes of a closed store";

async fn damage_is_never_served(trial: &Trial<dyn EventStore>) -> Verdict {
    let (mut damaged, mut noticed) = (0, 0);
    for _ in 0..trial.rounds(30).max(12) {
        let place = Place::fresh().map_err(|e| Broken::new("making a place", "a fresh folder", e.to_string()))?;
        let opened = |error| Broken::new("opening the store at a fresh place", "an open store", error);
        let store = trial.open_at(&place).await.map_err(opened)?;
        write_all_kinds(trial, &store, 1).await?;
        for number in 0..4 {
            let mut marked = event(["a-1", "b-1"][number as usize % 2], number);
            marked.payload = format!("{MARK} {number}").into();
            store.wrote(Append::new([marked])).await?;
        }
        let before = contents(trial, &store).await?;
        drop(store);
        if !trial.damage_at(&place, MARK).await? {
            break;
        }
        damaged += 1;
        match trial.open_at(&place).await {
            // A store that finds its files damaged may refuse to open.
            Err(_) => noticed += 1,
            Ok(store) => noticed += usize::from(!intact_or_corrupt(trial, &store, &before).await?),
        }
    }
    expect!(damaged == 0 || noticed > 0, "damage that was noticed at least once in {damaged} times");
    if damaged == 0 {
        trial.not_run(NOTHING_TO_DAMAGE);
    }
    Ok(())
}

/// Every way of reading answers as before, or says that it cannot; whether all did answer.
async fn intact_or_corrupt(trial: &Trial<dyn EventStore>, store: &Store, before: &Contents) -> Verdict<bool> {
    let mut intact = true;
    let log = Query::all().with_system();
    for (read, expected) in [
        (Read::log(log.clone()), before.log.clone()),
        (Read::log(log.clone()).limit(2), before.log.clone()),
        (Read::log(log).backward(), before.log.iter().rev().cloned().collect()),
        (Read::stream(name("a-1")).backward(), before.stream.clone()),
        (Read::stream(name("a-1")), before.stream.iter().rev().cloned().collect()),
    ] {
        let (mut events, mut next) = (Vec::new(), Some(read.clone()));
        while let Some(read) = next.take() {
            match store.read(read.clone()).await {
                Ok(page) => {
                    events.extend(page.events);
                    next = page.next;
                }
                Err(error) => {
                    expect_is!(error, ReadError::Corrupt { place } if !place.is_empty(), "a read of a damaged store");
                    intact = false;
                    // What was read before the damage is good.
                    expect!(events.len() <= expected.len(), "no more than {} events", expected.len());
                    expect_eq!(events, expected[..events.len()], "what {read:?} gave before the damage");
                    events.clone_from(&expected);
                }
            }
        }
        expect_eq!(events, expected, "{read:?} of a damaged store, if it is answered");
    }
    if trial.has(Capability::Keys) {
        match store.recall(name("scope"), name("k-1")).await {
            Ok(recalled) => expect_eq!(recalled, before.recalled, "a key of a damaged store, if it is answered"),
            Err(error) => {
                expect_is!(error, ReadError::Corrupt { place } if !place.is_empty(), "a key of a damaged store");
                intact = false;
            }
        }
    }
    if trial.has(Capability::Checkpoints) {
        match store.checkpoint(name("c")).await {
            Ok(state) => {
                expect_eq!(Some(state), before.checkpoint, "a checkpoint of a damaged store, if it is answered")
            }
            Err(error) => {
                expect_is!(error, ReadError::Corrupt { place } if !place.is_empty(), "a checkpoint of a damaged store");
                intact = false;
            }
        }
    }
    Ok(intact)
}
