//! The laws of leases, proven by wrong stores: each breaks exactly the laws it says, and each law is broken by one.
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

use async_trait::async_trait;
use core::time::Duration;
use portolan_conformance::{Fixture, LeaseStore, Outcome, Place, Runner, laws, lease_store_laws};
use portolan_kernel::ports::{Lease, LeaseError};
use portolan_kernel::values::{Name, Token};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

/// Stores that outlive their handles, by place.
static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<Kept>>>>> = LazyLock::new(Mutex::default);

/// The largest token granted, and who has it.
type Record = (u64, Option<Lease>);
type Kept = HashMap<Name, Record>;

/// How a store is wrong; `RIGHT` where it is right.
#[derive(Clone, Copy)]
struct Mutant {
    name: &'static str,
    breaks: &'static [&'static str],
    /// What a name is looked up as.
    key: fn(&Name) -> Name,
    /// Whether a held lease stands in the way of a grant to this holder.
    blocks: fn(&Lease, &Name) -> bool,
    /// Whether a record is the one that was seen.
    unchanged: fn(&Lease, &Lease) -> bool,
    /// Whether a lease is held by whoever shows this one.
    held: fn(&Lease, &Lease) -> bool,
    /// The token of the next grant.
    token: fn(&Record) -> u64,
    renew: fn(Lease, &Lease) -> Lease,
    /// What is left of a record after a release.
    release: fn(Record) -> Record,
    /// What a release does to all records.
    released: fn(&mut Kept),
    /// The time to live after a take-over, of the one before and the one asked for.
    taken: fn(Duration, Duration) -> Duration,
    /// What is kept of a lease, which is answered as it was made.
    keeps: fn(Lease) -> Lease,
    /// Whether a lease ends by itself when its time to live is over.
    expires: bool,
    /// What is told of who holds it.
    told: fn(Lease) -> Lease,
    /// What is left when the store is opened again.
    reopen: fn(&mut Kept),
    /// Whether others come between the look and the write.
    races: bool,
}

const RIGHT: Mutant = Mutant {
    name: "right",
    breaks: &[],
    key: Clone::clone,
    blocks: |_, _| true,
    unchanged: |record, seen| record == seen,
    held: |record, shown| record.token == shown.token,
    token: |record| record.0 + 1,
    renew: |record, _| {
        let renewals = record.renewals + 1;
        record.renewed(renewals)
    },
    release: |(token, _)| (token, None),
    released: |_| {},
    taken: |_, asked| asked,
    keeps: |lease| lease,
    expires: false,
    told: |lease| lease,
    reopen: |_| {},
    races: false,
};

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "grants to everybody",
        breaks: &["LS-01", "LS-03", "LS-04", "LS-05"],
        blocks: |_, _| false,
        ..RIGHT
    },
    Mutant {
        name: "grants again to its holder",
        breaks: &["LS-01"],
        blocks: |held, holder| held.holder != *holder,
        ..RIGHT
    },
    Mutant { name: "takes over whatever stands", breaks: &["LS-03"], unchanged: |_, _| true, ..RIGHT },
    Mutant {
        name: "overlooks renewals",
        breaks: &["LS-03"],
        unchanged: |record, seen| record.token == seen.token,
        ..RIGHT
    },
    Mutant {
        name: "looks at the holder's name alone",
        breaks: &["LS-01"],
        held: |record, shown| record.holder == shown.holder || shown.token.0 != 1,
        ..RIGHT
    },
    Mutant {
        name: "lets a former holder renew and release",
        breaks: &["LS-01", "LS-04", "LS-05"],
        held: |_, _| true,
        ..RIGHT
    },
    Mutant {
        name: "wants the lease as it was last renewed",
        breaks: &["LS-01"],
        held: |record, shown| record == shown,
        ..RIGHT
    },
    Mutant { name: "counts no renewals", breaks: &["LS-01", "LS-03"], renew: |record, _| record, ..RIGHT },
    Mutant {
        name: "forgets the token with the release",
        breaks: &["LS-01", "LS-02", "LS-04"],
        release: |_| (0, None),
        ..RIGHT
    },
    Mutant {
        name: "releases nothing",
        breaks: &["LS-01", "LS-02", "LS-03", "LS-04"],
        release: |record| record,
        ..RIGHT
    },
    Mutant {
        name: "begins tokens at 0",
        breaks: &["LS-01", "LS-02", "LS-03", "LS-04"],
        token: |record| if record.0 == 0 && record.1.is_none() { 0 } else { record.0 + 1 },
        ..RIGHT
    },
    Mutant {
        name: "keeps the token in a take-over",
        breaks: &["LS-02", "LS-03", "LS-04", "LS-05"],
        token: |record| record.0 + u64::from(record.1.is_none()),
        ..RIGHT
    },
    Mutant { name: "folds case", breaks: &["LS-01"], key: |name| Name::new(name.to_lowercase()).unwrap(), ..RIGHT },
    Mutant {
        name: "does not tell renewals",
        breaks: &["LS-03", "LS-04", "LS-05"],
        told: |lease| lease.renewed(0),
        ..RIGHT
    },
    Mutant {
        name: "tells whole seconds",
        breaks: &["LS-03", "LS-04", "LS-05"],
        told: |mut lease| {
            lease.time_to_live = Duration::from_secs(lease.time_to_live.as_secs());
            lease
        },
        ..RIGHT
    },
    Mutant {
        name: "forgets who holds it when it is closed",
        breaks: &["LS-05"],
        reopen: |kept| kept.values_mut().for_each(|record| record.1 = None),
        ..RIGHT
    },
    Mutant { name: "forgets all when it is closed", breaks: &["LS-02", "LS-05"], reopen: Kept::clear, ..RIGHT },
    Mutant { name: "lets leases expire by a clock of its own", breaks: &["LS-01"], expires: true, ..RIGHT },
    Mutant {
        name: "frees every name with a release",
        breaks: &["LS-01"],
        released: |kept| kept.values_mut().for_each(|record| record.1 = None),
        ..RIGHT
    },
    Mutant {
        name: "keeps the former time to live in a take-over",
        breaks: &["LS-03"],
        taken: |former, _| former,
        ..RIGHT
    },
    Mutant {
        name: "answers what it does not keep: parts of a millisecond",
        breaks: &["LS-03", "LS-04"],
        keeps: |mut lease| {
            lease.time_to_live = Duration::from_millis(u64::try_from(lease.time_to_live.as_millis()).unwrap());
            lease
        },
        ..RIGHT
    },
    Mutant { name: "looks, and then writes", breaks: &["LS-01", "LS-03"], races: true, ..RIGHT },
];

struct Store {
    kept: Arc<Mutex<Kept>>,
    mutant: Mutant,
}

impl Mutant {
    fn open(self, place: &Place) -> Store {
        let kept = STORES.lock().unwrap().entry(place.dir().to_path_buf()).or_default().clone();
        (self.reopen)(&mut kept.lock().unwrap());
        Store { kept, mutant: self }
    }

    fn fixture(self) -> Fixture<dyn LeaseStore> {
        Fixture::lease_store(async move |place: &Place| Ok::<_, String>(self.open(place)))
    }
}

impl Store {
    fn record(&self, name: &Name) -> Record {
        self.kept.lock().unwrap().get(&(self.mutant.key)(name)).cloned().unwrap_or_default()
    }

    async fn grant_unless(
        &self,
        name: Name,
        holder: Name,
        time_to_live: Duration,
        blocks: impl Fn(&Lease) -> bool,
    ) -> Result<Lease, LeaseError> {
        if self.mutant.races {
            if let (_, Some(held)) = self.record(&name)
                && blocks(&held)
            {
                return Err(LeaseError::Held((self.mutant.told)(held)));
            }
            tokio::task::yield_now().await;
        }
        let mut kept = self.kept.lock().unwrap();
        let record = kept.entry((self.mutant.key)(&name)).or_default();
        if let Some(held) = &record.1
            && !self.mutant.races
            && blocks(held)
        {
            return Err(LeaseError::Held((self.mutant.told)(held.clone())));
        }
        let token = (self.mutant.token)(record);
        let lease = Lease::new(name, holder, Token(token), time_to_live);
        *record = (token, Some((self.mutant.keeps)(lease.clone())));
        if self.mutant.expires {
            tokio::spawn(expiry(self.kept.clone(), (self.mutant.key)(&lease.name), lease.clone()));
        }
        Ok(lease)
    }

    fn change(&self, lease: &Lease, change: impl FnOnce(&mut Record, Lease)) -> Result<(), LeaseError> {
        let mut kept = self.kept.lock().unwrap();
        let record = kept.entry((self.mutant.key)(&lease.name)).or_default();
        match record.1.clone() {
            Some(held) if (self.mutant.held)(&held, lease) => {
                change(record, held);
                Ok(())
            }
            _ => Err(LeaseError::Lost { name: lease.name.clone(), token: Token(record.0) }),
        }
    }
}

/// Ends a lease that was not renewed when its time to live is over.
async fn expiry(kept: Arc<Mutex<Kept>>, key: Name, lease: Lease) {
    tokio::time::sleep(lease.time_to_live).await;
    let mut kept = kept.lock().unwrap();
    let record = kept.get_mut(&key).unwrap();
    if record.1.as_ref() == Some(&lease) {
        record.1 = None;
    }
}

#[async_trait]
impl LeaseStore for Store {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        let to = holder.clone();
        self.grant_unless(name, holder, time_to_live, |held| (self.mutant.blocks)(held, &to)).await
    }

    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        let (name, time_to_live) = (seen.name.clone(), (self.mutant.taken)(seen.time_to_live, time_to_live));
        self.grant_unless(name, holder, time_to_live, |held| !(self.mutant.unchanged)(held, &seen)).await
    }

    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        let mut renewed = None;
        self.change(&lease, |record, held| {
            record.1 = Some((self.mutant.renew)(held, &lease));
            renewed.clone_from(&record.1);
        })?;
        Ok(renewed.unwrap_or(lease))
    }

    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.change(&lease, |record, _| *record = (self.mutant.release)(record.clone()))?;
        (self.mutant.released)(&mut self.kept.lock().unwrap());
        Ok(())
    }
}

lease_store_laws! {
    open: async |place: &Place| Ok::<_, String>(RIGHT.open(place)),
}

#[test]
fn each_mutant_breaks_exactly_its_laws() {
    let mut wrong = String::new();
    for mutant in MUTANTS {
        let runner = Runner::new(|| mutant.fixture()).quick();
        let (mut broken, mut how) = (BTreeSet::new(), String::new());
        for law in laws::lease_store() {
            match runner.judge(&law) {
                Outcome::Kept { checks, .. } => assert!(checks > 0, "{} has no check", law.id),
                Outcome::Broken { check, broken: found } => {
                    broken.insert(law.id);
                    how += &format!("{} ({check}):\n{found}\n", law.id);
                }
                Outcome::NotRun { check, why } => panic!("{check} was not run: {why}"),
                Outcome::Unreachable(broken) => panic!("{broken}"),
            }
        }
        let declared: BTreeSet<_> = mutant.breaks.iter().copied().collect();
        if broken != declared {
            wrong += &format!("\nA store that {} breaks {broken:?}, and not {declared:?}:\n{how}", mutant.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_law_is_broken_by_a_mutant() {
    let broken: BTreeSet<_> = MUTANTS.iter().flat_map(|mutant| mutant.breaks).copied().collect();
    let laws: BTreeSet<_> = laws::lease_store().iter().map(|law| law.id).collect();
    assert_eq!(broken, laws);
}
