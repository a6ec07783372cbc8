//! A derived projection that does not fit its events is refused when the application is put together.

use portolan_kernel::domain::history::Histories;
use portolan_kernel::domain::mapping::MappingError;
use portolan_kernel::domain::{CodecError, Event, EventError, EventSet, Projection, RecordedAs, Row, variant};
use portolan_kernel::{Bytes, ports::RawEvent};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Opened { owner: String, balance: u64 },
    Renamed { owner: String },
    Corrected { balance: i64 },
    Paid(Payment),
    Seen { id: u64 },
    Closed,
}

#[derive(Serialize, Deserialize)]
struct Payment {
    amount: u64,
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "owner")]
enum OwnerEvent {
    Moved { place: String },
}

/// By hand: it does not tell its fields.
#[derive(Serialize, Deserialize)]
enum CardEvent {
    #[serde(rename = "card.issued")]
    Issued { owner: String },
}

impl Event for CardEvent {
    const CATEGORY: &'static str = "card";

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

#[derive(EventSet)]
enum BankEvent {
    Account(AccountEvent),
    Owner(OwnerEvent),
}

#[derive(EventSet)]
enum Cards {
    Card(CardEvent),
    Owner(OwnerEvent),
}

/// By hand as well.
enum Plastic {
    Card(CardEvent),
}

impl EventSet for Plastic {
    const CATEGORIES: &'static [&'static str] = &[CardEvent::CATEGORY];

    fn histories(histories: &mut Histories) {
        histories.event::<CardEvent>();
    }

    fn decode_in(_: &str, raw: &RawEvent) -> Result<Self, EventError> {
        CardEvent::decode(raw).map(Self::Card)
    }

    fn current_version(&self) -> u32 {
        let Self::Card(event) = self;
        event.version()
    }
}

/// What the check says of a row of these columns.
macro_rules! check {
    ($($said:tt)*) => {{
        #[derive(Row, Projection)]
        $($said)*
        said(Balance::check())
    }};
}

fn said(check: Result<(), MappingError>) -> String {
    check.err().map_or_else(String::new, |error| error.to_string())
}

#[test]
fn a_field_of_another_type() {
    let said = check!(
        #[projection(events = AccountEvent, key = stream, ignore(Paid))]
        struct Balance {
            owner: String,
            balance: u64,
        }
    );
    assert_eq!(
        said,
        "`balance` is u64, and in mapping::AccountEvent::Corrected it is i64; give both one type, or say what the event \
         does: `on(Corrected = …)` or `ignore(Corrected)`"
    );
    // An `Option` is filled by what it holds, and by nothing else.
    let said = check!(
        #[projection(events = AccountEvent, key = stream, ignore(Paid, Opened, Renamed))]
        struct Balance {
            balance: Option<u64>,
        }
    );
    assert!(said.starts_with("`balance` is core::option::Option<u64>, and in"), "{said}");
    let fits = check!(
        #[projection(events = AccountEvent, key = stream, ignore(Paid, Corrected))]
        struct Balance {
            owner: Option<String>,
            balance: u64,
        }
    );
    assert_eq!(fits, "");
}

#[test]
fn a_payload_into_which_nobody_sees() {
    let said = check!(
        #[projection(events = AccountEvent, key = stream, ignore(Corrected))]
        struct Balance {
            owner: String,
        }
    );
    assert_eq!(
        said,
        "the fields of mapping::AccountEvent::Paid stand in a type of its own, and are not seen; say what the event does: \
         `on(Paid(payload) = …)` or `ignore(Paid)`; or let them be the event's: derive `EventFields` on that type, and \
         write `#[event(fields)]` on Paid"
    );
}

#[test]
fn a_column_that_nothing_fills() {
    let said = check!(
        #[projection(events = AccountEvent, key = stream, ignore(Paid, Corrected))]
        struct Balance {
            owner: String,
            balence: Option<u64>,
        }
    );
    assert_eq!(
        said,
        "no event of mapping::AccountEvent fills the column `balence`; their fields are `owner`, `balance`, `id`. Correct \
         its name, or mark it `#[projection(default)]` when methods alone change it"
    );
}

#[test]
fn rows_that_are_never_made() {
    let said = check!(
        #[projection(events = BankEvent, key = stream, ignore(AccountEvent::Paid, AccountEvent::Corrected))]
        struct Balance {
            balance: u64,
            place: String,
            id: Option<u64>,
        }
    );
    assert_eq!(
        said,
        "no event of mapping::BankEvent makes a row: none fills all columns without a default (`balance`, `place`); mark \
         those that begin without a field `#[projection(default)]`, or make the row in a function: `on(Opened = opened)`"
    );
    // Nothing would touch a row of defaults.
    let said = check!(
        #[projection(events = OwnerEvent, key = stream)]
        struct Balance {
            #[projection(default)]
            balance: u64,
        }
    );
    assert!(said.contains("(none)"), "{said}");
    // A function may make it.
    let fits = check!(
        #[projection(events = OwnerEvent, key = stream, on(Moved = moved))]
        struct Balance {
            balance: u64,
        }
        impl Balance {
            fn moved(row: &mut Option<Self>, _: &RecordedAs<OwnerEvent>) {
                row.get_or_insert(Self { balance: 0 }).balance += 1;
            }
        }
    );
    assert_eq!(fits, "");
}

#[test]
fn a_key_that_an_event_does_not_have() {
    let said = check!(
        #[projection(events = AccountEvent, key = "{owner}", ignore(Paid, Corrected), delete_on(Closed))]
        struct Balance {
            balance: u64,
        }
    );
    assert_eq!(
        said,
        "mapping::AccountEvent::Closed changes rows, and has no field `owner` for the key; give it one, make the key in a \
         function, or leave the event out: `ignore(Closed)`"
    );
    let said = check!(
        #[projection(events = AccountEvent, key = "{owner}", ignore(Paid))]
        struct Balance {
            id: Option<u64>,
        }
    );
    assert!(said.starts_with("mapping::AccountEvent::Seen changes rows, and has no field `owner`"), "{said}");
    // Without a column of its name it is a text; `Closed` and others change nothing, and need no key.
    let said = check!(
        #[projection(events = AccountEvent, key = "{balance}", ignore(Paid, Corrected, Renamed))]
        struct Balance {
            owner: String,
        }
    );
    assert!(
        said.starts_with("`balance` is alloc::string::String, and in mapping::AccountEvent::Opened it is u64"),
        "{said}"
    );
    let fits = check!(
        #[projection(events = AccountEvent, key = "{balance}", ignore(Paid, Corrected, Renamed))]
        struct Balance {
            owner: String,
            balance: u64,
        }
    );
    assert_eq!(fits, "");
}

#[test]
fn events_that_do_not_tell_their_fields() {
    let said = check!(
        #[projection(events = Cards, key = stream)]
        struct Balance {
            owner: String,
        }
    );
    assert_eq!(
        said,
        "the fields of mapping::CardEvent are not told; derive `Event` on it, `EventSet` on an enum of several, or write \
         the projection by hand"
    );
    let said = check!(
        #[projection(events = Plastic, key = stream)]
        struct Balance {
            owner: String,
        }
    );
    assert!(said.starts_with("the fields of mapping::Plastic are not told"), "{said}");
}
