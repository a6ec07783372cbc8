//! Payloads of another codec have histories too.

use portolan_kernel::Bytes;
use portolan_kernel::domain::{Codec, CodecError, Event, Unknown, Upcasters};
use portolan_kernel::values::{EventType, Format, NewEvent, Position, Recorded, Revision, Timestamp};
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

#[derive(Deserialize)]
struct Kelvin {
    kelvin: u32,
}

#[derive(Serialize)]
struct Celsius {
    celsius: i64,
}

fn to_celsius(old: Kelvin) -> Celsius {
    Celsius { celsius: i64::from(old.kelvin) - 273 }
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "probe", codec = MessagePack, version = 3)]
enum Probed {
    #[event(upcast(from = 2, with = to_celsius))]
    Measured { celsius: i64 },
    Placed {
        #[event(was = "ex", since = 2)]
        x: i64,
        #[event(added = 3, default = 0)]
        y: i64,
    },
}

fn read(event_type: &str, version: u32, payload: &impl Serialize) -> Result<Vec<Probed>, String> {
    let payload = MessagePack::encode(payload).expect("it has such a form");
    let stream = "probe-1".parse().expect("it is a name");
    let event = NewEvent::new(stream, EventType::new(event_type).expect("it is a name"), payload)
        .with_version(version)
        .with_format(Format::Binary);
    let at = Position::new(1).expect("it is one");
    let recorded = Recorded::new(event, Revision::FIRST, at, Timestamp::from_micros(0));
    let upcasters = Upcasters::of::<Probed>().expect("the history is right");
    let decoded = upcasters.decode(&recorded, Unknown::Fail).map_err(|error| error.to_string())?;
    Ok(decoded.events)
}

#[derive(Serialize)]
struct Named<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ex: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kelvin: Option<T>,
}

#[test]
fn payloads_of_another_codec_are_upcast() {
    let placed = Named { ex: Some(-5), kelvin: None };
    assert_eq!(read("probe.placed", 1, &placed), Ok(vec![Probed::Placed { x: -5, y: 0 }]));
    let measured = Named { ex: None, kelvin: Some(300) };
    assert_eq!(read("probe.measured", 1, &measured), Ok(vec![Probed::Measured { celsius: 27 }]));
    assert_eq!(read("probe.measured", 2, &measured), Ok(vec![Probed::Measured { celsius: 27 }]));
    let error = read("probe.measured", 2, &placed).expect_err("it has no such field");
    assert!(error.contains("probe.measured version 2 cannot be upcast: kelvin: missing field"), "{error}");
}
