//! The values of scalars: those of GraphQL, whole numbers of 64 bits, and any JSON.

use core::fmt;
use juniper::{FromInputValue, InputValue, ParseScalarResult, ParseScalarValue, ScalarToken, ScalarValue};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer};
use serde_json::{Number, Value};

/// The value of a scalar, given or answered.
#[derive(Clone, Debug, PartialEq, Serialize, ScalarValue)]
#[serde(untagged)]
pub(crate) enum Given {
    #[value(to_float, to_int)]
    Int(i32),
    /// A whole number past 32 bits.
    Long(i64),
    /// A whole number past 63 bits.
    ULong(u64),
    #[value(to_float)]
    Float(f64),
    #[value(as_str, to_string)]
    String(String),
    #[value(to_bool)]
    Boolean(bool),
    /// A list or an object, which no other scalar has.
    Json(Value),
}

impl Given {
    /// The scalar that a JSON value is; lists and objects are [`Json`](Self::Json).
    pub(crate) fn of(value: Value) -> Self {
        match value {
            Value::Bool(value) => Self::Boolean(value),
            Value::String(text) => Self::String(text),
            Value::Number(number) => Self::of_number(&number),
            other => Self::Json(other),
        }
    }

    fn of_number(number: &Number) -> Self {
        match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => i32::try_from(number).map_or(Self::Long(number), Self::Int),
            (None, Some(number)) => Self::ULong(number),
            (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Int(number) => (*number).into(),
            Self::Long(number) => (*number).into(),
            Self::ULong(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::String(text) => text.as_str().into(),
            Self::Boolean(value) => (*value).into(),
            Self::Json(value) => value.clone(),
        }
    }

    /// The whole number that it is, also as digits.
    pub(crate) fn whole(&self) -> Option<Value> {
        match self {
            Self::Int(_) | Self::Long(_) | Self::ULong(_) => Some(self.to_json()),
            Self::String(text) => whole(text),
            _ => None,
        }
    }
}

/// The whole number of 64 bits, with a sign or without, in these digits.
pub(crate) fn whole(text: &str) -> Option<Value> {
    if text.starts_with('+') {
        return None;
    }
    text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok()
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            other => fmt::Display::fmt(&other.to_json(), f),
        }
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::of)
    }
}

impl From<i32> for Given {
    fn from(number: i32) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Given {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Given {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<String> for Given {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl TryFrom<Given> for String {
    type Error = &'static str;
    fn try_from(given: Given) -> Result<Self, Self::Error> {
        match given {
            Given::String(text) => Ok(text),
            _ => Err("it is no text"),
        }
    }
}

/// A scalar as juniper knows one: how a literal is read, and which values are its.
macro_rules! scalars {
    ($($(#[$doc:meta])* $name:ident: $literal:expr, $accepts:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl ParseScalarValue<Given> for $name {
            fn from_str(token: ScalarToken<'_>) -> ParseScalarResult<Given> {
                let literal: fn(ScalarToken<'_>) -> ParseScalarResult<Given> = $literal;
                literal(token)
            }
        }

        impl FromInputValue<Given> for $name {
            type Error = &'static str;
            fn from_input_value(value: &InputValue<Given>) -> Result<Self, Self::Error> {
                let accepts: fn(&InputValue<Given>) -> Result<(), &'static str> = $accepts;
                accepts(value).map(|()| Self)
            }
        }
    )*};
}

scalars! {
    /// A whole number of 64 bits.
    Long: literal, |value| match value.as_scalar().and_then(Given::whole) {
        Some(_) => Ok(()),
        None => Err("a Long is a whole number of 64 bits, as a number or as a string of digits"),
    };
    /// A place in the log.
    Place: literal, |value| match value.as_scalar().and_then(Given::whole).and_then(|number| number.as_i64()) {
        Some(0..) => Ok(()),
        _ => Err("a Position is a string of digits, such as a receipt has"),
    };
    /// Any JSON.
    Json: literal, |_| Ok(());
    /// A text that its reader judges.
    Text: literal, |value| match value.as_scalar() {
        Some(Given::String(_)) => Ok(()),
        _ => Err("it is a string"),
    };
    /// What the schema has judged already: an enum or an input object.
    Any: literal, |_| Ok(());
}

/// A literal is what it looks like.
fn literal(token: ScalarToken<'_>) -> ParseScalarResult<Given> {
    match token {
        ScalarToken::Int(digits) => match whole(digits) {
            Some(Value::Number(number)) => Ok(Given::of_number(&number)),
            _ => <f64 as ParseScalarValue<Given>>::from_str(token),
        },
        ScalarToken::Float(_) => <f64 as ParseScalarValue<Given>>::from_str(token),
        ScalarToken::String(_) => <String as ParseScalarValue<Given>>::from_str(token),
    }
}
