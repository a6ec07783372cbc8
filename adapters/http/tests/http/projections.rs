//! `/projections`: how they stand, what is done to them, and waiting for them.

use crate::support::projections::{at, errors, name, parked, status, wait_errors};
use crate::support::{Running, projections};
use core::time::Duration;
use portolan_http::{ClientConfig, HttpClient};
use portolan_kernel::drivers::ProjectionRegistryExt as _;
use portolan_kernel::ports::{ProjectionAction, ProjectionError, ProjectionRegistry as _, RowsQuestion, WaitError};
use portolan_kernel::values::{By, Edition, Position};
use rstest::rstest;
use serde_json::json;

#[tokio::test]
async fn how_projections_stand() {
    let server = Running::start().await;
    let told = json!({
        "name": "balances", "version": 2, "lifecycle": "inline-if-possible",
        "state": "stopped", "reason": "event 8 has no key",
        "edition": "2.1", "position": "7", "frontier": "9",
        "lag": { "events": 2, "time": { "seconds": "3", "nanoseconds": 250 } },
        "events_per_second": 1000,
        "last_error": { "at": "2026-07-25T17:20:00.000001Z", "position": "8", "reason": "it has no key" },
        "parked": 2,
        "skipped": 4,
        "editions": [
            {
                "edition": "1", "state": "stalled", "since": "2026-07-25T17:20:00.000001Z", "is_active": false,
                "is_ready": false, "position": null, "holder": null,
            },
            {
                "edition": "2.1", "state": "stopped", "reason": "event 8 has no key", "is_active": true, "is_ready": true,
                "position": "7", "holder": "host-1",
            },
        ],
    });
    assert_eq!(server.get("/projections/balances").await.is_ok(), told);
    assert_eq!(server.get("/projections").await.is_ok(), json!({ "projections": [told] }));
    let problem = server.get("/projections/b%2Fo").await.is_problem(404, "unknown-projection");
    assert_eq!(problem["projection"], "b/o");
    server.get("/projections?x=1").await.is_problem(422, "invalid-request");

    let ports = server.client().await.ports();
    assert_eq!(ports.projections.status(name("balances")).await.unwrap(), status());
    assert_eq!(ports.projections.list().await.unwrap(), [status()]);
    assert_eq!(ports.projections.knows(&name("balances")), None);
}

#[tokio::test]
async fn parked_events_are_listed() {
    let server = Running::start().await;
    let first = server.get("/projections/balances/parked?limit=1").await.is_ok();
    let at_noon = "2026-07-25T17:20:00.000001Z";
    let event = json!({ "position": "3", "stream": "account-b/o", "key": null, "reason": "no key", "at": at_noon });
    assert_eq!(first, json!({ "events": [event], "next": "3" }));
    let second = server.get("/projections/balances/parked?after=3").await.is_ok();
    assert_eq!((&second["events"][0]["key"], &second["next"]), (&json!("b/o b%"), &json!(null)));

    let client = server.client().await;
    let page = client.parked(name("balances"), None, 10).await.unwrap();
    assert_eq!((page.events, page.next), (parked(), None));
    let page = client.parked(name("balances"), None, 1).await.unwrap();
    assert_eq!((page.events, page.next), (parked()[..1].to_vec(), Some(at(3))));
    let page = client.parked(name("balances"), page.next, 1).await.unwrap();
    assert_eq!((page.events, page.next), (parked()[1..].to_vec(), None));
    let wrong = client.parked(name("balances"), None, 0).await;
    assert!(matches!(wrong, Err(ProjectionError::Invalid(_))), "{wrong:?}");
}

#[rstest]
#[case("pause", ProjectionAction::Pause)]
#[case("resume", ProjectionAction::Resume)]
#[case("reset", ProjectionAction::Reset)]
#[case("rebuild", ProjectionAction::Rebuild)]
#[case("cancel-rebuild", ProjectionAction::CancelRebuild)]
#[case("activate", ProjectionAction::Activate(None))]
#[case("activate?version=65535", ProjectionAction::Activate(Some(u16::MAX)))]
#[case("remove?edition=3.2", ProjectionAction::Remove(Edition { version: 3, rebuild: 2 }))]
#[case("retry", ProjectionAction::Retry(None))]
#[case("retry?position=9223372036854775807", ProjectionAction::Retry(Some(Position::MAX)))]
#[case("drop?position=0", ProjectionAction::Drop(Position::new(0).unwrap()))]
#[tokio::test]
async fn what_operators_do(#[case] path: &str, #[case] action: ProjectionAction) {
    let server = Running::start().await;
    let reply = server.post(&format!("/projections/balances/{path}"), &[], "").await;
    assert_eq!((reply.status, reply.body.len()), (204, 0), "{reply:?}");
    server.client().await.act(name("balances"), action).await.unwrap();
    let told = core::mem::take(&mut *server.projections.told.lock().unwrap());
    assert_eq!(told, [(name("balances"), action), (name("balances"), action)]);
    assert!(path.starts_with(action.as_str()));
}

#[rstest]
#[case("explode", "action", "unknown-action")]
#[case("drop", "position", "missing")]
#[case("drop?position=x", "position", "wrong-value")]
#[case("retry?position=-1", "position", "wrong-value")]
#[case("remove", "edition", "missing")]
#[case("remove?edition=one", "edition", "wrong-value")]
#[case("activate?version=0", "version", "wrong-value")]
#[case("activate?version=65536", "version", "wrong-value")]
#[case("pause?position=1", "position", "unknown-parameter")]
#[tokio::test]
async fn what_nobody_can_do(#[case] path: &str, #[case] named: &str, #[case] code: &str) {
    let server = Running::start().await;
    let reply = server.post(&format!("/projections/balances/{path}"), &[], "{}").await;
    let problem = reply.is_problem(422, "invalid-request");
    assert_eq!((&problem["violations"][0]["path"], &problem["violations"][0]["code"]), (&json!(named), &json!(code)));
    assert!(server.projections.told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_page_of_another_origin_does_nothing() {
    let server = Running::start().await;
    for origin in ["https://evil.example", "null", "http://localhost"] {
        let reply = server.post("/projections/balances/reset", &[&format!("Origin: {origin}")], "").await;
        reply.is_problem(403, "denied");
    }
    assert!(server.projections.told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn actions_can_be_off() {
    let server = Running::with(|server| server.with_projection_actions(false)).await;
    for action in ["pause", "drop?position=1", "cancel-rebuild"] {
        let reply = server.post(&format!("/projections/balances/{action}"), &[], "").await;
        reply.is_problem(405, "projection-actions-off");
    }
    // What never was an action is not one that is off, and the rest of it is there.
    server.post("/projections/balances/parked", &[], "").await.is_problem(405, "method-not-allowed");
    server.get("/projections/balances/rows").await.is_ok();
    let refused = server.client().await.pause("balances").await;
    assert!(
        matches!(&refused, Err(ProjectionError::Other(why)) if why.to_string().contains("act upon")),
        "{refused:?}"
    );
    assert!(server.projections.told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn every_error_of_the_port_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    for (at, error) in errors().into_iter().enumerate() {
        let (named, expected) = (name(&format!("error-{at}")), format!("{error:?}"));
        let said = [
            client.status(named.clone()).await.map(drop),
            client.act(named.clone(), ProjectionAction::Pause).await,
            client.parked(named.clone(), None, 1).await.map(drop),
            client.rows(RowsQuestion::page(named.clone(), By::key())).await.map(drop),
        ];
        for said in said {
            assert_eq!(format!("{:?}", said.unwrap_err()), expected);
        }
        let reply = server.get(&format!("/projections/{named}/rows")).await;
        let waiting = matches!(error, ProjectionError::Wait(_)).then_some("waiting");
        assert_eq!(reply.json()["while"].as_str(), waiting);
        assert_eq!(reply.header("retry-after").is_some(), reply.status == 503, "{reply:?}");
    }
    for (at, error) in wait_errors().into_iter().enumerate() {
        let said = client.wait_for(name(&format!("error-{at}")), Position::MAX).await.unwrap_err();
        assert_eq!(format!("{said:?}"), format!("{error:?}"));
    }
    let damaged = client.status(name("damaged")).await.unwrap_err();
    assert!(matches!(damaged, ProjectionError::Corrupt { .. }) && !damaged.to_string().contains("srv"), "{damaged}");
    assert!(matches!(client.status(name("panic")).await, Err(ProjectionError::Other(_))));
    assert!(matches!(client.pause("panic").await, Err(ProjectionError::Unknown(_))));
}

#[tokio::test]
async fn waiting_for_a_position() {
    let server = Running::start().await;
    let wait = async |position: &str, headers: &[&str]| {
        server.send("GET", &format!("/projections/balances/wait{position}"), headers, "").await
    };
    let reply = wait("?position=7", &["Prefer: wait=5"]).await;
    assert_eq!((reply.status, reply.header("preference-applied")), (204, Some("wait=5")));
    assert_eq!(wait("?position=7", &[]).await.header("preference-applied"), None);

    let problem = wait("?position=8", &["Request-Timeout: 0.01"]).await.is_problem(503, "projection-behind");
    assert_eq!((&problem["projection"], &problem["position"]), (&json!("balances"), &json!("8")));
    wait("?position=8", &[]).await.is_problem(503, "projection-behind");
    let soon = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.projections.position.send_replace(8);
    };
    let (reply, ()) = tokio::join!(wait("?position=8", &["Request-Timeout: 9"]), soon);
    assert_eq!(reply.status, 204);

    let problem = wait("", &[]).await.is_problem(422, "invalid-request");
    assert_eq!(problem["violations"][0]["code"], "missing");
    wait("?position=x", &[]).await.is_problem(422, "invalid-request");
    wait("?position=1", &["Request-Timeout: soon"]).await.is_problem(422, "invalid-request");
    server.get("/projections/nobody/wait?position=1").await.is_problem(404, "unknown-projection");
}

/// A client that has little patience asks again and again, as the port waits for ever.
#[tokio::test]
async fn a_client_waits_on() {
    let server = Running::start().await;
    let mut config = ClientConfig::default();
    config.request_timeout = Duration::from_millis(400);
    let client = HttpClient::connect_with(format!("http://{}", server.address), config).await.unwrap();
    let question = RowsQuestion::keys(name("balances"), vec![projections::key("ann-1")]).at_least(Some(at(9)));
    let late = async {
        while server.projections.asked.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.projections.position.send_replace(9);
    };
    let all = async { tokio::join!(client.wait_for(name("balances"), at(9)), client.rows(question), late) };
    let (waited, rows, ()) = tokio::time::timeout(Duration::from_secs(30), all).await.expect("it asks on");
    waited.unwrap();
    assert_eq!(rows.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn a_server_that_stops_lets_go_of_those_who_wait() {
    let mut server = Running::start().await;
    let client = server.client().await;
    let waits = tokio::spawn(async move { client.wait_for(name("balances"), Position::MAX).await });
    while server.projections.position.receiver_count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stop();
    server.stopped.take().unwrap().await.unwrap();
    let outcome = waits.await.unwrap();
    assert!(matches!(&outcome, Err(WaitError::Busy(why)) if why.to_string().contains("shutting down")), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_has_done_nothing() {
    let mut server = Running::start().await;
    let mut config = ClientConfig::default();
    config.request_timeout = Duration::from_secs(5);
    let client = HttpClient::connect_with(format!("http://{}", server.address), config).await.unwrap();
    server.stop();
    server.stopped.take().unwrap().await.unwrap();
    assert!(matches!(client.reset("balances").await, Err(ProjectionError::Busy(_))));
    assert!(matches!(client.status(name("balances")).await, Err(ProjectionError::Busy(_))));
    assert!(matches!(client.wait_for(name("balances"), at(1)).await, Err(WaitError::Busy(_))));
}
