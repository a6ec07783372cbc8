//! What events and commands look like: told by an application, kept in its store, and judged when it starts.
//!
//! A [`SchemaCatalogue`] holds what is known. An application makes one of all that is registered with it, and that is its
//! [`SchemaRegistry`](crate::ports::SchemaRegistry). Asked to, it keeps what is new in the stream `$schemas` of its store
//! ([`register_schemas`]), and is then a registry of all that was ever registered there ([`StoredSchemas`]).

mod catalogue;
mod judging;
mod options;
mod refusal;
mod registering;
mod stored;
mod stream;

pub use catalogue::SchemaCatalogue;
pub use options::SchemaOptions;
pub use refusal::SchemaRefusal;
pub use registering::register_schemas;
pub use stored::StoredSchemas;
