//! Reading attributes: `#[command(name = "…", stream = "…")]`.
//!
//! Not by darling, because `answer = Vec<View>` is a type and no expression, and because an error is to say what
//! there is.

use crate::names::hint;
use proc_macro2::Span;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Expr, Fields, FieldsNamed, Lit, Meta, Result};

/// Shows each `key` of the attribute to `each`, once, and refuses those that are not known.
pub(crate) fn read(
    attributes: &[Attribute],
    name: &str,
    known: &[&str],
    each: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    read_often(attributes, name, known, &[], each)
}

/// The same, where some of the keys may be there more than once.
pub(crate) fn read_often(
    attributes: &[Attribute],
    name: &str,
    known: &[&str],
    often: &[&str],
    mut each: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let mut seen = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        attribute.parse_nested_meta(|meta| {
            let key = known_key(&meta, name, known)?;
            if !often.contains(&&*key) {
                once(&meta, &key, &mut seen)?;
            }
            each(&key, &meta)
        })?;
    }
    Ok(())
}

/// The key, if it is one of those that are known.
pub(crate) fn known_key(meta: &ParseNestedMeta<'_>, name: &str, known: &[&str]) -> Result<String> {
    let path = &meta.path;
    let key = quote!(#path).to_string();
    if known.contains(&&*key) {
        return Ok(key);
    }
    // As serde calls it; what is nearest to it in letters is something else here.
    if key == "rename" && known.contains(&"renamed_from") {
        let message = "`rename` is not known; the stored name is `name = \"…\"`, and one that it had before is `renamed_from = \
                       \"…\", since = 2`";
        return Err(meta.error(message));
    }
    let hint = hint(&key, known.iter().copied(), "it takes");
    Err(meta.error(format!("`#[{name}({key})]` is not known{hint}")))
}

/// Refuses a key that was there before.
pub(crate) fn once(meta: &ParseNestedMeta<'_>, key: &str, seen: &mut Vec<String>) -> Result<()> {
    if seen.iter().any(|earlier| earlier == key) {
        return Err(meta.error(format!("`{key}` is given twice")));
    }
    seen.push(key.to_owned());
    Ok(())
}

/// The doc comment: a line a `///`, without the space that begins it.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n").trim().to_owned()
}

/// The fields of a struct that crosses a wire as a JSON object.
pub(crate) fn named_fields<'a>(input: &'a DeriveInput, what: &str, such_as: &str) -> Result<&'a FieldsNamed> {
    refuse_generics(input, what)?;
    let mend = format!("{what} is a struct with named fields, such as `{such_as}`");
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields),
            Fields::Unnamed(fields) => Err(Error::new(fields.span(), mend)),
            Fields::Unit => {
                let braces = format!("{mend}; without fields it is `struct {} {{}}`", input.ident);
                Err(Error::new(input.ident.span(), braces))
            }
        },
        Data::Enum(data) => Err(Error::new(data.enum_token.span(), mend)),
        Data::Union(data) => Err(Error::new(data.union_token.span(), mend)),
    }
}

/// The variants of an enum whose variants have names and payloads.
pub(crate) fn variants<'a>(input: &'a DeriveInput, what: &str, each: &str) -> Result<&'a DataEnum> {
    let mend = format!("{what} is an enum with a variant {each}");
    let data = match &input.data {
        Data::Enum(data) => data,
        Data::Struct(data) => return Err(Error::new(data.struct_token.span(), mend)),
        Data::Union(data) => return Err(Error::new(data.union_token.span(), mend)),
    };
    refuse_generics(input, what)?;
    if data.variants.is_empty() {
        return Err(Error::new(input.ident.span(), format!("{mend}; this one has none")));
    }
    for variant in &data.variants {
        if let Fields::Unnamed(fields) = &variant.fields
            && fields.unnamed.len() != 1
        {
            let message = format!("a payload has named fields: write `{} {{ … }}`", variant.ident);
            return Err(Error::new(fields.span(), message));
        }
    }
    Ok(data)
}

fn refuse_generics(input: &DeriveInput, what: &str) -> Result<()> {
    match input.generics.params.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{what} has one name, and so no generics; write out the types it is for");
            Err(Error::new(first.span(), message))
        }
    }
}

/// Where the attribute is, if it is there.
pub(crate) fn place(attributes: &[Attribute], name: &str) -> Option<Span> {
    attributes.iter().find(|attribute| attribute.path().is_ident(name)).map(|attribute| attribute.path().span())
}
