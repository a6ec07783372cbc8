use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 2)]
enum UserEvent {
    Created {
        #[event(added = 2)]
        name: String,
    },
}

fn main() {}
