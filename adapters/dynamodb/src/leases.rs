//! Leases: one item a name, which is never deleted, so that no token is given out twice.

use crate::encoding::{decode, encode};
use crate::error::Fault;
use crate::marks::{Mark, fresh_id};
use crate::table::{Backoff, Key};
use crate::transactions::{Carried, If};
use crate::{DynamoStore, Inner};
use async_trait::async_trait;
use core::time::Duration;
use portolan_kernel::ports::{Lease, LeaseError, LeaseStore, Source};
use portolan_kernel::values::{Name, Token};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

#[derive(Serialize, Deserialize)]
struct LeaseRow<'a> {
    token: u64,
    /// Holder, time to live in microseconds, renewals.
    #[serde(borrow)]
    held: Option<(&'a str, u64, u64)>,
}

/// The largest token granted on a name, and who has it.
#[derive(Debug, Clone, Default)]
struct Record {
    token: Token,
    held: Option<Lease>,
}

impl Record {
    fn granted(&self, name: &Name, holder: &Name, time_to_live: Duration) -> Self {
        let token = Token(self.token.0 + 1);
        Self { token, held: Some(Lease::new(name.clone(), holder.clone(), token, time_to_live)) }
    }

    /// The lease, if it is still this very one.
    fn held_as(&self, lease: &Lease) -> Result<&Lease, LeaseError> {
        let lost = || LeaseError::Lost { name: lease.name.clone(), token: self.token };
        self.held.as_ref().filter(|held| held.token == lease.token).ok_or_else(lost)
    }

    fn encode(&self) -> Vec<u8> {
        let micros = |lease: &Lease| u64::try_from(lease.time_to_live.as_micros()).unwrap_or(u64::MAX);
        let held = self.held.as_ref().map(|lease| (&*lease.holder, micros(lease), lease.renewals));
        encode(&LeaseRow { token: self.token.0, held })
    }

    fn decode(key: &Key, name: &Name, bytes: &[u8]) -> Result<Self, Fault> {
        let row: LeaseRow<'_> = decode(key, bytes)?;
        let token = Token(row.token);
        let lease = |(holder, micros, renewals): (&str, u64, u64)| {
            let holder = Name::new(holder).map_err(|_| Fault::Damaged(key.place()))?;
            Ok(Lease::new(name.clone(), holder, token, Duration::from_micros(micros)).renewed(renewals))
        };
        Ok(Self { token, held: row.held.map(lease).transpose()? })
    }
}

impl Inner {
    /// Puts in place of the record what `judge` makes of it.
    async fn change_lease(
        &self,
        name: &Name,
        judge: impl Fn(&Record) -> Result<Record, LeaseError> + Send + Sync,
    ) -> Result<Record, LeaseError> {
        let key = self.space.lease(name);
        let (until, mut backoff, mut sent) = (Instant::now() + self.table.patience, Backoff::default(), None);
        loop {
            let item = self.table.get(&key).await.map_err(Fault::refuses_lease)?;
            let mark = item.map(|item| Mark::decode(&key, &item)).transpose().map_err(Fault::refuses_lease)?;
            let record =
                mark.as_ref().map_or_else(|| Ok(Record::default()), |mark| Record::decode(&key, name, &mark.value));
            let record = record.map_err(Fault::refuses_lease)?;
            match sent {
                // A request that seemed to fail has been carried out.
                Some((id, _)) if mark.as_ref().is_some_and(|mark| mark.id == id) => return Ok(record),
                Some((_, Some(source))) => return Err(LeaseError::Unknown(source)),
                _ => {}
            }
            let changed = judge(&record)?;
            let id = fresh_id();
            let item = Mark::after(mark.as_ref(), id, None, changed.encode()).item(&key);
            let put = self.table.put(item, Some(If::still(mark.as_ref()))).map_err(Fault::refuses_lease)?;
            match self.table.carry_out(id, &[put]).await {
                Carried::Out => return Ok(changed),
                Carried::Failed { .. } => sent = Some((id, None)),
                Carried::Unknown(Fault::Throttled(source) | Fault::NoAnswer(source)) => sent = Some((id, Some(source))),
                Carried::Unknown(fault) | Carried::Refused(fault) => return Err(fault.refuses_lease()),
            }
            if Instant::now() >= until && matches!(sent, Some((_, None))) {
                return Err(LeaseError::Busy(Source::new("others were always faster")));
            }
            backoff.pause().await;
        }
    }

    async fn grant_lease(
        &self,
        name: &Name,
        over: Option<&Lease>,
        holder: &Name,
        time_to_live: Duration,
    ) -> Result<Lease, LeaseError> {
        let judge = |record: &Record| match &record.held {
            Some(held) if over != Some(held) => Err(LeaseError::Held(held.clone())),
            _ => Ok(record.granted(name, holder, time_to_live)),
        };
        let record = self.change_lease(name, judge).await?;
        Ok(record.held.unwrap_or_else(|| Lease::new(name.clone(), holder.clone(), record.token, time_to_live)))
    }
}

#[async_trait]
impl LeaseStore for DynamoStore {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.inner.grant_lease(&name, None, &holder, time_to_live).await
    }

    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.inner.grant_lease(&seen.name, Some(&seen), &holder, time_to_live).await
    }

    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        let judge = |record: &Record| {
            let held = record.held_as(&lease)?.clone();
            let renewals = held.renewals + 1;
            Ok(Record { token: record.token, held: Some(held.renewed(renewals)) })
        };
        let record = self.inner.change_lease(&lease.name, judge).await?;
        Ok(record.held.unwrap_or_else(|| lease.clone()))
    }

    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        let judge = |record: &Record| record.held_as(&lease).map(|_| Record { token: record.token, held: None });
        self.inner.change_lease(&lease.name, judge).await.map(drop)
    }
}
