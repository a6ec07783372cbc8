//! Commands: what an application can be asked to do.

use super::codec::{Codec, Json};
use crate::ports::{Source, TypedCommand, Violation};
use crate::values::{InvalidName, StreamId};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One thing to ask for: a struct and its wire name.
///
/// On a wire it is a JSON object of its fields (so a command without fields is written `struct Ping {}`). A field it
/// does not have is refused there, at every depth (see [`Json::decode_object`]). Its fields have one order: sets and
/// maps in it are `BTreeSet`s and `BTreeMap`s, because equal commands must be equal as JSON (CB-4).
///
/// With the feature `macros` there is a derive of the same name. By hand it is:
///
/// ```
/// use portolan_kernel::domain::{Command, StreamCommand};
/// use portolan_kernel::ports::Violation;
/// use portolan_kernel::values::{InvalidName, StreamId};
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Clone)]
/// struct Deposit { account_id: String, amount: u64 }
///
/// impl Command for Deposit {
///     const NAME: &'static str = "deposit";
///     fn validate(&self) -> Vec<Violation> {
///         let zero = (self.amount == 0).then(|| Violation::new("amount", "zero", "the amount must be above zero"));
///         zero.into_iter().collect()
///     }
/// }
///
/// impl StreamCommand for Deposit {
///     fn stream(&self) -> Result<StreamId, InvalidName> { StreamId::new(format!("account-{}", self.account_id)) }
/// }
/// ```
pub trait Command: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The wire name, in kebab case, such as `open-account`.
    const NAME: &'static str;

    /// What it does, for a person.
    const DESCRIPTION: &'static str = "";

    /// The version of its schema, from 1. Raise it with each change of the fields that callers can see, where a
    /// [`SchemaRegistry`](crate::ports::SchemaRegistry) keeps schemas. It stands on no wire: a command is sent as it is now.
    const VERSION: u32 = 1;

    /// The JSON Schema (2020-12) of its fields, for whoever sends it from outside; `None`: none is published.
    #[must_use]
    fn schema() -> Option<Value> {
        None
    }

    /// Everything that is wrong with the fields alone, whatever the state. Empty: nothing.
    fn validate(&self) -> Vec<Violation> {
        Vec::new()
    }
}

/// A command that one stream decides: an [`Aggregate`](super::Aggregate) does. One that depends on more than a
/// stream has a [`DecisionModel`](super::DecisionModel) instead.
pub trait StreamCommand: Command {
    /// The category of its streams, where that is the same for all of them; `None`: nobody said. An application whose
    /// aggregate is of another category is not built.
    const CATEGORY: Option<&'static str> = None;

    /// The stream whose state decides, and which the events join.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the fields make no name; the caller is told that the command is invalid.
    fn stream(&self) -> Result<StreamId, InvalidName>;
}

impl<C: Command> TypedCommand for C {
    fn encode(&self) -> Result<Bytes, Source> {
        Json::encode(self).map_err(Source::new)
    }

    fn digest(&self) -> Result<[u8; 32], Source> {
        super::digest(self).map_err(Source::new)
    }
}
