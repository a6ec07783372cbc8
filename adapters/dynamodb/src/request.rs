//! A transaction under construction: each item with its condition, and whose failure it would be.

use crate::group::{Frame, Owner};
use crate::keys::Kept;
use crate::rows::Token;
use crate::schema::{POSITION, RECORDED, TOKEN, TTL};
use crate::table::{Item, Key};
use crate::{checkpoints, keys, pieces};
use aws_sdk_dynamodb::types::builders::{ConditionCheckBuilder, PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use portolan_kernel::values::{Appended, Checkpoint, IdempotencyKey, Move, Recalled, Timestamp};

const ABSENT: &str = "attribute_not_exists(pk)";

/// The items so far, and for each its owner.
pub(crate) struct Request<'a> {
    pub(crate) frame: &'a Frame<'a>,
    pub(crate) items: Vec<TransactWriteItem>,
    pub(crate) owners: Vec<Owner>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(frame: &'a Frame<'a>) -> Self {
        Self { frame, items: Vec::new(), owners: Vec::new() }
    }

    fn push(&mut self, item: TransactWriteItem, owner: Owner) {
        self.items.push(item);
        self.owners.push(owner);
    }

    fn put(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(self.frame.table).set_item(Some(item))
    }

    fn check(&self, key: &Key) -> ConditionCheckBuilder {
        ConditionCheck::builder().table_name(self.frame.table).set_key(Some(key.item()))
    }

    /// That there is nothing under this key.
    pub(crate) fn check_absent(&mut self, key: &Key, owner: Owner) {
        let check = self.check(key).condition_expression(ABSENT);
        self.push_check(check, owner);
    }

    fn push_put(&mut self, put: PutBuilder, owner: Owner) {
        // Table and item are set, and nothing else is needed.
        if let Ok(put) = put.build() {
            self.push(TransactWriteItem::builder().put(put).build(), owner);
        }
    }

    fn push_check(&mut self, check: ConditionCheckBuilder, owner: Owner) {
        // Table, key and condition are set, and nothing else is needed.
        if let Ok(check) = check.build() {
            self.push(TransactWriteItem::builder().condition_check(check).build(), owner);
        }
    }

    pub(crate) fn put_plain(&mut self, item: Item) {
        self.push_put(self.put(item), Owner::Nobody);
    }

    /// A record that must not be there yet.
    pub(crate) fn put_record(&mut self, key: &Key, sealed: &[u8], position: u64, owner: Owner) {
        for (number, mut item) in pieces::cut(key, sealed).into_iter().enumerate() {
            item.insert(POSITION.to_string(), AttributeValue::N(position.to_string()));
            let put = self.put(item);
            let put = if number == 0 { put.condition_expression(ABSENT) } else { put };
            self.push_put(put, owner.clone());
        }
    }

    pub(crate) fn move_head(&mut self, from: u64, to: u64) {
        let update: UpdateBuilder = Update::builder()
            .table_name(self.frame.table)
            .set_key(Some(self.frame.space.head().item()))
            .update_expression("SET p = :n")
            .condition_expression("p = :p AND i = :i")
            .expression_attribute_values(":n", AttributeValue::N(to.to_string()))
            .expression_attribute_values(":p", AttributeValue::N(from.to_string()))
            .expression_attribute_values(":i", self.identity());
        // Table, key and expression are set, and nothing else is needed.
        if let Ok(update) = update.build() {
            self.push(TransactWriteItem::builder().update(update).build(), Owner::LogHead);
        }
    }

    pub(crate) fn check_head(&mut self, at: u64) {
        let check = self
            .check(&self.frame.space.head())
            .condition_expression("p = :p AND i = :i")
            .expression_attribute_values(":p", AttributeValue::N(at.to_string()))
            .expression_attribute_values(":i", self.identity());
        self.push_check(check, Owner::LogHead);
    }

    fn identity(&self) -> AttributeValue {
        AttributeValue::B(self.frame.identity.as_bytes().to_vec().into())
    }

    pub(crate) fn put_key(
        &mut self,
        key: &IdempotencyKey,
        outcome: &Appended,
        token: Token,
        at: Timestamp,
        job: usize,
    ) {
        let item_key = self.frame.space.key(&key.scope, &key.id);
        let recalled = Recalled::new(outcome.clone().as_repeated(), key.digest);
        let sealed = Kept { token, recorded_at: at, recalled }.sealed(&item_key);
        for mut item in pieces::cut(&item_key, &sealed) {
            item.insert(RECORDED.to_string(), AttributeValue::N(at.as_micros().to_string()));
            if let Some(retention) = self.frame.retention {
                item.insert(TTL.to_string(), AttributeValue::N(keys::time_to_live(retention).to_string()));
            }
            let put = self.put(item).condition_expression(keys::FREE);
            let put = put
                .expression_attribute_values(":e", keys::expired_if_recorded_by(self.frame.retention, at))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            self.push_put(put, Owner::Key(job));
        }
    }

    pub(crate) fn put_checkpoint(&mut self, checkpoint: &Checkpoint, job: usize) {
        let position = match checkpoint.to {
            Move::Claim => checkpoint.from,
            Move::At(to) => Some(to),
            Move::Reset(to) => to,
        };
        let key = self.frame.space.checkpoint(&checkpoint.name);
        let put = self.put(checkpoints::item(&key, position, checkpoint.token));
        let token = AttributeValue::N(checkpoint.token.0.to_string());
        let put = put.expression_attribute_values(format!(":{TOKEN}"), token);
        let put = match checkpoint.from {
            None => put.condition_expression("attribute_not_exists(p) AND (attribute_not_exists(pk) OR t <= :t)"),
            Some(from) => put
                .condition_expression("p = :p AND t <= :t")
                .expression_attribute_values(":p", AttributeValue::N(from.to_string())),
        };
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.push_put(put, Owner::Checkpoint(job));
    }
}
