use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

fn named(old: &str) -> String {
    old.into()
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 2)]
enum UserEvent {
    #[event(upcast(from = 1, with = named))]
    Created { name: String },
}

fn main() {}
