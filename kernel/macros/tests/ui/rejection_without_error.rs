use portolan_kernel::domain::Rejection;
use serde::{Deserialize, Serialize};

#[derive(Rejection, Serialize, Deserialize, Debug)]
enum Refused {
    InsufficientFunds { missing: u64 },
}

fn main() {}
