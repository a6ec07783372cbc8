//! The domain, by hand. Types that only say what their JSON is have schemars' own derive.

use portolan_kernel::Bytes;
use portolan_kernel::domain::{CodecError, Command, Event, EventError, Rejection, StreamCommand, schema, variant};
use portolan_kernel::drivers::Question;
use portolan_kernel::ports::{RawEvent, Violation};
use portolan_kernel::values::{InvalidName, StreamId, Tag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Places an order.
///
/// It is paid for later.
#[derive(JsonSchema, Serialize, Deserialize, Clone)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PlaceOrder {
    pub order_id: String,
    /// Who buys.
    pub buyer: String,
    #[serde(rename = "voucher-code", default)]
    #[schemars(length(min = 4))]
    pub voucher: String,
    pub lines: Vec<Line>,
}

/// So many pieces.
#[derive(JsonSchema, Serialize, Deserialize, Clone)]
pub(crate) struct Line {
    #[schemars(range(min = 1))]
    pub amount: u64,
    pub colour: Option<String>,
}

impl Command for PlaceOrder {
    const NAME: &'static str = "place-order";
    const DESCRIPTION: &'static str = "Places an order.\n\nIt is paid for later.";

    fn schema() -> Option<Value> {
        Some(schema::of_input::<Self>())
    }

    fn validate(&self) -> Vec<Violation> {
        let mut wrong = Vec::new();
        if self.buyer.trim().is_empty() {
            wrong.push(Violation::new("buyer", "blank", "it must not be blank"));
        }
        if self.voucher.len() < 4 {
            wrong.push(Violation::new("voucher-code", "length", "it must be at least 4 long"));
        }
        for (n, line) in self.lines.iter().enumerate() {
            if line.amount < 1 {
                wrong.push(Violation::new(format!("lines[{n}].amount"), "range", "it must be 1 or more"));
            }
        }
        let pieces: u64 = self.lines.iter().map(|line| line.amount).sum();
        if pieces % 2 == 1 {
            wrong.push(Violation::new("lines", "odd", "an order has an even number of pieces"));
        }
        wrong
    }
}

impl StreamCommand for PlaceOrder {
    const CATEGORY: Option<&'static str> = Some("order");

    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("order-{}", self.order_id))
    }
}

#[derive(JsonSchema, Serialize, Deserialize, Clone)]
pub(crate) struct CancelOrder {
    pub order_id: String,
    pub r#type: u8,
}

impl Command for CancelOrder {
    const NAME: &'static str = "cancel";

    fn schema() -> Option<Value> {
        Some(schema::of_input::<Self>())
    }
}

impl StreamCommand for CancelOrder {
    const CATEGORY: Option<&'static str> = Some("order");

    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("order-{}/{}", self.order_id, self.r#type))
    }
}

#[derive(JsonSchema, Serialize, Deserialize)]
pub(crate) struct CountOrders {}

impl Command for CountOrders {
    const NAME: &'static str = "count-orders";

    fn schema() -> Option<Value> {
        Some(schema::of_input::<Self>())
    }
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) enum OrderEvent {
    #[serde(rename = "order.placed")]
    Placed { order_id: String, buyer: String, total: u64 },
    #[serde(rename = "order.paid")]
    Paid(Payment),
    #[serde(rename = "order.http-notified")]
    HTTPNotified { r#ref: u8, at: Option<u64> },
    #[serde(rename = "order.opened-again")]
    Reopened,
    #[serde(rename = "order.cancelled")]
    Cancelled {},
}

impl Event for OrderEvent {
    const CATEGORY: &'static str = "order";

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn tags(&self) -> Result<Vec<Tag>, InvalidName> {
        match self {
            Self::Placed { order_id, buyer, total } => Ok(vec![
                Tag::new(format!("order_id:{order_id}"))?,
                Tag::new(format!("customer:{buyer}"))?,
                Tag::new(format!("total:{total}"))?,
                Tag::new(format!("sum:{total}"))?,
            ]),
            Self::HTTPNotified { r#ref, .. } => Ok(vec![Tag::new(format!("ref:{ref}"))?]),
            Self::Paid(_) | Self::Reopened | Self::Cancelled {} => Ok(Vec::new()),
        }
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Payment {
    pub amount: u64,
    pub by: String,
}

#[derive(thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Refused {
    #[error("the order is placed already")]
    AlreadyPlaced,
    #[error("{total} is above {limit}")]
    #[serde(rename = "too-expensive")]
    TooDear { limit: u64, total: u64 },
    #[error("blocked: {}", .0.why)]
    Blocked(Reason),
}

impl Rejection for Refused {}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Reason {
    pub why: String,
}

/// The orders of a buyer.
#[derive(JsonSchema, Serialize, Deserialize)]
pub(crate) struct OrdersOf {
    /// Who bought.
    pub buyer: String,
    pub state: Option<String>,
}

impl Question for OrdersOf {
    const NAME: &'static str = "orders";
    const DESCRIPTION: &'static str = "The orders of a buyer.";
    type Answer = Vec<OrderView>;

    fn schema() -> Option<Value> {
        Some(schema::of_input::<Self>())
    }

    fn answer_schema() -> Option<Value> {
        Some(schema::of_output::<Vec<OrderView>>())
    }
}

#[derive(JsonSchema, Serialize, Deserialize)]
pub(crate) struct OrderById {
    pub order_id: String,
}

impl Question for OrderById {
    const NAME: &'static str = "order-by-id";
    type Answer = OrderView;

    fn schema() -> Option<Value> {
        Some(schema::of_input::<Self>())
    }

    fn answer_schema() -> Option<Value> {
        Some(schema::of_output::<OrderView>())
    }
}

/// An order, as seen from outside.
#[derive(JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderView {
    pub order_id: String,
    pub state: State,
    pub parts: Vec<OrderView>,
}

#[derive(JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Not paid yet.
    Placed,
    Paid {
        by: String,
    },
}
