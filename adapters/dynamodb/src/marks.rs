//! Items that change: where a checkpoint stands, what a version of a collection is, which one is active, who has a lease.
//!
//! Each carries the id of what wrote it last. Whoever writes it next names the id that it read, so that of several one
//! comes through; no id comes twice.

use crate::encoding::{Raw, decode, encode};
use crate::error::Fault;
use crate::pieces;
use crate::rows::Token;
use crate::schema::BLOB;
use crate::table::{Item, Key};
use aws_sdk_dynamodb::types::AttributeValue;
use portolan_kernel::values::Name;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The attribute that holds the id, which conditions compare.
pub(crate) const ID: &str = "e";

/// An item that changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) id: Token,
    /// Rises with each batch that writes it.
    pub(crate) count: u64,
    /// The batch that wrote it, while that is not yet carried through.
    pub(crate) open: Option<Open>,
    pub(crate) value: Vec<u8>,
}

/// A batch that is committed and not yet carried through.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Open {
    pub(crate) checkpoint: Name,
    pub(crate) id: Token,
}

#[derive(Serialize, Deserialize)]
struct MarkRow<'a> {
    id: Token,
    count: u64,
    #[serde(borrow)]
    open: Option<(&'a str, Token)>,
    value: Raw<'a>,
}

/// An id that nothing else has.
pub(crate) fn fresh_id() -> Token {
    fastrand::u128(..).to_be_bytes()
}

impl Mark {
    /// What stands in place of `before`.
    pub(crate) fn after(before: Option<&Self>, id: Token, open: Option<Open>, value: Vec<u8>) -> Self {
        Self { id, count: before.map_or(0, |before| before.count) + 1, open, value }
    }

    pub(crate) fn item(&self, key: &Key) -> Item {
        let open = self.open.as_ref().map(|open| (&*open.checkpoint, open.id));
        let row = encode(&MarkRow { id: self.id, count: self.count, open, value: Raw(&self.value) });
        let mut item = key.item();
        item.insert(BLOB.to_string(), AttributeValue::B(pieces::sealed(key, row).into()));
        item.insert(ID.to_string(), AttributeValue::B(self.id.to_vec().into()));
        item
    }

    pub(crate) fn decode(key: &Key, item: &Item) -> Result<Self, Fault> {
        let damaged = || Fault::Damaged(key.place());
        let blob = |name| item.get(name).and_then(|value: &AttributeValue| value.as_b().ok()).ok_or_else(damaged);
        let bytes = pieces::unsealed(key, blob(BLOB)?.as_ref().to_vec())?;
        let row: MarkRow<'_> = decode(key, &bytes)?;
        if blob(ID)?.as_ref() != row.id {
            return Err(damaged());
        }
        let open = row.open.map(|(name, id)| Ok(Open { checkpoint: Name::new(name).map_err(|_| damaged())?, id }));
        Ok(Self { id: row.id, count: row.count, open: open.transpose()?, value: row.value.0.to_vec() })
    }

    pub(crate) fn decode_all(items: &HashMap<Key, Item>) -> Result<HashMap<Key, Self>, Fault> {
        items.iter().map(|(key, item)| Ok((key.clone(), Self::decode(key, item)?))).collect()
    }
}
