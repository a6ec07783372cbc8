//! A small domain twice, by derives and by hand: to stores and wires they are one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod by_hand;
mod derived;

use portolan_kernel::domain::{Command, Event, Rejection, StreamCommand};
use portolan_kernel::drivers::Question;
use portolan_kernel::ports::{CommandError, RawEvent, Violation};
use portolan_kernel::values::{EventType, Tag};
use serde_json::Value;

/// Everything that others see of a command.
fn command<C: Command>(command: &C) -> (&'static str, &'static str, Option<Value>, Vec<Violation>, String) {
    let json = serde_json::to_string(command).unwrap();
    (C::NAME, C::DESCRIPTION, C::schema(), command.validate(), json)
}

fn stream<C: StreamCommand>(command: &C) -> (Option<&'static str>, Result<String, String>) {
    let stream = command.stream().map(|stream| stream.to_string());
    (C::CATEGORY, stream.map_err(|error| error.to_string()))
}

/// Everything that others see of an event.
fn event<E: Event>(event: &E) -> (&'static str, u32, Vec<Tag>, Vec<u8>) {
    (event.event_type(), event.version(), event.tags().unwrap(), event.encode().unwrap().to_vec())
}

fn stored<E: Event>(event: &E) -> RawEvent {
    let (event_type, version, _, payload) = self::event(event);
    RawEvent::new(EventType::new(event_type).unwrap(), version, E::FORMAT, payload.into())
}

fn rejection<R: Rejection>(rejection: &R) -> (&'static str, String, Value) {
    (rejection.code(), rejection.to_string(), rejection.fields())
}

/// The same value of both.
macro_rules! both {
    ($value:expr) => {{
        let derived = {
            use derived::*;
            $value
        };
        let by_hand = {
            use by_hand::*;
            $value
        };
        (derived, by_hand)
    }};
}

#[test]
fn derived_commands_are_those_by_hand() {
    let line = |amount| (amount, Some("blue".to_string()));
    for (buyer, code, lines) in
        [("Ann", "AB-1", vec![line(1), line(3)]), ("", "?", vec![]), (" \t", "AB-1", vec![line(1), line(0), (0, None)])]
    {
        let (derived, by_hand) = both!(PlaceOrder {
            order_id: "o-1".into(),
            buyer: buyer.into(),
            voucher: code.into(),
            lines: lines.iter().map(|(amount, colour)| Line { amount: *amount, colour: colour.clone() }).collect(),
        });
        assert_eq!(command(&derived), command(&by_hand));
        assert_eq!(stream(&derived), stream(&by_hand));
    }
    for order_id in ["o-1", "", "\n"] {
        let (derived, by_hand) = both!(CancelOrder { order_id: order_id.into(), r#type: 7 });
        assert_eq!(command(&derived), command(&by_hand));
        assert_eq!(stream(&derived), stream(&by_hand));
    }
    let (derived, by_hand) = both!(CountOrders {});
    assert_eq!(command(&derived), command(&by_hand));
}

#[test]
fn what_is_wrong_comes_in_the_order_of_the_fields() {
    use derived::{Line, PlaceOrder};
    let lines = vec![Line { amount: 1, colour: None }, Line { amount: 0, colour: None }];
    let wrong = PlaceOrder { order_id: "o".into(), buyer: " ".into(), voucher: "abc".into(), lines }.validate();
    let wrong: Vec<_> = wrong.iter().map(|wrong| (&*wrong.path, &*wrong.code, &*wrong.message)).collect();
    assert_eq!(
        wrong,
        [
            ("buyer", "blank", "it must not be blank"),
            ("voucher-code", "length", "it must be at least 4 long"),
            ("lines[1].amount", "range", "it must be 1 or more"),
            ("lines", "odd", "an order has an even number of pieces"),
        ]
    );
}

#[test]
fn derived_events_are_those_by_hand() {
    let mut types = Vec::new();
    for (derived, by_hand) in [
        both!(OrderEvent::Placed { order_id: "o-1".into(), buyer: "Ann".into(), total: 3 }),
        both!(OrderEvent::Paid(Payment { amount: 3, by: "card".into() })),
        both!(OrderEvent::HTTPNotified { r#ref: 7, at: None }),
        both!(OrderEvent::Reopened),
        both!(OrderEvent::Cancelled {}),
    ] {
        assert_eq!(event(&derived), event(&by_hand));
        // What one stores the other reads.
        assert_eq!(derived::OrderEvent::decode(&stored(&by_hand)), Ok(derived.clone()));
        assert_eq!(by_hand::OrderEvent::decode(&stored(&derived)), Ok(by_hand.clone()));
        types.push(derived.event_type());
    }
    assert_eq!(types, ["order.placed", "order.paid", "order.http-notified", "order.opened-again", "order.cancelled"]);
    assert_eq!(derived::OrderEvent::CATEGORY, by_hand::OrderEvent::CATEGORY);
    assert_eq!(derived::OrderEvent::FORMAT, by_hand::OrderEvent::FORMAT);

    for (event_type, payload) in [("order.lost", "{}"), ("Placed", "{}"), ("order.placed", r#"{"order_id":1}"#)] {
        let raw = RawEvent::new(EventType::new(event_type).unwrap(), 1, by_hand::OrderEvent::FORMAT, payload.into());
        let (derived, by_hand) = both!(OrderEvent::decode(&raw).unwrap_err());
        assert_eq!(derived, by_hand);
    }
}

#[test]
fn tags_that_are_no_names_are_errors() {
    let (derived, by_hand) =
        both!(OrderEvent::Placed { order_id: "o\n1".into(), buyer: "Ann".into(), total: 3 }.tags().unwrap_err());
    assert_eq!(derived, by_hand);
}

#[test]
fn derived_rejections_are_those_by_hand() {
    for (derived, by_hand) in [
        both!(Refused::AlreadyPlaced),
        both!(Refused::TooDear { limit: 2, total: 3 }),
        both!(Refused::Blocked(Reason { why: "debts".into() })),
    ] {
        assert_eq!(rejection(&derived), rejection(&by_hand));
        assert_eq!(derived::Refused::of(&by_hand.to_error()), Some(derived.clone()));
        assert_eq!(by_hand::Refused::of(&derived.to_error()), Some(by_hand));
    }
    let other = CommandError::Rejected { code: "another".into(), message: String::new(), fields: Value::Null };
    assert_eq!(derived::Refused::of(&other), None);
    assert_eq!(derived::Refused::of(&CommandError::KeyReused), None);
}

#[test]
fn derived_queries_are_those_by_hand() {
    fn query<Q: Question>() -> (&'static str, &'static str, Option<Value>, Option<Value>) {
        (Q::NAME, Q::DESCRIPTION, Q::schema(), Q::answer_schema())
    }
    assert_eq!(query::<derived::OrdersOf>(), query::<by_hand::OrdersOf>());
    assert_eq!(query::<derived::OrderById>(), query::<by_hand::OrderById>());
}
