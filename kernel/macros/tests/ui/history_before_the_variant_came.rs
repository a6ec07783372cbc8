use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 3)]
enum UserEvent {
    #[event(added = 3, renamed_from = "Seen", since = 2)]
    CityVisited { city: String },
}

fn main() {}
