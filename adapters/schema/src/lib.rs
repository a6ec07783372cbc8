//! Raw appends, judged by the JSON Schemas that are registered for their events: [`ValidatedStore`] is any event store with
//! a judge before it.
//!
//! A raw append bypasses the domain, so that nothing but its sender stands behind what it writes. An application tells of the
//! schemas of its events (port [`SchemaRegistry`](portolan_kernel::ports::SchemaRegistry)); this store holds raw appends to
//! them, in the categories that are chosen. Only the ports that a server is made from get it: the application's own appends
//! come from its types, and do not pass here.
//!
//! ```
//! # use portolan_kernel::application::Ports;
//! # use portolan_kernel::ports::SchemaError;
//! # async fn example(ports: Ports) -> Result<Ports, Box<dyn std::error::Error>> {
//! use portolan_schema::Validation;
//!
//! // For the server: let ports = application.ports();
//! let ports = Validation::of(["account".try_into()?, "user".try_into()?]).before(ports).await?;
//! # Ok(ports) }
//! ```
//!
//! # What is judged
//!
//! Every event of an append whose stream is of a chosen category; those of streams of the system (`$…`) never. All the rest
//! of an append (key, conditions, checkpoint, tags, metadata) is not this judge's business.
//!
//! - It has a type and version of which a schema is registered. A type or version that nobody told of, and one that is known
//!   without a schema, is refused, or passes unread ([`Validation::pass_without_schema`]). So is a payload of another format
//!   than JSON ([`Validation::pass_other_formats`]).
//! - The payload is one JSON text: no other bytes, no member twice in one object (readers disagree about what that
//!   says), no number beyond a double, at most 128 levels.
//! - Where the registry tells of its type's category, the stream is of that.
//! - It is valid by that schema. `format` and what is in `content…` are annotations, as
//!   JSON Schema 2020-12 has it, and are not judged; but integers are, as those who read them take them: without fraction
//!   and exponent, and within the width that a format of schemars names (`uint8` to `uint64`, `int8` to `int64`, `uint`,
//!   `int`). Of 128 bits the width is not judged.
//!
//! Streams of `$schemas` and `$migration` take no raw append at all, whatever is chosen
//! ([`Denied`](portolan_kernel::ports::AppendError::Denied)): who could write to `$schemas` would register a schema that
//! allows anything. Where raw appends have no judge, that is left to the policy of the server.
//!
//! One thing that is wrong refuses the append as [`Nonconforming`](portolan_kernel::ports::AppendError::Nonconforming), and
//! nothing is written. It lists what is wrong in all events, up to 100 places; of a payload of more than 64 KiB it says only
//! that it is wrong. Messages do not repeat values of the payload, as they may be nobody's business.
//!
//! # Laws
//!
//! The store keeps the laws of its port, in which the judgment takes its place among the others (**ES-06**): limits, key,
//! schemas, expectations, guard, checkpoint. So an append whose key is recorded is answered as it was recorded (**ES-09**),
//! whatever has become of the schemas since, and a refused one does not take its key.
//!
//! # Schemas
//!
//! A schema is compiled once, when it is first needed: what is registered does not change (**UP-06**). Nothing is fetched for
//! it: a `$ref` that leads out of the schema makes it unusable, as do regular expressions that cannot be matched in linear
//! time (look-around, back-references). The appends of such a type fail as
//! [`Other`](portolan_kernel::ports::AppendError::Other), and [`Validation::before`] fails at once. Judging takes the time of
//! the task that appends; limits of a store and of a server bound how much there is to judge.

mod integers;
mod json;
mod options;
mod schema;
mod store;

pub use options::Validation;
pub use store::ValidatedStore;
