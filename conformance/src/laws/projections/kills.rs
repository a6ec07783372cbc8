//! Processes that work on projections until they are killed.

use crate::child::tell;
use crate::projections::{Projected, Sums, World, fold, sums};
use crate::{Broken, Trial, Verdict, expect_eq};
use core::time::Duration;
use portolan_kernel::application::ApplicationBuilder;
use portolan_kernel::ports::ProjectionAction;
use portolan_kernel::values::Position;

/// Appends, and works on the projection; tells each position that was acknowledged.
pub(super) async fn book_until_killed(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?.with(|options| options.with_page_events(5));
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let mut random = fastrand::Rng::new();
    loop {
        let amounts: Vec<_> = (0..random.usize(1..4)).map(|_| random.i64(-9..9)).collect();
        let position = world.append(sums(["a", "b", "c"][random.usize(..3)], &amounts)).await?;
        tell(&position.get().to_string());
        if random.u8(..16) == 0 {
            app.reaches("sums", position).await?;
        }
    }
}

/// As [`book_until_killed`], and rebuilds again and again.
pub(super) async fn rebuild_until_killed(trial: &Trial<Projected>) -> Verdict {
    let world = World::open(trial).await?.with(|options| options.with_page_events(2));
    let app = world.start(|app| app.projection::<Sums>()).await?;
    let mut random = fastrand::Rng::new();
    loop {
        let position = world.append(sums(["a", "b", "c"][random.usize(..3)], &[random.i64(-9..9)])).await?;
        tell(&position.get().to_string());
        match random.u8(..40) {
            // Refused while another rebuild goes on, which is as well.
            0 => drop(app.registry.act(crate::ask::name("sums"), ProjectionAction::Rebuild).await),
            1 => drop(app.registry.act(crate::ask::name("sums"), ProjectionAction::CancelRebuild).await),
            _ => {}
        }
    }
}

/// Kills children at random moments; in between and in the end the rows are a fold of the log.
pub(super) async fn survives_kills(
    trial: &Trial<Projected>,
    role: &'static str,
    register: fn(ApplicationBuilder) -> ApplicationBuilder,
) -> Verdict {
    let mut random = fastrand::Rng::new();
    let mut acknowledged = 0_u64;
    for round in 0..trial.rounds(8).max(3) {
        let mut child = trial.child(role)?;
        let enough = random.usize(10..60);
        let heard = |line: Option<String>| line.and_then(|line| line.parse::<u64>().ok());
        for _ in 0..enough {
            let Some(position) = heard(child.next()) else {
                return Err(Broken::new(format!("the child of round {round}"), "work until it is killed", "it ended"));
            };
            acknowledged = position;
        }
        std::thread::sleep(Duration::from_micros(random.u64(..5_000)));
        child.kill();
        while let Some(position) = heard(child.next()) {
            acknowledged = position;
        }
        let world = World::open(trial).await?;
        let app = world.start(register).await?;
        if let Some(position) = Position::new(acknowledged) {
            app.reaches("sums", position).await?;
        }
        let status = app.until("sums", "caught up", |status| status.lag.events == 0).await?;
        let (edition, rows) = app.rows("sums", None).await?;
        let log = world.log_until(status.frontier).await?;
        expect_eq!(rows, fold(&log, edition.version), "rows after round {round}, of {} events", log.len());
        app.shut_down().await;
    }
    Ok(())
}
