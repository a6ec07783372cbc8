//! The lease of an edition: granted, taken over from a holder that is gone, renewed until it is lost.

use super::super::backoff::share_of;
use super::super::subscription::yield_now;
use super::env::Env;
use crate::ports::{Lease, LeaseError};
use crate::values::Name;
use core::time::Duration;

/// The longest pause before a store that is busy or gone is asked again.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Pauses after so many failures in a row: longer each time, by a random share.
pub(super) async fn pause(env: &Env, failures: u32) {
    let most = Duration::from_millis(4).saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
    env.sleep.sleep(share_of(&*env.ids, most)).await;
    yield_now().await;
}

/// The lease, once nobody else holds it: at once, or when its holder has let it go or not renewed it for its time to
/// live.
pub(super) async fn acquire(env: &Env, name: &Name) -> Lease {
    // The lease that is watched, and for how long it has not changed.
    let mut watched: Option<(Lease, Duration)> = None;
    let (mut failures, mut is_unknown) = (0, false);
    loop {
        let held = match env.leases.grant(name.clone(), env.holder.clone(), env.options.lease).await {
            Ok(lease) => return lease,
            Err(LeaseError::Held(held)) => held,
            Err(error) => {
                is_unknown |= matches!(error, LeaseError::Unknown(_));
                failures += 1;
                pause(env, failures).await;
                continue;
            }
        };
        failures = 0;
        let unchanged = match &watched {
            Some((lease, unchanged)) if *lease == held => *unchanged,
            _ => Duration::ZERO,
        };
        // What is held by this holder after an unknown outcome was granted to this very call.
        if unchanged >= held.time_to_live || (is_unknown && held.holder == env.holder) {
            match env.leases.take_over(held, env.holder.clone(), env.options.lease).await {
                Ok(lease) => return lease,
                Err(error) => {
                    is_unknown |= matches!(error, LeaseError::Unknown(_));
                    pause(env, 0).await;
                }
            }
            watched = None;
            continue;
        }
        let part = held.time_to_live.div_f64(3.0).max(Duration::from_millis(1));
        env.sleep.sleep(part).await;
        yield_now().await;
        watched = Some((held, unchanged + part));
    }
}

/// Renews the lease until it is lost.
pub(super) async fn hold(env: &Env, lease: &mut Lease) {
    let mut failures = 0;
    loop {
        if failures == 0 {
            env.sleep.sleep(lease.time_to_live / 3).await;
            yield_now().await;
        } else {
            pause(env, failures).await;
        }
        match env.leases.renew(lease.clone()).await {
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
