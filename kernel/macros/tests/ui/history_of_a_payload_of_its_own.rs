use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payment {
    amount: u64,
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", version = 2)]
enum UserEvent {
    Paid(#[event(was = "sum", since = 2)] Payment),
}

fn main() {}
