use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
enum AccountEvent {
    Opened { owner: String },
}

fn main() {}
