//! The kernel of Portolan: the ports of an event-sourced application, the values that cross them, and
//! the pure logic between them.
//!
//! Five floors, in reading order; imports only go down:
//!
//! 1. [`values`]: what crosses a port: names, events, metadata, queries, appends, reads.
//! 2. [`ports`]: a trait a file, its errors and its laws. Nothing runs here.
//! 3. [`domain`]: codecs, upcasting, aggregates and decision models. Pure and synchronous.
//! 4. [`drivers`]: subscriptions, execution of decisions, buses and their middleware. They wait, retry and write, over ports alone.
//! 5. [`application`]: registration and composition, the only place that sees all of it.
//!
//! The kernel knows no I/O, no clock, no runtime and no randomness; each is a port. It builds without
//! `std` for any target with `alloc` and compare-and-swap.
//!
//! Features: `macros` has the derives, and JSON Schemas with them; `validator` takes the rules of `#[validate(…)]`
//! attributes, and needs `std`.
//!
//! Which part is yours? Writing an application: start at [`domain`] and [`application`]. Writing an adapter:
//! start at [`ports`], then run `portolan-conformance` on what you wrote.
#![no_std]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;

pub mod application;
pub mod domain;
pub mod drivers;
pub mod ports;
pub mod values;

pub use bytes::Bytes;

/// What derived code names. No part of the interface.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use alloc::{borrow::Cow, format, string::String, string::ToString, vec, vec::Vec};
    pub use schemars;
    pub use serde_json::Value;

    /// Tells the schemas of an event type: with a method of its own where the type has a JSON Schema, by
    /// [`WithoutSchemas`] where not.
    #[derive(Debug)]
    pub struct Schemas<E>(core::marker::PhantomData<E>);

    impl<E: crate::domain::Event + schemars::JsonSchema> Schemas<E> {
        #[must_use]
        pub fn of_events(told: &[(&str, &str, u32)]) -> Vec<crate::domain::EventSchema> {
            crate::domain::schema::of_events::<E>(told)
        }
    }

    pub trait WithoutSchemas {
        #[must_use]
        fn of_events(told: &[(&str, &str, u32)]) -> Vec<crate::domain::EventSchema> {
            told.iter().map(|(name, _, version)| crate::domain::EventSchema::new(*name, *version)).collect()
        }
    }

    impl<E> WithoutSchemas for Schemas<E> {}

    /// Any error. It is here for what the compiler says of a type that is none.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` has no message: a rejection is an error",
        label = "this is no `core::error::Error`",
        note = "add `thiserror::Error` to its derives, and `#[error(\"…\")]` to each variant"
    )]
    pub trait Message {}

    #[diagnostic::do_not_recommend]
    impl<E: core::error::Error> Message for E {}

    pub const fn has_a_message<E: Message>() {}

    /// Whether two categories are one, for what is judged at compile time.
    pub const fn is_same(one: &str, other: &str) -> bool {
        let (one, other) = (one.as_bytes(), other.as_bytes());
        let mut at = 0;
        while at < one.len() && at < other.len() && one[at] == other[at] {
            at += 1;
        }
        at == one.len() && at == other.len()
    }
}
