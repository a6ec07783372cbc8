//! An event type names its codec at compile time.

use portolan_kernel::Bytes;
use portolan_kernel::domain::{Codec, CodecError, Event, EventError};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{EventType, Format};
use rstest::rstest;
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

enum MessagePack {}

impl Codec for MessagePack {
    const FORMAT: Format = Format::Binary;

    fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
        rmp_serde::to_vec_named(value).map(Bytes::from).map_err(|error| CodecError::Encode(error.to_string()))
    }

    fn decode_seed<'de, S: DeserializeSeed<'de> + Clone>(seed: S, bytes: &'de [u8]) -> Result<S::Value, CodecError> {
        let mut packed = rmp_serde::Deserializer::from_read_ref(bytes);
        seed.deserialize(&mut packed).map_err(|error| CodecError::shape(error.to_string()))
    }
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "probe", codec = MessagePack)]
enum Probed {
    Measured { celsius: f32, at: Option<u64> },
    Moved(Place),
    Lost,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Place {
    x: i64,
    y: i64,
}

#[rstest]
#[case(Probed::Measured { celsius: 1.5, at: None })]
#[case(Probed::Moved(Place { x: 1, y: -1 }))]
#[case(Probed::Lost)]
fn there_and_back(#[case] event: Probed) {
    let raw = RawEvent::new(
        EventType::new(event.event_type()).expect("it is a name"),
        event.version(),
        Probed::FORMAT,
        event.encode().expect("it has such a form"),
    );
    assert_eq!(raw.format, Format::Binary);
    assert_eq!(Probed::decode(&raw), Ok(event));
}

#[test]
fn payloads_are_the_fields_alone() {
    let moved = Probed::Moved(Place { x: 1, y: -1 }).encode().expect("it has such a form");
    assert_eq!(moved, rmp_serde::to_vec_named(&Place { x: 1, y: -1 }).expect("it has such a form"));
    assert_eq!(Probed::Lost.encode().expect("it has such a form"), Bytes::from_static(&[0x80]), "an empty map");
}

#[test]
fn what_does_not_fit_is_an_error() {
    let raw = |name: &str, payload: &'static [u8]| {
        RawEvent::new(EventType::new(name).expect("it is a name"), 1, Format::Binary, Bytes::from_static(payload))
    };
    assert!(matches!(Probed::decode(&raw("probe.moved", &[0x01])), Err(EventError::Payload(_))));
    assert!(matches!(Probed::decode(&raw("Moved", &[0x80])), Err(EventError::UnknownType(_))));
}
