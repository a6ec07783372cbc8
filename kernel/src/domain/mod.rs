//! The domain: codecs, events, upcasting, commands and aggregates. Pure and synchronous; nothing here waits.
//!
//! An application writes four things by hand, and nothing else: its events ([`Event`]), its commands
//! ([`Command`]), its reasons to refuse ([`Rejection`]), and the fold and decisions that tie them together
//! ([`Aggregate`], [`Decide`]; or a [`DecisionModel`] where a rule spans several streams). Serde does the rest:
//! [`variant`] turns an enum into named payloads and back. With the feature `macros` there is a derive of the same
//! name for each of the first three.
//!
//! Read models are folded by a [`Projection`] into [`Row`]s. Both have derives too, and so has an [`EventSet`], for what
//! follows several categories; a derived projection takes columns from fields of the same name ([`mapping`]).
//!
//! What takes several steps, each with an effect of its own, is a [`saga`](mod@saga).
//!
//! Stored events live longer than the code that wrote them: [`history`] says how old ones become those of now.

mod aggregate;
mod codec;
mod command;
pub mod compatibility;
mod context;
mod current;
mod decision_model;
mod digest;
mod event;
mod event_schema;
pub mod history;
mod inlined;
pub(crate) mod key_scope;
pub mod mapping;
mod or_raw;
mod projection;
mod rejection;
mod row;
pub mod saga;
#[cfg(feature = "macros")]
pub mod schema;
mod shape;
mod upcasting;
#[cfg(feature = "validator")]
pub mod validation;
pub mod variant;

pub use aggregate::{Aggregate, CommandVisitor, Commands, Decide, Decision, SnapshotPolicy};
pub use codec::{Codec, CodecError, Json};
pub use command::{Command, StreamCommand};
pub use context::{Context, IdSeed};
pub(crate) use current::Place;
pub use current::{EventForm, NotCurrent};
pub use decision_model::DecisionModel;
pub use digest::digest;
pub use event::{EncodeError, Event, EventError, RecordedAs, new_event};
pub use event_schema::EventSchema;
pub use inlined::{InlineError, Inlined, inline};
pub use or_raw::OrRaw;
pub use projection::{EventSet, FailurePolicy, OnFailure, Projection, ReadModel, query_of};
pub use rejection::Rejection;
pub use row::{CellValue, Row, RowColumn, RowIndex, RowValueError, collection_of, json_cell, json_value, row_cells};
pub use shape::{EventField, EventFields, EventShape, EventVariant, FieldType, Includes};
pub use upcasting::{DecodeError, DecodeReason, Decoded, Unknown, Upcasters, decode_recorded};

#[cfg(feature = "macros")]
pub use portolan_macros::{Command, Event, EventFields, EventSet, JsonSchema, Projection, Rejection, Row, saga};
/// The trait. Its derive is ours, which needs no dependency on schemars; the glob is what lets one name have both.
#[cfg(feature = "macros")]
pub use schema::trait_alone::*;
