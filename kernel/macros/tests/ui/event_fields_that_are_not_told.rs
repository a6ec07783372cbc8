use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    #[event(fields)]
    Opened(Opened),
}

#[derive(Serialize, Deserialize)]
struct Opened {
    owner: String,
}

fn main() {}
