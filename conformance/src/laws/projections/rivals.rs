//! PR-05: several workers on one projection.

use crate::child::tell;
use crate::law::law;
use crate::projections::{Hindrance, Projected, Sums, World, fold, sums};
use crate::rows::at;
use crate::{Broken, Trial, Verdict, expect_eq};
use core::time::Duration;
use portolan_kernel::values::Position;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

law! {
    Projected, pr_05_rivals, "PR-05",
    "Two workers on one projection have the effects of one, also when one that was taken for dead wakes up.",
    checks: [
        many_applications_have_the_effects_of_one, a_worker_that_ends_is_replaced,
        one_that_is_taken_for_dead_does_no_harm, one_that_sleeps_and_wakes_does_no_harm if [Durability, SeveralProcesses],
    ],
    roles: [work_until_killed],
}

async fn many_applications_have_the_effects_of_one(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?.with(|options| options.with_page_events(3));
    let mut apps = Vec::new();
    for _ in 0..4 {
        apps.push(world.start(|app| app.projection::<Sums>()).await?);
    }
    let mut last = at(1);
    for round in 0..trial.rounds(60).max(20) {
        last = world.append(sums(["a", "b", "c"][round % 3], &[1, -2])).await?;
        if round % 10 == 9 {
            let app = apps.remove(0);
            app.shut_down().await;
            apps.push(world.start(|app| app.projection::<Sums>()).await?);
        }
    }
    for app in &apps {
        app.reaches("sums", last).await?;
        let (_, rows) = app.rows("sums", None).await?;
        expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows made by four");
    }
    Ok(())
}

async fn a_worker_that_ends_is_replaced(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let one = world.start(|app| app.projection::<Sums>()).await?;
    let other = world.start(|app| app.projection::<Sums>()).await?;
    let first = world.append(sums("a", &[1])).await?;
    other.reaches("sums", first).await?;
    one.shut_down().await;
    let second = world.append(sums("a", &[2])).await?;
    other.reaches("sums", second).await?;
    let (_, rows) = other.rows("sums", None).await?;
    expect_eq!(rows, fold(&world.log_until(Some(second)).await?, 1), "rows after one of two has ended");
    Ok(())
}

async fn one_that_is_taken_for_dead_does_no_harm(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let hindrance = Arc::new(Hindrance::default());
    let one = world.start_on(hindrance.of(world.storage()), |app| app.projection::<Sums>()).await?;
    let first = world.append(sums("a", &[1])).await?;
    one.reaches("sums", first).await?;
    let until = async |what: &str, is_so: &dyn Fn() -> bool| -> Verdict {
        let begun = Instant::now();
        while !is_so() {
            if begun.elapsed() > one.patience {
                return Err(Broken::new("the work of one whose writes come late", what, "nothing for long"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    };
    let (rows, leases) = (hindrance.close_rows().await, hindrance.close_leases().await);
    let (begun, answered) = (hindrance.begun(), hindrance.answered());
    world.append(sums("a", &[2])).await?;
    until("a batch on its way", &|| hindrance.begun() > begun).await?;
    let other = world.start(|app| app.projection::<Sums>()).await?;
    let taken_over = world.append(sums("a", &[3])).await?;
    other.reaches("sums", taken_over).await?;
    // What it was about to write comes after what another has written since, and it writes nothing else.
    drop(rows);
    let rows = hindrance.close_rows().await;
    until("an answer to its batch", &|| hindrance.answered() > answered).await?;
    let late = world.append(sums("b", &[4])).await?;
    other.reaches("sums", late).await?;
    let (_, stored) = other.rows("sums", None).await?;
    expect_eq!(stored, fold(&world.log_until(Some(late)).await?, 1), "rows after a batch that comes late");
    drop((rows, leases));
    for app in [&one, &other] {
        let last = world.append(sums("a", &[5])).await?;
        app.reaches("sums", last).await?;
        let (_, rows) = app.rows("sums", None).await?;
        expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows once all go on");
    }
    Ok(())
}

async fn work_until_killed(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?.with(|options| options.with_page_events(2));
    let app = world.start(|app| app.projection::<Sums>()).await?;
    loop {
        let status = app.status("sums").await?;
        tell(&format!("{} {}", std::process::id(), status.position.map_or(0, Position::get)));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends a signal to a process.
fn signal(name: &str, process: &str) -> Verdict {
    let sent = Command::new("kill").args([&format!("-{name}"), process]).status();
    match sent {
        Ok(status) if status.success() => Ok(()),
        other => Err(Broken::new(format!("SIG{name} to a child"), "it is sent", format!("{other:?}"))),
    }
}

async fn one_that_sleeps_and_wakes_does_no_harm(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?;
    let mut random = fastrand::Rng::new();
    for round in 0..trial.rounds(6).max(2) {
        let mut last = at(1);
        for _ in 0..40 {
            last = world.append(sums(["a", "b"][random.usize(..2)], &[random.i64(-5..5)])).await?;
        }
        let mut child = trial.child("work_until_killed")?;
        let mut told = || child.next().ok_or_else(|| Broken::new("a child that works", "where it is", "it ended"));
        let process = told()?.split(' ').next().unwrap_or_default().to_owned();
        if round % 2 == 0 {
            // Every other time it holds its lease and has nothing to do; else it is in the midst of something.
            while told()?.split(' ').nth(1).and_then(|at| at.parse().ok()) < Some(last.get()) {}
        } else {
            tokio::time::sleep(Duration::from_micros(random.u64(..30_000))).await;
        }
        signal("STOP", &process)?;
        let taken_over = async {
            let app = world.start(|app| app.projection::<Sums>()).await?;
            let last = world.append(sums("a", &[7])).await?;
            app.reaches("sums", last).await?;
            Ok::<_, Broken>(app)
        };
        // One that was stopped within a transaction may keep all others out of the store until it goes on.
        let mut taken_over = Box::pin(taken_over);
        let app = tokio::time::timeout(world.time(Duration::from_secs(3)), &mut taken_over).await;
        signal("CONT", &process)?;
        let app = match app {
            Ok(app) => app?,
            Err(_) if round % 2 == 0 => {
                let what = "the work of one that was stopped while it had nothing to do";
                return Err(Broken::new(what, "another takes it over", "nobody does"));
            }
            Err(_) => taken_over.await?,
        };
        for _ in 0..20 {
            last = world.append(sums("b", &[1])).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app.reaches("sums", last).await?;
        let (_, rows) = app.rows("sums", None).await?;
        expect_eq!(rows, fold(&world.log_until(Some(last)).await?, 1), "rows after the sleeper has woken");
        child.kill();
        app.shut_down().await;
    }
    Ok(())
}
