//! The port `LeaseStore`: who may work on something, for a time.

use super::Source;
use crate::values::{Name, Token};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use async_trait::async_trait;
use core::time::Duration;
use futures::future::BoxFuture;

/// A lease that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// What it is on.
    pub name: Name,
    /// Who has it.
    pub holder: Name,
    /// Its rank: larger than that of every lease on the name before it. What the holder writes carries it, so that
    /// a store refuses the writes of a former holder that wakes up late.
    pub token: Token,
    /// How long it lives without being renewed, in whole microseconds.
    pub time_to_live: Duration,
    /// How often it has been renewed.
    pub renewals: u64,
}

/// The longest time to live, in microseconds.
const MOST_MICROS: u64 = i64::MAX.unsigned_abs();

impl Lease {
    /// A lease, as a store makes it: not renewed yet.
    ///
    /// Its time to live is in whole microseconds, so that the record is the same for whoever was granted it and for
    /// whoever reads it from a store, and can be named in a take-over by either. A part of one counts as a whole, and
    /// what has more than [`i64::MAX`] of them has that many.
    #[must_use]
    pub fn new(name: Name, holder: Name, token: Token, time_to_live: Duration) -> Self {
        let micros = time_to_live.as_nanos().div_ceil(1_000);
        let time_to_live = Duration::from_micros(u64::try_from(micros).unwrap_or(MOST_MICROS).min(MOST_MICROS));
        Self { name, holder, token, time_to_live, renewals: 0 }
    }

    /// The same lease, renewed so often.
    #[must_use]
    pub fn renewed(self, renewals: u64) -> Self {
        Self { renewals, ..self }
    }
}

/// Why a lease was not granted, renewed or released.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Somebody has it. Watch this record for its time to live: if it has not changed by then, its holder is gone,
    /// and [`LeaseStore::take_over`] may name it.
    #[error("{} holds the lease on {} for about {:?} more", .0.holder, .0.name, .0.time_to_live)]
    Held(Lease),
    /// The lease is no longer the caller's: somebody took it over, or it was released. Stop working.
    #[error("the lease on {name} is no longer held under token {}; stop", token.0)]
    Lost {
        /// What it is on.
        name: Name,
        /// The largest token granted on it.
        token: Token,
    },
    /// The store cannot answer now. Try again, with a pause.
    #[error("the leases are busy; try again")]
    Busy(#[source] Source),
    /// It may have been written. Ask again: the answer tells.
    #[error("the outcome is unknown: {0}; ask again")]
    Unknown(#[source] Source),
    /// The store met damaged data. An operator has to look.
    #[error("the leases are damaged at {place}")]
    Corrupt {
        /// Where: a file, a table and row, a key.
        place: String,
    },
    /// Anything else.
    #[error("the leases cannot be used: {0}")]
    Other(#[source] Source),
}

/// Grants leases, so that of several processes one works on something at a time.
///
/// No clock is part of it. A lease does not expire by itself: a contender that has watched an unchanged record for its
/// time to live, on a monotonic clock of its own, names that record and takes it over by compare-and-set. Nor does
/// safety rest on leases: two holders may believe in theirs for a while, and what each writes is fenced by its
/// token (ES-13).
///
/// # Laws
///
/// - **LS-01** One holder at a time by the store's view. The holder renews; it, and only it, releases. Of several
///   contenders one wins.
/// - **LS-02** Every grant has a larger token than all before it on the name, also after release, take-over and
///   reopening. Tokens begin at 1.
/// - **LS-03** A record that was renewed, released or taken over since it was seen is not taken over: a contender has
///   to watch the new one.
/// - **LS-04** [`LeaseError::Held`] tells by whom, for how long and under which token; a former holder is
///   [`LeaseError::Lost`].
/// - **LS-05** A grant is there after reopening and for other processes, on a store that is durable and shared.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// A lease on the name, if nobody has it, for this time in whole microseconds ([`Lease::new`]). The holder itself, too, has to release or take over what it holds.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Held`] with the record to watch.
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError>;

    /// A lease on the name in place of `seen`, if that still stands as it was seen.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Held`] when it has changed since and somebody has it.
    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError>;

    /// The lease, renewed: whoever watches it begins anew.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Lost`].
    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError>;

    /// Gives the lease up. Its token is remembered for good.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Lost`], which for whoever gives up is no harm.
    async fn release(&self, lease: Lease) -> Result<(), LeaseError>;
}

/// A shared store is a store. It hands on the store's own futures, at no cost.
impl<S: LeaseStore + ?Sized> LeaseStore for Arc<S> {
    fn grant<'s, 'f>(
        &'s self,
        name: Name,
        holder: Name,
        time_to_live: Duration,
    ) -> BoxFuture<'f, Result<Lease, LeaseError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).grant(name, holder, time_to_live)
    }
    fn take_over<'s, 'f>(
        &'s self,
        seen: Lease,
        holder: Name,
        time_to_live: Duration,
    ) -> BoxFuture<'f, Result<Lease, LeaseError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).take_over(seen, holder, time_to_live)
    }
    fn renew<'s, 'f>(&'s self, lease: Lease) -> BoxFuture<'f, Result<Lease, LeaseError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).renew(lease)
    }
    fn release<'s, 'f>(&'s self, lease: Lease) -> BoxFuture<'f, Result<(), LeaseError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).release(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_has_whole_microseconds() {
        let name = || Name::new("n").unwrap();
        let lives = |ttl| Lease::new(name(), name(), Token(1), ttl).time_to_live;
        assert_eq!(lives(Duration::ZERO), Duration::ZERO);
        assert_eq!(lives(Duration::from_nanos(1)), Duration::from_micros(1));
        assert_eq!(lives(Duration::from_nanos(1_000)), Duration::from_micros(1));
        assert_eq!(lives(Duration::from_secs(10) / 3), Duration::from_micros(3_333_334));
        assert_eq!(lives(Duration::MAX), Duration::from_micros(i64::MAX.unsigned_abs()));
    }
}
