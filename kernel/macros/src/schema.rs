//! JSON Schemas, by a twin of the type.
//!
//! Schemars' derive wants to stand on the type and to be told the crate's path; a derive can add neither. So it stands
//! on a twin with the same fields, documentation and attributes, and users need no schemars of their own.

use crate::attributes::variants;
use crate::serde_view;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, Path, Result, Visibility, parse_quote};

/// The twin, under this name.
pub(crate) fn twin(input: &DeriveInput, name: &Ident, kernel: &Path) -> DeriveInput {
    let mut twin = input.clone();
    twin.vis = Visibility::Inherited;
    let fields_of = |fields: &mut Fields| {
        for field in fields {
            field.vis = Visibility::Inherited;
            field.attrs.retain(matters);
        }
    };
    match &mut twin.data {
        Data::Struct(data) => fields_of(&mut data.fields),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                variant.attrs.retain(matters);
                variant.discriminant = None;
                fields_of(&mut variant.fields);
            }
        }
        Data::Union(_) => {}
    }
    twin.attrs.retain(matters);
    let schemars = quote!(#kernel::__private::schemars).to_string().replace(' ', "");
    // First, because it is what the others speak to.
    twin.attrs.insert(0, parse_quote!(#[derive(#kernel::__private::schemars::JsonSchema)]));
    twin.attrs.push(parse_quote!(#[schemars(crate = #schemars)]));
    if *name != input.ident {
        let rename = serde_view::name(input);
        twin.attrs.push(parse_quote!(#[schemars(rename = #rename)]));
    }
    if serde_view::defaults_as_a_whole(input) {
        let default = format!("<{} as ::core::default::Default>::default", input.ident);
        twin.attrs.push(parse_quote!(#[schemars(default = #default)]));
    }
    twin.attrs.push(parse_quote!(#[allow(dead_code)]));
    twin.ident = name.clone();
    twin
}

/// Whether schemars reads the attribute.
fn matters(attribute: &Attribute) -> bool {
    ["doc", "serde", "schemars", "validate"].iter().any(|name| attribute.path().is_ident(name))
}

/// The twin of a struct that stands within a function, and its name.
pub(crate) fn inner_twin(input: &DeriveInput, kernel: &Path) -> (DeriveInput, Ident) {
    // Of the same name, so that a type that holds itself holds its twin; a default needs the type itself, though.
    let name = match serde_view::defaults_as_a_whole(input) {
        true => format_ident!("{}Schema", input.ident),
        false => input.ident.clone(),
    };
    (twin(input, &name, kernel), name)
}

/// `#[derive(JsonSchema)]`.
pub(crate) fn derive(input: &DeriveInput, kernel: &Path) -> Result<TokenStream> {
    if let Some(first) = input.generics.params.first() {
        let message = "for a type with generics take the derive of schemars itself";
        return Err(Error::new_spanned(first, message));
    }
    if let Data::Union(_) = input.data {
        variants(input, "what has a schema", "a form")?;
    }
    let ident = &input.ident;
    let name = format_ident!("{ident}Schema");
    let twin = twin(input, &name, kernel);
    Ok(quote! {
        const _: () = {
            use #kernel::__private::schemars;
            use #kernel::__private::Cow;

            #twin

            #[automatically_derived]
            impl schemars::JsonSchema for #ident {
                fn inline_schema() -> bool {
                    <#name as schemars::JsonSchema>::inline_schema()
                }

                fn schema_name() -> Cow<'static, str> {
                    <#name as schemars::JsonSchema>::schema_name()
                }

                fn schema_id() -> Cow<'static, str> {
                    <#name as schemars::JsonSchema>::schema_id()
                }

                fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    <#name as schemars::JsonSchema>::json_schema(generator)
                }
            }
        };
    })
}
