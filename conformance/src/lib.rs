//! The laws of Portolan's ports, as a suite that every adapter runs.
//!
//! An adapter's whole test file:
//!
//! ```
//! use portolan_conformance::{Place, ReferenceStore, event_store_laws};
//!
//! event_store_laws! {
//!     open: async |place: &Place| Ok::<_, String>(ReferenceStore::new(place.clock())),
//!     lacks: { Durability: "it lives in memory", SeveralProcesses: "it lives in memory" },
//! }
//! # fn main() {}
//! ```
//!
//! It expands to one `#[test]` per law, such as `event_store::es_05_expectations`. Each check of a law opens the
//! store at a [`Place`] of its own; the same place again is the same store again: reopened, a second handle,
//! or another process. A failure names the law and its sentence, what was looked at, what was expected,
//! what happened, and the line of the check.
//!
//! - `open` gives anything that is an `EventStore` (an `Arc<dyn EventStore>` is one) or an error that can be
//!   displayed. A store that lets keys expire takes its time from [`Place::clock`].
//! - `lacks` (optional) names each [`Capability`] that the store is without, and why. It has to agree with
//!   the store's `capabilities()`, and turns the checks that need it round: the operation must be refused.
//! - `damage` (optional) spoils bytes of a closed store at a place, for the law about damage (ES-26). Without it the
//!   suite flips bits wherever a file of the place holds what was written.
//! - `remote` (optional) says where a store is kept that has no files in the place's folder. A durable store with files
//!   there is held to power cuts (ES-24), to syncs that fail (ES-11) and to damage anywhere in them (ES-26).
//! - `blind_to` (optional) names each [`Damage`] to its files that the store cannot notice, and why.
//!
//! The other ports have macros that do the same, with the parts that apply to them:
//!
//! | macro | port | laws |
//! |---|---|---|
//! | [`event_store_laws!`] | [`EventStore`] | ES |
//! | [`snapshot_store_laws!`] | [`SnapshotStore`] | SN |
//! | [`read_model_store_laws!`] | [`ReadModelStore`] | RM |
//! | [`lease_store_laws!`] | [`LeaseStore`] | LS |
//! | [`command_bus_laws!`] | [`CommandBus`] | CB |
//! | [`projection_registry_laws!`] | `ProjectionRegistry`, over a storage | PR |
//! | [`saga_laws!`] | `SagaOrchestrator`, over a storage | SG |
//! | [`inline_laws!`] | a store that runs [`Inline`] projections | PR-08 |
//! | [`authenticator_laws!`] | `Authenticator`, and what it has [`Issued`] | AU |
//!
//! What carries commands has no place of its own: its `open` is given the ports of an application ([`Served`]), and what
//! it may lack is a [`Crossing`].
//!
//! [`inline_laws!`] is for stores that run projections inside of their appends. A store whose log and rows cannot change
//! in one transaction, or whose writers cannot read a row before they write, does not run it and offers no way to give it
//! projections: applications then make the rows asynchronously.
//!
//! A store whose limits are narrower than [`least_limits`] cannot be judged, and the law `capabilities` says so.
//!
//! Environment variables: [`SKIP_UNREACHABLE`], [`TIME_LIMIT`], [`REPORT`], and [`SEED`] and [`CASES`] of the
//! model-based laws. `portolan-capability-matrix <folder>` prints reports as a Markdown table.
//!
//! # Adding a law
//!
//! 1. Write its sentence into the port's documentation.
//! 2. Write an `async fn(&Trial<dyn EventStore>) -> Verdict` (or of another port) for each thing to check, in the file of its group
//!    under `laws/`, with [`expect_eq!`], [`expect!`] and [`expect_is!`]; open the store with [`Trial::open`]. A check
//!    of commands, of projections or of sagas makes a `World`, and starts applications in it.
//! 3. Declare it there with `law!`: name, id, sentence, checks. A check that needs a capability says
//!    `check if [Guard]`. What a child process is to do is a function of the same form, listed in `roles`
//!    and started with [`Trial::child`].
//! 4. Add its name to the list of its port in `laws/mod.rs`, and to the mutants that break it in `tests/mutants/`,
//!    `tests/buses/`, `tests/read_models/`, `tests/projections/`, `tests/sagas/`, `tests/inline/`, `tests/leases.rs` or `tests/authenticators.rs`; a
//!    law that no mutant breaks fails the build.

#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run where std is")]

mod alterations;
mod ask;
mod bus;
pub mod child;
mod fixture;
mod inline;
mod issued;
mod law;
pub mod laws;
mod macros;
mod place;
mod port;
mod power;
mod projections;
mod reference;
mod report;
mod rows;
mod run;
mod sagas;
mod trial;

pub use bus::{Composition, Crossing, Served};
pub use fixture::{Damage, Fixture};
pub use inline::Inlining;
pub use issued::{Issued, Passing};
pub use law::{Broken, Check, Law, RunCheck, Verdict};
pub use laws::least_limits;
pub use laws::model::{CASES, SEED};
pub use place::{Place, TestClock};
pub use port::{Lack, Port};
pub use portolan_kernel::application::Storage;
pub use portolan_kernel::ports::{
    Capability, CommandBus, EventStore, Inline, LeaseStore, ReadModelStore, SnapshotStore,
};
pub use projections::Projected;
pub use reference::{Judgment, KeyRecord, Model, ReferenceStore};
pub use report::{REPORT, capability_matrix};
pub use run::{Outcome, Runner, SKIP_UNREACHABLE, TIME_LIMIT, run};
pub use sagas::{Orchestrated, SagaParts};
pub use trial::{Effort, Trial};
