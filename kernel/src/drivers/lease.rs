//! Leases of workers: granted, taken over from a holder that is gone, renewed until they are lost.

use super::backoff::share_of;
use super::subscription::yield_now;
use super::task::Stop;
use crate::ports::{IdSource, Lease, LeaseError, LeaseStore, Sleep, Spawn};
use crate::values::{Name, Token};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::pin::pin;
use core::time::Duration;
use futures::future::select;

/// The longest pause before a store that is busy or gone is asked again.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Pauses after so many failures in a row: longer each time, by a random share.
pub(super) async fn pause(ids: &dyn IdSource, sleep: &dyn Sleep, failures: u32) {
    let most = Duration::from_millis(4).saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
    sleep.sleep(share_of(ids, most)).await;
    yield_now().await;
}

/// Who asks for leases, and how. A clone is the same.
#[derive(Clone)]
pub(super) struct Leasing {
    pub(super) leases: Arc<dyn LeaseStore>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) sleep: Arc<dyn Sleep>,
    pub(super) spawn: Arc<dyn Spawn>,
    /// Who this process is among those that hold leases.
    pub(super) holder: Name,
    pub(super) time_to_live: Duration,
}

impl Leasing {
    async fn pause(&self, failures: u32) {
        pause(&*self.ids, &*self.sleep, failures).await;
    }
}

/// A lease that is given up at its end, whatever that comes from: who comes next need not wait for its time to live.
pub(super) struct Held {
    leasing: Leasing,
    lease: Option<Lease>,
}

impl Held {
    /// Its token. There is a lease until it is released.
    pub(super) fn token(&self) -> Token {
        self.lease.as_ref().map_or(Token(0), |lease| lease.token)
    }

    /// Gives it up. If that fails, who comes next waits.
    pub(super) async fn release(mut self) {
        if let Some(lease) = self.lease.take() {
            let _ = self.leasing.leases.release(lease).await;
        }
    }
}

/// Whoever holds it has died, of a panic or with its runtime.
impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let leases = self.leasing.leases.clone();
            self.leasing.spawn.spawn(Box::pin(async move {
                let _ = leases.release(lease).await;
            }));
        }
    }
}

/// How often a store is asked that is gone, by one who is to stop and may have been granted a lease.
const LAST_WORDS: u32 = 3;

/// The lease, once nobody else holds it: at once, or when its holder has let it go or not renewed it for its time to
/// live; `None` when it is told to stop before. As long as somebody else holds it, `held_by` is told who.
///
/// The store is never left in the midst of an answer: what it grants then would be held by nobody.
pub(super) async fn acquire(
    leasing: &Leasing,
    name: &Name,
    stop: &Stop,
    mut held_by: impl FnMut(&Name) + Send,
) -> Option<Held> {
    let granted = |lease| Some(Held { leasing: leasing.clone(), lease: Some(lease) });
    // The lease that is watched, and for how long it has not changed.
    let mut watched: Option<(Lease, Duration)> = None;
    let (mut failures, mut is_unknown) = (0, false);
    loop {
        let held = match leasing.leases.grant(name.clone(), leasing.holder.clone(), leasing.time_to_live).await {
            Ok(lease) => return granted(lease),
            Err(LeaseError::Held(held)) => held,
            Err(error) => {
                is_unknown |= matches!(error, LeaseError::Unknown(_));
                failures += 1;
                if stop.is_closed() && (!is_unknown || failures > LAST_WORDS) {
                    return None;
                }
                leasing.pause(failures).await;
                continue;
            }
        };
        failures = 0;
        held_by(&held.holder);
        let is_own = is_unknown && held.holder == leasing.holder;
        if stop.is_closed() {
            return if is_own { granted(held) } else { None };
        }
        let unchanged = match &watched {
            Some((lease, unchanged)) if *lease == held => *unchanged,
            _ => Duration::ZERO,
        };
        // What is held by this holder after an unknown outcome was granted to this very call.
        if unchanged >= held.time_to_live || is_own {
            match leasing.leases.take_over(held, leasing.holder.clone(), leasing.time_to_live).await {
                Ok(lease) => return granted(lease),
                Err(error) => {
                    is_unknown |= matches!(error, LeaseError::Unknown(_));
                    leasing.pause(0).await;
                }
            }
            watched = None;
            continue;
        }
        let part = held.time_to_live.div_f64(3.0).max(Duration::from_millis(1));
        select(pin!(stop.recv()), leasing.sleep.sleep(part)).await;
        yield_now().await;
        watched = Some((held, unchanged + part));
    }
}

/// Renews the lease until it is lost.
pub(super) async fn hold(held: &mut Held) {
    let Held { leasing, lease: Some(lease) } = held else { return };
    let mut failures = 0;
    loop {
        if failures == 0 {
            leasing.sleep.sleep(lease.time_to_live / 3).await;
            yield_now().await;
        } else {
            leasing.pause(failures).await;
        }
        match leasing.leases.renew(lease.clone()).await {
            Ok(renewed) => {
                *lease = renewed;
                failures = 0;
            }
            Err(LeaseError::Lost { .. }) => return,
            // Whoever cannot renew works on: what is written is fenced.
            Err(_) => failures = failures.saturating_add(1),
        }
    }
}
