//! A store of leases that is as simple as can be, and how it can be wrong.

use async_trait::async_trait;
use core::time::Duration;
use portolan_conformance::{Fixture, LeaseStore, Place};
use portolan_kernel::ports::{Lease, LeaseError};
use portolan_kernel::values::{Name, Token};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

/// Stores that outlive their handles, by place.
static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<Kept>>>>> = LazyLock::new(Mutex::default);

/// The largest token granted, and who has it.
pub type Record = (u64, Option<Lease>);
pub type Kept = HashMap<Name, Record>;

/// How a store is wrong; `RIGHT` where it is right.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    pub breaks: &'static [&'static str],
    /// What a name is looked up as.
    pub key: fn(&Name) -> Name,
    /// Whether a held lease stands in the way of a grant to this holder.
    pub blocks: fn(&Lease, &Name) -> bool,
    /// Whether a record is the one that was seen.
    pub unchanged: fn(&Lease, &Lease) -> bool,
    /// Whether a lease is held by whoever shows this one.
    pub held: fn(&Lease, &Lease) -> bool,
    /// The token of the next grant.
    pub token: fn(&Record) -> u64,
    pub renew: fn(Lease, &Lease) -> Lease,
    /// What is left of a record after a release.
    pub release: fn(Record) -> Record,
    /// What a release does to all records.
    pub released: fn(&mut Kept),
    /// The time to live after a take-over, of the one before and the one asked for.
    pub taken: fn(Duration, Duration) -> Duration,
    /// What is kept of a lease, which is answered as it was made.
    pub keeps: fn(Lease) -> Lease,
    /// Whether a lease ends by itself when its time to live is over.
    pub expires: bool,
    /// What is told of who holds it.
    pub told: fn(Lease) -> Lease,
    /// What is left when the store is opened again.
    pub reopen: fn(&mut Kept),
    /// Whether others come between the look and the write.
    pub races: bool,
}

pub const RIGHT: Mutant = Mutant {
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

pub struct Store {
    kept: Arc<Mutex<Kept>>,
    mutant: Mutant,
}

impl Mutant {
    pub fn open_alone(self) -> Store {
        Store { kept: Arc::default(), mutant: self }
    }

    pub fn open(self, place: &Place) -> Store {
        let kept = STORES.lock().unwrap().entry(place.dir().to_path_buf()).or_default().clone();
        (self.reopen)(&mut kept.lock().unwrap());
        Store { kept, mutant: self }
    }

    pub fn fixture(self) -> Fixture<dyn LeaseStore> {
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
