//! Read models twice, by derives and by hand: folds of the same events leave the same rows.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod by_hand;
mod derived;
mod events;

use events::{OrderEvent, Payment, SaleEvent, Shipment, StockEvent};
use portolan_kernel::domain::{
    Event, EventSet, FailurePolicy, Includes, Projection, RecordedAs, Row, RowColumn, RowIndex, Unknown,
};
use portolan_kernel::ports::{Lifecycle, RawEvent};
use portolan_kernel::values::{Cell, EventType, NewEvent, Position, Recorded, Revision, StreamId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a log holds.
fn recorded<E: Event>(n: usize, stream: &str, event: &E) -> Recorded {
    let event_type = EventType::new(event.event_type()).unwrap();
    let new = NewEvent::new(StreamId::new(stream).unwrap(), event_type, event.encode().unwrap());
    let n = n as u64 + 1;
    Recorded::new(new, Revision::new(n), Position::new(n).unwrap(), Timestamp::from_micros(n))
}

/// The rows that the projection makes of a log, each step of them as a store would keep it.
fn fold<P: Projection>(log: &[Recorded]) -> BTreeMap<String, Vec<Cell>> {
    let mut rows: BTreeMap<String, Vec<Cell>> = BTreeMap::new();
    for recorded in log {
        let raw =
            RawEvent::new(recorded.event_type.clone(), recorded.version, recorded.format, recorded.payload.clone());
        let event = P::Event::decode_in(recorded.stream.category(), &raw).unwrap();
        assert_eq!(event.current_version(), 1);
        let event = RecordedAs::new(event, Arc::new(recorded.clone()));
        let Some(key) = P::key(&event) else { continue };
        let mut row = rows.remove(&key).map(|cells| P::Row::from_cells(cells).unwrap());
        P::apply(&mut row, &event);
        if let Some(row) = row {
            rows.insert(key, row.to_cells().unwrap());
        }
    }
    rows
}

/// All logs of so many of these events.
fn logs<T: Clone>(events: &[T], length: usize) -> Vec<Vec<T>> {
    let longer = |log: Vec<T>| events.iter().map(move |event| [log.clone(), vec![event.clone()]].concat());
    match length {
        0 => vec![Vec::new()],
        _ => logs(events, length - 1).into_iter().flat_map(longer).collect(),
    }
}

#[derive(PartialEq, Debug)]
struct Said {
    name: &'static str,
    version: u16,
    columns: &'static [RowColumn],
    indexes: &'static [RowIndex],
    categories: &'static [&'static str],
    on_failure: FailurePolicy,
    on_unknown: Unknown,
    lifecycle: Lifecycle,
}

fn said<P: Projection>() -> Said {
    Said {
        name: P::NAME,
        version: P::VERSION,
        columns: P::Row::COLUMNS,
        indexes: P::Row::INDEXES,
        categories: P::Event::CATEGORIES,
        on_failure: P::on_failure(),
        on_unknown: P::on_unknown(),
        lifecycle: P::lifecycle(),
    }
}

#[test]
fn derived_projections_say_what_those_by_hand_say() {
    assert_eq!(said::<derived::OrderRow>(), said::<by_hand::OrderRow>());
    assert_eq!(said::<derived::PieceRow>(), said::<by_hand::PieceRow>());
    assert_eq!(said::<derived::SeenOrders>(), said::<by_hand::SeenOrders>());
}

#[test]
fn they_fit_their_events() {
    assert_eq!(derived::OrderRow::check(), Ok(()));
    assert_eq!(derived::PieceRow::check(), Ok(()));
    assert_eq!(derived::SeenOrders::check(), Ok(()));
}

#[test]
fn rows_of_one_event_type() {
    let placed = |note: Option<&str>| OrderEvent::Placed { buyer: "ann".into(), total: 9, note: note.map(Into::into) };
    let events = [
        placed(None),
        placed(Some("late")),
        OrderEvent::Noted { note: "red".into() },
        OrderEvent::HandedOver { buyer: "bob".into(), why: "?".into() },
        OrderEvent::Discounted { total: 2 },
        OrderEvent::Shipped(Shipment { r#type: "air".into(), lines: vec![1, 2] }),
        OrderEvent::Paid(Payment { amount: 4 }),
        OrderEvent::Frozen,
        OrderEvent::Audited { total: -1, note: "odd".into() },
        OrderEvent::Cancelled {},
    ];
    let mut different = std::collections::BTreeSet::new();
    for log in logs(&events, 4) {
        let log: Vec<_> = log.iter().enumerate().map(|(n, event)| recorded(n, "order-1", event)).collect();
        let rows = fold::<derived::OrderRow>(&log);
        assert_eq!(rows, fold::<by_hand::OrderRow>(&log), "{log:?}");
        assert_eq!(fold::<derived::SeenOrders>(&log), fold::<by_hand::SeenOrders>(&log), "{log:?}");
        different.extend(rows.into_values());
    }
    assert!(different.len() > 150, "the logs come to little: {}", different.len());
}

#[test]
fn keys_tell_rows_apart() {
    let events = ["order-1", "order-2", "order-1"].map(|stream| (stream, OrderEvent::Frozen));
    let log: Vec<_> = events.iter().enumerate().map(|(n, (stream, event))| recorded(n, stream, event)).collect();
    assert_eq!(fold::<derived::SeenOrders>(&log[1..2]), BTreeMap::new());
    assert_eq!(fold::<derived::SeenOrders>(&log).into_keys().collect::<Vec<_>>(), ["it"]);
}

#[test]
fn rows_of_a_set_of_events() {
    let place = || "ulm".to_string();
    let stock = [
        StockEvent::Counted { article: 1, place: place(), pieces: 5 },
        StockEvent::Moved { article: 2, place: place() },
        StockEvent::Swept,
    ];
    let sales = [
        SaleEvent::Sold { article: 1, pieces: 3, place: place() },
        SaleEvent::Renamed { article: 1 },
        SaleEvent::GaveUp { article: 1, place: place() },
    ];
    let stock = stock.iter().map(|event| recorded(0, "stock-1", event));
    let events: Vec<_> = stock.chain(sales.iter().map(|event| recorded(0, "sale-1", event))).collect();
    let mut different = std::collections::BTreeSet::new();
    for log in logs(&events, 4) {
        let rows = fold::<derived::PieceRow>(&log);
        assert_eq!(rows, fold::<by_hand::PieceRow>(&log), "{log:?}");
        different.extend(rows);
    }
    assert!(different.len() > 8, "the logs come to little: {}", different.len());
}

#[test]
fn a_set_holds_each_event_as_itself() {
    let event = derived::ShopEvent::Stock(StockEvent::Swept);
    assert_eq!(Includes::<StockEvent>::part(&event), Some(&StockEvent::Swept));
    assert_eq!(Includes::<SaleEvent>::part(&event), None::<&SaleEvent>);
    let raw = RawEvent::new(EventType::new("stock.swept").unwrap(), 1, StockEvent::FORMAT, "{}".into());
    assert_eq!(derived::ShopEvent::decode_in("stock", &raw), Ok(event));
    let (derived, by_hand) = (derived::ShopEvent::decode_in("sale", &raw), by_hand::ShopEvent::decode_in("sale", &raw));
    assert_eq!(derived.unwrap_err(), by_hand.unwrap_err());
}
