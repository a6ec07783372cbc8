use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user")]
enum UserEvent {
    Created {
        #[event(added = 2, default = "Unknown")]
        name: String,
    },
}

fn main() {}
