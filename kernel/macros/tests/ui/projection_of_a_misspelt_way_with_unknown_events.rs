use portolan_kernel::domain::{Event, Projection, Row};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: u64 },
}

#[derive(Row, Projection)]
#[projection(events = AccountEvent, key = stream, on_unknown = ignore)]
struct Balance {
    owner: String,
}

fn main() {}
