//! Nothing of a dead process runs on, and nothing of it is tidied up.

use crate::{event, has};
use portolan::MemoryStore;
use portolan::application::Runtime;
use portolan::ports::{Lease, LeaseError, LeaseStore};
use portolan::values::Name;
use portolan_testing::crash::{Crash, Process, streams};
use portolan_testing::crash_points;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TIME_TO_LIVE: Duration = Duration::from_secs(10);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Releases its lease when it is dropped, as the workers of projections do.
struct Held {
    lease: Lease,
    leases: Arc<dyn LeaseStore>,
    runtime: Runtime,
}

impl Drop for Held {
    fn drop(&mut self) {
        let (lease, leases) = (self.lease.clone(), self.leases.clone());
        self.runtime.spawn.spawn(Box::pin(async move {
            let _ = leases.release(lease).await;
        }));
    }
}

/// The lease, if need be once its holder has not renewed it for its time to live; and whether that was so.
async fn hold(process: &Process) -> (Held, bool) {
    let (leases, runtime) = (process.storage().leases.unwrap(), process.runtime());
    let granted = leases.grant(name("work"), name("worker"), TIME_TO_LIVE).await;
    let was_held = granted.is_err();
    let lease = match granted {
        Err(LeaseError::Held(seen)) => {
            runtime.sleep.sleep(seen.time_to_live).await;
            leases.take_over(seen, name("worker"), TIME_TO_LIVE).await.unwrap()
        }
        granted => granted.unwrap(),
    };
    (Held { lease, leases, runtime }, was_held)
}

#[test]
fn a_dead_process_holds_its_leases_until_their_time_is_over() {
    let seen = Mutex::new(Vec::new());
    let points = crash_points(async |_| MemoryStore::new())
        .run(async |process| {
            let begun = process.runtime().clock.now();
            let (_held, was_held) = hold(process).await;
            let waited = process.runtime().clock.now().as_micros() - begun.as_micros();
            seen.lock().unwrap().push((was_held, Duration::from_micros(waited)));
            if !has(&process.storage(), "work").await {
                process.storage().events.append(event("work")).await.unwrap();
            }
        })
        .observe(streams);
    let report = points.check();
    assert_eq!(
        report.boundaries.len(),
        3,
        "the release that is spawned at the end is of no process any more\n{report}"
    );
    let seen = seen.into_inner().unwrap();
    assert!(seen.contains(&(true, TIME_TO_LIVE)), "{seen:?}");
    assert_eq!(seen.iter().filter(|(was_held, _)| *was_held).count(), 5, "of six, one died before it held\n{seen:?}");
}

#[test]
fn no_task_and_no_sleeper_outlives_its_process() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let lives = Mutex::new(0);
    let points = crash_points(async |_| MemoryStore::new())
        .run(async |process| {
            let life = {
                let mut lives = lives.lock().unwrap();
                *lives += 1;
                *lives
            };
            let (runtime, said, effects) = (process.runtime(), said.clone(), process.effects());
            process.runtime().spawn.spawn(Box::pin(async move {
                loop {
                    said.lock().unwrap().push(life);
                    runtime.sleep.sleep(Duration::from_secs(1)).await;
                    effects.perform("tick", "tick").await;
                }
            }));
            for _ in 0..3 {
                process.runtime().sleep.sleep(Duration::from_millis(1_500)).await;
                if !has(&process.storage(), "work").await {
                    process.storage().events.append(event("work")).await.unwrap();
                }
            }
        })
        .observe(streams);
    points.check();
    let said = said.lock().unwrap();
    assert!(said.is_sorted(), "a dead process has spoken: {said:?}");
    assert!(said.iter().filter(|life| **life == 2).count() >= 1, "{said:?}");
}

#[test]
fn the_rest_of_the_turn_in_which_a_process_dies_reaches_nobody() {
    let points = crash_points(async |_| MemoryStore::new())
        .run(async |process| {
            let (storage, effects) = (process.storage(), process.effects());
            // Both are polled in one turn. The first dies, the second is not heard.
            futures::join!(
                async {
                    if !has(&storage, "work").await {
                        storage.events.append(event("work")).await.unwrap();
                    }
                },
                effects.perform_without_key("ring"),
            );
        })
        .observe(streams);
    let report = points.only([Crash::Before(1)]).report();
    assert_eq!(report.failures.len(), 0, "{report}");
    assert_eq!(report.effects["ring"], 1);
}

#[test]
fn time_passes_while_nobody_lives() {
    let times = Mutex::new(Vec::new());
    let points = crash_points(async |_| MemoryStore::new())
        .run(async |process| {
            times.lock().unwrap().push(process.runtime().clock.now());
            process.effects().perform("p-1", "pay 5 to ann").await;
        })
        .observe(streams)
        .down_for(Duration::from_secs(60));
    points.only([Crash::After(1)]).check();
    let times = times.into_inner().unwrap();
    // The run without a crash; then two processes.
    assert_eq!((times.len(), times[2]), (3, times[1].plus(Duration::from_secs(60))));
}
