//! Aggregates: a fold over the events of one stream, and decisions on its state.

use super::{Context, Event, Rejection, StreamCommand, Unknown};
use alloc::vec::Vec;
use core::num::NonZeroU64;
use core::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The state of one stream: folded from its events, and deciding on commands.
///
/// `Default` is the state of a missing stream. Everything here is pure and synchronous; loading, appending and
/// retrying is the work of the [drivers](crate::drivers).
///
/// A listed command without a [`Decide`] does not compile:
///
/// ```compile_fail,E0277
/// # use portolan_kernel::{Bytes, domain::*, ports::RawEvent, values::*};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Ping {}
/// # impl Command for Ping {
/// #     const NAME: &'static str = "ping";
/// # }
/// # impl StreamCommand for Ping {
/// #     fn stream(&self) -> Result<StreamId, InvalidName> { StreamId::new("ping-1") }
/// # }
/// # #[derive(Serialize, Deserialize)] enum Pinged { Pinged }
/// # impl Event for Pinged {
/// #     const CATEGORY: &'static str = "ping";
/// #     fn event_type(&self) -> &'static str { variant::name(self) }
/// #     fn encode(&self) -> Result<Bytes, CodecError> { variant::encode(self) }
/// #     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
/// # }
/// # #[derive(Serialize, Deserialize, Debug, thiserror::Error)] #[error("no")] enum No { No }
/// # impl Rejection for No {}
/// # #[derive(Serialize, Deserialize, Clone, Default)] struct Pinger {}
/// impl Aggregate for Pinger {
///     const CATEGORY: &'static str = "ping";
///     type Event = Pinged;
///     type Rejection = No;
///     type Commands = (Ping,);
///     fn evolve(&mut self, _: &Pinged) {}
/// }
/// // impl Decide<Ping> for Pinger { .. } is missing.
/// ```
pub trait Aggregate: Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The category of its streams: what precedes the first `-` of their names.
    const CATEGORY: &'static str;

    /// What happens to it.
    type Event: Event;

    /// Why it refuses.
    type Rejection: Rejection;

    /// The commands it decides on: a tuple of 1 to 16.
    type Commands: Commands<Self>;

    /// Takes in what has happened. It cannot fail: what has happened has happened.
    fn evolve(&mut self, event: &Self::Event);

    /// What is done about an event that this aggregate does not know. A state that has passed one over is kept in no
    /// snapshot.
    #[must_use]
    fn on_unknown() -> Unknown {
        Unknown::Fail
    }

    /// When its state is kept to save replays. Never, unless it says otherwise.
    #[must_use]
    fn snapshots() -> SnapshotPolicy {
        SnapshotPolicy::never()
    }

    /// The state after these events.
    #[must_use]
    fn replay(events: impl IntoIterator<Item = Self::Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.evolve(&event);
        }
        state
    }
}

/// What a decision comes to: events (none: nothing is to change), or a typed rejection.
pub type Decision<A> = Result<Vec<<A as Aggregate>::Event>, <A as Aggregate>::Rejection>;

/// Decides on one command. Pure: the same state, command and context, the same decision.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decide on the command `{C}`",
    label = "`impl Decide<{C}> for {Self}` is missing",
    note = "every command that an aggregate lists in `Commands` needs a decision"
)]
pub trait Decide<C: StreamCommand>: Aggregate {
    /// The decision.
    ///
    /// # Errors
    ///
    /// The aggregate's rejection.
    fn decide(&self, command: &C, context: &Context) -> Decision<Self>;
}

/// When the state of an aggregate is kept to save replays (SN-5), and what tells states apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotPolicy {
    /// After how many events each; `None`: their number does not matter.
    pub every: Option<NonZeroU64>,
    /// After events of how long a time each; `None`: their age does not matter.
    pub after: Option<Duration>,
    /// The version of the state's schema. Snapshots of another version are ignored: raise it with each change
    /// of the state or of `evolve`.
    pub version: u32,
    /// What tells this state from another one folded from the same streams.
    pub kind: &'static str,
}

impl SnapshotPolicy {
    /// No snapshots.
    #[must_use]
    pub const fn never() -> Self {
        Self { every: None, after: None, version: 1, kind: "state" }
    }

    /// One with every `events` events; 0 is never.
    #[must_use]
    pub const fn every(events: u64) -> Self {
        Self { every: NonZeroU64::new(events), ..Self::never() }
    }

    /// The same policy, and one as soon as the events since the last one span this long: for streams that grow slowly, and
    /// whose old events cost more to read, because they are upcast or out of a store's cache.
    ///
    /// ```
    /// # use portolan_kernel::domain::SnapshotPolicy;
    /// # use core::time::Duration;
    /// let policy = SnapshotPolicy::every(100).or_after(Duration::from_hours(24));
    /// assert!(policy.is_due(3, 4, Duration::from_hours(30)));
    /// assert!(!policy.is_due(3, 4, Duration::from_hours(2)));
    /// ```
    #[must_use]
    pub const fn or_after(self, age: Duration) -> Self {
        Self { after: Some(age), ..self }
    }

    /// The same policy for this version of the state's schema.
    #[must_use]
    pub const fn version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// The same policy for this kind of state.
    #[must_use]
    pub const fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// Whether a snapshot is due once a stream has grown from `before` events to `after`, and the events since the last
    /// snapshot span this long.
    #[must_use]
    pub fn is_due(&self, before: u64, after: u64, span: Duration) -> bool {
        let by_number = self.every.is_some_and(|every| after / every > before / every);
        by_number || (after > before && self.after.is_some_and(|age| span >= age))
    }

    /// Whether there ever is one. Else none is looked for.
    #[must_use]
    pub const fn keeps(&self) -> bool {
        self.every.is_some() || self.after.is_some()
    }
}

/// A list of commands, each decided by the aggregate: a tuple.
pub trait Commands<A: Aggregate> {
    /// Shows each command to the visitor, in order.
    fn visit<V: CommandVisitor<A>>(visitor: &mut V);
}

/// Sees the commands of an aggregate, one after another.
pub trait CommandVisitor<A: Aggregate> {
    /// One command.
    fn command<C: StreamCommand>(&mut self)
    where
        A: Decide<C>;
}

macro_rules! tuples {
    ($first:ident $($rest:ident)*) => {
        impl<A, $first, $($rest),*> Commands<A> for ($first, $($rest,)*)
        where
            A: Aggregate + Decide<$first> $(+ Decide<$rest>)*,
            $first: StreamCommand,
            $($rest: StreamCommand,)*
        {
            fn visit<V: CommandVisitor<A>>(visitor: &mut V) {
                visitor.command::<$first>();
                $(visitor.command::<$rest>();)*
            }
        }
        tuples!($($rest)*);
    };
    () => {};
}
tuples!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16);
