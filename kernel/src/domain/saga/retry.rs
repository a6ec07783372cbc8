//! How often something is tried, how long one try may take, and the pauses between.

use super::{FailureClass, Way};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How often a step is tried, and how long the pauses between are: each longer than the one before, by a factor, up to a
/// longest.
///
/// What is tried again: attempts that ended with [`Retry`](super::StepError::Retry) or
/// [`Unknown`](super::StepError::Unknown), and refusals with a code of [`also_refused`](Self::also_refused). The way back
/// and the settling of what is unknown try again whatever the error was, because there is nothing else to do.
///
/// An attempt whose process dies, or that is [`Interrupted`](super::StepError::Interrupted), has not failed: whoever drives the
/// saga next runs the same attempt again, under its key and its number, within [`Effort::timeout`] of when it was begun. Once
/// that is over it counts as one of the attempts, and as unknown, because nobody can tell it from one that had its effect and
/// was not heard. Whoever takes a saga over may have to wait for a lease first
/// ([`SagaOptions::lease`](crate::drivers::SagaOptions::lease)): where a death is not to cost an attempt, the time-out is longer
/// than that.
///
/// ```
/// # use portolan_kernel::domain::saga::Retry;
/// # use core::time::Duration;
/// let retry = Retry::attempts(3).first(Duration::from_millis(200)).factor(3);
/// assert_eq!(retry.attempts, 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Retry {
    /// How many attempts there are in all, at least 1.
    pub attempts: u32,
    /// The pause before the second attempt; 0: there is none, and none after it. Whole milliseconds.
    #[serde(rename = "first_ms", with = "millis")]
    pub first: Duration,
    /// What each pause is longer by, at least 1.
    pub factor: u32,
    /// The longest pause. Whole milliseconds.
    #[serde(rename = "longest_ms", with = "millis")]
    pub longest: Duration,
    /// How much of a pause, in percent, may be taken away from it, so that many that failed at once do not come again at
    /// once. How much it is follows from saga, step and attempt.
    pub jitter_percent: u8,
    /// The codes of refusals that are tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_refused: Vec<String>,
}

impl Retry {
    /// So many attempts in all, with pauses of 100 ms, 200 ms, 400 ms and so on up to 30 s, each shortened by up to a half.
    #[must_use]
    pub fn attempts(attempts: u32) -> Self {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(30));
        Self { attempts, first, factor: 2, longest, jitter_percent: 50, also_refused: Vec::new() }
    }

    /// One attempt.
    #[must_use]
    pub fn never() -> Self {
        Self::attempts(1)
    }

    /// The same, with this pause before the second attempt.
    #[must_use]
    pub fn first(self, first: Duration) -> Self {
        Self { first, ..self }
    }

    /// The same, with each pause longer by this factor; 1: all are equal.
    #[must_use]
    pub fn factor(self, factor: u32) -> Self {
        Self { factor, ..self }
    }

    /// The same, with no pause longer than this.
    #[must_use]
    pub fn longest(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// The same, with each pause shortened by up to so many percent; 0: none.
    #[must_use]
    pub fn jitter_percent(self, percent: u8) -> Self {
        Self { jitter_percent: percent, ..self }
    }

    /// The same, and refusals with these codes are tried again too.
    #[must_use]
    pub fn also_refused(self, codes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { also_refused: codes.into_iter().map(Into::into).collect(), ..self }
    }

    /// Whether an attempt that went this way and failed so is followed by another, as long as some are left.
    #[must_use]
    pub fn tries_again(&self, way: Way, class: FailureClass, code: Option<&str>) -> bool {
        match (way, class) {
            // The answer to the question: it has not happened.
            (Way::Settle, FailureClass::Refused) => false,
            (Way::Forward, FailureClass::Refused) => {
                code.is_some_and(|code| self.also_refused.iter().any(|of| of == code))
            }
            _ => true,
        }
    }

    /// The pause after this attempt, the first being 1, without jitter.
    #[must_use]
    pub fn pause(&self, attempt: u32) -> Duration {
        let mut pause = self.first;
        for _ in 1..attempt {
            if pause >= self.longest || pause.is_zero() || self.factor <= 1 {
                break;
            }
            pause = pause.saturating_mul(self.factor);
        }
        pause.min(self.longest)
    }

    /// The pause after this attempt, shortened by jitter. The same seed, the same pause.
    #[must_use]
    pub(super) fn pause_with_jitter(&self, attempt: u32, seed: &[&[u8]]) -> Duration {
        let mut hash = Sha256::new();
        for part in seed {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let [a, b, ..]: [u8; 32] = hash.finalize().into();
        // In 65,536ths of a percent.
        let share = u32::from(self.jitter_percent.min(100)) * u32::from(u16::from_be_bytes([a, b]));
        let pause = self.pause(attempt);
        pause - pause / (100 << 16) * share
    }
}

impl Default for Retry {
    /// Five attempts, as [`attempts`](Self::attempts) says.
    fn default() -> Self {
        Self::attempts(5)
    }
}

/// How something is tried: how often, and how long one attempt may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Effort {
    /// How often, and the pauses between.
    pub retry: Retry,
    /// How long one attempt may take, from when it was recorded as begun; after that it counts as unknown. Whole
    /// milliseconds.
    #[serde(rename = "timeout_ms", with = "millis")]
    pub timeout: Duration,
}

impl Effort {
    /// Tried so, each attempt no longer than this.
    #[must_use]
    pub fn new(retry: Retry, timeout: Duration) -> Self {
        Self { retry, timeout }
    }

    /// For what has to succeed, because there is nothing else to do: ten attempts, with pauses from 200 ms to a minute.
    #[must_use]
    pub fn persistent(timeout: Duration) -> Self {
        let retry = Retry::attempts(10).first(Duration::from_millis(200)).longest(Duration::from_secs(60));
        Self::new(retry, timeout)
    }

    /// How long it takes at the most: all attempts and all pauses. Saturates.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let Retry { attempts, longest, .. } = self.retry;
        let mut sum = self.timeout.saturating_mul(attempts);
        for attempt in 1..attempts {
            let pause = self.retry.pause(attempt);
            if pause >= longest || pause.is_zero() || self.retry.factor <= 1 {
                return sum.saturating_add(pause.saturating_mul(attempts - attempt));
            }
            sum = sum.saturating_add(pause);
        }
        sum
    }
}

/// Durations as whole milliseconds.
pub(super) mod millis {
    use core::time::Duration;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
