use portolan_kernel::domain::{Event, Projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: u64 },
}

#[derive(Projection)]
#[projection(events = AccountEvent, key = stream)]
struct Balance {
    owner: String,
}

fn main() {}
