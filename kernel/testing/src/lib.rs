//! For tests of applications and of adapters, without I/O.
//!
//! | I want to test | I take |
//! |---|---|
//! | a decision | [`given`], or [`given_log`] for a decision over the log |
//! | what a saga does when its steps go well, or do not | [`given_saga`] |
//! | what a saga's step does | [`run_step`] |
//! | what a process does about events, time and failed commands | [`given_process`] |
//! | code that calls a port | the port's mock, such as [`MockCommandBus`] |
//! | code over a store | a store in memory, which passes the suite, and not a mock |
//! | what reaches a port | [`Tracking`] around it |
//! | what happens when a port fails | [`Faulty`] around it |
//! | what happens when the process dies, wherever it dies | [`crash_points`] |
//! | time, ids, pauses and tasks | [`TestRuntime`] |
//! | that old stored events can still be read | [`golden`] |
//!
//! ```
//! # use portolan_kernel::{Bytes, domain::*, ports::RawEvent, values::*};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize)] struct Withdraw { account_id: String, amount: u64 }
//! # impl Command for Withdraw { const NAME: &'static str = "withdraw"; }
//! # impl StreamCommand for Withdraw {
//! #     fn stream(&self) -> Result<StreamId, InvalidName> { StreamId::new(format!("account-{}", self.account_id)) }
//! # }
//! # #[derive(Serialize, Deserialize, Debug, PartialEq)] enum AccountEvent { Deposited { amount: u64 }, Withdrawn { amount: u64 } }
//! # impl Event for AccountEvent {
//! #     const CATEGORY: &'static str = "account";
//! #     fn event_type(&self) -> &'static str { variant::name(self) }
//! #     fn encode(&self) -> Result<Bytes, CodecError> { variant::encode(self) }
//! #     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
//! # }
//! # #[derive(Serialize, Deserialize, Debug, PartialEq, thiserror::Error)]
//! # enum Refused { #[error("{missing} cents short")] InsufficientFunds { missing: u64 } }
//! # impl Rejection for Refused {}
//! # #[derive(Serialize, Deserialize, Clone, Default)] struct Account { balance: u64 }
//! # impl Aggregate for Account {
//! #     const CATEGORY: &'static str = "account";
//! #     type Event = AccountEvent;
//! #     type Rejection = Refused;
//! #     type Commands = (Withdraw,);
//! #     fn evolve(&mut self, event: &AccountEvent) {
//! #         match event {
//! #             AccountEvent::Deposited { amount } => self.balance += amount,
//! #             AccountEvent::Withdrawn { amount } => self.balance -= amount,
//! #         }
//! #     }
//! # }
//! # impl Decide<Withdraw> for Account {
//! #     fn decide(&self, command: &Withdraw, _: &Context) -> Decision<Self> {
//! #         match command.amount.saturating_sub(self.balance) {
//! #             0 => Ok(vec![AccountEvent::Withdrawn { amount: command.amount }]),
//! #             missing => Err(Refused::InsufficientFunds { missing }),
//! #         }
//! #     }
//! # }
//! use portolan_testing::given;
//!
//! given::<Account>([AccountEvent::Deposited { amount: 3 }])
//!     .when(Withdraw { account_id: "ann".into(), amount: 5 })
//!     .then_rejected(Refused::InsufficientFunds { missing: 2 });
//! ```
//!
//! `examples/testing.rs` of this crate shows it all on one domain.

pub mod crash;
mod difference;
mod faulty;
mod given;
mod given_log;
mod given_process;
mod given_saga;
mod golden;
mod mocks;
mod outcome;
mod process_outcome;
mod ran_step;
mod run_step;
mod runtime;
mod saga_judged;
mod saga_machine;
mod saga_outcome;
mod tracking;

pub use crash::crash_points;
pub use faulty::{Fault, Faulty, ReadFault};
pub use given::{Given, given};
pub use given_log::{GivenLog, given_log};
pub use given_process::{GivenProcess, given_process};
pub use given_saga::{GivenSaga, given_saga};
pub use golden::{GOLDEN, Golden, golden};
pub use mocks::{
    MockAuthenticator, MockClock, MockCommandBus, MockEventStore, MockHooks, MockIdSource, MockInline, MockLeaseStore,
    MockMiddleware, MockPolicy, MockProjectionRegistry, MockQueryBus, MockReadModelStore, MockSagaOrchestrator,
    MockSchemaRegistry, MockSleep, MockSnapshotStore, MockSpawn, MockUpcaster,
};
pub use outcome::Outcome;
pub use process_outcome::ProcessOutcome;
pub use ran_step::{RanStep, Sent};
pub use run_step::{RunStep, run_step};
pub use runtime::{CountingIds, TestClock, TestRuntime, TestSleep, TestSpawn};
pub use saga_outcome::SagaOutcome;
pub use tracking::{Call, Tracking};
