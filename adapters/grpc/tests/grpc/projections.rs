//! Projections arrive as they were.

use crate::support::Running;
use crate::support::projections::{
    ERRORS, ODD, WAIT_ERRORS, at, error, name, parked_page, questions, rows_answer, statuses, wait_error,
};
use core::ops::Bound;
use core::time::Duration;
use portolan_grpc::ServerConfig;
use portolan_grpc::proto::{self, projections_client::ProjectionsClient};
use portolan_kernel::ports::{EventStore as _, ProjectionAction, ProjectionRegistry as _, RowsQuestion, WhichRows};
use portolan_kernel::values::{By, Direction, Edition, Position, Query};
use tonic::Code;
use tonic_types::StatusExt as _;

#[tokio::test]
async fn what_is_told_of_projections_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    assert_eq!(client.list().await.unwrap(), statuses());
    assert_eq!(client.status(name("balances")).await.unwrap(), statuses()[0]);
    let page = client.parked(name("balances"), Some(Position::MAX), u32::MAX).await.unwrap();
    assert_eq!(page, parked_page());
    client.parked(name("balances"), None, 0).await.unwrap();
    assert_eq!(*server.projections.after.lock().unwrap(), [(Some(Position::MAX), u32::MAX), (None, 0)]);
}

#[tokio::test]
async fn every_action_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    let actions = [
        ProjectionAction::Pause,
        ProjectionAction::Resume,
        ProjectionAction::Reset,
        ProjectionAction::Rebuild,
        ProjectionAction::CancelRebuild,
        ProjectionAction::Activate(None),
        ProjectionAction::Activate(Some(u16::MAX)),
        ProjectionAction::Remove(Edition { version: 3, rebuild: u16::MAX }),
        ProjectionAction::Retry(None),
        ProjectionAction::Retry(Some(at(0))),
        ProjectionAction::Drop(Position::MAX),
    ];
    for action in actions {
        client.act(name("balances"), action).await.unwrap();
    }
    let acted: Vec<_> = server.projections.acted.lock().unwrap().iter().map(|(_, action)| *action).collect();
    assert_eq!(acted, actions);
}

#[tokio::test]
async fn every_question_and_its_rows_arrive_as_they_were() {
    let server = Running::start().await;
    let client = server.client().await;
    for question in questions() {
        assert_eq!(client.rows(question).await.unwrap(), rows_answer());
    }
    assert_eq!(*server.projections.asked.lock().unwrap(), questions());
}

#[tokio::test]
async fn every_error_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    for text in ERRORS {
        let projection = name(text);
        let expected = format!("{:?}", error(&projection));
        assert_eq!(format!("{:?}", client.status(projection.clone()).await.unwrap_err()), expected);
        let acted = client.act(projection.clone(), ProjectionAction::Pause).await;
        assert_eq!(format!("{:?}", acted.unwrap_err()), expected);
        assert_eq!(format!("{:?}", client.parked(projection.clone(), None, 1).await.unwrap_err()), expected);
        let rows = client.rows(RowsQuestion::keys(projection, vec![])).await;
        assert_eq!(format!("{:?}", rows.unwrap_err()), expected);
    }
    for text in WAIT_ERRORS {
        let projection = name(text);
        let expected = format!("{:?}", wait_error(&projection));
        assert_eq!(format!("{:?}", client.wait_for(projection, at(1)).await.unwrap_err()), expected);
    }
    client.wait_for(name("balances"), Position::MAX).await.unwrap();
}

#[tokio::test]
async fn a_long_wait_is_several_calls() {
    let mut config = ServerConfig::default();
    config.longest_wait = Duration::from_millis(50);
    let server = Running::with(|server| server.with_config(config)).await;
    server.client().await.wait_for(name("slow"), at(1)).await.unwrap();
    assert_eq!(server.projections.waits.load(std::sync::atomic::Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_wait_is_longer_than_a_client_waits_for_one_answer() {
    let server = Running::start().await;
    let client = server.impatient_client(Duration::from_secs(2)).await;
    client.wait_for(name("slow"), at(1)).await.unwrap();
    assert_eq!(server.projections.waits.load(std::sync::atomic::Ordering::Relaxed), 3);
    // Nor is a hint that does not come a failure.
    client.changed(Query::all(), None).await.unwrap();
}

#[tokio::test]
async fn a_strangers_questions() {
    let server = Running::start().await;
    let mut client = ProjectionsClient::new(server.channel().await);
    // The least that can be said.
    let page = proto::rows_request::Rows::Page(proto::rows_request::Page::default());
    let request = proto::RowsRequest { projection: "balances".into(), rows: Some(page), ..Default::default() };
    client.rows(request).await.unwrap();
    let seen = server.projections.asked.lock().unwrap().pop().unwrap();
    let by = By::Key(Bound::Unbounded, Bound::Unbounded);
    assert_eq!(seen, RowsQuestion::page(name("balances"), by));
    assert!(matches!(seen.rows, WhichRows::Page { direction: Direction::Forward, limit: 100, .. }));

    let nan = proto::Cell { value: Some(proto::cell::Value::Real(f64::NAN)) };
    let index = proto::IndexRange { name: "one".into(), equals: vec![nan], ..Default::default() };
    let page =
        proto::rows_request::Page { by: Some(proto::rows_request::page::By::Index(index)), ..Default::default() };
    let rows = Some(proto::rows_request::Rows::Page(page));
    let wrong = [
        (proto::RowsRequest { projection: "balances".into(), ..Default::default() }, "rows"),
        (proto::RowsRequest { rows: rows.clone(), ..Default::default() }, "projection"),
        (
            proto::RowsRequest { projection: ODD.into(), rows: rows.clone(), ..Default::default() },
            "page.index.equals[0].value",
        ),
        (
            proto::RowsRequest {
                projection: "balances".into(),
                prefer: Some(1 << 16),
                rows: Some(proto::rows_request::Rows::Keys(Default::default())),
                ..Default::default()
            },
            "prefer",
        ),
    ];
    for (request, field) in wrong {
        let status = client.rows(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
    }
    let request = proto::ActRequest { projection: "balances".into(), action: None };
    assert_eq!(client.act(request).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(server.projections.acted.lock().unwrap().is_empty());
}
