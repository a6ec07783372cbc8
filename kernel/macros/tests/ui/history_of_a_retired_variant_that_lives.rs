use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 2, retired(Flagged, until = 1))]
enum UserEvent {
    Created { name: String },
    Flagged,
}

fn main() {}
