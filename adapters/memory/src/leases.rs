//! Leases.

use crate::MemoryStore;
use async_trait::async_trait;
use core::time::Duration;
use portolan_kernel::ports::{Lease, LeaseError, LeaseStore};
use portolan_kernel::values::{Name, Token};
use std::collections::HashMap;
use std::sync::PoisonError;

/// The largest token granted on each name, and who has it.
pub(crate) type Leases = HashMap<Name, (Token, Option<Lease>)>;

impl MemoryStore {
    fn with_leases<T>(&self, change: impl FnOnce(&mut Leases) -> T) -> T {
        change(&mut self.0.leases.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn grant(leases: &mut Leases, name: Name, holder: Name, time_to_live: Duration) -> Lease {
    let record = leases.entry(name.clone()).or_default();
    let token = Token(record.0.0 + 1);
    let lease = Lease::new(name, holder, token, time_to_live);
    *record = (token, Some(lease.clone()));
    lease
}

/// The record, if it is still this very lease.
fn held<'a>(leases: &'a mut Leases, lease: &Lease) -> Result<&'a mut Option<Lease>, LeaseError> {
    let lost = |token| LeaseError::Lost { name: lease.name.clone(), token };
    let (token, record) = leases.get_mut(&lease.name).ok_or_else(|| lost(Token(0)))?;
    if *token == lease.token && record.is_some() { Ok(record) } else { Err(lost(*token)) }
}

// Each change is one insertion, so a lock that a panic poisoned guards good data.

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.with_leases(|leases| match leases.get(&name) {
            Some((_, Some(held))) => Err(LeaseError::Held(held.clone())),
            _ => Ok(grant(leases, name, holder, time_to_live)),
        })
    }

    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.with_leases(|leases| match leases.get(&seen.name) {
            Some((_, Some(held))) if *held != seen => Err(LeaseError::Held(held.clone())),
            _ => Ok(grant(leases, seen.name, holder, time_to_live)),
        })
    }

    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.with_leases(|leases| {
            let record = held(leases, &lease)?;
            let renewals = record.as_ref().map_or(0, |held| held.renewals) + 1;
            Ok(record.insert(lease.renewed(renewals)).clone())
        })
    }

    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.with_leases(|leases| held(leases, &lease).map(|record| *record = None))
    }
}
