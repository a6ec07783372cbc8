//! Typed projections as a store runs them inside of appends: what each policy does about an event that cannot be
//! applied.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use portolan_kernel::Bytes;
use portolan_kernel::domain::history::{Histories, History};
use portolan_kernel::domain::{
    CellValue, CodecError, Event, EventError, FailurePolicy, Inlined, OnFailure, Projection, RecordedAs, Row,
    RowColumn, RowValueError, inline, row_cells, variant,
};
use portolan_kernel::ports::{Inline, InlineChanges, RawEvent, UpcastError, Upcaster};
use portolan_kernel::values::{Cell, EventType, NewEvent, Position, Recorded, Revision, RowKey, StreamId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
enum AccountEvent {
    #[serde(rename = "account.deposited")]
    Deposited { amount: i64 },
    #[serde(rename = "account.renamed")]
    Renamed { key: String },
    #[serde(rename = "account.closed")]
    Closed {},
}

impl Event for AccountEvent {
    const CATEGORY: &'static str = "account";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

struct Balance {
    balance: i64,
}

impl Row for Balance {
    const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<i64>("balance")];
    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(vec![self.balance.to_cell()?])
    }
    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        let [balance] = row_cells(cells)?;
        Ok(Self { balance: CellValue::from_cell(balance)? })
    }
}

/// A projection of balances with the policy of this number.
struct Balances<const THEN: u8>;

impl<const THEN: u8> Projection for Balances<THEN> {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 3;
    type Event = AccountEvent;
    type Row = Balance;

    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        match &event.event {
            AccountEvent::Renamed { key } if key == "none" => None,
            AccountEvent::Renamed { key } => Some(key.clone()),
            _ => Some(event.stream().to_string()),
        }
    }

    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        match event.event {
            AccountEvent::Deposited { amount } => row.get_or_insert(Balance { balance: 0 }).balance += amount,
            AccountEvent::Renamed { .. } => {}
            AccountEvent::Closed {} => *row = None,
        }
    }

    fn on_failure() -> FailurePolicy {
        FailurePolicy::then([OnFailure::Stop, OnFailure::Skip, OnFailure::Park][usize::from(THEN)])
    }
}

/// Splits a deposit of old into two halves, the second of which may have no row.
struct Halves;

impl Upcaster for Halves {
    fn from(&self) -> (EventType, u32) {
        (EventType::new("account.paid-in").unwrap(), 7)
    }
    fn to(&self) -> Vec<(EventType, u32)> {
        ["account.deposited", "account.renamed"].map(|to| (EventType::new(to).unwrap(), 1)).into()
    }
    fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, UpcastError> {
        let half = |event_type: &str, payload: &'static str| {
            let event_type = EventType::new(event_type).unwrap();
            RawEvent::new(event_type, 1, event.format, Bytes::from_static(payload.as_bytes()))
        };
        let second = if event.payload.len() > 2 {
            half("account.deposited", r#"{"amount":2}"#)
        } else {
            half("account.renamed", r#"{"key":""}"#)
        };
        Ok(vec![half("account.deposited", r#"{"amount":1}"#), second])
    }
}

fn event(event_type: &str, payload: &str, version: u32) -> Arc<Recorded> {
    let stream = StreamId::new("account-ann").unwrap();
    let event = NewEvent::new(stream, EventType::new(event_type).unwrap(), Bytes::copy_from_slice(payload.as_bytes()));
    let at = Position::new(1).unwrap();
    Arc::new(Recorded::new(event.with_version(version), Revision::FIRST, at, Timestamp::from_micros(0)))
}

type Changed = BTreeMap<RowKey, Option<Vec<Cell>>>;

fn applied(projection: &dyn Inline, stored: i64, event: &Arc<Recorded>) -> Result<Changed, String> {
    let mut rows = InlineChanges::new(|key: &RowKey| match key.as_str() {
        "account-ann" => Ok(Some(vec![Cell::Integer(stored)])),
        "of another version" => Ok(Some(vec![])),
        "gone" => Err("the disk is gone".to_string()),
        _ => Ok(None),
    });
    projection.apply(event, &mut rows).map(|()| rows.into_changed())
}

fn one(key: &str, balance: Option<i64>) -> Changed {
    BTreeMap::from([(RowKey::new(key).unwrap(), balance.map(|balance| vec![Cell::Integer(balance)]))])
}

#[test]
fn rows_are_folded() {
    let projection = inline::<Balances<0>>().unwrap();
    assert_eq!(projection.collection().version, 3);
    assert!(projection.wants().matches(&event("account.closed", "{}", 1)));
    let done = |event_type, payload| applied(&*projection, 5, &event(event_type, payload, 1));
    assert_eq!(done("account.deposited", r#"{"amount":2}"#), Ok(one("account-ann", Some(7))));
    assert_eq!(done("account.closed", "{}"), Ok(one("account-ann", None)));
    assert_eq!(done("account.renamed", r#"{"key":"none"}"#), Ok(Changed::new()));
    assert_eq!(done("account.renamed", r#"{"key":"nobody"}"#), Ok(Changed::new()));
}

#[test]
fn what_cannot_be_applied_is_refused_or_skipped() {
    let refusing = [inline::<Balances<0>>().unwrap(), inline::<Balances<2>>().unwrap()];
    let skipping = inline::<Balances<1>>().unwrap();
    let bad = [
        ("account.unheard", "{}", 1, "unknown"),
        ("account.deposited", r#"{"amount":"x"}"#, 1, "payload"),
        ("account.deposited", r#"{"amount":1}"#, 2, "version 2"),
        ("account.renamed", r#"{"key":""}"#, 1, "row key"),
        ("account.renamed", r#"{"key":"of another version"}"#, 1, "columns"),
    ];
    for (event_type, payload, version, reason) in bad {
        let event = event(event_type, payload, version);
        for projection in &refusing {
            let refused = applied(&**projection, 5, &event).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
        assert_eq!(applied(&*skipping, 5, &event), Ok(Changed::new()), "{event_type}");
    }
    // Rows that cannot be read are nothing that a policy speaks of.
    let event = event("account.renamed", r#"{"key":"gone"}"#, 1);
    assert_eq!(applied(&*skipping, 5, &event), Err("the disk is gone".to_string()));
}

#[test]
fn an_event_that_was_split_is_applied_whole_or_not_at_all() {
    let mut histories = Histories::of::<AccountEvent>();
    histories.add("the test", History::new().hop(Halves));
    let upcasters = histories.judge().unwrap();
    let projection = Inlined::<Balances<1>>::new().unwrap().upcasters(upcasters);
    let whole = event("account.paid-in", r#"{"amount":3}"#, 7);
    assert_eq!(applied(&projection, 5, &whole), Ok(one("account-ann", Some(8))));
    let half = event("account.paid-in", "{}", 7);
    assert_eq!(applied(&projection, 5, &half), Ok(Changed::new()));
}
