//! Every error comes back as it was.

use super::*;
use core::fmt::Debug;
use portolan_kernel::ports::{
    Capability, Receipt, SagaAction, SagaError, SchemaError, SchemaSubject, StoreId, Violation, WaitError,
};
use portolan_kernel::values::{Edition, EventId, Expected, SagaId, StreamId};
use std::collections::BTreeSet;

fn returns<E: PortError + Debug>(errors: Vec<E>) {
    let mut names = BTreeSet::new();
    for error in errors {
        let sent = error.to_problem();
        let received = Problem::decode(sent.status, &sent.encode()).unwrap();
        assert_eq!(received, Problem { for_operator: None, ..sent.clone() });
        let back = E::from_problem(&received).unwrap_or_else(|| panic!("{error:?} was lost as {sent:?}"));
        assert_eq!(format!("{back:?}"), format!("{error:?}"));
        names.insert((sent.name, sent.status));
    }
    let is_error = |status: &StatusCode| status.is_client_error() || status.is_server_error();
    // What took effect is no failure.
    let is_right = |(name, status): &(String, StatusCode)| is_error(status) == (name != "not-caught-up");
    assert!(names.iter().all(is_right), "{names:?}");
}

fn stream() -> StreamId {
    StreamId::new("a/b \"%\u{1F980}").unwrap()
}

fn name() -> Name {
    Name::new("a/b \"%\u{1F980}").unwrap()
}

fn backend() -> Source {
    Source::new("line \"one\"\nline two")
}

fn receipt() -> Receipt {
    let streams = vec![(stream(), Some(Revision::new(u64::MAX))), ("b".parse().unwrap(), None)];
    Receipt::new(streams, Some(Position::MAX), vec![EventId::from_bytes([7; 16])], true)
        .with_correlation(Some("c \u{1F980}\n".into()))
        .with_command(Some("k \u{1F980}\n".into()))
}

#[test]
fn a_receipt_comes_back_the_same() {
    for receipt in [receipt(), Receipt::none(), receipt().with_correlation(None).with_command(None)] {
        let sent = serde_json::to_vec(&WireReceipt::new(&receipt)).unwrap();
        assert_eq!(crate::wire::from_json::<WireReceipt>(&sent).unwrap().decode(), receipt);
    }
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
        AppendError::WrongStore { named: StoreId::from_bytes([1; 16]), actual: StoreId::from_bytes([2; 16]) },
        AppendError::KeyReused { scope: name(), id: name() },
        AppendError::InlineRefused { projection: name(), reason: "two rows \"x\"".into() },
        AppendError::TooLarge { what: "bytes of an event".into(), size: u64::MAX, limit: 1 },
        AppendError::Invalid("no".into()),
        AppendError::Nonconforming(vec![
            PayloadViolation::new(0, "/a~1b/0", "\"x\" is no \u{1F980}"),
            PayloadViolation::new(u32::MAX, "", ""),
        ]),
        AppendError::Nonconforming(vec![]),
        AppendError::Denied("ann is no \"teller\"".into()),
        AppendError::Busy(backend()),
        AppendError::Unknown(backend()),
        AppendError::Corrupt { place: PLACE.into() },
        AppendError::Other(backend()),
    ]);
    returns(Capability::ALL.map(AppendError::Unsupported).into());
}

#[test]
fn every_error_of_a_read_comes_back_the_same() {
    returns(vec![
        ReadError::TooLarge { what: "terms of the query".into(), size: 2, limit: u64::MAX },
        ReadError::Invalid("no".into()),
        ReadError::Denied("ann is no \"teller\"".into()),
        ReadError::Unsupported(Capability::Keys),
        ReadError::Busy(backend()),
        ReadError::Corrupt { place: PLACE.into() },
        ReadError::Other(backend()),
    ]);
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
            fields: serde_json::json!({
                "missing": u64::MAX, "detail": [null, "x", {}], "type": "t",
            }),
        },
        CommandError::Rejected { code: String::new(), message: String::new(), fields: Value::Null },
        CommandError::Conflict { stream: stream(), actual: None },
        CommandError::Conflict { stream: stream(), actual: Some(Revision::new(u64::MAX)) },
        CommandError::Denied("ann is no teller".into()),
        CommandError::DeadlinePassed,
        CommandError::NotCaughtUp { receipt: Box::new(receipt()), waiting: vec![name(), "balances".parse().unwrap()] },
        CommandError::NotCaughtUp { receipt: Box::new(Receipt::none()), waiting: vec![] },
        CommandError::KeyReused,
        CommandError::ShuttingDown,
        CommandError::Busy(backend()),
        CommandError::Unknown(backend()),
        CommandError::Other(backend()),
    ]);
}

#[test]
fn where_the_store_is_damaged_is_for_the_operator() {
    let place = || "/srv/bank.db: table log, position 2".to_owned();
    let load = || LoadError::Read(ReadError::Corrupt { place: place() });
    let damaged_rows = || ProjectionError::Corrupt { place: place() };
    let row = || Source::new(RowError::Corrupt { place: place() });
    let problems = [
        AppendError::Corrupt { place: place() }.to_problem(),
        ReadError::Corrupt { place: place() }.to_problem(),
        CommandError::Other(Source::new(AppendError::Corrupt { place: place() })).to_problem(),
        CommandError::Other(Source::new(ReadError::Corrupt { place: place() })).to_problem(),
        CommandError::from(load()).to_problem(),
        QueryError::from(load()).to_problem(),
        damaged_rows().to_problem(),
        QueryError::Other(Source::new(damaged_rows())).to_problem(),
        QueryError::from(ReadRowsError::from(damaged_rows())).to_problem(),
        SchemaError::Other(Source::new(ReadError::Corrupt { place: place() })).to_problem(),
        SagaError::Other(Source::new(ReadError::Corrupt { place: place() })).to_problem(),
        SagaError::Other(Source::new(AppendError::Corrupt { place: place() })).to_problem(),
        SagaError::Other(Source::new(damaged_rows())).to_problem(),
        SagaError::Other(Source::new(ReadRowsError::from(damaged_rows()))).to_problem(),
        CommandError::Other(Source::new(ProjectionError::Other(row()))).to_problem(),
    ];
    for problem in problems {
        assert_eq!(problem.name, "corrupt");
        let sent = String::from_utf8(problem.encode()).unwrap();
        assert!(!sent.contains("/srv") && !sent.contains("position 2"), "{sent}");
        assert!(problem.for_operator.is_some_and(|line| line.contains(&place())));
    }
}

#[test]
fn every_digit_of_a_rejection_comes_back() {
    let numbers: Vec<f64> = (1..2_000_u64)
        .map(|n| f64::from_bits(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
        .filter(|number| number.is_finite())
        .collect();
    let fields = serde_json::json!({ "numbers": numbers });
    returns(vec![CommandError::Rejected { code: "c".into(), message: "m".into(), fields }]);
}

#[test]
fn every_error_of_a_query_comes_back_the_same() {
    returns(vec![
        QueryError::UnknownQuery(name()),
        QueryError::Malformed("at line 1".into()),
        QueryError::Invalid(vec![Violation::new("a", "b", "c")]),
        QueryError::NotFound("no account ann".into()),
        QueryError::Denied("ann is no \"teller\"".into()),
        QueryError::Busy(backend()),
        QueryError::Other(backend()),
    ]);
}

#[test]
fn every_error_of_a_registry_of_schemas_comes_back_the_same() {
    returns(vec![
        SchemaError::Unknown { subject: SchemaSubject::event(name()), version: 0 },
        SchemaError::Unknown { subject: SchemaSubject::command(name()), version: u32::MAX },
        SchemaError::Denied("ann is no \"teller\"".into()),
        SchemaError::Busy(backend()),
        SchemaError::Other(backend()),
    ]);
}

#[test]
fn every_error_of_sagas_comes_back_the_same() {
    let saga = || SagaId::new("transfer-money", "a/b \"%:\u{1F980}..").unwrap();
    let violations = vec![Violation::new("a", "b", "c"), Violation::new("", "", "\u{1F980}\n")];
    returns(vec![
        SagaError::UnknownDefinition(name()),
        SagaError::NotFound(saga()),
        SagaError::Invalid(violations),
        SagaError::Invalid(vec![]),
        SagaError::StartedOtherwise(saga()),
        SagaError::Denied("ann is no \"teller\"".into()),
        SagaError::ShuttingDown,
        SagaError::Busy(backend()),
        SagaError::Unknown(backend()),
        SagaError::Other(backend()),
    ]);
    let not_now = |action| SagaError::NotNow { saga: saga(), action, reason: "it \"has\" ended\n".into() };
    returns(SagaAction::ALL.map(not_now).into());
}

fn wait_errors() -> Vec<WaitError> {
    vec![
        WaitError::UnknownProjection(name()),
        WaitError::Stopped { name: name(), reason: "event 7 \"has\" no key".into() },
        WaitError::Stalled { name: name() },
        WaitError::Denied("ann is no \"teller\"".into()),
        WaitError::Parked { name: name(), position: Position::MAX },
        WaitError::Busy(backend()),
        WaitError::Other(backend()),
    ]
}

#[test]
fn every_error_of_waiting_comes_back_the_same() {
    returns(wait_errors());
}

#[test]
fn every_error_of_a_projection_comes_back_the_same() {
    returns(vec![
        ProjectionError::UnknownProjection(name()),
        ProjectionError::NotFound { name: name(), what: "edition 1.2".into() },
        ProjectionError::NotReady(name()),
        ProjectionError::Gone { name: name(), edition: Edition { version: u16::MAX, rebuild: u16::MAX } },
        ProjectionError::Invalid("no".into()),
        ProjectionError::Denied("ann is no \"teller\"".into()),
        ProjectionError::TooLarge { what: "keys".into(), size: u64::MAX, limit: 1 },
        ProjectionError::Busy(backend()),
        ProjectionError::Unknown(backend()),
        ProjectionError::Corrupt { place: PLACE.into() },
        ProjectionError::Other(backend()),
    ]);
    returns(wait_errors().into_iter().map(ProjectionError::Wait).collect());
}
