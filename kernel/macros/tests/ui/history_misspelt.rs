use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 2)]
enum UserEvent {
    #[event(rename_from = "MailChanged", since = 2)]
    EmailUpdated { email: String },
}

fn main() {}
