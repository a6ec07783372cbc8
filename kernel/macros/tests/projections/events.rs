//! Events of two categories, for both twins.

use portolan_kernel::domain::{Event, EventFields};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "order")]
pub(crate) enum OrderEvent {
    Placed {
        buyer: Buyer,
        total: u64,
        note: Option<String>,
    },
    /// One column alone, and without `Option`.
    Noted {
        note: String,
    },
    HandedOver {
        buyer: Buyer,
        /// The name of no column.
        why: String,
    },
    /// The name of a column that it is not for.
    Discounted {
        total: u64,
    },
    #[event(fields)]
    Shipped(Shipment),
    Paid(Payment),
    Frozen,
    /// A field of a column's name and another type, and one of the right type.
    Audited {
        total: i64,
        note: String,
    },
    Cancelled {},
}

/// A type of the user's own, under another name.
pub(crate) type Buyer = String;

#[derive(EventFields, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Shipment {
    pub r#type: String,
    pub lines: Vec<u8>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Payment {
    pub amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "stock")]
pub(crate) enum StockEvent {
    Counted { article: u64, place: String, pieces: u64 },
    Moved { article: u64, place: String },
    Swept,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "sale")]
pub(crate) enum SaleEvent {
    Sold { article: u64, pieces: u64, place: String },
    Renamed { article: u64 },
    GaveUp { article: u64, place: String },
}
