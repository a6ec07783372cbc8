use portolan_kernel::drivers::Query;
use serde::{Deserialize, Serialize};

#[derive(Query, Serialize, Deserialize)]
#[query(name = "account")]
struct AccountQuery {
    account_id: String,
}

fn main() {}
