use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Opened { owner: String },
    #[event(name = "account.opened")]
    Reopened { owner: String },
}

fn main() {}
