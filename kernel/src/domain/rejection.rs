//! Rejections: how the domain says no.

use super::variant;
use crate::ports::CommandError;
use alloc::string::ToString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The reasons of one aggregate to refuse: an enum whose variants are stable codes with fields.
///
/// With the feature `macros` there is a derive of the same name. By hand, the provided methods take the code from serde's name of the variant (so give the enum
/// `rename_all = "kebab-case"`) and the fields from its fields.
///
/// ```
/// use portolan_kernel::domain::Rejection;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
/// #[serde(rename_all = "kebab-case")]
/// enum Refused {
///     #[error("{missing} cents short")]
///     InsufficientFunds { missing: u64 },
/// }
/// impl Rejection for Refused {}
///
/// let no = Refused::InsufficientFunds { missing: 2 };
/// assert_eq!(no.code(), "insufficient-funds");
/// assert_eq!(Refused::of(&no.to_error()), Some(no));
/// ```
pub trait Rejection: core::error::Error + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// A stable code in kebab case.
    fn code(&self) -> &'static str {
        variant::name(self)
    }

    /// What the message is about, as a JSON object.
    fn fields(&self) -> Value {
        variant::fields(self)
    }

    /// The rejection with this code and these fields, if there is one: the way back.
    #[must_use]
    fn from_parts(code: &str, fields: &Value) -> Option<Self> {
        variant::decode(code, fields.to_string().as_bytes()).ok()
    }

    /// The error a command bus answers with.
    fn to_error(&self) -> CommandError {
        CommandError::Rejected { code: self.code().to_string(), message: self.to_string(), fields: self.fields() }
    }

    /// The rejection in a bus's error, also when it came through a wire; `None` when the error is another.
    #[must_use]
    fn of(error: &CommandError) -> Option<Self> {
        match error {
            CommandError::Rejected { code, fields, .. } => Self::from_parts(code, fields),
            _ => None,
        }
    }
}
