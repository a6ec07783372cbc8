//! By attributes.

use super::old::{nowhere, read_limit, split_address, split_move};
use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "user", version = 3)]
#[event(retired(NewsletterFlagged, "legacy.user_probed", until = 2))]
#[event(retired(Moved, until = 2, split = split_move, into(AddressSet = 2, EmailUpdated)))]
pub(crate) enum UserEvent {
    Created {
        user_id: String,
        #[event(was = "mail", since = 3)]
        email: String,
        #[event(added = 2, default = "Unknown")]
        name: String,
        #[event(added = 3)]
        nick: Option<String>,
    },
    #[event(renamed_from = "MailChanged", since = 2)]
    EmailUpdated {
        user_id: String,
        #[event(was = "mail", since = 3)]
        #[event(was = "e_mail", since = 2)]
        email: String,
    },
    #[event(upcast(from = 1, with = split_address))]
    AddressSet {
        user_id: String,
        street: String,
        city: String,
        #[event(added = 3, default_with = nowhere)]
        #[serde(rename = "countries")]
        lands: Vec<String>,
    },
    #[event(version = 4, upcast(from = 2, try_with = read_limit))]
    Limited {
        limit: u128,
        #[event(added = 4, default = -1)]
        level: i8,
    },
    #[event(added = 3)]
    Verified { user_id: String },
    #[event(version = 1)]
    Deleted,
}
