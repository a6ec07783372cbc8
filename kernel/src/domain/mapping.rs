//! Columns from fields: what a derived [`Projection`](super::Projection) does with the fields of its events, and the check
//! that it can.
//!
//! The derive knows the row, and which variants somebody has taken a hand in. What the events hold they tell themselves
//! ([`Event::VARIANTS`](super::Event::VARIANTS)), when the application is put together: so [`Mapping::check`] is where
//! both meet, and [`value`] and [`optional`] are what `apply` takes a column from.

use super::projection::EventSet;
use super::shape::{EventField, EventShape, EventVariant, FieldType};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::type_name;

/// The value of the field of this name and type, if the event has one.
pub fn value<T: Clone + 'static>(event: &impl EventSet, field: &str) -> Option<T> {
    event.field_named(field)?.downcast_ref().cloned()
}

/// The value for a column that may hold nothing: of a field of its type, or of what it holds.
pub fn optional<T: Clone + 'static>(event: &impl EventSet, field: &str) -> Option<Option<T>> {
    let field = event.field_named(field)?;
    field.downcast_ref::<Option<T>>().cloned().or_else(|| field.downcast_ref::<T>().cloned().map(Some))
}

/// A column, or a field of the key.
#[derive(Debug, Clone, Copy)]
pub struct MappedColumn {
    field: EventField,
    /// What it holds, when it may hold nothing.
    inner: Option<FieldType>,
    has_default: bool,
}

impl MappedColumn {
    /// One that takes the fields of this name, of this type.
    #[must_use]
    pub const fn of<T: 'static>(name: &'static str) -> Self {
        Self { field: EventField::of::<T>(name), inner: None, has_default: false }
    }

    /// One that may hold nothing, and takes fields with and without `Option`.
    #[must_use]
    pub const fn optional<T: 'static>(name: &'static str) -> Self {
        let field = EventField::of::<Option<T>>(name);
        Self { field, inner: Some(FieldType::of::<T>()), has_default: false }
    }

    /// The same, which has a value without any field.
    #[must_use]
    pub const fn or_default(self) -> Self {
        Self { has_default: true, ..self }
    }

    fn is_needed(&self) -> bool {
        self.inner.is_none() && !self.has_default
    }

    fn takes(&self, kind: FieldType) -> bool {
        kind == self.field.kind || Some(kind) == self.inner
    }

    /// The field of this name.
    fn find<'a>(&self, fields: &'a [EventField]) -> Option<&'a EventField> {
        fields.iter().find(|field| field.name == self.field.name)
    }
}

/// What a variant does that is not left to its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// It calls a method of the row.
    Method,
    /// It calls a function that is given the place of the row, and may make one.
    Function,
    /// It deletes the row.
    Delete,
    /// Nothing.
    Nothing,
}

/// A variant that does something of its own.
#[derive(Debug, Clone, Copy)]
pub struct Handled {
    event: FieldType,
    variant: &'static str,
    does: Does,
}

impl Handled {
    /// This variant of the event type `E`.
    #[must_use]
    pub const fn of<E: 'static>(variant: &'static str, does: Does) -> Self {
        Self { event: FieldType::of::<E>(), variant, does }
    }
}

/// What a derived projection does, so far as its row says.
#[derive(Debug, Clone, Copy)]
pub struct Mapping<'a> {
    /// The columns.
    pub columns: &'a [MappedColumn],
    /// The fields that the key is made of; none when it is made of something else.
    pub key: &'a [MappedColumn],
    /// The variants that do something of their own.
    pub handled: &'a [Handled],
}

/// Why a derived projection does not fit its events. It is a mistake of the application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The event type does not tell its fields.
    #[error(
        "the fields of {event} are not told; derive `Event` on it, `EventSet` on an enum of several, or write the \
         projection by hand"
    )]
    FieldsNotTold {
        /// The event type.
        event: &'static str,
    },
    /// A field has the name of a column, or of a part of the key, and another type.
    #[error(
        "`{column}` is {expected}, and in {event}::{variant} it is {found}; give both one type, or say what the event \
         does: `on({variant} = …)` or `ignore({variant})`"
    )]
    OtherType {
        /// The column.
        column: &'static str,
        /// Its type.
        expected: &'static str,
        /// The event type.
        event: &'static str,
        /// Its variant.
        variant: &'static str,
        /// The field's type.
        found: &'static str,
    },
    /// No event has a field for a column.
    #[error(
        "no event of {events} fills the column `{column}`; their fields are {fields}. Correct its name, or mark it \
         `#[projection(default)]` when methods alone change it"
    )]
    NoField {
        /// The column.
        column: &'static str,
        /// The events.
        events: &'static str,
        /// The fields they have.
        fields: String,
    },
    /// No event makes a row.
    #[error(
        "no event of {events} makes a row: none fills all columns without a default ({columns}); mark those that begin \
         without a field `#[projection(default)]`, or make the row in a function: `on(Opened = opened)`"
    )]
    NeverMade {
        /// The events.
        events: &'static str,
        /// The columns without a default.
        columns: String,
    },
    /// The payload of a variant is a type of its own, whose fields nobody tells.
    #[error(
        "the fields of {event}::{variant} stand in a type of its own, and are not seen; say what the event does: \
         `on({variant}(payload) = …)` or `ignore({variant})`; or let them be the event's: derive `EventFields` on that type, \
         and write `#[event(fields)]` on {variant}"
    )]
    Opaque {
        /// The event type.
        event: &'static str,
        /// Its variant.
        variant: &'static str,
    },
    /// An event that changes rows does not say which.
    #[error(
        "{event}::{variant} changes rows, and has no field `{field}` for the key; give it one, make the key in a function, \
         or leave the event out: `ignore({variant})`"
    )]
    NoKey {
        /// The event type.
        event: &'static str,
        /// Its variant.
        variant: &'static str,
        /// The field.
        field: &'static str,
    },
}

impl Mapping<'_> {
    /// Whether rows can be made of these events in this way.
    ///
    /// # Errors
    ///
    /// [`MappingError`].
    pub fn check<E: EventSet>(&self) -> Result<(), MappingError> {
        if E::SHAPES.is_empty() {
            return Err(MappingError::FieldsNotTold { event: type_name::<E>() });
        }
        // The fields of those variants that are left to their fields.
        let mut open: Vec<&[EventField]> = Vec::new();
        for shape in E::SHAPES {
            if shape.variants.is_empty() {
                return Err(MappingError::FieldsNotTold { event: shape.event.name() });
            }
            for variant in shape.variants {
                open.extend(self.check_variant(shape, variant)?);
            }
        }
        // A function may make and fill rows as it likes.
        if self.handled.iter().any(|handled| handled.does == Does::Function) {
            return Ok(());
        }
        self.check_columns(&open, type_name::<E>())
    }

    /// The fields that are looked at.
    fn check_variant(
        &self,
        shape: &EventShape,
        variant: &EventVariant,
    ) -> Result<Option<&'static [EventField]>, MappingError> {
        let (event, name) = (shape.event.name(), variant.name);
        let does = self.handled.iter().find(|handled| handled.event == shape.event && handled.variant == name);
        let (columns, changes) = match (does.map(|handled| handled.does), variant.fields) {
            (Some(Does::Nothing), _) => return Ok(None),
            (Some(_), _) => (&[][..], true),
            (None, None) => return Err(MappingError::Opaque { event, variant: name }),
            (None, Some(fields)) => (self.columns, self.columns.iter().any(|column| column.find(fields).is_some())),
        };
        let fields = variant.fields.unwrap_or_default();
        let key = if changes { self.key } else { &[] };
        for column in columns.iter().chain(key) {
            match column.find(fields) {
                Some(field) if !column.takes(field.kind) => {
                    return Err(MappingError::OtherType {
                        column: column.field.name,
                        expected: column.field.kind.name(),
                        event,
                        variant: name,
                        found: field.kind.name(),
                    });
                }
                _ => {}
            }
        }
        match key.iter().find(|part| part.find(fields).is_none()) {
            Some(part) => Err(MappingError::NoKey { event, variant: name, field: part.field.name }),
            None => Ok(does.is_none().then_some(fields)),
        }
    }

    fn check_columns(&self, open: &[&[EventField]], events: &'static str) -> Result<(), MappingError> {
        let is_filled = |column: &MappedColumn| open.iter().any(|fields| column.find(fields).is_some());
        if let Some(column) = self.columns.iter().find(|column| !column.has_default && !is_filled(column)) {
            let fields = listed(open.iter().copied().flatten().map(|field| field.name));
            return Err(MappingError::NoField { column: column.field.name, events, fields });
        }
        let needed = || self.columns.iter().filter(|column| column.is_needed());
        let makes_a_row = |fields: &[EventField]| {
            let touches = self.columns.iter().any(|column| column.find(fields).is_some());
            touches && needed().all(|column| column.find(fields).is_some())
        };
        // A method is called on a row of defaults, if there can be one.
        let by_method = needed().count() == 0 && self.handled.iter().any(|handled| handled.does == Does::Method);
        if by_method || open.iter().any(|fields| makes_a_row(fields)) {
            return Ok(());
        }
        Err(MappingError::NeverMade { events, columns: listed(needed().map(|column| column.field.name)) })
    }
}

/// The names, each once, in the order they come.
fn listed(names: impl Iterator<Item = &'static str>) -> String {
    let mut listed: Vec<&str> = Vec::new();
    for name in names {
        if !listed.contains(&name) {
            listed.push(name);
        }
    }
    match &listed[..] {
        [] => "none".into(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
