//! What functions of both histories take and give.

use portolan_kernel::domain::history::Pieces;
use serde::{Deserialize, Serialize};

/// Version 1 had the address in one line.
#[derive(Deserialize)]
pub(crate) struct OneLine {
    user_id: String,
    address: String,
}

#[derive(Serialize)]
pub(crate) struct TwoLines {
    user_id: String,
    street: String,
    city: String,
}

pub(crate) fn split_address(old: OneLine) -> TwoLines {
    let (street, city) = old.address.split_once(", ").unwrap_or((&old.address, "somewhere"));
    TwoLines { user_id: old.user_id, street: street.into(), city: city.into() }
}

/// Version 2 had the limit as text.
#[derive(Deserialize)]
pub(crate) struct LimitText {
    limit: String,
}

#[derive(Serialize)]
pub(crate) struct LimitNumber {
    limit: u128,
}

pub(crate) fn read_limit(old: LimitText) -> Result<LimitNumber, core::num::ParseIntError> {
    Ok(LimitNumber { limit: old.limit.parse()? })
}

/// A type that there is no more: both in one.
#[derive(Deserialize)]
pub(crate) struct Moved {
    user_id: String,
    address: String,
    mail: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Mail {
    user_id: String,
    email: String,
}

pub(crate) fn split_move(old: Moved) -> Pieces {
    let line = OneLine { user_id: old.user_id.clone(), address: old.address };
    let pieces = Pieces::new().event("user.address-set", 2, &split_address(line));
    match old.mail {
        Some(email) => pieces.event("user.email-updated", 3, &Mail { user_id: old.user_id, email }),
        None => pieces,
    }
}

pub(crate) fn nowhere() -> Vec<String> {
    vec!["de".into()]
}
