//! What requests consume, as DynamoDB counts it: each is made to ask, and the answers are summed up.

use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextMut;
use serde_json::Value;

/// Capacity units of writes and of reads.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Capacity {
    pub(crate) writes: f64,
    pub(crate) reads: f64,
}

impl Capacity {
    /// Adds what an answer says: one `ConsumedCapacity`, or a list of one a table.
    pub(super) fn add(&mut self, operation: &str, consumed: &Value) {
        let tables = consumed.as_array().map_or_else(|| std::slice::from_ref(consumed), Vec::as_slice);
        let units = tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum::<f64>();
        match operation {
            "BatchGetItem" | "GetItem" | "Query" | "Scan" | "TransactGetItems" => self.reads += units,
            _ => self.writes += units,
        }
    }
}

/// Lets every input of these types ask for what it consumes.
macro_rules! ask {
    ($input:expr, $($of:ty),+) => {$(
        if let Some(input) = $input.downcast_mut::<$of>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        }
    )+};
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Capacity {
    fn name(&self) -> &'static str {
        "Capacity"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        ask!(input, BatchGetItemInput, GetItemInput, PutItemInput, QueryInput, TransactGetItemsInput);
        ask!(input, TransactWriteItemsInput, UpdateItemInput);
        Ok(())
    }
}
