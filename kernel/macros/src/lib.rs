//! The derives of Portolan, and the attribute of its sagas. Take them from `portolan` (feature `macros`, on by default) or from `portolan-kernel`
//! (feature `macros`); this crate is no dependency of yours.
//!
//! | derive | stands on | gives |
//! |---|---|---|
//! | [`Command`] | a struct | name, description, JSON Schema, rules on fields, the stream |
//! | [`Event`] | an enum, a category's | stored names, payloads, tags |
//! | [`Rejection`] | an enum, an aggregate's | stable codes, and the way back from a wire |
//! | [`Query`] | a struct | name, description, the answer's type, both JSON Schemas |
//! | [`Row`] | a struct | columns and indexes of a read model |
//! | [`Projection`] | the same struct | how events make and change it |
//! | [`EventSet`] | an enum of event enums | events of several categories, as one |
//! | [`EventFields`] | an event's payload that is a struct | its fields, for derived projections |
//! | [`JsonSchema`] | what is within those | its JSON Schema |
//!
//! And an attribute: [`macro@saga`] stands on the methods of a saga's handler, and gives name, input, its JSON Schema, and the
//! definition.
//!
//! They write what a person would have written, and everything can be written by hand: the traits of the same names
//! show how. Nothing is decided at run time, and serde's derives stay where they are. What stands on
//!
//! ```text
#![doc = include_str!("../tests/expansion/input.rs")]
//! ```
//!
//! becomes this, where `crate` stands for what `Cargo.toml` calls the facade or the kernel:
//!
//! ```text
#![doc = include_str!("../tests/expansion/output.rs")]
//! ```
//!
//! # Names
//!
//! Names that nobody gives are those of types and variants in kebab case, by words: `OpenAccount` is `open-account`,
//! `HTTPSent` is `http-sent`. A name is stored or known to others, so an identifier that is renamed later keeps its
//! name by `name = "…"` or `code = "…"`.
//!
//! Serde's names do not matter for the names of events and rejections: an enum's variants are read by their place.
//! Serde's names of *fields* are those of payloads and wires, as everywhere.

use proc_macro::TokenStream;
use syn::{DeriveInput, Path, Result, parse_macro_input};

mod attributes;
mod command;
mod event;
mod event_set;
mod fields;
mod history;
mod kernel;
mod names;
mod projection;
mod query;
mod rejection;
mod row;
mod saga;
mod schema;
mod serde_view;
mod template;

#[cfg(test)]
mod expansion;

type Derive = fn(&DeriveInput, &Path) -> Result<proc_macro2::TokenStream>;

fn expand(input: TokenStream, derive: Derive) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let expanded = kernel::path().and_then(|kernel| derive(&input, &kernel));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// A command: a struct with named fields.
///
/// ```
/// # use portolan_kernel::domain::{Command, StreamCommand};
/// # use portolan_kernel::ports::Violation;
/// # use serde::{Deserialize, Serialize};
/// use validator::Validate;
///
/// /// Pays into an account.
/// #[derive(Command, Validate, Serialize, Deserialize, Clone)]
/// #[command(stream = "account-{account_id}", check = known_branch)]
/// struct Deposit {
///     account_id: String,
///     #[validate(range(min = 1, code = "zero"))]
///     amount: u64,
/// }
///
/// /// What no attribute can say.
/// fn known_branch(deposit: &Deposit) -> Vec<Violation> {
///     let known = deposit.account_id.starts_with("de-");
///     if known { vec![] } else { vec![Violation::new("account_id", "unknown-branch", "it begins with its branch")] }
/// }
///
/// let deposit = Deposit { account_id: "de-ann".into(), amount: 0 };
/// assert_eq!(Deposit::NAME, "deposit");
/// assert_eq!(Deposit::DESCRIPTION, "Pays into an account.");
/// assert_eq!(deposit.stream().unwrap().as_str(), "account-de-ann");
/// assert_eq!(Command::validate(&deposit)[0].code, "zero");
/// assert_eq!(Deposit::schema().unwrap()["properties"]["amount"]["minimum"], 1);
/// ```
///
/// `#[command(…)]` takes, all of it optional:
///
/// - `name = "…"`: the wire name; else the type's in kebab case.
/// - `version = 2`: the version of its schema; else 1.
/// - `stream = "account-{account_id}"`: the stream that decides, made of fields that have a `Display`; then it is a
///   `StreamCommand` too. A brace is written `{{`. Without it, the command is for a `DecisionModel`.
/// - `check = path`: a `fn(&Self) -> Vec<Violation>` with rules that no attribute can say. It runs after the others, and
///   what both find is listed.
/// - `validate`: the type implements `validator::Validate` by hand.
///
/// With a `#[validate(…)]` on a field or the type, the rules of the crate `validator` are applied: derive its
/// `Validate` too. That needs the kernel's feature `validator`, which the facade's `macros` has. What is wrong comes in
/// the order of the fields, under their names on the wire. A `u128` or `i128` takes no such rule: judge it in `check`.
///
/// The doc comment is the description. The JSON Schema is that of the fields, with their documentation and with what
/// `#[serde(…)]`, `#[validate(…)]` and `#[schemars(…)]` say; the types of fields need a [`JsonSchema`]. Unknown fields
/// are refused, without `#[serde(deny_unknown_fields)]`; `#[serde(flatten)]` would hide them, and is refused here.
#[proc_macro_derive(Command, attributes(command, schemars))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    expand(input, command::derive)
}

/// The events of a category: an enum with a variant a stored type.
///
/// ```
/// # use portolan_kernel::domain::Event;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
/// #[event(category = "account")]
/// enum AccountEvent {
///     Opened { #[tag] owner: String, #[tag("branch:{}")] place: String },
///     #[event(name = "account.deposited")]
///     PaidIn { amount: u64 },
///     Closed,
/// }
///
/// let opened = AccountEvent::Opened { owner: "ann".into(), place: "ulm".into() };
/// assert_eq!(opened.event_type(), "account.opened");
/// assert_eq!(opened.encode().unwrap(), r#"{"owner":"ann","place":"ulm"}"#);
/// assert_eq!(opened.tags().unwrap().iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["owner:ann", "branch:ulm"]);
/// assert_eq!(AccountEvent::PaidIn { amount: 1 }.event_type(), "account.deposited");
/// ```
///
/// `#[event(…)]` takes
///
/// - on the enum `category = "…"`: what precedes the first `-` of the streams' names;
/// - on the enum `codec = path`: how payloads are written, at compile time; else `Json`;
/// - on a variant `name = "…"`: the whole stored name; else category, `.`, and the variant in kebab case;
/// - on a variant with a payload of a type of its own, `Paid(Payment)`, `fields`: a derived [`Projection`] sees the fields
///   of that type as those of the event. It needs [`EventFields`].
///
/// The payload is the variant's fields. A variant without fields is an empty object, one with a single unnamed field
/// is that field.
///
/// # Events that change
///
/// Stored events stay as they are; what has changed since is said beside what it is now, and old events are read as those of
/// now. The derive writes a [`History`] of it: for each variant and each of its versions a hop to the next, as a person could
/// have written.
///
/// ```
/// # use portolan_kernel::domain::{Event, Upcasters, Unknown, history::Pieces};
/// # use portolan_kernel::ports::RawEvent;
/// # use portolan_kernel::values::{EventType, Format};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Event, Serialize, Deserialize, Debug, PartialEq)]
/// #[event(category = "user", version = 3, retired(NewsletterFlagged, until = 2))]
/// enum UserEvent {
///     Created {
///         #[event(was = "mail", since = 3)]
///         email: String,
///         #[event(added = 2, default = "Unknown")]
///         name: String,
///     },
///     #[event(renamed_from = "MailChanged", since = 2)]
///     EmailUpdated { email: String },
///     #[event(upcast(from = 1, with = split_address))]
///     AddressSet { street: String, city: String },
/// }
///
/// #[derive(Deserialize)]
/// struct OneLine { address: String }
/// #[derive(Serialize)]
/// struct TwoLines { street: String, city: String }
///
/// fn split_address(old: OneLine) -> TwoLines {
///     let (street, city) = old.address.split_once(", ").unwrap_or((&old.address, ""));
///     TwoLines { street: street.into(), city: city.into() }
/// }
///
/// # let read = |event_type: &str, payload: &'static str| {
/// #     let stored = RawEvent::new(EventType::new(event_type).unwrap(), 1, Format::Json, payload.into());
/// #     let upcasters = Upcasters::of::<UserEvent>().unwrap();
/// #     upcasters.upcast(stored).unwrap().iter().map(|raw| UserEvent::decode(raw).unwrap()).collect::<Vec<_>>()
/// # };
/// // `read` reads a stored event of version 1.
/// let created = UserEvent::Created { email: "a@b".into(), name: "Unknown".into() };
/// assert_eq!(read("user.created", r#"{"mail":"a@b"}"#), [created]);
/// assert_eq!(read("user.mail-changed", r#"{"email":"c@d"}"#), [UserEvent::EmailUpdated { email: "c@d".into() }]);
/// assert_eq!(read("user.newsletter-flagged", "{}"), []);
/// ```
///
/// `#[event(…)]` takes for this, beside what is above,
///
/// - on the enum `version = 3`: what all its variants are written in. Raise it with each change, and say what has changed;
///   a variant of which nothing is said has only come along.
/// - on a variant `added = 3`: it came with version 3, and was never stored in an earlier one.
/// - on a variant `version = 2`: the same for that variant alone, which then counts for itself. Take it where one variant
///   changes and its neighbours should not: their stored versions stay. Take the enum's where versions are to be told at a
///   glance.
/// - on a field `added = 2` with `default = …` or `default_with = path`, the path of a function without parameters: old
///   events have that value. It has to be of the field's type, which is judged at start-up. An `Option` needs none, and is `null`.
/// - on a field `was = "mail", since = 3`: the field's name in payloads before version 3. For several names take several
///   attributes, each with its own `since`. (Names in payloads are serde's.)
/// - on a variant `renamed_from = "MailChanged", since = 2`: the same for its stored name. A name with a dot in it is the
///   whole stored one.
/// - on a variant `upcast(from = 1, with = path)`: a function makes version 2 of version 1. It takes any type that is read
///   from the old payload, and gives any that is written as the new one. `try_with = path` is for one that gives a `Result`;
///   `split = path, into(CityChosen, StreetChosen = 1)` for one that gives several events, as [`Pieces`]: each is one of those
///   variants, in the version that the function makes, or the one that is said.
/// - on the enum `retired(NewsletterFlagged, Probed, until = 2)`: types that there is no variant of any more, and the last
///   version in which one of them was stored. Such events are passed over. (On a variant it would stand in every `match`.)
///   With `split = path, into(…)`, for one type, they become others.
/// - on the enum `history = UserEvent`: all of this is said by another event type of the same category, of which this one has
///   some variants. What is current is said by both.
///
/// [`History`]: https://docs.rs/portolan-kernel/latest/portolan_kernel/domain/history/struct.History.html
/// [`Pieces`]: https://docs.rs/portolan-kernel/latest/portolan_kernel/domain/history/struct.Pieces.html
///
/// # Schemas
///
/// With `JsonSchema` among its derives, the enum tells the JSON Schema of each variant's payload, as serde writes it. Where a
/// schema registry compares what is there with what was ([`register_schemas`]), a payload that changes without a new version
/// stops the application at its start. The types of fields need a [`JsonSchema`] then. Payloads of a codec that is not JSON
/// have versions alone, and so has a variant that `#[schemars(rename)]` calls otherwise than serde.
///
/// [`register_schemas`]: https://docs.rs/portolan-kernel/latest/portolan_kernel/application/struct.ApplicationBuilder.html#method.register_schemas
///
/// # Tags
///
/// `#[tag]` on a field that has a `Display` is a tag of the field's name in Rust, `:`, and its value: `owner:ann`.
/// `#[tag("branch:{}")]` is a template. A field can have several.
#[proc_macro_derive(Event, attributes(event, tag))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    expand(input, event::derive)
}

/// The reasons of an aggregate to refuse: an enum with a variant a reason, that is an error.
///
/// ```
/// # use portolan_kernel::domain::Rejection;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Rejection, thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
/// enum Refused {
///     #[error("{missing} cents short")]
///     InsufficientFunds { missing: u64 },
///     #[error("the account is closed")]
///     #[rejection(code = "account-closed")]
///     Closed,
/// }
///
/// let no = Refused::InsufficientFunds { missing: 2 };
/// assert_eq!((no.code(), no.to_string(), no.fields()["missing"].as_u64()), ("insufficient-funds", "2 cents short".into(), Some(2)));
/// assert_eq!(Refused::of(&no.to_error()), Some(no));
/// ```
///
/// `#[rejection(code = "…")]` on a variant is its code, in kebab case; else that of its name. The message is that of
/// the error.
#[proc_macro_derive(Rejection, attributes(rejection))]
pub fn derive_rejection(input: TokenStream) -> TokenStream {
    expand(input, rejection::derive)
}

/// A question: a struct of its parameters. The trait is `Question`.
///
/// ```
/// # use portolan_kernel::domain::JsonSchema;
/// # use portolan_kernel::drivers::{Query, Question};
/// # use serde::{Deserialize, Serialize};
/// /// An account as it stands.
/// #[derive(Query, Serialize, Deserialize)]
/// #[query(name = "account", answer = AccountView)]
/// struct AccountQuery { account_id: String }
///
/// #[derive(JsonSchema, Serialize, Deserialize)]
/// struct AccountView { owner: String, balance: u64 }
///
/// assert_eq!((AccountQuery::NAME, AccountQuery::DESCRIPTION), ("account", "An account as it stands."));
/// assert_eq!(AccountQuery::answer_schema().unwrap()["properties"]["owner"]["type"], "string");
/// ```
///
/// `#[query(…)]` takes `answer = Type`, which there has to be, and `name = "…"`; else the name is the type's in kebab
/// case. Description and schemas are as with [`Command`]; unknown parameters are refused as well.
#[proc_macro_derive(Query, attributes(query, schemars))]
pub fn derive_query(input: TokenStream) -> TokenStream {
    expand(input, query::derive)
}

/// The JSON Schema of a type within a command, a query or an answer, by schemars.
///
/// It is schemars' own derive, which takes `#[schemars(…)]`, `#[serde(…)]` and `#[validate(…)]`, without a dependency
/// on schemars. For a type with generics take schemars' own.
///
/// ```
/// # use portolan_kernel::domain::{JsonSchema, schema};
/// #[derive(JsonSchema)]
/// enum Status { Open, Closed }
///
/// assert_eq!(schema::of_output::<Status>()["enum"][1], "Closed");
/// ```
#[proc_macro_derive(JsonSchema, attributes(schemars, serde, validate))]
pub fn derive_json_schema(input: TokenStream) -> TokenStream {
    expand(input, schema::derive)
}

/// The fields of a struct that an event holds as its payload, for derived projections.
///
/// ```
/// # use portolan_kernel::domain::{Event, EventFields, EventSet};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(category = "order")]
/// enum OrderEvent {
///     #[event(fields)]
///     Paid(Payment),
/// }
///
/// #[derive(EventFields, Serialize, Deserialize)]
/// struct Payment { amount: u64, by: String }
///
/// let paid = OrderEvent::Paid(Payment { amount: 3, by: "ann".into() });
/// assert_eq!(Event::field(&paid, "amount").unwrap().downcast_ref(), Some(&3_u64));
/// ```
#[proc_macro_derive(EventFields)]
pub fn derive_event_fields(input: TokenStream) -> TokenStream {
    expand(input, fields::derive)
}

/// Events of several categories: an enum with a variant an event type, for projections that follow more than one.
///
/// ```
/// use portolan_kernel::domain::{Event, EventSet, Includes};
/// # use portolan_kernel::{ports::RawEvent, values::{EventType, Format}};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Event, Serialize, Deserialize, PartialEq, Debug)]
/// # #[event(category = "account")]
/// # enum AccountEvent { Opened { owner: String } }
/// # #[derive(Event, Serialize, Deserialize, PartialEq, Debug)]
/// # #[event(category = "owner")]
/// # enum OwnerEvent { Moved { place: String } }
/// #[derive(EventSet, PartialEq, Debug)]
/// enum BankEvent {
///     Account(AccountEvent),
///     Owner(OwnerEvent),
/// }
///
/// let moved = OwnerEvent::Moved { place: "ulm".into() };
/// let stored = RawEvent::new(EventType::new(moved.event_type()).unwrap(), 1, Format::Json, moved.encode().unwrap());
/// let event = BankEvent::decode_in("owner", &stored).unwrap();
/// assert_eq!(BankEvent::CATEGORIES, ["account", "owner"]);
/// assert_eq!(Includes::<OwnerEvent>::part(&event), Some(&moved));
/// assert_eq!(Includes::<AccountEvent>::part(&event), None);
/// ```
///
/// The names of the variants matter to nobody: an event is told by the category of its stream. So two variants of one
/// category do not compile. There are no attributes.
#[proc_macro_derive(EventSet)]
pub fn derive_event_set(input: TokenStream) -> TokenStream {
    expand(input, event_set::derive)
}

/// A row of a read model: a struct with a column a field.
///
/// ```
/// use portolan_kernel::domain::Row;
/// use portolan_kernel::values::{Cell, Timestamp};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Row, PartialEq, Debug)]
/// #[row(index(name = "by_owner", columns(owner, opened_at)))]
/// struct AccountRow {
///     owner: String,
///     opened_at: Timestamp,
///     #[row(unique)]
///     iban: Option<String>,
///     #[row(rename = "cents", index)]
///     balance: u64,
///     #[row(json)]
///     limits: Limits,
/// }
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Limits { daily: u64 }
///
/// let row = AccountRow {
///     owner: "ann".into(), opened_at: Timestamp::from_micros(1), iban: None, balance: 3, limits: Limits { daily: 9 },
/// };
/// let cells = row.to_cells().unwrap();
/// assert_eq!(cells[2..], [Cell::Null, Cell::Integer(3), Cell::Text(r#"{"daily":9}"#.into())]);
/// assert_eq!(AccountRow::from_cells(cells), Ok(row));
/// assert_eq!(AccountRow::COLUMNS[3].name, "cents");
/// assert_eq!(AccountRow::INDEXES[2].columns, ["owner", "opened_at"]);
/// ```
///
/// A field's type is a `CellValue`: a text, a number, a `bool`, bytes, a name, an id or a time of this library; in an
/// `Option`, it may hold nothing. `#[row(…)]` takes, all of it optional,
///
/// - on a field `index`: rows are found by it, by an index of the column's field's name; `index = "by_owner"` names it
///   otherwise;
/// - on a field `unique`, or `unique = "…"`: the same, and no two rows have one value in it;
/// - on a field `json`: any type of serde's, kept as JSON. Rows are not found by it;
/// - on a field `rename = "…"`: the column's name; else the field's in Rust;
/// - on the struct `index(name = "…", columns(…))`, as often as need be: an index over several fields, in that order, and
///   with `unique` in it a unique one.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(input: TokenStream) -> TokenStream {
    expand(input, row::derive)
}

/// A projection whose rows are made of the fields of events: on the row, beside [`Row`].
///
/// ```
/// use portolan_kernel::domain::{Event, Projection, RecordedAs, Row};
/// use portolan_kernel::values::Timestamp;
/// # use portolan_kernel::values::{EventType, NewEvent, Position, Recorded, Revision, StreamId};
/// # use serde::{Deserialize, Serialize};
/// # use std::sync::Arc;
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(category = "account")]
/// enum AccountEvent {
///     Opened { owner: String, currency: String },
///     Handed { owner: String },
///     Deposited { amount: u64 },
///     Frozen,
///     Closed,
/// }
///
/// #[derive(Row, Projection, PartialEq, Debug)]
/// #[projection(
///     name = "accounts",
///     version = 1,
///     events = AccountEvent,
///     key = stream_id,
///     on(Deposited { amount } = deposited, Frozen = frozen),
///     delete_on(Closed)
/// )]
/// struct AccountRow {
///     #[row(index)]
///     owner: String,
///     currency: String,
///     #[projection(default)]
///     balance: u64,
///     #[projection(default)]
///     frozen_at: Option<Timestamp>,
/// }
///
/// impl AccountRow {
///     fn deposited(&mut self, amount: &u64) {
///         self.balance += amount;
///     }
///
///     fn frozen(row: &mut Option<Self>, event: &RecordedAs<AccountEvent>) {
///         if let Some(row) = row {
///             row.frozen_at = Some(event.recorded.recorded_at);
///         }
///     }
/// }
///
/// # let events = [
/// #     AccountEvent::Opened { owner: "ann".into(), currency: "EUR".into() },
/// #     AccountEvent::Deposited { amount: 3 },
/// #     AccountEvent::Handed { owner: "bob".into() },
/// # ];
/// # let recorded = |event: AccountEvent| {
/// #     let (stream, kind) = (StreamId::new("account-1").unwrap(), EventType::new(event.event_type()).unwrap());
/// #     let stored = NewEvent::new(stream, kind, event.encode().unwrap());
/// #     let at = (Revision::new(1), Position::new(1).unwrap(), Timestamp::from_micros(1));
/// #     RecordedAs::new(event, Arc::new(Recorded::new(stored, at.0, at.1, at.2)))
/// # };
/// AccountRow::check().expect("the columns fit the events");
/// let mut row = None;
/// for event in events.map(recorded) {
///     assert_eq!(AccountRow::key(&event).as_deref(), Some("1"));
///     AccountRow::apply(&mut row, &event);
/// }
/// let expected = AccountRow { owner: "bob".into(), currency: "EUR".into(), balance: 3, frozen_at: None };
/// assert_eq!(row, Some(expected));
/// ```
///
/// What an event does:
///
/// - Each of its fields that has the name of a column is put into it. The types are the same; a column in an `Option`
///   takes a field with and without. (Names are those in Rust, whatever serde, or `#[row(rename)]`, makes of them.)
/// - If there is no row, it makes one, if it fills all columns that have no default. Else it changes nothing.
///   `#[projection(default)]` on a field gives the column that of its type, `#[projection(default = …)]` this one; an
///   `Option` begins with nothing anyway.
/// - An event without such fields changes nothing.
/// - A variant that is named in `on`, `delete_on` or `ignore` does that instead, and its fields are put nowhere.
///
/// On the struct, `#[projection(…)]` takes
///
/// - `events = Type`, which there has to be: an [`Event`], or an [`EventSet`] of several;
/// - `key = …`, which there has to be: `stream_id`, for what follows the category in the stream's name; `stream`, for the
///   whole of it; `"{owner}"`, for fields of the event, each of the type of the column of its name, or else a `String`;
///   or the path of a `fn(&RecordedAs<Event>) -> Option<String>`;
/// - `name = "…"`; else that of the struct in kebab case;
/// - `version = 1`, which is also what it is when it is not given: raise it with each change;
/// - `on(Deposited { amount } = deposited)`: the method `deposited(&mut self, amount: &u64)` of the struct is called on the
///   row with those fields; `on(Paid(payment) = paid)` for a variant with a payload, `on(Frozen {} = frozen)` without
///   any. If there is no row, it is called on one of defaults if every column has one, and else not at all;
/// - `on(Frozen = frozen)`: the function `frozen(row: &mut Option<Self>, event: &RecordedAs<AccountEvent>)` of the struct is
///   called, which can do all that `apply` can, such as look at the time, or make a row;
/// - `delete_on(Closed)`: there is no row any more;
/// - `ignore(Audited)`: the event changes nothing, though it has such fields;
/// - `on_failure = stop`, `skip` or `park`, or an expression that is a `FailurePolicy`;
/// - `on_unknown = fail` or `skip`: what is done about events that a newer application has written;
/// - `lifecycle = asynchronous`, `inline`, `inline_if_possible` or `live`.
///
/// A variant of an [`EventSet`] is named with its own event type: `delete_on(AccountEvent::Closed)`.
///
/// # What is refused
///
/// What is misspelt in `on`, `delete_on` and `ignore` does not compile. What events hold is not known to a derive: it is
/// judged by `check`, when an application is put together, or in a test: a field of a column's name and of another type;
/// a column that nothing fills; columns of which no event ever makes a row; a key that an event does not have; a payload
/// that is a type of its own, as in `Paid(Payment)`, of which nobody has said what it does; and events that do not tell
/// their fields, because they are written by hand.
#[proc_macro_derive(Projection, attributes(projection))]
pub fn derive_projection(input: TokenStream) -> TokenStream {
    expand(input, projection::derive)
}

/// A saga: the methods of its handler, of which some are its steps. It writes the handler's `Saga`.
///
/// ```
/// use portolan_kernel::domain::saga::{Outcomes, Saga, StepContext, StepError};
/// use portolan_kernel::domain::{JsonSchema, saga};
/// # use portolan_kernel::domain::Command;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Command, Serialize, Deserialize)] struct Withdraw { account: String, amount: u64 }
/// # #[derive(Command, Serialize, Deserialize)] struct Deposit { account: String, amount: u64 }
/// # #[derive(Command, Serialize, Deserialize)] struct Audit { amount: u64 }
///
/// #[derive(JsonSchema, Serialize, Deserialize)]
/// struct TransferMoney { from: String, to: String, amount: u64 }
///
/// struct Transfers;
///
/// /// Moves money from one account to another.
/// #[saga(name = "transfer-money", input = TransferMoney, timeout = "1m")]
/// impl Transfers {
///     #[step(1, compensate = "refund", retry(attempts = 5, first = "100ms", factor = 2, max = "5s"), timeout = "5s")]
///     async fn debit(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
///         step.send(Withdraw { account: transfer.from.clone(), amount: transfer.amount }).await?;
///         Ok(())
///     }
///
///     // With neither `compensate` nor `harmless`, it is the pivot.
///     #[step(2)]
///     async fn credit(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
///         step.send(Deposit { account: transfer.to.clone(), amount: transfer.amount }).await?;
///         Ok(())
///     }
///
///     #[step(3, harmless, when = "is_large")]
///     async fn tell_the_auditor(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
///         step.send(Audit { amount: transfer.amount }).await?;
///         Ok(())
///     }
///
///     #[compensation(timeout = "10s")]
///     async fn refund(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
///         step.send(Deposit { account: transfer.from.clone(), amount: transfer.amount }).await?;
///         Ok(())
///     }
///
///     fn is_large(transfer: &TransferMoney, _: &Outcomes) -> bool {
///         transfer.amount >= 10_000
///     }
/// }
///
/// let plan = Transfers::definition().plan().expect("it can be followed");
/// assert_eq!(Transfers::DESCRIPTION, "Moves money from one account to another.");
/// assert_eq!(plan.steps().map(|step| &*step.name).collect::<Vec<_>>(), ["debit", "credit", "tell-the-auditor"]);
/// assert_eq!(Transfers::schema().unwrap()["properties"]["amount"]["type"], "integer");
/// ```
///
/// `#[saga(…)]` takes
///
/// - `input = Type`, which there has to be: what a saga is started with. It has serde's derives and a [`JsonSchema`];
/// - `name = "…"`; else that of the handler's type in kebab case;
/// - `version = 2`; else 1. Raise it with each change of what a step means;
/// - `description = "…"`; else the doc comment;
/// - `timeout = "1m"`: how long the whole may take before it turns back; else as long as it takes;
/// - `check = path`: a `fn(&Input) -> Vec<Violation>` with what can be wrong with an input. A saga with such an input is not
///   started.
///
/// A method with `#[step(1)]` is a step: `async fn(&self, &Input, &StepContext) -> Result<_, StepError>`. The number is its
/// place; those with one number are begun together. All else is optional:
///
/// - `name = "…"`: its name, by which its outcome is found; else the method's in kebab case. It is stored: keep it when the
///   method is renamed.
/// - `compensate = "refund"`: a method of the same form that returns `Result<(), StepError>` and undoes it. It may have an
///   attribute of its own, `#[compensation(retry(…), timeout = "10s")]`.
/// - `harmless`: there is nothing to undo.
/// - `outside`: its effect is elsewhere than in this application's own store.
/// - `resolve = "find_out"`: a method of the same form that returns `Result<Option<_>, StepError>` and finds out whether the
///   step has happened.
/// - `when = "is_large"`: a `fn(&Input, &Outcomes) -> bool`. If it does not hold, the step is passed over.
/// - `retry(attempts = 5, first = "100ms", factor = 2, max = "5s", jitter = 50, also_refused = ["busy"])`: how often it is
///   tried in all, which there has to be in `retry`; the pause before the second attempt, the factor by which pauses grow, the
///   longest pause; how many percent of a pause may be taken away from it; and the codes of refusals that are tried again.
/// - `timeout = "5s"`: how long one attempt may take.
///
/// `#[cfg(…)]` stands on the whole `impl`, and not on a step.
///
/// What is not said is as [`Step`] and [`Retry`] say. A length of time is a whole number and `ms`, `s`, `m`, `h` or `d`. Methods
/// without these attributes are methods.
///
/// [`Step`]: https://docs.rs/portolan-kernel/latest/portolan_kernel/domain/saga/struct.Step.html
/// [`Retry`]: https://docs.rs/portolan-kernel/latest/portolan_kernel/domain/saga/struct.Retry.html
#[proc_macro_attribute]
pub fn saga(said: TokenStream, item: TokenStream) -> TokenStream {
    saga::expand(said.into(), item.into()).into()
}
