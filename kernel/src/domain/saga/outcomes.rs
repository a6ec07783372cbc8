//! What the steps of a saga have come to, so far.

use crate::domain::{Codec, CodecError, Json};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The recorded outcomes of steps, by name. A clone shares them.
///
/// A step and its condition see the outcomes of the groups before theirs, the same ones in every attempt; a compensation
/// sees all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcomes(Arc<BTreeMap<String, Arc<Value>>>);

impl Outcomes {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The outcome of this step; `None` when it has not happened, or was passed over.
    ///
    /// ```
    /// # use portolan_kernel::domain::saga::Outcomes;
    /// let outcomes: Outcomes = [("reserve", 7.into())].into_iter().collect();
    /// assert_eq!(outcomes.get::<u32>("reserve"), Ok(Some(7)));
    /// assert_eq!(outcomes.get::<u32>("pay"), Ok(None));
    /// assert!(outcomes.get::<bool>("reserve").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it has another shape.
    pub fn get<T: DeserializeOwned>(&self, step: &str) -> Result<Option<T>, CodecError> {
        // By text, so that the error names the field.
        self.0.get(step).map(|value| Json::decode(format!("{value}").as_bytes())).transpose()
    }

    /// The outcome of this step as it is recorded.
    #[must_use]
    pub fn value(&self, step: &str) -> Option<&Value> {
        self.0.get(step).map(|value| &**value)
    }

    /// Whether this step has happened.
    #[must_use]
    pub fn has(&self, step: &str) -> bool {
        self.0.contains_key(step)
    }

    pub(super) fn shared(outcomes: impl IntoIterator<Item = (String, Arc<Value>)>) -> Self {
        Self(Arc::new(outcomes.into_iter().collect()))
    }
}

impl<S: Into<String>> FromIterator<(S, Value)> for Outcomes {
    fn from_iter<I: IntoIterator<Item = (S, Value)>>(outcomes: I) -> Self {
        Self::shared(outcomes.into_iter().map(|(step, value)| (step.into(), Arc::new(value))))
    }
}
