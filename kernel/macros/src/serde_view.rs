//! What serde makes of a type, as serde itself reads its attributes.

use proc_macro2::Span;
use serde_derive_internals::ast::{Container, Data, Field};
use serde_derive_internals::attr::TagType;
use serde_derive_internals::{Ctxt, Derive};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Ident, Result};

use crate::attributes::place;

/// Serde's view, or nothing when an attribute is wrong: then serde's own derive says what.
fn view(input: &DeriveInput) -> Option<Container<'_>> {
    let errors = Ctxt::new();
    let container = Container::from_ast(&errors, input, Derive::Deserialize, &Ident::new("_serde", Span::call_site()));
    errors.check().is_ok().then_some(container?)
}

/// The type's name to serde.
pub(crate) fn name(input: &DeriveInput) -> String {
    let ours = || crate::names::unraw(&input.ident);
    view(input).map_or_else(ours, |container| container.attrs.name().deserialize_name().value.clone())
}

/// Whether the type takes missing fields from its own `Default`.
pub(crate) fn defaults_as_a_whole(input: &DeriveInput) -> bool {
    use serde_derive_internals::attr::Default::Default;
    view(input).is_some_and(|container| matches!(container.attrs.default(), Default))
}

/// The fields of a struct, each with its name on the wire.
pub(crate) fn fields(input: &DeriveInput) -> Vec<(String, String)> {
    let Some(Container { data: Data::Struct(_, fields), .. }) = view(input) else { return Vec::new() };
    let name = |field: &Field<'_>| {
        let ours = field.original.ident.as_ref().map(crate::names::unraw)?;
        Some((ours, field.attrs.name().deserialize_name().value.clone()))
    };
    fields.iter().filter_map(name).collect()
}

/// The fields of each variant of an enum: their names in Rust and in payloads, and whether serde reads them as their type
/// says.
pub(crate) fn fields_of_variants(input: &DeriveInput) -> Vec<Vec<(String, String, bool)>> {
    let Some(Container { data: Data::Enum(variants), .. }) = view(input) else { return Vec::new() };
    let field = |field: &Field<'_>| {
        let ours = field.original.ident.as_ref().map(crate::names::unraw)?;
        let is_usual = field.attrs.deserialize_with().is_none() && !field.attrs.flatten();
        Some((ours, field.attrs.name().deserialize_name().value.clone(), is_usual))
    };
    variants.iter().map(|variant| variant.fields.iter().filter_map(field).collect()).collect()
}

/// The names of an enum's variants in what serde writes.
pub(crate) fn written_variants(input: &DeriveInput) -> Vec<String> {
    let Some(Container { data: Data::Enum(variants), .. }) = view(input) else { return Vec::new() };
    variants.iter().map(|variant| variant.attrs.name().serialize_name().value.clone()).collect()
}

/// Refuses fields that let unknown ones through.
pub(crate) fn refuse_flatten(input: &DeriveInput) -> Result<()> {
    let Some(Container { data: Data::Struct(_, fields), .. }) = view(input) else { return Ok(()) };
    match fields.iter().find(|field| field.attrs.flatten()) {
        None => Ok(()),
        Some(field) => {
            let message = "a flattened field hides unknown fields, which are refused; give it a name of its own on the \
                           wire, or write its fields out";
            Err(Error::new(place(&field.original.attrs, "serde").unwrap_or(field.ty.span()), message))
        }
    }
}

/// Refuses what would put a name or something else beside a variant's own fields, or take a variant out.
pub(crate) fn refuse_other_forms(input: &DeriveInput, what: &str) -> Result<()> {
    let Some(Container { attrs, data: Data::Enum(variants), .. }) = view(input) else { return Ok(()) };
    let here = || place(&input.attrs, "serde").unwrap_or(input.ident.span());
    if !matches!(attrs.tag(), TagType::External) {
        let message = format!(
            "the name of {what} stands beside its fields, not among them; leave `tag`, `content` and `untagged` out"
        );
        return Err(Error::new(here(), message));
    }
    if attrs.type_from().or(attrs.type_try_from()).or(attrs.type_into()).is_some() || attrs.remote().is_some() {
        let message = format!("the fields of {what} are its own; leave `from`, `try_from`, `into` and `remote` out");
        return Err(Error::new(here(), message));
    }
    for variant in variants {
        let attrs = &variant.attrs;
        if attrs.skip_deserializing() || attrs.skip_serializing() || attrs.untagged() || attrs.other() {
            let message = format!("every variant of {what} is written and read; take it out of the enum instead");
            let span = place(&variant.original.attrs, "serde").unwrap_or(variant.ident.span());
            return Err(Error::new(span, message));
        }
    }
    Ok(())
}
