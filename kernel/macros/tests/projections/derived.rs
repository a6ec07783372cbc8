//! Read models by derives.

use super::events::{Buyer, OrderEvent, Payment, SaleEvent, StockEvent};
use portolan_kernel::domain::{EventSet, FailurePolicy, OnFailure, Projection, RecordedAs, Row};
use portolan_kernel::values::Timestamp;

#[derive(Row, Projection, Clone, Debug, PartialEq)]
#[row(index(name = "by_buyer", columns(buyer, total)), index(name = "ship", columns(r#type, frozen_at), unique))]
#[projection(
    name = "orders",
    version = 3,
    events = OrderEvent,
    key = stream_id,
    on(Discounted { total } = discounted, Paid(payment) = paid, OrderEvent::Frozen = frozen),
    delete_on(Cancelled),
    ignore(Audited),
    on_failure = park,
    lifecycle = inline_if_possible
)]
pub(crate) struct OrderRow {
    #[row(index, rename = "customer")]
    pub buyer: Buyer,
    #[row(index = "largest")]
    pub total: u64,
    pub note: Option<String>,
    #[row(unique)]
    #[projection(default = "none".into())]
    pub r#type: String,
    #[row(json)]
    #[projection(default)]
    pub lines: Vec<u8>,
    #[projection(default)]
    pub paid: u64,
    #[projection(default)]
    pub frozen_at: Option<Timestamp>,
}

impl OrderRow {
    fn discounted(&mut self, total: &u64) {
        self.total = self.total.saturating_sub(*total);
    }

    fn paid(&mut self, payment: &Payment) {
        self.paid += payment.amount;
    }

    fn frozen(row: &mut Option<Self>, event: &RecordedAs<OrderEvent>) {
        if let Some(row) = row {
            row.frozen_at = Some(event.recorded.recorded_at);
        }
    }
}

#[derive(EventSet, Clone, Debug, PartialEq)]
pub(crate) enum ShopEvent {
    Stock(StockEvent),
    Sale(SaleEvent),
}

/// Its variables are named as those of derived code are.
#[derive(Row, Projection, Clone, Debug, PartialEq)]
#[projection(
    events = ShopEvent,
    key = "{article}/{place}",
    on(SaleEvent::Sold { pieces, .. } = sold),
    delete_on(SaleEvent::GaveUp),
    ignore(SaleEvent::Renamed),
    on_failure = FailurePolicy::then(OnFailure::Skip).retries(1),
    on_unknown = skip
)]
pub(crate) struct PieceRow {
    pub article: Option<u64>,
    pub pieces: Option<u64>,
    #[projection(default = 7)]
    pub row: u64,
    #[projection(default)]
    pub event: u64,
}

impl PieceRow {
    fn sold(&mut self, pieces: &u64) {
        self.event += pieces;
    }
}

/// A row a stream, and nothing in it.
#[derive(Row, Projection, Clone, Debug, PartialEq)]
#[projection(events = OrderEvent, key = first, on(Frozen {} = seen), ignore(Shipped, Paid), lifecycle = live)]
pub(crate) struct SeenOrders {}

impl SeenOrders {
    fn seen(&mut self) {}
}

fn first(event: &RecordedAs<OrderEvent>) -> Option<String> {
    (event.stream().id() != "2").then(|| "it".into())
}
