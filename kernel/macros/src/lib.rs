//! The derives of Portolan. Take them from `portolan` (feature `macros`, on by default) or from `portolan-kernel`
//! (feature `macros`); this crate is no dependency of yours.
//!
//! | derive | stands on | gives |
//! |---|---|---|
//! | [`Command`] | a struct | name, description, JSON Schema, rules on fields, the stream |
//! | [`Event`] | an enum, a category's | stored names, payloads, tags |
//! | [`Rejection`] | an enum, an aggregate's | stable codes, and the way back from a wire |
//! | [`Query`] | a struct | name, description, the answer's type, both JSON Schemas |
//! | [`JsonSchema`] | what is within those | its JSON Schema |
//!
//! They write what a person would have written, and everything can be written by hand: the traits of the same names
//! show how. Nothing is decided at run time, and serde's derives stay where they are. A derive on
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
mod kernel;
mod names;
mod query;
mod rejection;
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
/// - on a variant `name = "…"`: the whole stored name; else category, `.`, and the variant in kebab case.
///
/// The payload is the variant's fields. A variant without fields is an empty object, one with a single unnamed field
/// is that field.
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
