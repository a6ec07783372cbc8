//! By hand.

use super::old::{nowhere, read_limit, split_address, split_move};
use portolan_kernel::Bytes;
use portolan_kernel::domain::history::{History, Hop};
use portolan_kernel::domain::{CodecError, Event, EventError, variant};
use portolan_kernel::ports::RawEvent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) enum UserEvent {
    #[serde(rename = "user.created")]
    Created { user_id: String, email: String, name: String, nick: Option<String> },
    #[serde(rename = "user.email-updated")]
    EmailUpdated { user_id: String, email: String },
    #[serde(rename = "user.address-set")]
    AddressSet {
        user_id: String,
        street: String,
        city: String,
        #[serde(rename = "countries")]
        lands: Vec<String>,
    },
    #[serde(rename = "user.limited")]
    Limited { limit: u128, level: i8 },
    #[serde(rename = "user.verified")]
    Verified { user_id: String },
    #[serde(rename = "user.deleted")]
    Deleted,
}

impl Event for UserEvent {
    const CATEGORY: &'static str = "user";

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn version(&self) -> u32 {
        match self {
            Self::Limited { .. } => 4,
            Self::Deleted => 1,
            _ => 3,
        }
    }

    fn history() -> History {
        History::new()
            .current("user.created", 3)
            .hop(Hop::from("user.created", 1).add("name", "Unknown").to("user.created", 2))
            .hop(Hop::from("user.created", 2).rename("mail", "email").add("nick", ()).to("user.created", 3))
            .current("user.email-updated", 3)
            .hop(Hop::from("user.mail-changed", 1).rename("e_mail", "mail").to("user.email-updated", 2))
            .hop(Hop::from("user.email-updated", 2).rename("mail", "email").to("user.email-updated", 3))
            .current("user.address-set", 3)
            .hop(Hop::from("user.address-set", 1).with(split_address).to("user.address-set", 2))
            .hop(Hop::from("user.address-set", 2).add("countries", nowhere()).to("user.address-set", 3))
            .current("user.limited", 4)
            .hop(Hop::from("user.limited", 1).to("user.limited", 2))
            .hop(Hop::from("user.limited", 2).try_with(read_limit).to("user.limited", 3))
            .hop(Hop::from("user.limited", 3).add("level", -1).to("user.limited", 4))
            .current("user.verified", 3)
            .first("user.verified", 3)
            .current("user.deleted", 1)
            .hop(Hop::from("user.newsletter-flagged", 1).retire())
            .hop(Hop::from("user.newsletter-flagged", 2).retire())
            .hop(Hop::from("legacy.user_probed", 1).retire())
            .hop(Hop::from("legacy.user_probed", 2).retire())
            .hop(Hop::from("user.moved", 1).to("user.moved", 2))
            .hop(
                Hop::from("user.moved", 2)
                    .split(split_move)
                    .to_any([("user.address-set", 2), ("user.email-updated", 3)]),
            )
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}
