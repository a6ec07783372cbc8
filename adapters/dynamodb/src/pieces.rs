//! Bytes as items: each record is one value with a checksum, cut into pieces where it is larger than an item may be.

use crate::error::Fault;
use crate::schema::{BLOB, PIECES, sort_of_piece};
use crate::table::{Item, Key};
use aws_sdk_dynamodb::types::AttributeValue;

/// What one item holds at most, beside its key: DynamoDB's limit is 400 KiB with everything.
pub(crate) const PIECE_BYTES: usize = 390 << 10;

/// The bytes with their checksum, which covers the key too: an item is not taken for another.
pub(crate) fn sealed(key: &Key, mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(key, &bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

fn checksum(key: &Key, bytes: &[u8]) -> u32 {
    let of_key = crc32c::crc32c_append(crc32c::crc32c(key.partition.as_bytes()), key.sort.as_bytes());
    crc32c::crc32c_append(of_key, bytes)
}

/// The bytes, if they are those that were sealed.
pub(crate) fn unsealed(key: &Key, mut bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let damaged = || Fault::Damaged(key.place());
    let at = bytes.len().checked_sub(4).ok_or_else(damaged)?;
    let stored = <[u8; 4]>::try_from(&bytes[at..]).map_err(|_| damaged())?;
    bytes.truncate(at);
    if checksum(key, &bytes) == u32::from_be_bytes(stored) { Ok(bytes) } else { Err(damaged()) }
}

/// Further pieces that sealed bytes of this length need.
pub(crate) fn further(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE_BYTES).max(1) - 1).unwrap_or(u32::MAX)
}

/// The items of a sealed record, the first under its own key.
pub(crate) fn cut(key: &Key, sealed: &[u8]) -> Vec<Item> {
    let further = further(sealed.len());
    let piece = |(number, bytes): (u32, &[u8])| {
        let mut item = Key { partition: key.partition.clone(), sort: sort_of_piece(&key.sort, number) }.item();
        item.insert(BLOB.to_string(), AttributeValue::B(bytes.to_vec().into()));
        if number == 0 && further > 0 {
            item.insert(PIECES.to_string(), AttributeValue::N(further.to_string()));
        }
        item
    };
    (0..).zip(sealed.chunks(PIECE_BYTES)).map(piece).collect()
}

/// How many further pieces the first item says there are.
pub(crate) fn further_of(first: &Item) -> u32 {
    first.get(PIECES).and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or(0)
}

/// The keys of a record's items, the first one's own first.
pub(crate) fn keys(key: &Key, further: u32) -> impl Iterator<Item = Key> {
    let (partition, sort) = (key.partition.clone(), key.sort.clone());
    (0..=further).map(move |number| Key { partition: partition.clone(), sort: sort_of_piece(&sort, number) })
}

/// The record of these items, found by their keys; `None` when one is missing.
pub(crate) fn joined<'a>(key: &Key, find: impl Fn(&Key) -> Option<&'a Item>) -> Option<Result<Vec<u8>, Fault>> {
    let first = find(key)?;
    let mut bytes = Vec::new();
    for piece in keys(key, further_of(first)) {
        match find(&piece)?.get(BLOB) {
            Some(AttributeValue::B(blob)) => bytes.extend_from_slice(blob.as_ref()),
            _ => return Some(Err(Fault::Damaged(piece.place()))),
        }
    }
    Some(unsealed(key, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn key() -> Key {
        Key { partition: "p".to_string(), sort: "s".to_string() }
    }

    fn stored(bytes: Vec<u8>) -> HashMap<Key, Item> {
        cut(&key(), &sealed(&key(), bytes)).into_iter().map(|item| (Key::of(&item).unwrap(), item)).collect()
    }

    #[test]
    fn what_is_cut_is_joined_again() {
        for size in [0, 1, PIECE_BYTES - 5, PIECE_BYTES - 4, PIECE_BYTES - 3, PIECE_BYTES, 3 * PIECE_BYTES] {
            let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let items = stored(bytes.clone());
            assert_eq!(items.len(), further(size + 4) as usize + 1, "items of {size} bytes");
            assert_eq!(joined(&key(), |key| items.get(key)).unwrap().unwrap(), bytes);
        }
    }

    #[test]
    fn a_missing_piece_is_missed_and_a_flipped_bit_found() {
        let mut items = stored(vec![7; 2 * PIECE_BYTES]);
        let second = Key { sort: sort_of_piece("s", 1), ..key() };
        let whole = items[&second].clone();
        items.remove(&second);
        assert!(joined(&key(), |key| items.get(key)).is_none());
        let mut flipped = whole.clone();
        if let Some(AttributeValue::B(blob)) = flipped.get_mut(BLOB) {
            let mut bytes = blob.clone().into_inner();
            bytes[9] ^= 1;
            *blob = bytes.into();
        }
        items.insert(second, flipped);
        assert!(matches!(joined(&key(), |key| items.get(key)), Some(Err(Fault::Damaged(_)))));
    }

    #[test]
    fn a_record_under_another_key_is_no_record() {
        let sealed = sealed(&key(), b"bytes".to_vec());
        assert!(unsealed(&Key { sort: "t".to_string(), ..key() }, sealed.clone()).is_err());
        assert_eq!(unsealed(&key(), sealed).unwrap(), b"bytes");
    }
}
