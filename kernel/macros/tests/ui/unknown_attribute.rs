use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    #[event(rename = "account.opened")]
    Opened { owner: String },
}

fn main() {}
