//! Every error comes back as it was.

use super::{PLACE, PortError};
use crate::wire::status::Details;
use core::fmt::Debug;
use core::time::Duration;
use portolan_kernel::drivers::{LoadError, ReadRowsError, SubscribeError};
use portolan_kernel::ports::{
    AppendError, Capability, CommandError, PayloadViolation, ProjectionError, QueryError, ReadError, RowError,
    SagaAction, SagaError, Source, StoreId, Violation, WaitError,
};
use portolan_kernel::values::{Edition, Expected, Name, Position, Revision, SagaId, StreamId, Token};
use prost::Message as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tonic::{Code, Status};
use tonic_types::{StatusExt as _, pb};

/// Over the wire as it is: in headers.
fn travelled(status: &Status) -> Status {
    let response: http::Response<tonic::body::Body> = status.clone().into_http();
    Status::from_header_map(response.headers()).unwrap()
}

fn returns<E: PortError + Debug>(errors: Vec<E>) {
    let mut reasons = BTreeSet::new();
    let count = errors.len();
    for error in errors {
        let before = format!("{error:?}");
        let status = travelled(&error.into_status());
        assert!(!matches!(status.code(), Code::Ok | Code::Cancelled), "{status:?}");
        let whole = pb::Status::decode(status.details()).unwrap();
        assert_eq!((whole.code, &*whole.message), (status.code().into(), status.message()));
        let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo with {before:.200}"));
        assert_eq!(info.domain, "portolan.v1");
        assert!(info.reason.bytes().all(|c| c.is_ascii_uppercase() || c == b'_'), "{}", info.reason);
        let back = E::from_status(&status).unwrap_or_else(|| panic!("{before:.200} was lost"));
        assert_eq!(format!("{back:?}"), before);
        reasons.insert((info.reason, Code::from_i32(whole.code).to_string()));
    }
    assert!(!reasons.is_empty() && reasons.len() <= count);
}

fn stream() -> StreamId {
    StreamId::new("a/b \"%\u{1F980}").unwrap()
}

fn name() -> Name {
    Name::new("a/b \"%\u{1F980}").unwrap()
}

fn backend() -> Source {
    Source::new("line \"one\"\nline two \u{1F980}")
}

#[test]
fn every_error_of_an_append_comes_back_the_same() {
    let conflict = |expected, actual| AppendError::Conflict { stream: stream(), expected, actual };
    returns(vec![
        conflict(Expected::NoStream, Some(Revision::new(u64::MAX))),
        conflict(Expected::StreamExists, None),
        conflict(Expected::Exact(Revision::new((1 << 53) + 1)), Some(Revision::FIRST)),
        AppendError::GuardFailed { position: Position::MAX },
        AppendError::CheckpointMoved { name: name(), actual: None, token: Token(u64::MAX) },
        AppendError::CheckpointMoved { name: name(), actual: Some(Position::MAX), token: Token(0) },
        AppendError::CheckpointMoved { name: name(), actual: Position::new(0), token: Token(0) },
        AppendError::WrongStore { named: StoreId::from_bytes([1; 16]), actual: StoreId::from_bytes([2; 16]) },
        AppendError::KeyReused { scope: name(), id: Name::new("other").unwrap() },
        AppendError::InlineRefused { projection: name(), reason: "no\nreason".into() },
        AppendError::TooLarge { what: "bytes of an event".into(), size: u64::MAX, limit: 1 },
        AppendError::Invalid("no".into()),
        AppendError::Invalid(String::new()),
        AppendError::Nonconforming(vec![
            PayloadViolation::new(0, "/a~1b/0", "\"x\" is no \u{1F980}"),
            PayloadViolation::new(u32::MAX, "", ""),
        ]),
        AppendError::Nonconforming(vec![]),
        AppendError::Denied("ann may not".into()),
        AppendError::Busy(backend()),
        AppendError::Unknown(backend()),
        AppendError::Corrupt { place: PLACE.into() },
        AppendError::Other(backend()),
    ]);
    returns(Capability::ALL.map(AppendError::Unsupported).into());
}

#[test]
fn every_error_of_a_read_comes_back_the_same() {
    let all = || {
        vec![
            ReadError::TooLarge { what: "terms of the query".into(), size: 2, limit: u64::MAX },
            ReadError::Invalid("no".into()),
            ReadError::Unsupported(Capability::Keys),
            ReadError::Denied("ann may not".into()),
            ReadError::Busy(backend()),
            ReadError::Corrupt { place: PLACE.into() },
            ReadError::Other(backend()),
        ]
    };
    returns(all());
    returns(all().into_iter().map(SubscribeError::Read).collect());
    returns(vec![SubscribeError::AheadOfLog { after: Position::MAX, store: StoreId::from_bytes([1; 16]) }]);
}

#[test]
fn every_error_of_a_command_comes_back_the_same() {
    let violations = vec![Violation::new("lines[2].amount", "wrong-type", "a number"), Violation::new("", "b", "c")];
    returns(vec![
        CommandError::UnknownCommand(name()),
        CommandError::Malformed("at line 1".into()),
        CommandError::Invalid(violations),
        CommandError::Invalid(vec![]),
        CommandError::Rejected {
            code: "insufficient-funds".into(),
            message: "2 cents short".into(),
            fields: json!({ "missing": u64::MAX, "detail": [null, "x", {}], "type": "t" }),
        },
        CommandError::Rejected { code: String::new(), message: String::new(), fields: Value::Null },
        CommandError::Conflict { stream: stream(), actual: None },
        CommandError::Conflict { stream: stream(), actual: Some(Revision::new(u64::MAX)) },
        CommandError::Denied("ann is no teller".into()),
        CommandError::DeadlinePassed,
        CommandError::KeyReused,
        CommandError::ShuttingDown,
        CommandError::Busy(backend()),
        CommandError::Unknown(backend()),
        CommandError::Other(backend()),
    ]);
}

#[test]
fn every_error_of_a_query_comes_back_the_same() {
    returns(vec![
        QueryError::UnknownQuery(name()),
        QueryError::Malformed("at line 1".into()),
        QueryError::Invalid(vec![Violation::new("a", "b", "c")]),
        QueryError::NotFound("no account ann".into()),
        QueryError::Denied("ann may not".into()),
        QueryError::Busy(backend()),
        QueryError::Other(backend()),
    ]);
}

#[test]
fn every_error_of_a_projection_comes_back_the_same() {
    let waits = || {
        vec![
            WaitError::UnknownProjection(name()),
            WaitError::Stopped { name: name(), reason: "no\nreason".into() },
            WaitError::Stalled { name: name() },
            WaitError::Parked { name: name(), position: Position::MAX },
            WaitError::Denied("ann may not".into()),
            WaitError::Busy(backend()),
            WaitError::Other(backend()),
        ]
    };
    returns(waits());
    returns(waits().into_iter().map(ProjectionError::Wait).collect());
    returns(vec![
        ProjectionError::UnknownProjection(name()),
        ProjectionError::NotFound { name: name(), what: "edition 3.2".into() },
        ProjectionError::NotReady(name()),
        ProjectionError::Gone { name: name(), edition: Edition { version: u16::MAX, rebuild: u16::MAX } },
        ProjectionError::Invalid("no".into()),
        ProjectionError::TooLarge { what: "rows".into(), size: u64::MAX, limit: 0 },
        ProjectionError::Denied("ann may not".into()),
        ProjectionError::Busy(backend()),
        ProjectionError::Unknown(backend()),
        ProjectionError::Corrupt { place: PLACE.into() },
        ProjectionError::Other(backend()),
    ]);
}

#[test]
fn every_error_of_a_saga_comes_back_the_same() {
    let saga = || SagaId::new("transfer-money", "a/b:\"%\u{1F980}").unwrap();
    let not_now = |action| SagaError::NotNow { saga: saga(), action, reason: "it has\nended".into() };
    returns(vec![
        SagaError::UnknownDefinition(name()),
        SagaError::NotFound(saga()),
        SagaError::Invalid(vec![
            Violation::new("lines[2].amount", "wrong-type", "a number"),
            Violation::new("", "b", "c"),
        ]),
        SagaError::Invalid(vec![]),
        SagaError::StartedOtherwise(saga()),
        SagaError::Denied("ann may not".into()),
        SagaError::ShuttingDown,
        SagaError::Busy(backend()),
        SagaError::Unknown(backend()),
        SagaError::Other(backend()),
    ]);
    returns(SagaAction::ALL.map(not_now).into());
}

#[test]
fn every_digit_of_a_rejection_comes_back() {
    let numbers: Vec<f64> = (1..2_000_u64)
        .map(|n| f64::from_bits(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
        .filter(|number| number.is_finite())
        .collect();
    let fields = json!({ "numbers": numbers });
    returns(vec![CommandError::Rejected { code: "c".into(), message: "m".into(), fields }]);
}

#[test]
fn where_the_store_is_damaged_is_for_the_operator() {
    let place = || "/srv/bank.db: table log, position 2".to_owned();
    let load = || LoadError::Read(ReadError::Corrupt { place: place() });
    let append = || Source::new(AppendError::Corrupt { place: place() });
    let rows = || Source::new(RowError::Corrupt { place: place() });
    let statuses = [
        AppendError::Corrupt { place: place() }.into_status(),
        AppendError::Other(append()).into_status(),
        ReadError::Corrupt { place: place() }.into_status(),
        SubscribeError::Read(ReadError::Corrupt { place: place() }).into_status(),
        CommandError::Other(append()).into_status(),
        CommandError::Other(Source::new(ReadError::Corrupt { place: place() })).into_status(),
        CommandError::from(load()).into_status(),
        QueryError::from(load()).into_status(),
        ProjectionError::Corrupt { place: place() }.into_status(),
        ProjectionError::Other(rows()).into_status(),
        WaitError::Other(rows()).into_status(),
        ProjectionError::Wait(WaitError::Other(rows())).into_status(),
        SagaError::Other(append()).into_status(),
        SagaError::Other(Source::new(ReadError::Corrupt { place: place() })).into_status(),
        SagaError::Other(Source::new(ProjectionError::Corrupt { place: place() })).into_status(),
        SagaError::Other(Source::new(ReadRowsError::from(ProjectionError::Corrupt { place: place() }))).into_status(),
        QueryError::from(ReadRowsError::from(ProjectionError::Corrupt { place: place() })).into_status(),
        CommandError::Other(Source::new(ProjectionError::Other(rows()))).into_status(),
    ];
    for status in statuses {
        assert_eq!(status.code(), Code::DataLoss);
        let sent = format!("{}{}", status.message(), String::from_utf8_lossy(status.details()));
        assert!(!sent.contains("/srv") && !sent.contains("position 2"), "{sent}");
    }
}

#[test]
fn those_who_know_google_alone_are_told_too() {
    let violations = vec![Violation::new("lines[2].amount", "wrong-type", "a number, please")];
    let status = travelled(&CommandError::Invalid(violations).into_status());
    let request = status.get_details_bad_request().unwrap();
    assert_eq!(request.field_violations[0].field, "lines[2].amount");
    assert_eq!(request.field_violations[0].description, "a number, please");

    let wrong = vec![PayloadViolation::new(2, "/a~1b/0", "a number, please"), PayloadViolation::new(3, "", "no JSON")];
    let status = travelled(&AppendError::Nonconforming(wrong).into_status());
    let fields = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!((&*fields[0].field, &*fields[0].description), ("events[2].payload/a~1b/0", "a number, please"));
    assert_eq!(fields[1].field, "events[3].payload");
    assert_eq!(status.get_details_error_info().unwrap().reason, "NONCONFORMING");

    let status = travelled(&CommandError::Busy(backend()).into_status());
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));

    let expected = Expected::NoStream;
    let conflict = AppendError::Conflict { stream: stream(), expected, actual: Some(Revision::new(7)) };
    let status = travelled(&conflict.into_status());
    assert_eq!(status.get_details_precondition_failure().unwrap().violations[0].subject, stream().as_str());
    let info = status.get_details_error_info().unwrap();
    assert_eq!((&*info.reason, &*info.metadata["actual"]), ("STREAM_CONFLICT", "7"));
}

#[test]
fn a_long_error_leaves_out_what_stands_in_it_twice() {
    let violations: Vec<_> = (0..200).map(|n| Violation::new(format!("lines[{n}]"), "wrong", "no")).collect();
    let status = travelled(&CommandError::Invalid(violations.clone()).into_status());
    assert!(status.get_details_bad_request().is_none());
    assert!(status.message().chars().count() <= 501, "{}", status.message().len());
    let Some(CommandError::Invalid(back)) = CommandError::from_status(&status) else { panic!("{status:?}") };
    assert_eq!(back, violations);

    // What no header could hold is told by its code alone.
    let fields = json!("x".repeat(1 << 20));
    let status = CommandError::Rejected { code: "c".into(), message: "m".into(), fields }.into_status();
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "m"));
    assert!(CommandError::from_status(&status).is_none());
    assert_eq!(Details::of(&status).reason().as_deref(), Some("REJECTED"));
}
