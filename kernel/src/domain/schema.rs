//! JSON Schemas of what crosses a wire, by [schemars](https://docs.rs/schemars).
//!
//! The derives call these; by hand they are as short:
//!
//! ```
//! use portolan_kernel::domain::{Command, JsonSchema, schema};
//! # use serde::{Deserialize, Serialize};
//! # use serde_json::{Value, json};
//!
//! #[derive(JsonSchema, Serialize, Deserialize)]
//! struct Deposit { account_id: String, amount: u64 }
//!
//! impl Command for Deposit {
//!     const NAME: &'static str = "deposit";
//!     fn schema() -> Option<Value> { Some(schema::of_input::<Self>()) }
//! }
//!
//! let schema = Deposit::schema().unwrap();
//! assert_eq!(schema["required"], json!(["account_id", "amount"]));
//! assert_eq!(schema["additionalProperties"], false);
//! ```

mod payloads;

pub use payloads::of_events;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

pub(super) mod trait_alone {
    pub use schemars::JsonSchema;
}

/// The JSON Schema (2020-12) of what somebody outside sends. No object in it has room for unknown fields, because
/// [`Json::decode_object`](super::Json::decode_object) refuses them.
#[must_use]
pub fn of_input<T: JsonSchema + ?Sized>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with_transform(Closed);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The JSON Schema (2020-12) of what is sent to somebody outside.
#[must_use]
pub fn of_output<T: JsonSchema + ?Sized>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

/// Closes objects whose fields are all in sight.
#[derive(Clone)]
struct Closed;

impl Transform for Closed {
    fn transform(&mut self, schema: &mut Schema) {
        let has = |schema: &Schema, any_of: &[&str]| any_of.iter().any(|key| schema.get(*key).is_some());
        let is_object = has(schema, &["properties"]);
        if is_object && has(schema, &["allOf", "anyOf", "oneOf", "$ref"]) {
            return; // of a flattened field: its own fields stand beside, not below
        }
        transform_subschemas(self, schema);
        if is_object && !has(schema, &["additionalProperties", "unevaluatedProperties"]) {
            schema.insert("additionalProperties".into(), false.into());
        }
    }
}
