//! What banks have stored over the years is read by the bank of now.
#![allow(dead_code, reason = "of the bank, its events alone are needed here")]
#![allow(unexpected_cfgs, reason = "the bank's features are those of the facade")]

#[path = "../../examples/bank.rs"]
mod bank;

use bank::AccountEvent::{Closed, Deposited, Opened, Withdrawn};

#[test]
fn stored_events_of_every_version_are_read() {
    portolan_testing::golden("../examples/bank-events")
        .sample(Opened { owner: "Ann".into(), currency: "EUR".into() })
        .sample(Deposited { amount: 500, reference: Some("rent".into()) })
        .sample(Deposited { amount: 500, reference: None })
        .sample(Withdrawn { amount: 30 })
        .sample(Closed)
        .check();
}
