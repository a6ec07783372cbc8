//! Transactions of items that are written as they were read.

use crate::error::{Fault, NotWritten};
use crate::marks::{ID, Mark};
use crate::outcome::is_failure;
use crate::rows::Token;
use crate::table::{Backoff, Item, Key, Table};
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem};
use portolan_kernel::ports::Source;
use std::collections::HashMap;
use tokio::time::Instant;

/// What came of a transaction.
#[derive(Debug)]
pub(crate) enum Carried {
    Out,
    /// A condition does not hold, and will not any more. Where an earlier request was not answered, that one may have
    /// been carried out.
    Failed {
        unsure: bool,
    },
    /// Nothing was written.
    Refused(Fault),
    /// It may have been carried out, and may yet be.
    Unknown(Fault),
}

/// What an item has to be for an action to take place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum If {
    Absent,
    /// Written by this.
    Is(Token),
}

impl If {
    /// As it was read.
    pub(crate) fn still(read: Option<&Mark>) -> Self {
        read.map_or(Self::Absent, |mark| Self::Is(mark.id))
    }

    pub(crate) fn expression(self) -> String {
        match self {
            Self::Absent => "attribute_not_exists(pk)".to_string(),
            Self::Is(_) => format!("{ID} = :{ID}"),
        }
    }

    pub(crate) fn values(self) -> Option<HashMap<String, AttributeValue>> {
        match self {
            Self::Absent => None,
            Self::Is(id) => Some(HashMap::from([(format!(":{ID}"), AttributeValue::B(id.to_vec().into()))])),
        }
    }
}

fn unfit(error: BuildError) -> Fault {
    Fault::Refused(Source::new(error))
}

impl Table {
    pub(crate) fn put(&self, item: Item, on: Option<If>) -> Result<TransactWriteItem, Fault> {
        let put = Put::builder().table_name(&self.name).set_item(Some(item));
        let put = put.set_condition_expression(on.map(If::expression));
        let put = put.set_expression_attribute_values(on.and_then(If::values)).build().map_err(unfit)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    pub(crate) fn delete(&self, key: &Key, on: Option<If>) -> Result<TransactWriteItem, Fault> {
        let delete = Delete::builder().table_name(&self.name).set_key(Some(key.item()));
        let delete = delete.set_condition_expression(on.map(If::expression));
        let delete = delete.set_expression_attribute_values(on.and_then(If::values)).build().map_err(unfit)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    pub(crate) fn check(&self, key: &Key, on: If) -> Result<TransactWriteItem, Fault> {
        let check = ConditionCheck::builder().table_name(&self.name).set_key(Some(key.item()));
        let check = check.condition_expression(on.expression());
        let check = check.set_expression_attribute_values(on.values()).build().map_err(unfit)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// The transaction, repeated under its id until its outcome is told.
    pub(crate) async fn carry_out(&self, id: Token, items: &[TransactWriteItem]) -> Carried {
        let token = format!("{:032x}", u128::from_be_bytes(id));
        let (until, mut unsure, mut backoff) = (Instant::now() + self.patience, None, Backoff::default());
        loop {
            let fault = match self.transact(&token, items.to_vec()).await {
                Ok(()) => return Carried::Out,
                Err(NotWritten::Cancelled(reasons)) => match reasons.iter().find(|reason| is_failure(reason)) {
                    Some(reason) if reason.code() == Some("ConditionalCheckFailed") => {
                        return Carried::Failed { unsure: unsure.is_some() };
                    }
                    Some(reason) => Fault::Refused(Source::new(format!("{reason:?}"))),
                    None => Fault::Throttled(Source::new("other transactions stand in the way")),
                },
                Err(NotWritten::InProgress) => Fault::NoAnswer(Source::new("the transaction is in progress")),
                Err(NotWritten::Fault(fault)) => fault,
            };
            if matches!(fault, Fault::NoAnswer(_)) {
                unsure = Some(fault.clone());
            }
            if !fault.is_passing() || Instant::now() >= until {
                return unsure.map_or(Carried::Refused(fault), Carried::Unknown);
            }
            backoff.pause().await;
        }
    }
}
