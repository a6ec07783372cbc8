//! Projections as operators see them: how they stand, and what is done to them.

use super::jars::FillJar;
use super::outcome::{frontier, name, outcome, position_of, status_once, without_holders};
use super::table::{come_out_alike, steps};
use core::time::Duration;
use portolan::ports::{ProjectionAction, ProjectionState};
use portolan::prelude::*;
use portolan::values::Edition;

async fn acted(ports: &Ports, of: &str, action: ProjectionAction) -> String {
    outcome(ports.projections.act(name(of), action).await)
}

async fn caught_up(ports: &Ports) -> String {
    let frontier = frontier(ports).await;
    status_once(ports, "jars", |status| {
        status.state == ProjectionState::CaughtUp && status.position == Some(frontier) && status.parked == 1
    })
    .await
}

async fn stopped(ports: &Ports) -> String {
    status_once(ports, "strict", |status| matches!(status.state, ProjectionState::Stopped { .. })).await
}

async fn held(ports: &Ports) -> String {
    status_once(ports, "held", |_| true).await
}

async fn live(ports: &Ports) -> String {
    status_once(ports, "fresh", |_| true).await
}

async fn unknown(ports: &Ports) -> String {
    status_once(ports, "größer/?", |_| true).await
}

async fn list(ports: &Ports) -> String {
    let list = ports.projections.list().await;
    outcome(list.map(|list| list.into_iter().map(without_holders).collect::<Vec<_>>()))
}

async fn parked(ports: &Ports) -> String {
    outcome(ports.projections.parked(name("jars"), None, 10).await)
}

async fn parked_after_the_last(ports: &Ports) -> String {
    outcome(ports.projections.parked(name("jars"), Some(position_of(ports, "jar-odd").await), 10).await)
}

async fn parked_by_nobody(ports: &Ports) -> String {
    outcome(ports.projections.parked(name("nobody"), None, 10).await)
}

async fn parked_of_none(ports: &Ports) -> String {
    outcome(ports.projections.parked(name("jars"), None, 0).await)
}

async fn paused(ports: &Ports) -> String {
    let acted = acted(ports, "jars", ProjectionAction::Pause).await;
    format!("{acted}; {}", status_once(ports, "jars", |status| status.state == ProjectionState::Paused).await)
}

async fn command_that_waits_for_what_is_paused(ports: &Ports) -> String {
    let fill = FillJar { jar: "a".into(), coins: 1, by: "ann".into() };
    let sent = ports.commands.send(fill).id("k-1").correlation("c").deadline(Duration::from_secs(5));
    outcome(sent.wait_for("jars").await)
}

async fn resumed(ports: &Ports) -> String {
    let acted = acted(ports, "jars", ProjectionAction::Resume).await;
    format!("{acted}; {}", caught_up(ports).await)
}

async fn nothing_to_drop(ports: &Ports) -> String {
    acted(ports, "jars", ProjectionAction::Drop(position_of(ports, "jar-a").await)).await
}

async fn nothing_to_retry(ports: &Ports) -> String {
    acted(ports, "jars", ProjectionAction::Retry(Some(position_of(ports, "jar-a").await))).await
}

async fn dropped(ports: &Ports) -> String {
    let acted = acted(ports, "jars", ProjectionAction::Drop(position_of(ports, "jar-odd").await)).await;
    format!("{acted}; {}", status_once(ports, "jars", |status| status.parked == 0).await)
}

/// There is nothing to be done.
async fn no_rebuild_to_cancel(ports: &Ports) -> String {
    acted(ports, "jars", ProjectionAction::CancelRebuild).await
}

async fn no_version_to_activate(ports: &Ports) -> String {
    acted(ports, "jars", ProjectionAction::Activate(Some(9))).await
}

async fn no_edition_to_remove(ports: &Ports) -> String {
    acted(ports, "jars", ProjectionAction::Remove(Edition { version: 9, rebuild: 9 })).await
}

async fn removal_of_what_is_read(ports: &Ports) -> String {
    acted(ports, "jars", ProjectionAction::Remove(Edition::first(1))).await
}

async fn action_on_one_that_is_live(ports: &Ports) -> String {
    acted(ports, "fresh", ProjectionAction::Pause).await
}

async fn action_on_nobody(ports: &Ports) -> String {
    acted(ports, "größer/?", ProjectionAction::Pause).await
}

async fn rebuilt(ports: &Ports) -> String {
    let acted = acted(ports, "jars", ProjectionAction::Rebuild).await;
    let rebuilt = Some(Edition { version: 1, rebuild: 1 });
    let is_done = |status: &portolan::ports::ProjectionStatus| {
        status.edition == rebuilt && status.parked == 1 && status.state == ProjectionState::CaughtUp
    };
    format!("{acted}; {}", status_once(ports, "jars", is_done).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operating_comes_out_alike() {
    come_out_alike(&steps![
        caught_up => "ProjectionStatus { name: \"jars\"",
        stopped => "ProjectionStatus { name: \"strict\"",
        held => "ProjectionStatus { name: \"held\"",
        live => "ProjectionStatus { name: \"fresh\"",
        unknown => "UnknownProjection",
        list => "[ProjectionStatus",
        parked => "ParkedPage { events: [Parked",
        parked_after_the_last => "ParkedPage { events: []",
        parked_by_nobody => "UnknownProjection",
        parked_of_none => "Invalid",
        paused => "(); ProjectionStatus",
        command_that_waits_for_what_is_paused => "NotCaughtUp",
        resumed => "(); ProjectionStatus",
        nothing_to_drop => "NotFound",
        nothing_to_retry => "NotFound",
        dropped => "(); ProjectionStatus",
        no_rebuild_to_cancel => "()",
        no_version_to_activate => "NotFound",
        no_edition_to_remove => "NotFound",
        removal_of_what_is_read => "Invalid",
        action_on_one_that_is_live => "Invalid",
        action_on_nobody => "UnknownProjection",
        rebuilt => "(); ProjectionStatus",
    ])
    .await;
}
