//! Hops as data: what a version changed, in the words of the change.

use super::object::{Changes, Object};
use super::pieces::Pieces;
use crate::domain::codec::{Codec, CodecError, Json};
use crate::values::Format;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::to_raw_value;

/// A stored type and a version of it.
pub(super) type Version = (String, u32);

/// One hop, from a version of a stored type to the next.
///
/// ```
/// # use portolan_kernel::domain::history::{Hop, Pieces};
/// # use serde::{Deserialize, Serialize};
/// // A field that old events do not have, and one of another name.
/// Hop::from("user.created", 1).add("name", "Unknown").rename("mail", "email").to("user.created", 2);
/// // A type of another name.
/// Hop::from("user.mail-changed", 1).to("user.email-updated", 2);
/// // A type that is passed over.
/// Hop::from("user.newsletter-flagged", 1).retire();
/// // A payload that a function makes.
/// # #[derive(Deserialize)] struct OneLine { address: String }
/// # #[derive(Serialize)] struct TwoLines { street: String, city: String }
/// # fn split_address(old: OneLine) -> TwoLines { TwoLines { street: old.address, city: String::new() } }
/// Hop::from("user.address-set", 1).with(split_address).to("user.address-set", 2);
/// // Several events that a function makes.
/// # fn split(old: OneLine) -> Pieces { Pieces::new() }
/// Hop::from("user.moved", 1).split(split).to_any([("user.city-chosen", 2), ("user.street-chosen", 2)]);
/// ```
///
/// Hops speak of fields by their names in JSON. Names and versions are judged with the chains
/// ([`Histories::judge`](super::Histories::judge)).
///
/// A payload of another codec ([`HopFrom::codec`]) is changed as the JSON that its values are, and written in its codec
/// again; it has to have such a form, which bytes have not.
pub struct Hop {
    pub(super) from: Version,
    pub(super) changes: Changes,
    pub(in super::super) then: Then,
    pub(in super::super) transcoding: Option<Transcoding>,
    /// What is wrong with it.
    pub(super) flaw: Option<String>,
}

/// Makes a payload of an old one, both in JSON.
type Make = Box<dyn Fn(&[u8]) -> Result<Bytes, String> + Send + Sync>;

/// Makes events of an old payload.
type Split = Box<dyn Fn(&[u8]) -> Result<Pieces, String> + Send + Sync>;

/// What becomes of the event once its fields are changed.
pub(in super::super) enum Then {
    /// It is retired.
    Nothing,
    /// It goes on.
    One(Version),
    /// It goes on with another payload.
    Made(Make, Version),
    /// It becomes any of these.
    Split(Split, Vec<Version>),
}

/// How payloads of a codec become JSON and are written again.
#[derive(Clone, Copy)]
pub(in super::super) struct Transcoding {
    pub(in super::super) format: Format,
    pub(in super::super) to_json: fn(&[u8]) -> Result<Vec<u8>, CodecError>,
    pub(in super::super) from_json: fn(&[u8]) -> Result<Bytes, CodecError>,
}

impl Transcoding {
    fn of<C: Codec>() -> Self {
        Self {
            format: C::FORMAT,
            to_json: |payload| Json::encode(&C::decode::<Value>(payload)?).map(Vec::from),
            from_json: |text| C::encode(&Json::decode::<Value>(text)?),
        }
    }
}

impl Hop {
    /// A hop from this version of a stored type.
    pub fn from(event_type: impl Into<String>, version: u32) -> HopFrom {
        HopFrom {
            from: (event_type.into(), version),
            changes: Changes::default(),
            make: None,
            transcoding: None,
            flaw: None,
        }
    }

    /// What its results may be.
    pub(super) fn to(&self) -> &[Version] {
        match &self.then {
            Then::Nothing => &[],
            Then::One(to) | Then::Made(_, to) => core::slice::from_ref(to),
            Then::Split(_, to) => to,
        }
    }

    /// Whether it only changes the version or the type's name.
    pub(in super::super) fn is_plain(&self) -> bool {
        self.changes.renames.is_empty() && self.changes.adds.is_empty()
    }

    pub(in super::super) fn change<'a>(&'a self, object: &mut Object<'a>) -> Result<(), String> {
        object.change(&self.changes)
    }
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop").field("from", &self.from).field("to", &self.to()).finish_non_exhaustive()
    }
}

/// A hop of which is known where it starts.
#[must_use = "a hop is finished by `to` or `retire`"]
pub struct HopFrom {
    from: Version,
    changes: Changes,
    make: Option<Make>,
    transcoding: Option<Transcoding>,
    flaw: Option<String>,
}

impl fmt::Debug for HopFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HopFrom").field("from", &self.from).field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl HopFrom {
    /// The payloads are of this codec, before and after.
    pub fn codec<C: Codec>(self) -> Self {
        Self { transcoding: (C::FORMAT != Format::Json).then(Transcoding::of::<C>), ..self }
    }

    /// Events have this field from then on, and old ones this value in it. It is the same for all of them: what it depends on
    /// is asked once, here. An event that has such a field already keeps what it has.
    pub fn add(mut self, field: impl Into<String>, value: impl Serialize) -> Self {
        let field = field.into();
        match to_raw_value(&value) {
            Ok(value) => self.changes.adds.push((field, value)),
            Err(error) => {
                self.flaw.get_or_insert_with(|| alloc::format!("what `{field}` is added with has no JSON: {error}"));
            }
        }
        self
    }

    /// The same, for a field that is of the type `T` ever since: a value that is none of it is refused when chains are judged,
    /// and not at the first old event.
    pub fn add_as<T: DeserializeOwned>(self, field: impl Into<String>, value: impl Serialize) -> Self {
        let field = field.into();
        let fits = to_raw_value(&value).ok().map(|text| serde_json::from_str::<T>(text.get()));
        let mut added = self.add(field.clone(), value);
        if let Some(Err(error)) = fits {
            added
                .flaw
                .get_or_insert_with(|| alloc::format!("what `{field}` is added with is none of its type: {error}"));
        }
        added
    }

    /// The field is called otherwise from then on. All renames of a hop are made at once, and before fields are added. An event
    /// that does not have the field goes on without; one that would have two of the new name cannot be upcast.
    pub fn rename(mut self, old: impl Into<String>, new: impl Into<String>) -> Self {
        self.changes.renames.push((old.into(), new.into()));
        self
    }

    /// The function makes the new payload of the old one, after what was said before.
    pub fn with<Old, New>(self, make: impl Fn(Old) -> New + Send + Sync + 'static) -> Self
    where
        Old: DeserializeOwned,
        New: Serialize,
    {
        self.try_with(move |old| Ok::<_, core::convert::Infallible>(make(old)))
    }

    /// The same, for a function that may refuse: then the event cannot be upcast.
    pub fn try_with<Old, New, E>(self, make: impl Fn(Old) -> Result<New, E> + Send + Sync + 'static) -> Self
    where
        Old: DeserializeOwned,
        New: Serialize,
        E: fmt::Display,
    {
        let make: Make = Box::new(move |text| {
            let new = make(old(text)?).map_err(|error| error.to_string())?;
            Json::encode(&new).map_err(|error| error.to_string())
        });
        Self { make: Some(make), ..self }
    }

    /// The function makes several events of the old one, or none, after what was said before.
    pub fn split<Old>(self, split: impl Fn(Old) -> Pieces + Send + Sync + 'static) -> HopSplit
    where
        Old: DeserializeOwned,
    {
        HopSplit { hop: self, split: Box::new(move |text| old(text).map(&split)) }
    }

    /// This is what events are then.
    pub fn to(self, event_type: impl Into<String>, version: u32) -> Hop {
        let to = (event_type.into(), version);
        let Self { from, changes, make, transcoding, flaw } = self;
        let then = match make {
            Some(make) => Then::Made(make, to),
            None => Then::One(to),
        };
        Hop { from, changes, then, transcoding, flaw }
    }

    /// Such events are passed over from then on.
    pub fn retire(self) -> Hop {
        let Self { from, transcoding, flaw, .. } = self;
        Hop { from, changes: Changes::default(), then: Then::Nothing, transcoding, flaw }
    }
}

fn old<Old: DeserializeOwned>(text: &[u8]) -> Result<Old, String> {
    Json::decode(text).map_err(|error| error.to_string())
}

/// A hop to several events, of which is not known yet to which.
#[must_use = "a hop is finished by `to_any`"]
pub struct HopSplit {
    hop: HopFrom,
    split: Split,
}

impl fmt::Debug for HopSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HopSplit").field(&self.hop).finish()
    }
}

impl HopSplit {
    /// These are what the pieces may be.
    pub fn to_any<'a>(self, pieces: impl IntoIterator<Item = (&'a str, u32)>) -> Hop {
        let to = pieces.into_iter().map(|(event_type, version)| (event_type.to_owned(), version)).collect();
        let HopFrom { from, changes, mut flaw, transcoding, make } = self.hop;
        if make.is_some() {
            flaw.get_or_insert_with(|| {
                "it has a function for the payload and one for the pieces; leave one out".into()
            });
        }
        Hop { from, changes, then: Then::Split(self.split, to), transcoding, flaw }
    }
}
