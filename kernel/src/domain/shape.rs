//! What events tell of their fields, so that a derived projection finds its columns in them.

use super::event::Event;
use core::any::{Any, TypeId};
use core::fmt;

/// A type, to be compared and named.
#[derive(Clone, Copy)]
pub struct FieldType {
    id: fn() -> TypeId,
    name: fn() -> &'static str,
}

impl FieldType {
    /// This type.
    #[must_use]
    pub const fn of<T: 'static>() -> Self {
        Self { id: TypeId::of::<T>, name: core::any::type_name::<T> }
    }

    /// Its name with its path, for a person.
    #[must_use]
    pub fn name(self) -> &'static str {
        (self.name)()
    }
}

impl PartialEq for FieldType {
    fn eq(&self, other: &Self) -> bool {
        (self.id)() == (other.id)()
    }
}

impl Eq for FieldType {}

impl fmt::Debug for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A field of an event's variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventField {
    /// Its name in Rust.
    pub name: &'static str,
    /// Its type.
    pub kind: FieldType,
}

impl EventField {
    /// A field of this type.
    #[must_use]
    pub const fn of<T: 'static>(name: &'static str) -> Self {
        Self { name, kind: FieldType::of::<T>() }
    }
}

/// A type whose fields are an event's, where the event holds it as its payload: `Paid(Payment)`. There is a derive of the
/// same name, which the derive `Event` wants for a variant with `#[event(fields)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not tell its fields",
    label = "these fields are not told",
    note = "add `portolan::domain::EventFields` to its derives, or leave `#[event(fields)]` out"
)]
pub trait EventFields {
    /// The fields.
    const FIELDS: &'static [EventField];

    /// The value of the field of this name, if there is one.
    fn field(&self, name: &str) -> Option<&dyn Any>;
}

/// A variant of an event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventVariant {
    /// Its name in Rust.
    pub name: &'static str,
    /// Its fields; `None` for a payload of a type of its own, into which nobody sees.
    pub fields: Option<&'static [EventField]>,
}

impl EventVariant {
    /// A variant with these fields.
    #[must_use]
    pub const fn new(name: &'static str, fields: &'static [EventField]) -> Self {
        Self { name, fields: Some(fields) }
    }

    /// A variant whose payload is a type of its own: `Paid(Payment)`.
    #[must_use]
    pub const fn opaque(name: &'static str) -> Self {
        Self { name, fields: None }
    }
}

/// An event type: its variants and their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventShape {
    /// The type.
    pub event: FieldType,
    /// Its variants; none when it does not tell them.
    pub variants: &'static [EventVariant],
}

impl EventShape {
    /// That of this type.
    #[must_use]
    pub const fn of<E: Event>() -> Self {
        Self { event: FieldType::of::<E>(), variants: E::VARIANTS }
    }
}

/// A set of events that has those of the type `E` among them. Every [`Event`] includes itself; an enum of event enums
/// includes that of each variant, which the derive `EventSet` writes.
///
/// ```
/// # use portolan_kernel::domain::Includes;
/// # enum AccountEvent { Opened }
/// # enum OwnerEvent { Moved }
/// enum BankEvent { Account(AccountEvent), Owner(OwnerEvent) }
///
/// impl Includes<AccountEvent> for BankEvent {
///     fn part(&self) -> Option<&AccountEvent> {
///         match self {
///             Self::Account(event) => Some(event),
///             _ => None,
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{E}` is none of the event types in `{Self}`",
    label = "its variants are none of these events",
    note = "a variant of an `EventSet` is named with its own event type: `AccountEvent::Opened`"
)]
pub trait Includes<E> {
    /// The event, if it is of that type.
    fn part(&self) -> Option<&E>;
}

impl<E: Event> Includes<E> for E {
    fn part(&self) -> Option<&E> {
        Some(self)
    }
}
