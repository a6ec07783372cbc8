//! Checkpoints: one item each, moved by compare-and-set under a fencing token (ES-13).

use crate::error::Fault;
use crate::pieces;
use crate::schema::{BLOB, POSITION, TOKEN};
use crate::table::{Item, Key};
use aws_sdk_dynamodb::types::AttributeValue;
use portolan_kernel::values::{Position, Token};

fn text(position: Option<Position>, token: Token) -> Vec<u8> {
    format!("{} {}", position.map_or(0, Position::get), token.0).into_bytes()
}

/// The item: position and token as numbers, which conditions compare, and once more under a checksum.
pub(crate) fn item(key: &Key, position: Option<Position>, token: Token) -> Item {
    let mut item = key.item();
    if let Some(position) = position {
        item.insert(POSITION.to_string(), AttributeValue::N(position.to_string()));
    }
    item.insert(TOKEN.to_string(), AttributeValue::N(token.0.to_string()));
    item.insert(BLOB.to_string(), AttributeValue::B(pieces::sealed(key, text(position, token)).into()));
    item
}

/// Where the item says that the checkpoint stands.
pub(crate) fn decode(key: &Key, item: &Item) -> Result<(Option<Position>, Token), Fault> {
    let damaged = || Fault::Damaged(key.place());
    let number = |name| match item.get(name) {
        None => Ok(None),
        Some(value) => value.as_n().ok().and_then(|n| n.parse::<u64>().ok()).map(Some).ok_or_else(damaged),
    };
    let token = Token(number(TOKEN)?.ok_or_else(damaged)?);
    let position = match number(POSITION)? {
        None => None,
        Some(number) => Some(Position::new(number).ok_or_else(damaged)?),
    };
    let blob = item.get(BLOB).and_then(|value| value.as_b().ok()).ok_or_else(damaged)?;
    if pieces::unsealed(key, blob.clone().into_inner())? == text(position, token) {
        Ok((position, token))
    } else {
        Err(damaged())
    }
}
