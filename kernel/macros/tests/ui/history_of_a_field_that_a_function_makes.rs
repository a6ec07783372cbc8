use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Old {}

#[derive(Serialize)]
struct New {
    name: String,
}

fn named(_: Old) -> New {
    New { name: "Unknown".into() }
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 2)]
enum UserEvent {
    #[event(upcast(from = 1, with = named))]
    Created {
        #[event(added = 2, default = "Unknown")]
        name: String,
    },
}

fn main() {}
