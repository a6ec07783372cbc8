//! The laws of snapshots, proven by wrong stores: each breaks exactly the laws it says, and each law is broken by
//! one.
#![allow(unreachable_pub, reason = "a test binary has no one to reach it")]
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

#[path = "support/judging.rs"]
mod judging;

use async_trait::async_trait;
use judging::{AGAIN, broken_by, complaint, complaints};
use portolan_conformance::{Fixture, Law, Place, Runner, SnapshotStore, laws};
use portolan_kernel::ports::{Snapshot, SnapshotError};
use portolan_kernel::values::{Format, Name, Revision, StreamId};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

/// Stores that outlive their handles, by place.
static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<Kept>>>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Kept {
    snapshots: Vec<Snapshot>,
    damaged: bool,
}

/// How a store is wrong; `None` where it is right.
#[derive(Clone, Copy)]
struct Mutant {
    name: &'static str,
    breaks: &'static [&'static str],
    /// Whether a snapshot is one of those asked for, and the bound.
    chosen: fn(&Snapshot, &StreamId, &Name, Option<Revision>) -> bool,
    /// Which of the chosen ones is loaded.
    load: fn(Vec<Snapshot>) -> Option<Snapshot>,
    save: fn(&mut Vec<Snapshot>, Snapshot),
    /// Whether a snapshot is to be deleted.
    deleted: fn(&Snapshot, &StreamId, &Name, Option<Revision>) -> bool,
    /// What it does while others come between.
    beside: Beside,
    /// What a damaged snapshot is loaded as.
    damaged: fn(Option<Snapshot>) -> Result<Option<Snapshot>, SnapshotError>,
}

/// What others can see of a change that is not done.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Nothing,
    /// Half of a new state.
    HalfFirst,
    /// Nothing where something is overwritten.
    GoneFirst,
    /// The state of before, with one snapshot more, in place of what others saved meanwhile.
    AllBack,
}

/// Lets others in.
async fn others() {
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_micros(100)).await;
}

fn of(snapshot: &Snapshot, stream: &StreamId, kind: &Name) -> bool {
    snapshot.stream == *stream && snapshot.kind == *kind
}

const RIGHT: Mutant = Mutant {
    name: "right",
    breaks: &[],
    chosen: |snapshot, stream, kind, at_most| {
        of(snapshot, stream, kind) && at_most.is_none_or(|bound| snapshot.revision <= bound)
    },
    load: |chosen| chosen.into_iter().max_by_key(|snapshot| snapshot.revision),
    save: |kept, snapshot| {
        kept.retain(|old| !(of(old, &snapshot.stream, &snapshot.kind) && old.revision == snapshot.revision));
        kept.push(snapshot);
    },
    deleted: |snapshot, stream, kind, below| {
        of(snapshot, stream, kind) && below.is_none_or(|bound| snapshot.revision < bound)
    },
    beside: Beside::Nothing,
    damaged: |_| Err(SnapshotError::Corrupt { place: "the memory".into() }),
};

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "ignores the bound",
        breaks: &["SN-01", "SN-02", "SN-03", "SN-07"],
        chosen: |snapshot, stream, kind, _| of(snapshot, stream, kind),
        ..RIGHT
    },
    Mutant {
        name: "takes the bound for exclusive",
        breaks: &["SN-01", "SN-02", "SN-07"],
        chosen: |snapshot, stream, kind, at_most| {
            of(snapshot, stream, kind) && at_most.is_none_or(|bound| snapshot.revision < bound)
        },
        ..RIGHT
    },
    Mutant { name: "gives the one saved last", breaks: &["SN-01", "SN-02"], load: |mut chosen| chosen.pop(), ..RIGHT },
    Mutant {
        name: "orders revisions as text",
        breaks: &["SN-01"],
        load: |chosen| chosen.into_iter().max_by_key(|snapshot| snapshot.revision.to_string()),
        ..RIGHT
    },
    Mutant {
        name: "mixes kinds",
        breaks: &["SN-01"],
        chosen: |snapshot, stream, _, at_most| {
            snapshot.stream == *stream && at_most.is_none_or(|bound| snapshot.revision <= bound)
        },
        ..RIGHT
    },
    Mutant {
        name: "joins stream and kind",
        breaks: &["SN-01"],
        chosen: |snapshot, stream, kind, at_most| {
            format!("{}-{}", snapshot.stream, snapshot.kind) == format!("{stream}-{kind}")
                && at_most.is_none_or(|bound| snapshot.revision <= bound)
        },
        ..RIGHT
    },
    Mutant {
        name: "folds case",
        breaks: &["SN-01"],
        chosen: |snapshot, stream, kind, at_most| {
            snapshot.stream.eq_ignore_ascii_case(stream)
                && snapshot.kind == *kind
                && at_most.is_none_or(|bound| snapshot.revision <= bound)
        },
        ..RIGHT
    },
    Mutant {
        name: "keeps what was saved first",
        breaks: &["SN-02", "SN-07"],
        save: |kept, snapshot| {
            if !kept.iter().any(|old| of(old, &snapshot.stream, &snapshot.kind) && old.revision == snapshot.revision) {
                kept.push(snapshot);
            }
        },
        ..RIGHT
    },
    Mutant {
        name: "keeps only the latest saved",
        breaks: &["SN-01", "SN-02", "SN-07"],
        save: |kept, snapshot| {
            kept.retain(|old| !of(old, &snapshot.stream, &snapshot.kind));
            kept.push(snapshot);
        },
        ..RIGHT
    },
    Mutant {
        name: "saves at the revision before",
        breaks: &["SN-01", "SN-02", "SN-03", "SN-04", "SN-07"],
        save: |kept, mut snapshot| {
            snapshot.revision = Revision::new(snapshot.revision.get().saturating_sub(1));
            kept.push(snapshot);
        },
        ..RIGHT
    },
    Mutant { name: "deletes nothing", breaks: &["SN-02", "SN-07"], deleted: |_, _, _, _| false, ..RIGHT },
    Mutant {
        name: "deletes the bound too",
        breaks: &["SN-02", "SN-07"],
        deleted: |snapshot, stream, kind, below| {
            of(snapshot, stream, kind) && below.is_none_or(|bound| snapshot.revision <= bound)
        },
        ..RIGHT
    },
    Mutant {
        name: "deletes all whatever the bound",
        breaks: &["SN-02", "SN-07"],
        deleted: |snapshot, stream, kind, _| of(snapshot, stream, kind),
        ..RIGHT
    },
    Mutant {
        name: "deletes other kinds too",
        breaks: &["SN-02"],
        deleted: |snapshot, stream, _, below| {
            snapshot.stream == *stream && below.is_none_or(|bound| snapshot.revision < bound)
        },
        ..RIGHT
    },
    Mutant {
        name: "deletes streams with the same beginning",
        breaks: &["SN-02"],
        deleted: |snapshot, stream, kind, below| {
            snapshot.stream.starts_with(stream.as_str())
                && snapshot.kind == *kind
                && below.is_none_or(|bound| snapshot.revision < bound)
        },
        ..RIGHT
    },
    Mutant {
        name: "forgets the format",
        breaks: &["SN-02", "SN-04"],
        save: |kept, snapshot| (RIGHT.save)(kept, snapshot.with_format(Format::Json)),
        ..RIGHT
    },
    Mutant {
        name: "keeps text",
        breaks: &["SN-03", "SN-04"],
        save: |kept, mut snapshot| {
            snapshot.state = String::from_utf8_lossy(&snapshot.state).into_owned().into();
            (RIGHT.save)(kept, snapshot);
        },
        ..RIGHT
    },
    Mutant {
        name: "serves what is damaged",
        breaks: &["SN-04"],
        damaged: |snapshot| {
            Ok(snapshot.map(|mut snapshot| {
                snapshot.state = b"damaged".as_slice().into();
                snapshot
            }))
        },
        ..RIGHT
    },
    Mutant { name: "saves in two steps", breaks: &["SN-07"], beside: Beside::HalfFirst, ..RIGHT },
    Mutant { name: "deletes before it overwrites", breaks: &["SN-07"], beside: Beside::GoneFirst, ..RIGHT },
    Mutant { name: "writes back all that it read", breaks: &["SN-07"], beside: Beside::AllBack, ..RIGHT },
];

struct Store {
    kept: Arc<Mutex<Kept>>,
    mutant: Mutant,
}

impl Mutant {
    fn open(self, place: &Place) -> Store {
        let kept = STORES.lock().unwrap().entry(place.dir().to_path_buf()).or_default().clone();
        Store { kept, mutant: self }
    }

    fn fixture(self) -> Fixture<dyn SnapshotStore> {
        let open = async move |place: &Place| Ok::<_, String>(self.open(place));
        Fixture::snapshot_store(open).damage(damage)
    }
}

async fn damage(place: &Place) -> Result<(), String> {
    let stores = STORES.lock().unwrap();
    stores.get(place.dir()).ok_or("nothing was stored there")?.lock().unwrap().damaged = true;
    Ok(())
}

#[async_trait]
impl SnapshotStore for Store {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let kept = self.kept.lock().unwrap();
        let chosen = kept.snapshots.iter().filter(|kept| (self.mutant.chosen)(kept, &stream, &kind, at_most));
        let loaded = (self.mutant.load)(chosen.cloned().collect());
        if kept.damaged { (self.mutant.damaged)(loaded) } else { Ok(loaded) }
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        let save = |snapshot| (self.mutant.save)(&mut self.kept.lock().unwrap().snapshots, snapshot);
        match self.mutant.beside {
            Beside::HalfFirst => {
                let mut half = snapshot.clone();
                half.state.truncate(snapshot.state.len() / 2);
                save(half);
                others().await;
            }
            Beside::GoneFirst => {
                let at =
                    |old: &Snapshot| of(old, &snapshot.stream, &snapshot.kind) && old.revision == snapshot.revision;
                self.kept.lock().unwrap().snapshots.retain(|old| !at(old));
                others().await;
            }
            Beside::AllBack => {
                let before = self.kept.lock().unwrap().snapshots.clone();
                others().await;
                self.kept.lock().unwrap().snapshots = before;
            }
            Beside::Nothing => {}
        }
        save(snapshot);
        Ok(())
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        let mut kept = self.kept.lock().unwrap();
        kept.snapshots.retain(|snapshot| !(self.mutant.deleted)(snapshot, &stream, &kind, below));
        Ok(())
    }
}

/// The laws that a store in memory can break. The other has wrong stores of its own, in `snapshot_files.rs`.
fn snapshot_laws() -> Vec<Law<dyn SnapshotStore>> {
    laws::snapshot_store().into_iter().filter(|law| law.id != "SN-06").collect()
}

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let wrong = complaints(MUTANTS.iter().collect(), 2, AGAIN, |mutant, again| {
        complaint(mutant.name, &Runner::new(|| mutant.fixture()), snapshot_laws, mutant.breaks, again)
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_right_one_keeps_every_law() {
    let (broken, how) = broken_by(&Runner::new(|| RIGHT.fixture()), snapshot_laws());
    assert!(broken.is_empty(), "a right store is said to break\n{how}");
}

#[test]
fn each_law_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = MUTANTS.iter().flat_map(|mutant| mutant.breaks).copied().collect();
    let laws: BTreeSet<_> = snapshot_laws().iter().map(|law| law.id).collect();
    assert_eq!(broken, laws);
}
