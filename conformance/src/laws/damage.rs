//! ES-26: damage to what is stored.

use super::durability::{Contents, contents, write_all_kinds};
use crate::ask::{Ask, Store, event, name};
use crate::fixture::Damage;
use crate::law::law;
use crate::power::files_under;
use crate::{Broken, Place, Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{Capability, EventStore, ReadError};
use portolan_kernel::values::{Append, Item, Query, Read, Recorded};
use std::path::Path;
use std::sync::Arc;

law! {
    dyn EventStore, es_26_damage, "ES-26",
    "A torn or damaged record, a flipped payload byte included, is an error that names the place; never a silent end, \
     never damaged data served as good.",
    checks: [
        damage_is_never_served if [Durability],
        flipped_bytes_are_noticed if [Durability],
        zeroed_blocks_are_noticed if [Durability],
        a_lost_tail_is_noticed if [Durability],
    ],
}

/// What every damaged event holds in its payload, for a store that keeps payloads as they are.
const MARK: &str = "a payload that can be found in a file";

/// Why damage could not be tried.
pub(super) const NOTHING_TO_DAMAGE: &str =
    "no file holds the mark to damage; name a `damage:` hook that spoils bytes of a closed store";
const NO_FILE: &str =
    "there is no file in the place's folder to damage; put them there, or say why there is none with `remote:`";

/// A closed store with a little of everything at a place of its own, and what is in it.
async fn closed_store(trial: &Trial<dyn EventStore>) -> Verdict<(Place, Contents)> {
    let place = Place::fresh().map_err(|e| Broken::new("making a place", "a fresh folder", e.to_string()))?;
    let opened = |error| Broken::new("opening the store at a fresh place", "an open store", error);
    let store = trial.open_at(&place).await.map_err(opened)?;
    write_all_kinds(trial, &store, 1).await?;
    for number in 0..4 {
        let mut marked = event(["a-1", "b-1"][number as usize % 2], number).with_tags([name("t"), name("u")]);
        marked.payload = format!("{MARK} {number}").into();
        store.wrote(Append::new([marked])).await?;
    }
    let before = contents(trial, &store).await?;
    Ok((place, before))
}

async fn damage_is_never_served(trial: &Trial<dyn EventStore>) -> Verdict {
    let (mut damaged, mut noticed) = (0, 0);
    for _ in 0..trial.rounds(30).max(12) {
        let (place, before) = closed_store(trial).await?;
        if !trial.damage_at(&place, MARK).await? {
            break;
        }
        damaged += 1;
        noticed += usize::from(!answers_as(trial, &place, &before).await?);
    }
    expect!(damaged == 0 || noticed > 0, "damage that was noticed at least once in {damaged} times");
    if damaged == 0 {
        trial.not_run(NOTHING_TO_DAMAGE);
    }
    Ok(())
}

async fn flipped_bytes_are_noticed(trial: &Trial<dyn EventStore>) -> Verdict {
    damaged_files_are_noticed(trial, Damage::Bytes).await
}

async fn zeroed_blocks_are_noticed(trial: &Trial<dyn EventStore>) -> Verdict {
    damaged_files_are_noticed(trial, Damage::Zeros).await
}

async fn a_lost_tail_is_noticed(trial: &Trial<dyn EventStore>) -> Verdict {
    damaged_files_are_noticed(trial, Damage::Tail).await
}

/// Damages any file at the place, wherever. Every answer is as before, or an error.
async fn damaged_files_are_noticed(trial: &Trial<dyn EventStore>, damage: Damage) -> Verdict {
    if trial.remote().is_some() {
        // Its `damage` hook is all that reaches its bytes.
        return Ok(());
    }
    for _ in 0..trial.rounds(30).max(8) {
        let (place, before) = closed_store(trial).await?;
        let failed = |error: std::io::Error| Broken::new("damaging a file", "a damaged file", error.to_string());
        let Some((what, reaches_the_end)) = damage_a_file(place.dir(), damage).map_err(failed)? else {
            trial.not_run(NO_FILE);
            return Ok(());
        };
        // Zeros up to the end are the end of a file that a crash left longer than its bytes.
        let damage = if reaches_the_end && !trial.is_blind_to(damage) { Damage::Tail } else { damage };
        let judged = match trial.is_blind_to(damage) {
            true => hides_at_most(trial, &place, damage, &before).await,
            false => answers_as(trial, &place, &before).await.map(drop),
        };
        judged.map_err(|broken| Broken { what: format!("{}, after {what}", broken.what), ..broken })?;
    }
    Ok(())
}

/// Damages one file in the folder: what was done, and whether nothing is left from there to the file's end. `None` where
/// there is no file with bytes.
fn damage_a_file(folder: &Path, damage: Damage) -> std::io::Result<Option<(String, bool)>> {
    let mut files = Vec::new();
    for file in files_under(folder)? {
        let bytes = std::fs::read(&file)?;
        if bytes.iter().any(|byte| *byte != 0) {
            files.push((file, bytes));
        }
    }
    let all: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    if all == 0 {
        return Ok(None);
    }
    // Any byte of all of them.
    let mut at = fastrand::usize(..all);
    let Some((file, mut bytes)) = files.into_iter().find(|(_, bytes)| {
        let is_here = at < bytes.len();
        at -= if is_here { 0 } else { bytes.len() };
        is_here
    }) else {
        return Ok(None);
    };
    // Much of a file may be empty, and is spoilt by every second try alone.
    if damage != Damage::Tail && fastrand::bool() {
        at = (at..bytes.len()).chain(0..at).find(|at| bytes[*at] != 0).unwrap_or(at);
    }
    let length = bytes.len();
    let (done, reaches_the_end) = match damage {
        Damage::Bytes => {
            let bit = 1 << fastrand::u8(..8);
            bytes[at] ^= bit;
            (format!("byte {at} was flipped by {bit:#04x}"), false)
        }
        Damage::Zeros => {
            let from = at / 512 * 512;
            let to = length.min(from + 512);
            bytes[from..to].fill(0);
            (format!("bytes {from} to {to} were zeroed"), to == length)
        }
        Damage::Tail => {
            bytes.truncate(at);
            (format!("all from byte {at} on was lost"), true)
        }
    };
    std::fs::write(&file, bytes)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(Some((format!("of {length} bytes of {name}, {done}"), reaches_the_end)))
}

/// Opens the store on damaged files and looks at all of it: it answers as before, or with an error that names the
/// place. Whether all was answered.
async fn answers_as(trial: &Trial<dyn EventStore>, place: &Place, before: &Contents) -> Verdict<bool> {
    match trial.open_at(place).await {
        // A store that finds its files damaged may refuse to open.
        Err(error) => {
            names_a_place(place, &error)?;
            Ok(false)
        }
        Ok(store) => intact_or_corrupt(trial, &store, before).await,
    }
}

/// The error names a file of the place, or where in one.
fn names_a_place(place: &Place, error: &str) -> Verdict {
    let files = files_under(place.dir()).unwrap_or_default();
    let named = files.iter().filter_map(|file| file.file_name()?.to_str()).any(|file| error.contains(file));
    let says = named || files.is_empty() || error.chars().any(|char| char.is_ascii_digit());
    expect!(says, "an error that names the damaged place, and not {error:?}");
    Ok(())
}

/// A store that is blind to the damage may lose events, or not open. It changes none, and its log goes on without a gap
/// up to where a lost tail began.
async fn hides_at_most(trial: &Trial<dyn EventStore>, place: &Place, damage: Damage, before: &Contents) -> Verdict {
    let Ok(store) = trial.open_at(place).await else { return Ok(()) };
    for (read, expected) in reads(before) {
        let Ok(page) = store.read(read.clone().limit(u32::MAX)).await else { continue };
        let changed: Vec<_> = page.events.iter().filter(|event| !expected.contains(event)).collect();
        expect!(changed.is_empty(), "events as they were written, or none; and not {changed:?} of {read:?}");
        if damage == Damage::Tail && read == Read::log(Query::all().with_system()) {
            let left = page.events.len();
            expect_eq!(page.events, expected[..left], "the log up to where its tail was lost");
            // All but the first append of `write_all_kinds` are of one event.
            let whole = left == 0 || page.events.last().map(|event| event.position) >= before.first_append;
            expect!(whole, "whole appends, and not {left} events of the first");
        }
    }
    Ok(())
}

/// Reads of every kind, and what they gave before the damage.
fn reads(before: &Contents) -> Vec<(Read, Vec<Arc<Recorded>>)> {
    let log = Query::all().with_system();
    let of = |item: Item| {
        let query = Query::of(item);
        (Read::log(query.clone()), before.log.iter().filter(|event| query.matches(event)).cloned().collect())
    };
    vec![
        (Read::log(log.clone()), before.log.clone()),
        (Read::log(log.clone()).limit(2), before.log.clone()),
        (Read::log(log).backward(), before.log.iter().rev().cloned().collect()),
        (Read::stream(name("a-1")).backward(), before.stream.clone()),
        (Read::stream(name("a-1")), before.stream.iter().rev().cloned().collect()),
        of(Item::new().tag(name("t"))),
        of(Item::new().event_type(name("happened")).category(name("b"))),
    ]
}

/// Every way of reading answers as before, or says that it cannot; whether all did answer.
async fn intact_or_corrupt(trial: &Trial<dyn EventStore>, store: &Store, before: &Contents) -> Verdict<bool> {
    let mut intact = true;
    for (read, expected) in reads(before) {
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
