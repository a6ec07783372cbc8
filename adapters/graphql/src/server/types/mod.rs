//! The types that every schema has.

mod commands;
mod log;
mod projections;
pub(super) mod sagas;

pub(super) use log::{form, part, which_events};

use crate::model::{Member, Model, Scalar, Shape, Ty};

fn string() -> Ty {
    Scalar::String.ty()
}

fn long() -> Ty {
    Scalar::Long.ty()
}

fn place() -> Ty {
    Scalar::Position.ty()
}

fn json() -> Ty {
    Scalar::Json.ty().maybe()
}

/// A field or an argument of this type.
pub(super) fn member(name: &'static str, ty: Ty, description: &str) -> Member {
    Member::new(name, ty, description)
}

/// The same, which may be `null` or left out.
pub(super) fn optional(name: &'static str, ty: Ty, description: &str) -> Member {
    Member::new(name, ty.maybe(), description)
}

/// A model with the types that every schema has, and without roots.
pub(super) fn model() -> Model {
    let mut model = Model::default();
    scalars(&mut model);
    commands::commands(&mut model);
    commands::questions(&mut model);
    log::events(&mut model);
    log::store(&mut model);
    projections::projections(&mut model);
    sagas::sagas(&mut model);
    model
}

fn scalars(model: &mut Model) {
    for scalar in Scalar::ALL {
        let description = match scalar {
            Scalar::Long => {
                "A whole number of 64 bits, with a sign or without: a string of digits in answers, because a JSON number \
                 of a browser holds 53 bits. Given, it may be a number too."
            }
            Scalar::Position => {
                "A place in the log, as a string of digits. Positions rise; nothing can be computed from two of them."
            }
            Scalar::Json => {
                "Any JSON. Lists and objects are given in variables; in the document itself GraphQL has no literals for \
                 them."
            }
            Scalar::Bytes => "Bytes, in base64 with padding (RFC 4648, section 4).",
            Scalar::DateTime => "A moment (RFC 3339, UTC, microseconds).",
            _ => "",
        };
        model.add(scalar.name(), description, Shape::Scalar(scalar));
    }
    model.object(
        "PageInfo",
        "Where a page stands, after the Relay convention.",
        vec![
            member("hasNextPage", Scalar::Boolean.ty(), "Whether there is more after the end."),
            member("hasPreviousPage", Scalar::Boolean.ty(), "Whether there is more before the start."),
            optional("startCursor", string(), "What `before` takes for the page before."),
            optional("endCursor", string(), "What `after` takes for the page that follows."),
        ],
    );
    model.object(
        "Violation",
        "One field that is wrong, and how.",
        vec![
            member("path", string(), "The path of the field, dotted: `lines[2].amount`; empty for the whole."),
            member("code", string(), "A stable code in kebab case."),
            member("message", string(), "A sentence for a person."),
        ],
    );
}
