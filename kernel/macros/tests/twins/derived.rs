//! The domain, by derives.

use portolan_kernel::domain::{Command, Event, JsonSchema, Rejection};
use portolan_kernel::drivers::Query;
use portolan_kernel::ports::Violation;
use serde::{Deserialize, Serialize};
use validator::{Validate, ValidationError};

/// Places an order.
///
/// It is paid for later.
#[derive(Command, Validate, Serialize, Deserialize, Clone)]
#[command(stream = "order-{order_id}", check = even)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PlaceOrder {
    pub order_id: String,
    /// Who buys.
    #[validate(custom(function = not_blank))]
    pub buyer: String,
    #[serde(rename = "voucher-code", default)]
    #[validate(length(min = 4))]
    pub voucher: String,
    #[validate(nested)]
    pub lines: Vec<Line>,
}

/// So many pieces.
#[derive(JsonSchema, Validate, Serialize, Deserialize, Clone)]
pub(crate) struct Line {
    #[validate(range(min = 1))]
    pub amount: u64,
    pub colour: Option<String>,
}

fn not_blank(text: &str) -> Result<(), ValidationError> {
    match text.trim() {
        "" => Err(ValidationError::new("blank").with_message("it must not be blank".into())),
        _ => Ok(()),
    }
}

fn even(order: &PlaceOrder) -> Vec<Violation> {
    let pieces: u64 = order.lines.iter().map(|line| line.amount).sum();
    let odd = (pieces % 2 == 1).then(|| Violation::new("lines", "odd", "an order has an even number of pieces"));
    odd.into_iter().collect()
}

#[derive(Command, Serialize, Deserialize, Clone)]
#[command(name = "cancel", stream = "order-{order_id}/{type}")]
pub(crate) struct CancelOrder {
    pub order_id: String,
    pub r#type: u8,
}

#[derive(Command, Serialize, Deserialize)]
pub(crate) struct CountOrders {}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "order")]
pub(crate) enum OrderEvent {
    Placed {
        #[tag]
        order_id: String,
        #[tag("customer:{}")]
        buyer: String,
        #[tag]
        #[tag("sum:{}")]
        total: u64,
    },
    Paid(Payment),
    HTTPNotified {
        #[tag]
        r#ref: u8,
        at: Option<u64>,
    },
    #[event(name = "order.opened-again")]
    Reopened,
    Cancelled {},
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Payment {
    pub amount: u64,
    pub by: String,
}

#[derive(Rejection, thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) enum Refused {
    #[error("the order is placed already")]
    AlreadyPlaced,
    #[error("{total} is above {limit}")]
    #[rejection(code = "too-expensive")]
    TooDear { limit: u64, total: u64 },
    #[error("blocked: {}", .0.why)]
    Blocked(Reason),
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Reason {
    pub why: String,
}

/// The orders of a buyer.
#[derive(Query, Serialize, Deserialize)]
#[query(name = "orders", answer = Vec<OrderView>)]
pub(crate) struct OrdersOf {
    /// Who bought.
    pub buyer: String,
    pub state: Option<String>,
}

#[derive(Query, Serialize, Deserialize)]
#[query(answer = OrderView)]
pub(crate) struct OrderById {
    pub order_id: String,
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
