use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct AccountId(u64);

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Opened {
        #[tag]
        account_id: AccountId,
    },
}

fn main() {}
