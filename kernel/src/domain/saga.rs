//! Sagas: processes of several steps, each with an effect of its own, that end with all of them done, or undone.
//!
//! A user writes a [`Saga`]: an input, and a [`Definition`] of [`Step`]s, which are plain async methods. A saga that is started
//! records its [`Plan`], and from then on one fact after another ([`SagaEvent`]) in a stream of its own. This module is
//! pure: it folds facts to a [`SagaState`], and says what comes next. Whatever drives it appends what it is told to, runs
//! what it is told to, and comes back.
//!
//! # The machine
//!
//! Three functions make facts of a state, and each fact is folded before the next is made:
//!
//! - [`next()`]: what is to be recorded now, which attempts are in flight then, and when to ask again.
//! - [`SagaState::answer`]: what an attempt has come to.
//! - [`SagaState::act`]: what an operator wants.
//!
//! An answer, or an act, and what follows from it are one append: the outcome of a step with the intent of the next, the
//! last outcome with the end. Intents are recorded by whoever runs the attempts, and not by whoever starts a saga, acts on it
//! or has it receive an event. So a saga of three steps is five appends: the start, the first intent, and three outcomes. Every
//! intent is recorded before its effect, and every attempt of a step has the same key (SG-1); a process that comes after a
//! crash folds the facts, runs again what was in flight, and ends where the first would have (SG-2).
//!
//! ```text
//!              ┌──────────────────── retry, skip ────────────────────┐
//!              ▼                                                     │
//! started ─▶ forward ── all steps done or passed over ─▶ completed   │
//!              │  │                                                  │
//!              │  └─ past its pivot, or in doubt about it, ─▶ needs operator ── abort ─▶ aborted
//!              │     and it cannot go on                         ▲   │  │
//!   a step failed, the time has                                  │   │  │
//!   passed, or an operator wants it;                             │   │  │
//!   and no pivot has happened or may have                        │   │  │
//!              │                                                 │   │  │
//!              ▼                                                 │   │  │
//!        turned back ── a compensation, or finding out, fails ───┘   │  │
//!              ▲  │  └──── all undone ─▶ compensated                 │  │
//!              │  └─────── all undone but what was skipped ─▶ aborted│  │
//!              ├──────────────────── retry, skip ────────────────────┘  │
//!              └──────────────────── compensate ────────────────────────┘
//! ```
//!
//! A step by itself ([`Standing`]):
//!
//! ```text
//! waiting ─▶ running ──────────────────▶ done ─▶ running back ─▶ undone
//!    │        ▲   │                       ▲        ▲   │
//!    │        │   ├─▶ pausing ─┐          │        └───┴─▶ failed back: needs operator
//!    │        └───┼────────────┘          │
//!    ▼            └─▶ failed ─ in doubt ─▶ settling ─▶ failed: it has not happened
//!  passed
//! ```
//!
//! # Doubt
//!
//! An attempt that ends without an answer may have had its effect, and so may one before it whose sender was told that *its*
//! sending had none. So a step is in doubt from its first unknown attempt until it succeeds or is settled; a refusal after an
//! unknown attempt proves nothing. Nor does a refusal of an attempt that another process had begun, and that was run again
//! after it was gone ([`SagaEvent::of_another`]). Further attempts under the same key are the first way to find out. When they have ended:
//!
//! - A step whose effect are commands is settled by closing their keys ([`Settling::Keys`]), which is exact: a key that is
//!   closed can never take effect, and one that has taken effect cannot be closed. The commands take the way to their keys
//!   that they took before, through middleware
//!   ([`CommandBus::leading_to`](crate::ports::CommandBus::leading_to)). Past a pivot keys are not closed, because the
//!   only way is on; an operator has it tried again. Nor are they while a pivot of the same group may happen yet.
//! - A step with a resolution is settled by it.
//! - Any other with a compensation is compensated, which has to be harmless where nothing has happened.
//! - Any other needs an operator (SG-4).
//!
//! Settling that fails needs an operator too: a compensation never runs on a guess.
//!
//! All this goes by keys, and stores keep them for a time. Once a step has been in doubt for so long that its key may be
//! forgotten, because nobody drove the saga or an operator was waited for, another attempt could have its effect twice, and a
//! key that can be closed proves nothing. Then its attempts count as ended, no key of it is closed, and no operator can have it
//! tried again ([`SagaState::keeping_keys_for`]). The same holds for a compensation in doubt.
//!
//! # Turning back
//!
//! A saga turns back when a step has failed for good, when the time for the whole has passed, or when an operator says so,
//! as long as no pivot has happened. If a pivot is in flight or in doubt, what has become of it is awaited first. On the way
//! back nothing is done any more; attempts in flight are answered or time out, what is in doubt is settled, and then
//! compensations run one at a time, in the reverse of the order in which the steps have happened, also within a group. A
//! compensation that fails in all its attempts, or remains unknown, needs an operator, and a saga with anything not undone
//! never ends as compensated (SG-5).
//!
//! # Processes
//!
//! A [`Process`] reacts to events, and its plan grows: it starts without steps, and each command that a reaction wants sent
//! becomes a step of its own at the end, which sends what is recorded. Reactions are facts too: an event received, a timer
//! fired, a failed command handled; each has the state after it and what is wanted, so that nothing is asked of the code
//! twice. [`next()`] asks the code ([`Conditions`]) what a timer or a failure does; what an event does is asked by whoever feeds
//! it ([`SagaHandler::arrivals`]). The same machine does the rest: one step after the other, never back, until the process has
//! wanted to end and all of its commands are done or passed over.
//!
//! ```text
//!              ┌── an event is received, a timer fires: more steps, other timers ──┐
//!              ▼                                                                   │
//! started ─▶ waiting ◀─ all sent ─ sending ─ a command failed ─▶ handled, or needs operator
//!              │                       │
//!              └── it wanted to end ───┴─ and all is sent ─▶ completed
//! ```
//!
//! # Time
//!
//! Times are those of the clock that whoever asks has looked at, and they are recorded. Nothing is due early by that clock;
//! what was due while nobody looked is due once. A clock that goes back makes things late, never twice.
//!
//! # Limits
//!
//! The stream of a saga is read whole each time that it is driven, acted on, or looked at, and that of a process with each event
//! that is for it too: there are no snapshots. Sagas are short. A process lives as long as its events go on, and each event,
//! timer and command is a few facts: over its life it reads the square of their number. So let a process be of something that
//! comes to an end within some thousands of facts. One that would set a timer anew for ever is better one a round, such as a
//! month, with the round in its key.
//!
//! # Credits
//!
//! Sagas are Hector Garcia-Molina's and Kenneth Salem's ("Sagas", SIGMOD 1987), and the pivot is of the literature on
//! flexible transactions (Mehrotra, Rastogi, Silberschatz, Korth, 1992). Recording each step before and after it runs, so that a
//! process goes on where another ended, is the idea of durable execution, as in Temporal and its forebears; here a plan is
//! followed and no code is replayed.

mod action;
mod answer;
mod brief;
mod context;
mod definition;
mod difference;
mod event;
mod fold;
mod forgotten;
mod functions;
mod handler;
mod intents;
mod key;
mod next;
mod outcomes;
mod plan;
mod process;
mod process_handler;
mod process_next;
mod process_state;
mod reaction;
mod retry;
mod standing;
mod state;
mod status;
mod step_error;

pub use crate::ports::{
    SagaAction as Action, SagaPhase as Phase, SagaStatus as Status, SagaWay as Way, UnknownSagaAction as UnknownAction,
    UnknownSagaPhase as UnknownPhase,
};
pub use crate::values::{MAX_SAGA_NAME_BYTES, SAGA_CATEGORY, SagaId, SagaIdError, SagaNameError};
pub use action::ActError;
pub use answer::{LateAnswer, settled_by_keys};
pub use brief::Brief;
pub(crate) use brief::Open;
pub use context::StepContext;
pub use definition::{Definition, Saga, Step};
pub use event::{End, SagaEvent};
pub(crate) use forgotten::counted_on;
pub use functions::{StepFn, StepFuture};
pub use handler::{Misfit, OpenSaga, SagaHandler};
pub use intents::{Intent, Intents, SendIntent, SentCommand};
pub use next::{Conditions, Next, Run, next};
pub use outcomes::Outcomes;
pub use plan::{Plan, PlanError, ProcessPlan, Settling, StepPlan, Undo};
pub use process::{AfterFailure, FailedIntent, Process};
pub use process_handler::Arrival;
pub use process_state::Reception;
pub use reaction::{Reaction, ReactionError};
pub use retry::{Effort, Retry};
pub use standing::{Failure, Standing};
pub use state::{ImpossibleFact, SagaState};
pub use step_error::{FailureClass, StepError};
