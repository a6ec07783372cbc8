use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 2)]
enum UserEvent {
    Created {
        #[event(was = "mail", since = 1)]
        email: String,
    },
}

fn main() {}
