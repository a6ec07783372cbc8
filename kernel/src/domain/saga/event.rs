//! The facts of a saga: what its stream holds.

use super::{Action, FailureClass, Intent, Plan, SAGA_CATEGORY, Way};
use crate::domain::{CodecError, Event, EventError, variant};
use crate::ports::RawEvent;
use crate::values::{EventId, Position, Timestamp};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a saga ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Every step is done, or was passed over.
    Completed,
    /// Every step that was done is undone, or there was nothing to undo.
    Compensated,
    /// An operator ended it as it was, or did not have everything undone.
    Aborted,
}

/// A fact about a saga. Its stream holds nothing else, in order; the state is their fold
/// ([`SagaState`](super::SagaState)).
///
/// Stored types are `$saga.*`, payloads JSON; times are microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SagaEvent {
    /// It was started. The first fact, and there is one.
    #[serde(rename = "$saga.started")]
    Started {
        /// When.
        at: Timestamp,
        /// The name of its definition.
        name: String,
        /// The version of its definition.
        version: u32,
        /// What it does.
        #[serde(with = "shared")]
        plan: Arc<Plan>,
        /// What it was started with.
        #[serde(with = "shared")]
        input: Arc<Value>,
        /// When it turns back, if it has not ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// An attempt at a step begins: the intent, recorded before the effect (SG-1).
    #[serde(rename = "$saga.begun")]
    Begun {
        /// When.
        at: Timestamp,
        /// Which step.
        step: String,
        /// Which way.
        way: Way,
        /// Which attempt this way, from 1.
        attempt: u32,
        /// When it counts as unknown, if there is no answer.
        until: Timestamp,
    },
    /// An attempt went well.
    #[serde(rename = "$saga.succeeded")]
    Succeeded {
        /// When.
        at: Timestamp,
        /// Which step.
        step: String,
        /// Which way. Settled so: the step has happened.
        way: Way,
        /// Which attempt.
        attempt: u32,
        /// What the step returned; `null` on the way back.
        #[serde(default, with = "shared")]
        outcome: Arc<Value>,
    },
    /// An attempt failed.
    #[serde(rename = "$saga.failed")]
    Failed {
        /// When.
        at: Timestamp,
        /// Which step.
        step: String,
        /// Which way. Settled so and refused: the step has not happened, and never will.
        way: Way,
        /// Which attempt.
        attempt: u32,
        /// What is known of its effect.
        class: FailureClass,
        /// The code of a refusal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// What happened, for a person.
        reason: String,
        /// When the next attempt is due; `None`: there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// A step is passed over, because its condition does not hold.
    #[serde(rename = "$saga.passed")]
    Passed {
        /// When.
        at: Timestamp,
        /// Which step.
        step: String,
    },
    /// The keys of a step's commands were closed: what had not taken effect by then never will. Written under the
    /// command's own key; tells nothing that the state needs.
    #[serde(rename = "$saga.key-closed")]
    KeyClosed {
        /// When.
        at: Timestamp,
        /// Which step.
        step: String,
        /// The scope of the key.
        scope: String,
        /// The key.
        key: String,
    },
    /// From here on, nothing is done any more, and what was done is undone.
    #[serde(rename = "$saga.turned-back")]
    TurnedBack {
        /// When.
        at: Timestamp,
        /// Why, for a person.
        reason: String,
    },
    /// It cannot go on by itself.
    #[serde(rename = "$saga.needs-operator")]
    NeedsOperator {
        /// When.
        at: Timestamp,
        /// The steps that hold it up.
        steps: Vec<String>,
        /// Why, for a person.
        reason: String,
    },
    /// A process received an event. The first of them follows the start.
    #[serde(rename = "$saga.received")]
    Received {
        /// When.
        at: Timestamp,
        /// Which event.
        #[serde(with = "as_text")]
        event: EventId,
        /// Its position: later ones are received after it. As JSON it is a string.
        #[serde(with = "as_text")]
        position: Position,
        /// The process's state after it.
        #[serde(with = "shared")]
        state: Arc<Value>,
        /// What the process wants.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        intents: Vec<Intent>,
    },
    /// A timer of a process fired.
    #[serde(rename = "$saga.fired")]
    Fired {
        /// When.
        at: Timestamp,
        /// Which timer.
        timer: String,
        /// The process's state after it.
        #[serde(with = "shared")]
        state: Arc<Value>,
        /// What the process wants.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        intents: Vec<Intent>,
    },
    /// A process goes on without a command that has failed.
    #[serde(rename = "$saga.handled")]
    Handled {
        /// When.
        at: Timestamp,
        /// The command's step, which counts as passed over.
        step: String,
        /// The process's state after it.
        #[serde(with = "shared")]
        state: Arc<Value>,
        /// What the process wants.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        intents: Vec<Intent>,
    },
    /// An operator acted (SG-9).
    #[serde(rename = "$saga.acted")]
    Acted {
        /// When.
        at: Timestamp,
        /// What was done.
        action: Action,
        /// The steps it was done to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        steps: Vec<String>,
        /// By whom, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<String>,
        /// Why, in the operator's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// It has ended. The last fact.
    #[serde(rename = "$saga.ended")]
    Ended {
        /// When.
        at: Timestamp,
        /// How.
        end: End,
        /// The steps that are done, or may be, and were not undone, though the way was back or an operator ended it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<String>,
    },
}

impl SagaEvent {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Started { at, .. }
            | Self::Begun { at, .. }
            | Self::Succeeded { at, .. }
            | Self::Failed { at, .. }
            | Self::Passed { at, .. }
            | Self::KeyClosed { at, .. }
            | Self::TurnedBack { at, .. }
            | Self::NeedsOperator { at, .. }
            | Self::Received { at, .. }
            | Self::Fired { at, .. }
            | Self::Handled { at, .. }
            | Self::Acted { at, .. }
            | Self::Ended { at, .. } => *at,
        }
    }
}

impl SagaEvent {
    /// Whether it tells what a process has done about something.
    pub(super) fn is_reaction(&self) -> bool {
        matches!(self, Self::Received { .. } | Self::Fired { .. } | Self::Handled { .. })
    }
}

impl Event for SagaEvent {
    const CATEGORY: &'static str = SAGA_CATEGORY;

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

/// Identities and positions as text.
mod as_text {
    use crate::values::{EventId, Position};
    use alloc::string::String;
    use core::fmt::Display;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) trait OfText: Sized {
        fn of_text(text: &str) -> Option<Self>;
    }

    impl OfText for EventId {
        fn of_text(text: &str) -> Option<Self> {
            text.parse().ok()
        }
    }

    impl OfText for Position {
        fn of_text(text: &str) -> Option<Self> {
            text.parse().ok().and_then(Self::new)
        }
    }

    pub(super) fn serialize<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: OfText, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::of_text(&text).ok_or_else(|| D::Error::custom("no such identity or position"))
    }
}

/// What is shared in memory, and written as if it were not.
pub(super) mod shared {
    use alloc::sync::Arc;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<T: Serialize, S: Serializer>(
        shared: &Arc<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (**shared).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}
