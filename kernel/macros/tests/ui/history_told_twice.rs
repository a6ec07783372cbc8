use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 2)]
enum UserEvent {
    Created { name: String },
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 2, history = UserEvent)]
enum Creations {
    Created {
        #[event(was = "called", since = 2)]
        name: String,
    },
}

fn main() {}
