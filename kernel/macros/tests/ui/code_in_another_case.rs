use portolan_kernel::domain::Rejection;
use serde::{Deserialize, Serialize};

#[derive(Rejection, thiserror::Error, Serialize, Deserialize, Debug)]
enum Refused {
    #[error("{missing} cents short")]
    #[rejection(code = "InsufficientFunds")]
    InsufficientFunds { missing: u64 },
}

fn main() {}
