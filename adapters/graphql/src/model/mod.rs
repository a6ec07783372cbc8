//! The schema as data: what juniper is told of it, and what values are read and written by.

mod convert;
mod names;
mod schema;

pub(crate) use convert::{argument, variable};
pub(crate) use names::{Names, camel, pascal, valid};
pub(crate) use schema::{Direction, Schemas, fields_of};

use crate::server::call::Call;
use juniper::ArcStr;
use serde_json::Value;
use std::collections::BTreeMap;

/// The type of a field or an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ty {
    /// A value of this type.
    Named(ArcStr),
    /// A list of values.
    List(Box<Ty>),
    /// A value, or `null`.
    Maybe(Box<Ty>),
}

impl Ty {
    pub(crate) fn named(name: impl Into<ArcStr>) -> Self {
        Self::Named(name.into())
    }

    pub(crate) fn list(self) -> Self {
        Self::List(Box::new(self))
    }

    /// The same, or `null`.
    pub(crate) fn maybe(self) -> Self {
        match self {
            Self::Maybe(_) => self,
            other => Self::Maybe(Box::new(other)),
        }
    }

    /// The name of the type within lists and alternatives to `null`.
    pub(crate) fn innermost(&self) -> &ArcStr {
        match self {
            Self::Named(name) => name,
            Self::List(inner) | Self::Maybe(inner) => inner.innermost(),
        }
    }
}

/// A scalar, by how its values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Int,
    Float,
    String,
    Boolean,
    Id,
    Long,
    Position,
    Json,
    Bytes,
    DateTime,
}

impl Scalar {
    pub(crate) const ALL: [Self; 10] = [
        Self::Int,
        Self::Float,
        Self::String,
        Self::Boolean,
        Self::Id,
        Self::Long,
        Self::Position,
        Self::Json,
        Self::Bytes,
        Self::DateTime,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Int => "Int",
            Self::Float => "Float",
            Self::String => "String",
            Self::Boolean => "Boolean",
            Self::Id => "ID",
            Self::Long => "Long",
            Self::Position => "Position",
            Self::Json => "JSON",
            Self::Bytes => "Bytes",
            Self::DateTime => "DateTime",
        }
    }

    /// The type of its values.
    pub(crate) fn ty(self) -> Ty {
        Ty::named(self.name())
    }
}

/// One value of an enum.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) name: ArcStr,
    /// What stands for it in JSON.
    pub(crate) wire: String,
    pub(crate) description: String,
}

/// What a type is.
#[derive(Debug)]
pub(crate) enum Shape {
    Scalar(Scalar),
    Enum(Vec<Choice>),
    Input(Vec<Member>),
    Object { fields: Vec<Member>, interfaces: Vec<ArcStr> },
    Interface(Vec<Member>),
    Union(Vec<ArcStr>),
}

/// A type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) description: String,
    pub(crate) shape: Shape,
}

/// A field or an argument.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: ArcStr,
    pub(crate) description: String,
    pub(crate) ty: Ty,
    pub(crate) arguments: Vec<Member>,
    pub(crate) source: Source,
    /// Of an argument that may be left out, the choice of an enum that stands for it then.
    pub(crate) default: Option<&'static str>,
}

/// Where the value of a field comes from; for an argument, where it goes.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// This member of the JSON object.
    Member(String),
    /// The JSON text that this member has in base64, if it is one.
    JsonIn(&'static str),
    /// A port, or something else outside.
    Call(Call),
}

impl Member {
    /// A field of a JSON object's member of the same name.
    pub(crate) fn new(name: impl Into<ArcStr>, ty: Ty, description: impl Into<String>) -> Self {
        let name = name.into();
        let source = Source::Member(name.to_string());
        Self { name, description: description.into(), ty, arguments: Vec::new(), source, default: None }
    }

    pub(crate) fn from(self, source: Source) -> Self {
        Self { source, ..self }
    }

    pub(crate) fn calls(self, call: Call) -> Self {
        self.from(Source::Call(call))
    }

    pub(crate) fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    pub(crate) fn taking(self, arguments: impl IntoIterator<Item = Self>) -> Self {
        Self { arguments: arguments.into_iter().collect(), ..self }
    }
}

/// All types, by name.
#[derive(Debug, Default)]
pub(crate) struct Model {
    types: BTreeMap<ArcStr, Type>,
}

/// The names of the three roots.
pub(crate) const QUERY: &str = "Query";
pub(crate) const MUTATION: &str = "Mutation";
pub(crate) const SUBSCRIPTION: &str = "Subscription";

impl Model {
    pub(crate) fn get(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &ArcStr> {
        self.types.keys()
    }

    /// Adds a type, in place of one of the same name.
    pub(crate) fn add(&mut self, name: impl Into<ArcStr>, description: impl Into<String>, shape: Shape) {
        self.types.insert(name.into(), Type { description: description.into(), shape });
    }

    pub(crate) fn object(&mut self, name: &'static str, description: &str, fields: Vec<Member>) {
        self.add(name, description, Shape::Object { fields, interfaces: Vec::new() });
    }

    pub(crate) fn enumeration(&mut self, name: &'static str, description: &str, values: &[(&'static str, &str)]) {
        let choice = |(name, description): &(&'static str, &str)| Choice {
            name: (*name).into(),
            wire: (*name).to_owned(),
            description: (*description).to_owned(),
        };
        self.add(name, description, Shape::Enum(values.iter().map(choice).collect()));
    }

    /// The field of a type that has fields.
    pub(crate) fn field(&self, of: &str, name: &str) -> Option<&Member> {
        match &self.get(of)?.shape {
            Shape::Object { fields, .. } | Shape::Interface(fields) | Shape::Input(fields) => {
                fields.iter().find(|field| field.name == name)
            }
            _ => None,
        }
    }

    /// Whether values of this type are selected from.
    pub(crate) fn is_composite(&self, name: &str) -> bool {
        let shape = self.get(name).map(|of| &of.shape);
        matches!(shape, Some(Shape::Object { .. } | Shape::Interface(_) | Shape::Union(_)))
    }
}

/// The value of a member; `null` where there is none.
pub(crate) fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}
