use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(catgory = "account")]
enum AccountEvent {
    Opened { owner: String },
}

fn main() {}
