//! The suite's own projections: bookings, and what they add up to.

use crate::ask::name;
use portolan_kernel::Bytes;
use portolan_kernel::domain::{
    CellValue, CodecError, Event, EventError, FailurePolicy, OnFailure, Projection, RecordedAs, Row, RowColumn,
    RowIndex, RowValueError, Unknown, row_cells, variant,
};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{Cell, NewEvent, Recorded};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happens to an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum BookingEvent {
    #[serde(rename = "booking.made")]
    Made { amount: i64 },
    #[serde(rename = "booking.labelled")]
    Labelled { label: Option<String> },
}

/// What happens elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum OtherEvent {
    #[serde(rename = "other.happened")]
    Happened,
}

macro_rules! events {
    ($($event:ty: $category:literal;)*) => {$(
        impl Event for $event {
            const CATEGORY: &'static str = $category;

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
    )*};
}
events! {
    BookingEvent: "booking";
    OtherEvent: "other";
}

/// The account that an event is of.
fn account<E>(event: &RecordedAs<E>) -> Option<String> {
    Some(event.stream().id().to_string())
}

/// Bookings of these amounts.
pub(crate) fn sums(account: &str, amounts: &[i64]) -> Vec<NewEvent> {
    let made = |amount: &i64| booking(account, "booking.made", &json!({ "amount": amount }));
    amounts.iter().map(made).collect()
}

/// An account is given this label, or none.
pub(crate) fn labelled(account: &str, label: Option<&str>) -> NewEvent {
    booking(account, "booking.labelled", &json!({ "label": label }))
}

/// What nobody can decode.
pub(crate) fn poison(account: &str) -> NewEvent {
    booking(account, "booking.made", &json!({ "amount": "much" }))
}

/// What somebody newer has written.
pub(crate) fn unknown(account: &str) -> NewEvent {
    booking(account, "booking.archived", &json!({}))
}

fn booking(account: &str, kind: &str, payload: &Value) -> NewEvent {
    NewEvent::new(name(&format!("booking-{account}")), name(kind), payload.to_string())
}

/// Bookings of one account: how many, their sum, and a number that is another for every other order of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sum {
    count: i64,
    sum: i64,
    trace: i64,
}

impl Sum {
    fn add(&mut self, amount: i64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(amount);
        self.trace = self.trace.wrapping_mul(31).wrapping_add(amount).wrapping_add(1);
    }
}

/// The same in other columns, as another version has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SumAnew {
    trace: i64,
    doubled: i64,
}

/// A label, which no two accounts have.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Label {
    label: Option<String>,
    count: i64,
}

macro_rules! rows {
    ($($row:ident { $($field:ident: $kind:ty),* } $indexes:expr;)*) => {$(
        impl Row for $row {
            const COLUMNS: &'static [RowColumn] = &[$(RowColumn::of::<$kind>(stringify!($field))),*];
            const INDEXES: &'static [RowIndex] = $indexes;

            fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
                Ok(vec![$(self.$field.to_cell()?),*])
            }

            fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
                let [$($field),*] = row_cells(cells)?;
                Ok(Self { $($field: CellValue::from_cell($field)?),* })
            }
        }
    )*};
}
rows! {
    Sum { count: i64, sum: i64, trace: i64 } &[RowIndex::new("sum", &["sum"])];
    SumAnew { trace: i64, doubled: i64 } &[RowIndex::new("doubled", &["doubled"])];
    Label { label: Option<String>, count: i64 } &[RowIndex::new("label", &["label"]).unique()];
}

fn add(row: &mut Option<Sum>, event: &BookingEvent) {
    if let BookingEvent::Made { amount } = event {
        row.get_or_insert_default().add(*amount);
    }
}

macro_rules! projections {
    ($($(#[$doc:meta])* $projection:ident = $name:literal, $version:literal, $row:ty, $then:expr, $apply:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $projection;

        impl Projection for $projection {
            const NAME: &'static str = $name;
            const VERSION: u16 = $version;
            type Event = BookingEvent;
            type Row = $row;

            fn key(event: &RecordedAs<BookingEvent>) -> Option<String> {
                account(event)
            }

            fn apply(row: &mut Option<$row>, event: &RecordedAs<BookingEvent>) {
                let apply: fn(&mut Option<$row>, &BookingEvent) = $apply;
                apply(row, &event.event);
            }

            fn on_failure() -> FailurePolicy {
                FailurePolicy::then($then).retries(1)
            }
        }
    )*};
}
projections! {
    /// Sums by account.
    Sums = "sums", 1, Sum, OnFailure::Stop, add;
    /// The next version of it.
    SumsAnew = "sums", 2, SumAnew, OnFailure::Stop, |row, event| {
        if let BookingEvent::Made { amount } = event {
            let row = row.get_or_insert_default();
            row.doubled = row.doubled.wrapping_add(amount.wrapping_mul(2));
            row.trace = row.trace.wrapping_mul(31).wrapping_add(*amount).wrapping_add(1);
        }
    };
    /// One that stops at what it cannot apply.
    Stops = "stops", 1, Sum, OnFailure::Stop, add;
    /// One that leaves out what it cannot apply.
    Skips = "skips", 1, Sum, OnFailure::Skip, add;
    /// One that parks what it cannot apply.
    Parks = "parks", 1, Sum, OnFailure::Park, add;
    /// One that parks what would give two accounts one label.
    Labels = "labels", 1, Label, OnFailure::Park, |row, event| {
        let row = row.get_or_insert_default();
        row.count += 1;
        if let BookingEvent::Labelled { label } = event {
            row.label = label.clone();
        }
    };
}

/// One that passes over what it does not know, and stops at what it cannot apply.
pub(crate) struct Passes;

impl Projection for Passes {
    const NAME: &'static str = "passes";
    const VERSION: u16 = 1;
    type Event = BookingEvent;
    type Row = Sum;

    fn key(event: &RecordedAs<BookingEvent>) -> Option<String> {
        account(event)
    }

    fn apply(row: &mut Option<Sum>, event: &RecordedAs<BookingEvent>) {
        add(row, event);
    }

    fn on_failure() -> FailurePolicy {
        FailurePolicy::then(OnFailure::Stop)
    }

    fn on_unknown() -> Unknown {
        Unknown::Skip
    }
}

/// A projection of other events.
pub(crate) struct Other;

impl Projection for Other {
    const NAME: &'static str = "other";
    const VERSION: u16 = 1;
    type Event = OtherEvent;
    type Row = Sum;

    fn key(event: &RecordedAs<OtherEvent>) -> Option<String> {
        account(event)
    }

    fn apply(row: &mut Option<Sum>, _: &RecordedAs<OtherEvent>) {
        row.get_or_insert_default().add(1);
    }
}

/// The cells of [`Sums`] and [`SumsAnew`], folded by hand; events that cannot be are left out.
pub(crate) fn fold(log: &[Arc<Recorded>], version: u16) -> BTreeMap<String, Vec<Cell>> {
    let mut sums: BTreeMap<String, (i64, i64, i64)> = BTreeMap::new();
    for event in log.iter().filter(|event| event.stream.category() == "booking" && event.event_type == "booking.made") {
        let payload: Value = serde_json::from_slice(&event.payload).unwrap_or_default();
        let Some(amount) = payload["amount"].as_i64() else { continue };
        let (count, sum, trace) = sums.entry(event.stream.id().to_string()).or_default();
        *count += 1;
        *sum = sum.wrapping_add(amount);
        *trace = trace.wrapping_mul(31).wrapping_add(amount).wrapping_add(1);
    }
    let cells = |(count, sum, trace): (i64, i64, i64)| {
        let numbers = if version == 1 { vec![count, sum, trace] } else { vec![trace, sum.wrapping_mul(2)] };
        numbers.into_iter().map(Cell::Integer).collect()
    };
    sums.into_iter().map(|(account, sum)| (account, cells(sum))).collect()
}
