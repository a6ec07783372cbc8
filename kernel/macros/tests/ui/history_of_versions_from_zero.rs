use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 0)]
enum UserEvent {
    Created { name: String },
}

fn main() {}
