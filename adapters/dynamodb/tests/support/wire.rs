//! DynamoDB's wire: JSON over HTTP, the operation in a header.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// An item as the wire has it: attribute names to typed values.
pub(super) type Item = Map<String, Value>;

/// What is asked of DynamoDB.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// Such as `TransactWriteItems`.
    pub(crate) operation: String,
    pub(crate) body: Value,
}

impl Request {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_string();
        let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
        Self { operation, body: body.unwrap_or_default() }
    }

    /// The actions of a transaction: each with its kind (`Put`, `Update`, `Delete`, `ConditionCheck`, `Get`).
    pub(crate) fn actions(&self) -> impl Iterator<Item = (&str, &Value)> {
        let actions = self.body["TransactItems"].as_array().into_iter().flatten();
        actions.filter_map(|action| action.as_object()?.iter().next().map(|(kind, what)| (kind.as_str(), what)))
    }
}

pub(super) fn answer(status: u16, body: &Value) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status of HTTP");
    let mut answer = HttpResponse::new(status, SdkBody::from(body.to_string()));
    answer.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    answer
}

/// An error as DynamoDB says it.
pub(super) fn refusal(status: u16, kind: &str, message: &str, more: Value) -> HttpResponse {
    let mut body = json!({"__type": kind, "message": message});
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    answer(status, &body)
}

/// A transaction that is cancelled, and why, action by action.
pub(super) fn cancelled(reasons: &[&str]) -> HttpResponse {
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        reasons.join(", ")
    );
    let reasons: Vec<_> =
        reasons.iter().map(|code| json!({"Code": code, "Message": format!("{code}, as told")})).collect();
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    refusal(400, kind, &message, json!({"CancellationReasons": reasons}))
}

/// Reads an answer to its end: the same answer again, and its body.
pub(super) async fn read(mut answer: HttpResponse) -> Result<(HttpResponse, Value), ConnectorError> {
    let body = ByteStream::new(answer.take_body()).collect().await;
    let bytes = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    let parsed = serde_json::from_slice(&bytes).unwrap_or_default();
    *answer.body_mut() = SdkBody::from(bytes);
    Ok((answer, parsed))
}

/// The same answer with another body.
pub(super) fn with_body(mut answer: HttpResponse, body: &Value) -> HttpResponse {
    let text = body.to_string();
    answer.headers_mut().remove("x-amz-crc32");
    answer.headers_mut().insert("content-length", text.len().to_string());
    *answer.body_mut() = SdkBody::from(text);
    answer
}

pub(super) fn item(item: &HashMap<String, AttributeValue>) -> Item {
    item.iter().map(|(name, attribute)| (name.clone(), value(attribute))).collect()
}

fn value(attribute: &AttributeValue) -> Value {
    let bytes = |blob: &aws_sdk_dynamodb::primitives::Blob| STANDARD.encode(blob);
    match attribute {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::B(blob) => json!({"B": bytes(blob)}),
        AttributeValue::Bool(bool) => json!({"BOOL": bool}),
        AttributeValue::Null(_) => json!({"NULL": true}),
        AttributeValue::L(list) => json!({"L": list.iter().map(value).collect::<Vec<_>>()}),
        AttributeValue::M(map) => json!({"M": item(map)}),
        AttributeValue::Ss(set) => json!({"SS": set}),
        AttributeValue::Ns(set) => json!({"NS": set}),
        AttributeValue::Bs(set) => json!({"BS": set.iter().map(bytes).collect::<Vec<_>>()}),
        other => unreachable!("an attribute of a kind that DynamoDB did not have: {other:?}"),
    }
}

/// A typed value of the wire as the SDK has it; for keys, so scalars alone.
pub(super) fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let text = value.as_str()?.to_string();
    match kind.as_str() {
        "S" => Some(AttributeValue::S(text)),
        "N" => Some(AttributeValue::N(text)),
        "B" => Some(AttributeValue::B(STANDARD.decode(text).ok()?.into())),
        _ => None,
    }
}
