//! What events tell of their payloads is what `encode` writes.

#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

use portolan_kernel::domain::{Command, Event, JsonSchema, Upcasters};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::Format;
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Event, JsonSchema, Serialize, Deserialize, Debug, PartialEq)]
#[event(category = "order", version = 2)]
#[serde(rename_all = "camelCase")]
enum OrderEvent {
    Unit,
    /// It is documented, and so stands elsewhere in schemars' schema.
    DocumentedUnit,
    #[serde(rename = "other")]
    #[event(version = 3, name = "order.renamed")]
    Renamed {
        #[serde(rename = "to")]
        field: String,
    },
    NoFields {},
    Fields {
        amount: u64,
        note: Option<String>,
        #[serde(skip)]
        here: bool,
        #[serde(default)]
        late: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        seldom: Option<i64>,
    },
    #[serde(rename_all = "UPPERCASE")]
    Shouted {
        one: bool,
    },
    Text(String),
    Maybe(Option<u64>),
    Paid(Payment),
    Tree(Node),
    Within(Box<OrderEvent>),
}

#[derive(JsonSchema, Serialize, Deserialize, Debug, PartialEq)]
struct Payment {
    amount: u64,
    by: Means,
    more: BTreeMap<String, u8>,
}

#[derive(JsonSchema, Serialize, Deserialize, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Means {
    Cash,
    Card { number: String },
}

#[derive(JsonSchema, Serialize, Deserialize, Debug, PartialEq)]
struct Node {
    children: Vec<Node>,
}

fn schema_of(event_type: &str) -> (u32, Value) {
    let of = OrderEvent::schemas().into_iter().find(|of| of.event_type == event_type).unwrap();
    (of.version, of.schema.unwrap())
}

fn paid(by: Means) -> OrderEvent {
    OrderEvent::Paid(Payment { amount: 1, by, more: BTreeMap::from([("tip".into(), 2)]) })
}

fn fields(note: Option<&str>, seldom: Option<i64>) -> OrderEvent {
    OrderEvent::Fields { amount: 1, note: note.map(Into::into), here: true, late: 2, seldom }
}

/// The event, and payloads that are none of it.
#[rstest]
#[case::unit(OrderEvent::Unit, &[json!([])])]
#[case::documented_unit(OrderEvent::DocumentedUnit, &[json!("documentedUnit")])]
#[case::renamed(OrderEvent::Renamed { field: "a".into() }, &[json!({}), json!({"field": "a"})])]
#[case::no_fields(OrderEvent::NoFields {}, &[json!(null)])]
#[case::fields(fields(Some("n"), Some(-1)), &[
    json!({"amount": -1, "note": null, "late": 0}),
    json!({"amount": 1, "note": null}),
    json!({"amount": 1, "late": 0}),
    json!({"amount": 1, "note": null, "late": 256}),
    json!({"amount": 1, "note": null, "late": 0, "seldom": "x"}),
])]
#[case::without_options(fields(None, None), &[])]
#[case::shouted(OrderEvent::Shouted { one: true }, &[json!({"one": true})])]
#[case::text(OrderEvent::Text("a".into()), &[json!({}), json!({"text": "a"})])]
#[case::some(OrderEvent::Maybe(Some(1)), &[json!("1")])]
#[case::none(OrderEvent::Maybe(None), &[json!(true)])]
#[case::cash(paid(Means::Cash), &[json!({"amount": 1, "by": "gold", "more": {}})])]
#[case::card(paid(Means::Card { number: "1".into() }), &[json!({"amount": 1, "by": {"card": {}}, "more": {}})])]
#[case::tree(OrderEvent::Tree(Node { children: vec![Node { children: vec![] }] }), &[
    json!({"children": [{"children": [{}]}]}),
])]
#[case::within(OrderEvent::Within(Box::new(OrderEvent::Text("a".into()))), &[json!("a"), json!({"text": 1})])]
fn a_schema_takes_what_is_written(#[case] event: OrderEvent, #[case] others: &[Value]) {
    let (version, schema) = schema_of(event.event_type());
    assert_eq!(version, event.version());
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let written: Value = serde_json::from_slice(&event.encode().unwrap()).unwrap();
    assert!(validator.is_valid(&written), "{written} is none of {schema:#}");
    for other in others {
        assert!(!validator.is_valid(other), "{other} is one of {schema:#}");
    }
}

#[test]
fn a_schema_carries_what_it_refers_to_and_no_more() {
    let names = |event_type| {
        let schema = schema_of(event_type).1;
        schema.get("$defs").and_then(Value::as_object).map(|of| of.keys().cloned().collect::<Vec<_>>())
    };
    assert_eq!(names("order.text"), None);
    assert_eq!(names("order.tree").unwrap(), ["Node"]);
    assert_eq!(names("order.paid").unwrap(), ["Means", "Payment"]);
    assert!(names("order.within").unwrap().contains(&"OrderEvent".into()));
    assert_eq!(
        schema_of("order.documented-unit").1["description"],
        "It is documented, and so stands elsewhere in schemars' schema."
    );
    assert_eq!(schema_of("order.text").1["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn every_variant_is_told_in_order() {
    let told: Vec<_> = OrderEvent::schemas().into_iter().map(|of| (of.event_type, of.version)).collect();
    assert_eq!(told[..3], [("order.unit".into(), 2), ("order.documented-unit".into(), 2), ("order.renamed".into(), 3)]);
    assert_eq!(told.len(), 11);
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "jar")]
enum JarEvent {
    Filled { coins: u64 },
    Sealed,
}

#[derive(Event, JsonSchema, Serialize, Deserialize)]
#[event(category = "jar")]
enum Sealing {
    Sealed,
}

/// It looks at some variants alone, and what they look like is told by the other.
#[derive(Event, JsonSchema, Serialize, Deserialize)]
#[event(category = "jar", history = JarEvent)]
enum SomeOfThem {
    Sealed,
}

#[derive(Event, JsonSchema, Serialize, Deserialize)]
#[event(category = "box", codec = Reversed)]
enum BoxEvent {
    Shut { by: String },
}

struct Reversed;

impl portolan_kernel::domain::Codec for Reversed {
    const FORMAT: Format = Format::Binary;
    fn encode<T: Serialize + ?Sized>(value: &T) -> Result<portolan_kernel::Bytes, portolan_kernel::domain::CodecError> {
        let mut bytes = portolan_kernel::domain::Json::encode(value)?.to_vec();
        bytes.reverse();
        Ok(bytes.into())
    }
    fn decode_seed<'de, S: serde::de::DeserializeSeed<'de> + Clone>(
        _: S,
        _: &'de [u8],
    ) -> Result<S::Value, portolan_kernel::domain::CodecError> {
        unreachable!("nothing is read here")
    }
}

#[test]
fn without_a_schema_versions_are_told() {
    let told = |schemas: Vec<portolan_kernel::domain::EventSchema>| {
        schemas.into_iter().map(|of| (of.event_type, of.version, of.schema.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(told(JarEvent::schemas()), [("jar.filled".into(), 1, false), ("jar.sealed".into(), 1, false)]);
    assert_eq!(told(Sealing::schemas()), [("jar.sealed".into(), 1, true)], "an enum of units alone");
    assert!(SomeOfThem::schemas().is_empty());
    assert_eq!(told(BoxEvent::schemas()), [("box.shut".into(), 1, false)], "its payloads are no JSON");
}

#[derive(Command, Serialize, Deserialize)]
#[command(version = 2, stream = "jar-{jar}")]
struct Fill {
    jar: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(stream = "jar-{jar}")]
struct Seal {
    jar: String,
}

#[test]
fn commands_have_versions() {
    assert_eq!((Fill::VERSION, Seal::VERSION), (2, 1));
}

#[test]
fn what_an_old_event_has_become_is_valid_by_the_schema_of_now() {
    #[derive(Event, JsonSchema, Serialize, Deserialize)]
    #[event(category = "order", version = 2)]
    enum Grown {
        Paid {
            amount: u64,
            #[event(added = 2)]
            reference: Option<String>,
        },
    }
    let upcasters = Upcasters::of::<Grown>().unwrap();
    let old = RawEvent::new("order.paid".parse().unwrap(), 1, Format::Json, r#"{"amount":7}"#.into());
    let now: Value = serde_json::from_slice(&upcasters.upcast(old).unwrap()[0].payload).unwrap();
    let schema = Grown::schemas().remove(0).schema.unwrap();
    assert!(jsonschema::is_valid(&schema, &now), "{now}");
}
