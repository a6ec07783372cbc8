//! Projections: rows of a read model, folded from events.

use super::event::{Event, EventError, RecordedAs};
use super::history::Histories;
use super::mapping::MappingError;
use super::row::Row;
use super::shape::EventShape;
use super::upcasting::Unknown;
use crate::ports::{Lifecycle, RawEvent};
use crate::values::{InvalidName, Item, Name, Query};
use alloc::string::String;
use core::any::Any;
use core::time::Duration;

/// Events of one type or of several: any [`Event`] is one, and so is an enum of them.
///
/// With the feature `macros` there is a derive of the same name. By hand:
///
/// ```
/// use portolan_kernel::domain::history::Histories;
/// use portolan_kernel::domain::{Event, EventError, EventSet};
/// use portolan_kernel::ports::RawEvent;
/// # use portolan_kernel::{Bytes, domain::{CodecError, variant}};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] enum AccountEvent { #[serde(rename = "account.opened")] Opened {} }
/// # #[derive(Serialize, Deserialize)] enum OwnerEvent { #[serde(rename = "owner.moved")] Moved {} }
/// # macro_rules! event { ($t:ty, $c:literal) => { impl Event for $t {
/// #     const CATEGORY: &'static str = $c;
/// #     fn event_type(&self) -> &'static str { variant::name(self) }
/// #     fn encode(&self) -> Result<Bytes, CodecError> { variant::encode(self) }
/// #     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
/// # } } }
/// # event!(AccountEvent, "account"); event!(OwnerEvent, "owner");
/// enum BankEvent { Account(AccountEvent), Owner(OwnerEvent) }
///
/// impl EventSet for BankEvent {
///     const CATEGORIES: &'static [&'static str] = &[AccountEvent::CATEGORY, OwnerEvent::CATEGORY];
///     fn histories(histories: &mut Histories) {
///         histories.event::<AccountEvent>();
///         histories.event::<OwnerEvent>();
///     }
///     fn decode_in(category: &str, raw: &RawEvent) -> Result<Self, EventError> {
///         match category {
///             AccountEvent::CATEGORY => AccountEvent::decode(raw).map(Self::Account),
///             _ => OwnerEvent::decode(raw).map(Self::Owner),
///         }
///     }
///     fn current_version(&self) -> u32 {
///         match self {
///             Self::Account(event) => event.version(),
///             Self::Owner(event) => event.version(),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of events",
    label = "these are no events",
    note = "derive `Event` on the events of one category, or `EventSet` on an enum with a variant an event type"
)]
pub trait EventSet: Sized + Send + Sync + 'static {
    /// The categories of their streams.
    const CATEGORIES: &'static [&'static str];

    /// The event types with their variants and fields, for a derived [`Projection`]. None: they are not told, and only
    /// projections by hand follow the set. The derive tells them.
    const SHAPES: &'static [EventShape] = &[];

    /// Adds the history of each event type: `histories.event::<AccountEvent>()`.
    fn histories(histories: &mut Histories);

    /// The event in a stored one of the current version, of a stream of this category.
    ///
    /// # Errors
    ///
    /// What [`Event::decode`] says.
    fn decode_in(category: &str, raw: &RawEvent) -> Result<Self, EventError>;

    /// The set's value for a stored event that is unknown to it: of an unknown type, or of a version from the future. None,
    /// unless it has one, as [`OrRaw`](super::OrRaw) does; then the reader decides ([`Unknown`](super::Unknown)).
    fn of_unknown(raw: &RawEvent) -> Option<Self> {
        let _ = raw;
        None
    }

    /// What [`Event::version`] says.
    fn current_version(&self) -> u32;

    /// What [`Event::field`] says.
    fn field_named(&self, name: &str) -> Option<&dyn Any> {
        let _ = name;
        None
    }
}

impl<E: Event> EventSet for E {
    const CATEGORIES: &'static [&'static str] = &[E::CATEGORY];
    const SHAPES: &'static [EventShape] = &[EventShape::of::<E>()];

    fn histories(histories: &mut Histories) {
        histories.event::<E>();
    }

    fn decode_in(_: &str, raw: &RawEvent) -> Result<Self, EventError> {
        E::decode(raw)
    }

    fn current_version(&self) -> u32 {
        self.version()
    }

    fn field_named(&self, name: &str) -> Option<&dyn Any> {
        self.field(name)
    }
}

/// The events of a set, wherever they are.
///
/// # Errors
///
/// [`InvalidName`] when a category is none.
pub fn query_of<E: EventSet>() -> Result<Query, InvalidName> {
    let categories = E::CATEGORIES.iter().map(|category| Name::new(*category));
    Ok(Query::of(categories.into_iter().try_fold(Item::new(), |item, category| Ok(item.category(category?)))?))
}

/// What happens when an event cannot be applied, however often it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// The projection stops at the event, until an operator has looked.
    #[default]
    Stop,
    /// The event is left out.
    Skip,
    /// The event is parked, and with it the later ones of its sequence: those of its key, or of its stream when its
    /// key cannot be told. All others go on. An operator retries or drops what is parked.
    Park,
}

/// What is done about an event that cannot be applied (PR-03).
///
/// What may pass by itself, a store that is busy or gone, is tried again for as long as it takes, and counts as none of
/// the attempts. What cannot, an event that is not decoded or a row without cells, is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailurePolicy {
    /// How often it is tried again, if its projection says that this may help.
    pub retries: u32,
    /// The longest first pause; each later one is up to twice as long, and its length a matter of chance.
    pub first_pause: Duration,
    /// The longest pause of all.
    pub longest_pause: Duration,
    /// What happens then.
    pub then: OnFailure,
}

impl Default for FailurePolicy {
    /// Five retries within some seconds, then a stop.
    fn default() -> Self {
        Self::then(OnFailure::Stop)
    }
}

impl FailurePolicy {
    /// Five retries within some seconds, and then this.
    #[must_use]
    pub const fn then(then: OnFailure) -> Self {
        let (first_pause, longest_pause) = (Duration::from_millis(50), Duration::from_secs(5));
        Self { retries: 5, first_pause, longest_pause, then }
    }

    /// The same policy with so many retries.
    #[must_use]
    pub const fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// The same policy with pauses from this long to that long.
    #[must_use]
    pub const fn pauses(self, first_pause: Duration, longest_pause: Duration) -> Self {
        Self { first_pause, longest_pause, ..self }
    }
}

/// What the rows of a projection are, whichever way they are made: what they are read by.
///
/// Every [`Projection`] is one, and so is [`Viewed<V>`](crate::drivers::Viewed) for a
/// [`ViewProjection`](crate::drivers::ViewProjection) `V`. It is implemented by hand by those alone who read rows that somebody
/// else makes. It is in no prelude, so that `Balances::NAME` means one thing.
pub trait ReadModel: Send + Sync + 'static {
    /// Its name, which is also that of its rows' collection.
    const NAME: &'static str;

    /// The version of its code, from 1.
    const VERSION: u16;

    /// Its rows.
    type Row: Row;
}

impl<P: Projection> ReadModel for P {
    const NAME: &'static str = P::NAME;
    const VERSION: u16 = P::VERSION;
    type Row = P::Row;
}

/// A read model with a row a key, each folded from the events of that key. Pure: the worker reads and writes the
/// rows.
///
/// Raise [`VERSION`](Self::VERSION) with each change of the row, its indexes, or what events do to it: the new version
/// is made beside the old one, and readers are switched when it has caught up.
///
/// A panic is a failure of its event, which would panic again: nothing of it is in the rows, and it is dealt with as
/// [`on_failure`](Self::on_failure) says.
///
/// With the feature `macros` there is a derive of the same name, for rows whose columns are fields of the events. By hand:
///
/// ```
/// use portolan_kernel::domain::{Event, Projection, RecordedAs, Row};
/// # use portolan_kernel::{Bytes, domain::*, ports::RawEvent, values::Cell};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # enum AccountEvent { #[serde(rename = "account.deposited")] Deposited { amount: u64 } }
/// # impl Event for AccountEvent {
/// #     const CATEGORY: &'static str = "account";
/// #     fn event_type(&self) -> &'static str { variant::name(self) }
/// #     fn encode(&self) -> Result<Bytes, CodecError> { variant::encode(self) }
/// #     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
/// # }
/// # struct Balance { balance: u64 }
/// # impl Row for Balance {
/// #     const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<u64>("balance")];
/// #     fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> { Ok(vec![self.balance.to_cell()?]) }
/// #     fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
/// #         let [balance] = row_cells(cells)?;
/// #         Ok(Self { balance: CellValue::from_cell(balance)? })
/// #     }
/// # }
/// struct Balances;
///
/// impl Projection for Balances {
///     const NAME: &'static str = "balances";
///     const VERSION: u16 = 1;
///     type Event = AccountEvent;
///     type Row = Balance;
///
///     fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
///         Some(event.stream().to_string())
///     }
///
///     fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
///         let row = row.get_or_insert(Balance { balance: 0 });
///         match event.event {
///             AccountEvent::Deposited { amount } => row.balance += amount,
///         }
///     }
/// }
/// ```
pub trait Projection: Send + Sync + 'static {
    /// Its name, which is also that of its rows' collection. It does not begin with `$`, and has no `@` and no `/`.
    const NAME: &'static str;

    /// The version of its code, from 1.
    const VERSION: u16;

    /// The events it follows.
    type Event: EventSet;

    /// Its rows.
    type Row: Row;

    /// The key of the row that the event changes; `None`: it changes none.
    fn key(event: &RecordedAs<Self::Event>) -> Option<String>;

    /// Changes the row: `None` before its first event, and to delete it.
    fn apply(row: &mut Option<Self::Row>, event: &RecordedAs<Self::Event>);

    /// What is done about an event that cannot be applied: it cannot be decoded, its key is none, or its row has no
    /// cells, is too large, or has the values of another in a unique index. Each event is judged by the rows that it leaves,
    /// also where a later one would mend them; only what is too large is judged by whole batches.
    #[must_use]
    fn on_failure() -> FailurePolicy {
        FailurePolicy::default()
    }

    /// What is done about an event that this projection does not know. Rows that one was passed over for are without it for
    /// good: raise [`VERSION`](Self::VERSION) when it is known.
    #[must_use]
    fn on_unknown() -> Unknown {
        Unknown::Fail
    }

    /// Whether it can work at all, as far as that is known before the first event. An application asks when it is put
    /// together; a derived projection is judged here against its events, and a test may call it.
    ///
    /// # Errors
    ///
    /// [`MappingError`], which is a mistake of the application.
    fn check() -> Result<(), MappingError> {
        Ok(())
    }

    /// When its rows are made.
    #[must_use]
    fn lifecycle() -> Lifecycle {
        Lifecycle::default()
    }
}
