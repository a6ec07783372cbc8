//! The power cut of ES-24: what was acknowledged was synced before, or it is lost. And what an append is told whose
//! sync fails (ES-11).

use super::kill::{Kinds, check_survival, note};
use crate::ask::{Ask, event, key};
use crate::child::tell;
use crate::power::{Disk, Loss, NO_FILES, NOT_LOADED, UNSEEN, files_under};
use crate::{Broken, Trial, Verdict, expect, expect_eq};
use portolan_kernel::ports::{AppendError, Capability, EventStore};
use portolan_kernel::values::{Append, Recorded};
use std::collections::BTreeMap;
use std::sync::Arc;

/// As after a kill, with the power cut at an acknowledgement: what was not synced by then is lost.
pub(super) async fn survives_a_power_cut(trial: &Trial<dyn EventStore>) -> Verdict {
    if let Some(reason) = trial.remote() {
        trial.open().await?.wrote(Append::new([event("a-1", 0)])).await?;
        let files = files_under(trial.place().dir()).map_err(broken_disk)?;
        expect!(files.is_empty(), "no file in the place's folder, as {reason}; there is {files:?}");
        return Ok(());
    }
    let disk = match Disk::under(trial.place()) {
        Ok(disk) => disk,
        Err(why) => return left_out(trial, why),
    };
    let (kinds, mut acknowledged) = (Kinds::of(trial), BTreeMap::new());
    for round in 0..trial.rounds(12).max(4) {
        disk.settle().map_err(broken_disk)?;
        let cut_at = fastrand::usize(1..=[3, 50][round % 2]);
        let mut child = trial.child_in("append_until_killed", disk.environment(Some(cut_at)))?;
        let mut told = 0;
        while let Some(line) = child.next() {
            note(&mut acknowledged, &line)?;
            told += 1;
            if told > cut_at {
                return left_out(trial, NOT_LOADED);
            }
        }
        child.kill();
        expect_eq!(told, cut_at, "acknowledgements of a child whose power is cut; its own words are above");
        let files = disk.files().map_err(broken_disk)?;
        if files.is_empty() || !disk.has_seen() {
            return left_out(trial, if files.is_empty() { NO_FILES } else { UNSEEN });
        }
        disk.cut(if round % 2 == 0 { Loss::All } else { Loss::Some }).map_err(broken_disk)?;
        let again = trial.open().await.map_err(|broken| Broken {
            what: format!("opening the store after a power cut at acknowledgement {cut_at}"),
            ..broken
        });
        check_survival(&again?, kinds, &acknowledged).await.map_err(|broken| Broken {
            what: format!("{} (what was not synced is lost by a power cut at an acknowledgement)", broken.what),
            ..broken
        })?;
    }
    Ok(())
}

/// The check could not be made, and the run says so.
fn left_out(trial: &Trial<dyn EventStore>, why: &'static str) -> Verdict {
    trial.not_run(why);
    Ok(())
}

/// The child: an append is acknowledged, then one is made while every sync fails; the key settles it when none does.
pub(super) async fn append_while_syncs_fail(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let append = |number| {
        let append = Append::new([event("a-1", number), event("a-1", number)]);
        let id = format!("k-{number}");
        if trial.has(Capability::Keys) { append.key(key(&id, 1)) } else { append }
    };
    store.wrote(append(0)).await?;
    let disk =
        Disk::of_child().ok_or_else(|| Broken::new("the child's disk", "a folder in its environment", "none"))?;
    Disk::fail(&disk, true).map_err(broken_disk)?;
    let outcome = store.append(append(1)).await;
    Disk::fail(&disk, false).map_err(broken_disk)?;
    let told = match &outcome {
        Ok(_) => "acknowledged",
        Err(AppendError::Unknown(_)) => "unknown",
        Err(_) => "refused",
    };
    tell(told);
    tell(&outcome.map_or_else(|error| error.to_string(), |_| "no error".to_string()));
    if told == "unknown" && trial.has(Capability::Keys) {
        // It may be taken now or once the store is opened anew, and is there once in the end.
        let _ = store.try_append(append(1)).await;
    }
    Ok(())
}

/// What an append was told whose every sync failed, and the error.
async fn told_while_syncs_fail(trial: &Trial<dyn EventStore>) -> Verdict<Option<[String; 2]>> {
    if trial.remote().is_some() {
        return Ok(None);
    }
    let disk = match Disk::under(trial.place()) {
        Ok(disk) => disk,
        Err(why) => {
            trial.not_run(why);
            return Ok(None);
        }
    };
    let mut child = trial.child_in("append_while_syncs_fail", disk.environment(None))?;
    let told = [child.next(), child.next()].map(Option::unwrap_or_default);
    expect!(child.finish(), "a child that ends well; its own words are above");
    if !disk.has_seen() {
        let none = disk.files().map_err(broken_disk)?.is_empty();
        trial.not_run(if none { NO_FILES } else { UNSEEN });
        return Ok(None);
    }
    Ok(Some(told))
}

/// ES-24: where no sync succeeds, nothing is acknowledged.
pub(super) async fn nothing_is_acknowledged_while_syncs_fail(trial: &Trial<dyn EventStore>) -> Verdict {
    if let Some([told, ..]) = told_while_syncs_fail(trial).await? {
        expect!(told != "acknowledged", "an append that is not acknowledged, as every sync of a file fails");
    }
    Ok(())
}

/// ES-11: what is not `Unknown` was not written, and the key settles what is.
pub(super) async fn a_failed_sync_is_told_truly(trial: &Trial<dyn EventStore>) -> Verdict {
    let Some([told, error]) = told_while_syncs_fail(trial).await? else { return Ok(()) };
    let store = trial.open().await?;
    let numbered = |log: &[Arc<Recorded>]| log.iter().map(|event| event.event.clone()).collect::<Vec<_>>();
    let both = |number| [event("a-1", number), event("a-1", number)];
    let log = numbered(&store.log().await?);
    if told == "refused" {
        expect_eq!(log, both(0), "the log, where a sync failed and the append was refused, not as Unknown: {error}");
    }
    if trial.has(Capability::Keys) {
        store.wrote(Append::new(both(1)).key(key("k-1", 1))).await?;
        let log = numbered(&store.log().await?);
        expect_eq!(log, [both(0), both(1)].concat(), "the log, once the key has settled an append told as {told}");
    }
    Ok(())
}

fn broken_disk(error: std::io::Error) -> Broken {
    Broken::new("the files in the place's folder", "files that can be copied and put back", error.to_string())
}
