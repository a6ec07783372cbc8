//! ES-24: what is left after an end and a kill.

use crate::ask::{Ask, Store, event, key, name, nothing, one, some};
use crate::law::law;
use crate::{Trial, Verdict, expect_eq, expect_is};
use portolan_kernel::ports::{AppendError, Capability, EventStore, StoreId};
use portolan_kernel::values::{Checkpoint, CheckpointState, Expected, Move, Position, Read, Recalled, Recorded, Token};
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

/// All that can be read of a store.
#[derive(Debug, PartialEq)]
pub(super) struct Contents {
    pub(super) identity: StoreId,
    pub(super) log: Vec<Arc<Recorded>>,
    pub(super) stream: Vec<Arc<Recorded>>,
    pub(super) recalled: Option<Recalled>,
    pub(super) checkpoint: Option<CheckpointState>,
    /// Where the first append ends.
    pub(super) first_append: Option<Position>,
}

pub(super) async fn contents(trial: &Trial<dyn EventStore>, store: &Store) -> Verdict<Contents> {
    let log = store.log().await?;
    // All of the first append's events are in this category, and the next append's are not.
    let first_append = log.iter().take_while(|event| !event.stream.is_system()).last().map(|event| event.position);
    Ok(Contents {
        identity: store.capabilities().identity,
        first_append,
        log,
        stream: store.all(Read::stream(name("a-1")).backward().limit(3)).await?,
        recalled: if trial.has(Capability::Keys) { store.recalled("k-1").await? } else { None },
        checkpoint: if trial.has(Capability::Checkpoints) { Some(store.stands("c").await?) } else { None },
    })
}

/// Writes a little of everything that the store can do, differently in each life.
pub(super) async fn write_all_kinds(trial: &Trial<dyn EventStore>, store: &Store, life: u32) -> Verdict {
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
