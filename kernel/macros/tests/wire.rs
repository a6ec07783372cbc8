//! What a derived command takes from outside, and what it says of itself there.

use portolan_kernel::domain::{CodecError, Command, Event, Json, JsonSchema};
use portolan_kernel::values::EventType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Ships a parcel.
#[derive(Command, Serialize, Deserialize, Debug)]
#[serde(rename_all = "camelCase", default)]
struct ShipParcel {
    /// Where to.
    parcel_to: Address,
    weight_in_grams: u32,
    notes: BTreeMap<String, Note>,
}

impl Default for ShipParcel {
    fn default() -> Self {
        Self { parcel_to: Address::default(), weight_in_grams: 500, notes: BTreeMap::new() }
    }
}

#[derive(JsonSchema, Serialize, Deserialize, Debug, Default)]
struct Address {
    street: String,
    town: Option<String>,
}

#[derive(JsonSchema, Serialize, Deserialize, Debug)]
enum Note {
    Fragile,
    Say { words: Option<String> },
}

#[derive(Command, Serialize, Deserialize, Debug)]
struct PackBoxes {
    label: String,
    within: Vec<PackBoxes>,
}

#[test]
fn unknown_fields_are_refused_and_the_schema_says_so() {
    let schema = ShipParcel::schema().expect("derived commands have one");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    for (body, unknown) in [
        (json!({}), None),
        (json!({"parcelTo": {"street": "x"}, "notes": {"a": "Fragile", "b": {"Say": {}}}}), None),
        (json!({"parcelto": {"street": "x"}}), Some("parcelto")),
        (json!({"parcelTo": {"street": "x", "twon": "y"}}), Some("parcelTo.twon")),
        (json!({"notes": {"b": {"Say": {"word": "x"}}}}), Some("notes.b.word")),
    ] {
        match (Json::decode_object::<ShipParcel>(body.to_string().as_bytes()), unknown) {
            (Ok(_), None) => {}
            (Err(CodecError::Shape { path, code: "unknown-field", .. }), Some(field)) => assert_eq!(path, field),
            other => panic!("{body}: {other:?}"),
        }
        assert_eq!(validator.is_valid(&body), unknown.is_none(), "{body}: {schema:#}");
    }
}

#[test]
fn a_command_may_hold_itself() {
    let schema = PackBoxes::schema().expect("derived commands have one");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let body = |inner: Value| json!({"label": "a", "within": [{"label": "b", "within": [inner]}]});
    assert!(validator.is_valid(&body(json!({"label": "c", "within": []}))));
    assert!(!validator.is_valid(&body(json!({"label": "c", "within": [], "lable": "c"}))));
}

#[test]
fn a_schema_has_names_documentation_and_defaults_of_the_wire() {
    let schema = ShipParcel::schema().expect("derived commands have one");
    assert_eq!((&schema["title"], &schema["description"]), (&json!("ShipParcel"), &json!("Ships a parcel.")));
    assert_eq!(schema["properties"]["parcelTo"]["description"], "Where to.");
    assert_eq!(schema["properties"]["weightInGrams"]["default"], 500);
    assert_eq!(schema["additionalProperties"], false);
}

/// Serde's names of variants are of no account, and its names of fields are those of payloads.
#[derive(Event, Serialize, Deserialize, Debug, PartialEq)]
#[event(category = "parcel")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
enum ParcelEvent {
    #[serde(rename = "shipped", alias = "sent")]
    WasShipped {
        parcel_id: u64,
    },
    WasLost,
}

#[test]
fn serdes_names_of_variants_do_not_matter() {
    let shipped = ParcelEvent::WasShipped { parcel_id: 7 };
    assert_eq!(shipped.event_type(), "parcel.was-shipped");
    assert_eq!(shipped.encode().expect("it has a JSON form"), r#"{"parcelId":7}"#);
    let raw = |name: &str, payload: &'static str| {
        let event_type = EventType::new(name).expect("it is a name");
        portolan_kernel::ports::RawEvent::new(event_type, 1, ParcelEvent::FORMAT, payload.into())
    };
    assert_eq!(ParcelEvent::decode(&raw("parcel.was-shipped", r#"{"parcelId":7}"#)), Ok(shipped));
    assert_eq!(ParcelEvent::decode(&raw("parcel.was-lost", "{}")), Ok(ParcelEvent::WasLost));
    assert!(ParcelEvent::decode(&raw("shipped", r#"{"parcelId":7}"#)).is_err());
}
