//! The same read models by hand.

use super::events::{Buyer, OrderEvent, SaleEvent, StockEvent};
use portolan_kernel::domain::history::Histories;
use portolan_kernel::domain::{
    CellValue, Event, EventError, EventSet, FailurePolicy, OnFailure, Projection, RecordedAs, Row, RowColumn, RowIndex,
    RowValueError, Unknown, json_cell, json_value, row_cells,
};
use portolan_kernel::ports::{Lifecycle, RawEvent};
use portolan_kernel::values::{Cell, Timestamp};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrderRow {
    pub buyer: Buyer,
    pub total: u64,
    pub note: Option<String>,
    pub r#type: String,
    pub lines: Vec<u8>,
    pub paid: u64,
    pub frozen_at: Option<Timestamp>,
}

impl Row for OrderRow {
    const COLUMNS: &'static [RowColumn] = &[
        RowColumn::of::<String>("customer"),
        RowColumn::of::<u64>("total"),
        RowColumn::of::<Option<String>>("note"),
        RowColumn::of::<String>("type"),
        RowColumn::json("lines"),
        RowColumn::of::<u64>("paid"),
        RowColumn::of::<Option<Timestamp>>("frozen_at"),
    ];
    const INDEXES: &'static [RowIndex] = &[
        RowIndex::new("buyer", &["customer"]),
        RowIndex::new("largest", &["total"]),
        RowIndex::new("type", &["type"]).unique(),
        RowIndex::new("by_buyer", &["customer", "total"]),
        RowIndex::new("ship", &["type", "frozen_at"]).unique(),
    ];

    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(vec![
            self.buyer.to_cell()?,
            self.total.to_cell()?,
            self.note.to_cell()?,
            self.r#type.to_cell()?,
            json_cell(&self.lines)?,
            self.paid.to_cell()?,
            self.frozen_at.to_cell()?,
        ])
    }

    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        let [buyer, total, note, r#type, lines, paid, frozen_at] = row_cells(cells)?;
        Ok(Self {
            buyer: CellValue::from_cell(buyer)?,
            total: CellValue::from_cell(total)?,
            note: CellValue::from_cell(note)?,
            r#type: CellValue::from_cell(r#type)?,
            lines: json_value(&lines)?,
            paid: CellValue::from_cell(paid)?,
            frozen_at: CellValue::from_cell(frozen_at)?,
        })
    }
}

impl Projection for OrderRow {
    const NAME: &'static str = "orders";
    const VERSION: u16 = 3;
    type Event = OrderEvent;
    type Row = Self;

    fn key(event: &RecordedAs<OrderEvent>) -> Option<String> {
        Some(event.stream().id().into())
    }

    fn apply(place: &mut Option<Self>, event: &RecordedAs<OrderEvent>) {
        match (&event.event, place.as_mut()) {
            (OrderEvent::Placed { buyer, total, note }, None) => {
                *place = Some(Self {
                    buyer: buyer.clone(),
                    total: *total,
                    note: note.clone(),
                    r#type: "none".into(),
                    lines: Vec::new(),
                    paid: 0,
                    frozen_at: None,
                });
            }
            (_, None) | (OrderEvent::Audited { .. }, _) => {}
            (OrderEvent::Placed { buyer, total, note }, Some(row)) => {
                row.buyer.clone_from(buyer);
                row.total = *total;
                row.note.clone_from(note);
            }
            (OrderEvent::Noted { note }, Some(row)) => row.note = Some(note.clone()),
            (OrderEvent::HandedOver { buyer, .. }, Some(row)) => row.buyer.clone_from(buyer),
            (OrderEvent::Discounted { total }, Some(row)) => row.total = row.total.saturating_sub(*total),
            (OrderEvent::Shipped(shipment), Some(row)) => {
                row.r#type.clone_from(&shipment.r#type);
                row.lines.clone_from(&shipment.lines);
            }
            (OrderEvent::Paid(payment), Some(row)) => row.paid += payment.amount,
            (OrderEvent::Frozen, Some(row)) => row.frozen_at = Some(event.recorded.recorded_at),
            (OrderEvent::Cancelled {}, Some(_)) => *place = None,
        }
    }

    fn on_failure() -> FailurePolicy {
        FailurePolicy::then(OnFailure::Park)
    }

    fn lifecycle() -> Lifecycle {
        Lifecycle::InlineIfPossible
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ShopEvent {
    Stock(StockEvent),
    Sale(SaleEvent),
}

impl EventSet for ShopEvent {
    const CATEGORIES: &'static [&'static str] = &[StockEvent::CATEGORY, SaleEvent::CATEGORY];

    fn histories(histories: &mut Histories) {
        histories.event::<StockEvent>();
        histories.event::<SaleEvent>();
    }

    fn decode_in(category: &str, raw: &RawEvent) -> Result<Self, EventError> {
        match category {
            StockEvent::CATEGORY => StockEvent::decode(raw).map(Self::Stock),
            _ => SaleEvent::decode(raw).map(Self::Sale),
        }
    }

    fn current_version(&self) -> u32 {
        match self {
            Self::Stock(event) => event.version(),
            Self::Sale(event) => event.version(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PieceRow {
    pub article: Option<u64>,
    pub pieces: Option<u64>,
    pub row: u64,
    pub event: u64,
}

impl Row for PieceRow {
    const COLUMNS: &'static [RowColumn] = &[
        RowColumn::of::<Option<u64>>("article"),
        RowColumn::of::<Option<u64>>("pieces"),
        RowColumn::of::<u64>("row"),
        RowColumn::of::<u64>("event"),
    ];

    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(vec![self.article.to_cell()?, self.pieces.to_cell()?, self.row.to_cell()?, self.event.to_cell()?])
    }

    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        let [article, pieces, row, event] = row_cells(cells)?;
        Ok(Self {
            article: CellValue::from_cell(article)?,
            pieces: CellValue::from_cell(pieces)?,
            row: CellValue::from_cell(row)?,
            event: CellValue::from_cell(event)?,
        })
    }
}

impl Projection for PieceRow {
    const NAME: &'static str = "piece-row";
    const VERSION: u16 = 1;
    type Event = ShopEvent;
    type Row = Self;

    fn key(event: &RecordedAs<ShopEvent>) -> Option<String> {
        match &event.event {
            ShopEvent::Stock(StockEvent::Counted { article, place, .. } | StockEvent::Moved { article, place })
            | ShopEvent::Sale(SaleEvent::Sold { article, place, .. } | SaleEvent::GaveUp { article, place }) => {
                Some(format!("{article}/{place}"))
            }
            _ => None,
        }
    }

    fn apply(place: &mut Option<Self>, event: &RecordedAs<ShopEvent>) {
        let empty = Self { article: None, pieces: None, row: 7, event: 0 };
        match &event.event {
            ShopEvent::Stock(StockEvent::Counted { article, pieces, .. }) => {
                let row = place.get_or_insert(empty);
                row.article = Some(*article);
                row.pieces = Some(*pieces);
            }
            ShopEvent::Stock(StockEvent::Moved { article, .. }) => place.get_or_insert(empty).article = Some(*article),
            ShopEvent::Sale(SaleEvent::Sold { pieces, .. }) => place.get_or_insert(empty).event += pieces,
            ShopEvent::Sale(SaleEvent::GaveUp { .. }) => *place = None,
            ShopEvent::Stock(StockEvent::Swept) | ShopEvent::Sale(SaleEvent::Renamed { .. }) => {}
        }
    }

    fn on_failure() -> FailurePolicy {
        FailurePolicy::then(OnFailure::Skip).retries(1)
    }

    fn on_unknown() -> Unknown {
        Unknown::Skip
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenOrders {}

impl Row for SeenOrders {
    const COLUMNS: &'static [RowColumn] = &[];

    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(Vec::new())
    }

    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        row_cells::<0>(cells).map(|_| Self {})
    }
}

impl Projection for SeenOrders {
    const NAME: &'static str = "seen-orders";
    const VERSION: u16 = 1;
    type Event = OrderEvent;
    type Row = Self;

    fn key(event: &RecordedAs<OrderEvent>) -> Option<String> {
        (event.stream().id() != "2").then(|| "it".into())
    }

    fn apply(row: &mut Option<Self>, event: &RecordedAs<OrderEvent>) {
        if event.event == OrderEvent::Frozen {
            row.get_or_insert(Self {});
        }
    }

    fn lifecycle() -> Lifecycle {
        Lifecycle::Live
    }
}
