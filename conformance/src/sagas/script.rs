//! What each attempt at each step does, as a saga's input says it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an attempt does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Does {
    /// It has its effect, and says so.
    Well,
    /// It has none, and may go well later.
    Retry,
    /// It has none, and never will.
    Refuse,
    /// It has its effect, and does not know.
    DoneUnknown,
    /// It has none, and does not know.
    LostUnknown,
    /// It has its effect, and never answers.
    DoneSilent,
    /// It never does anything.
    LostSilent,
    /// It waits until the ledger lets it go on, and goes well then.
    Held,
}

/// What each attempt at each step does. A step is named as it is forward, and with `undo-` before it as it is back. The last
/// word is that of all further attempts too; a step that is not named goes well.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    pub(crate) steps: BTreeMap<String, Vec<Does>>,
    /// Whether somebody is told in the end.
    pub(crate) tell: bool,
}

/// A script of these steps.
pub(crate) fn script<const N: usize>(steps: [(&str, &[Does]); N]) -> Script {
    let steps = steps.into_iter().map(|(step, does)| (step.to_owned(), does.to_vec())).collect();
    Script { steps, tell: true }
}

impl Script {
    /// What this attempt does.
    pub(crate) fn does(&self, step: &str, attempt: u32) -> Does {
        let words = self.steps.get(step).map_or(&[][..], Vec::as_slice);
        let nth = (attempt as usize).saturating_sub(1).min(words.len().saturating_sub(1));
        words.get(nth).copied().unwrap_or(Does::Well)
    }

    /// The same, where nobody is told.
    pub(crate) fn without_telling(self) -> Self {
        Self { tell: false, ..self }
    }
}
