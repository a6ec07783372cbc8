//! `#[derive(Event)]`.

use crate::attributes::{place, read_often, variants};
use crate::fields;
use crate::history::{self, Life, Rename, Retired, Told, Upcast};
use crate::names::{Named, refuse_duplicates, unraw};
use crate::serde_view;
use crate::template::Template;
use proc_macro2::{Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, DeriveInput, Error, Field, Fields, LitStr, Member, Meta, Path, Result, Variant, parse_quote};

struct Said {
    category: LitStr,
    codec: Option<Path>,
    /// What all variants are of that say nothing else.
    version: u32,
    retired: Vec<Retired>,
    /// The event type that tells the history.
    told_by: Option<Path>,
}

fn said(input: &DeriveInput) -> Result<Said> {
    let (mut category, mut codec, mut version, mut retired, mut told_by) = (None, None, 1, Vec::new(), None);
    let known = ["category", "codec", "version", "retired", "history"];
    read_often(&input.attrs, "event", &known, &["retired"], |key, meta| {
        match key {
            "category" => category = Some(meta.value()?.parse()?),
            "codec" => codec = Some(meta.value()?.parse()?),
            "version" => version = history::version(meta)?.0,
            "retired" => retired.extend(Retired::read(meta)?),
            _ => told_by = Some(meta.value()?.parse()?),
        }
        Ok(())
    })?;
    let Some(category) = category else {
        let message = "the category is missing: what precedes the first `-` of the streams' names, such as \
                       `#[event(category = \"account\")]`";
        return Err(Error::new(place(&input.attrs, "event").unwrap_or(input.ident.span()), message));
    };
    let text = Named::written(&category)?.text;
    if text.char_indices().any(|(at, c)| at > 0 && c == '-') {
        let message =
            "a category has no `-` after its first character: it ends before the first `-` of a stream's name";
        return Err(Error::new(category.span(), message));
    }
    Ok(Said { category, codec, version, retired, told_by })
}

pub(crate) fn derive(input: &DeriveInput, kernel: &Path) -> Result<TokenStream> {
    let data =
        variants(input, "an event type", "a stored type, such as `enum AccountEvent { Opened { owner: String } }`")?;
    serde_view::refuse_other_forms(input, "an event")?;
    let Said { category, codec, version, retired, told_by } = said(input)?;
    let (mut names, mut tags, mut told, mut lives) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut wire = serde_view::fields_of_variants(input).into_iter();
    for variant in &data.variants {
        let SaidOfVariant { name, has_its_fields, version: own, added, renames, upcasts } =
            said_of_variant(variant, &category)?;
        lives.push(Life {
            variant,
            name: name.clone(),
            version: own.unwrap_or(version),
            added,
            renames,
            fields: history::fields(variant, wire.next().unwrap_or_default())?,
            upcasts,
        });
        names.push((&variant.ident, name));
        told.push((variant, has_its_fields));
        tags.extend(tags_of(variant, kernel)?);
    }
    let schemas = schemas_fn(&lives, &serde_view::written_variants(input), told_by.is_some(), kernel);
    let history = Told { category: &category, lives, retired, told_by, codec: codec.as_ref() }.write(kernel)?;
    let codec = codec.unwrap_or_else(|| parse_quote!(#kernel::domain::Json));
    refuse_duplicates(&names, "are both stored as", "`#[event(name = \"…\")]`")?;

    let ident = &input.ident;
    let arms = names.iter().map(|(variant, name)| {
        let name = &name.text;
        quote!(Self::#variant { .. } => #name,)
    });
    let texts = names.iter().map(|(_, name)| &name.text);
    let tags = tags_fn(&tags, data.variants.len(), kernel);
    let (variants, field) = fields::of_variants(&told, kernel);
    Ok(quote! {
        #[automatically_derived]
        impl #kernel::domain::Event for #ident {
            const CATEGORY: &'static str = #category;
            const FORMAT: #kernel::values::Format = <#codec as #kernel::domain::Codec>::FORMAT;
            #variants

            fn event_type(&self) -> &'static str {
                match self {
                    #(#arms)*
                }
            }

            #history
            #schemas
            #tags
            #field

            fn encode(&self) -> ::core::result::Result<#kernel::Bytes, #kernel::domain::CodecError> {
                #kernel::domain::variant::encode_as::<#codec, Self>(self)
            }

            fn decode(
                raw: &#kernel::ports::RawEvent,
            ) -> ::core::result::Result<Self, #kernel::domain::EventError> {
                let names = [#(#texts),*];
                #kernel::domain::variant::decode_as::<#codec, Self>(&names, &raw.event_type, &raw.payload)
            }
        }
    })
}

/// `fn schemas`. Whether the enum derives `JsonSchema` is told by the compiler: the probe has a method of its own for those
/// that do, and else that of a trait. What another event type tells is told by that.
fn schemas_fn(lives: &[Life<'_>], written: &[String], is_told_by_another: bool, kernel: &Path) -> TokenStream {
    if is_told_by_another {
        return TokenStream::new();
    }
    let each = lives.iter().zip(written).map(|(life, written)| {
        let (name, version) = (&life.name.text, Literal::u32_unsuffixed(life.version));
        quote!((#name, #written, #version))
    });
    quote! {
        fn schemas() -> #kernel::__private::Vec<#kernel::domain::EventSchema> {
            #[allow(unused_imports)]
            use #kernel::__private::WithoutSchemas as _;
            #kernel::__private::Schemas::<Self>::of_events(&[#(#each),*])
        }
    }
}

struct SaidOfVariant {
    /// The category and the variant's name in kebab case, or what its attribute says.
    name: Named,
    /// Whether the fields of its payload are its own.
    has_its_fields: bool,
    version: Option<u32>,
    /// The version that it came with, and where that stands.
    added: Option<(u32, Span)>,
    renames: Vec<Rename>,
    upcasts: Vec<Upcast>,
}

fn said_of_variant(variant: &Variant, category: &LitStr) -> Result<SaidOfVariant> {
    let (mut name, mut has_its_fields, mut upcasts) = (None, false, Vec::new());
    let (mut version, mut added) = (None, None);
    let mut renames = history::Renames::default();
    let known = ["name", "fields", "version", "added", "renamed_from", "since", "upcast"];
    read_often(&variant.attrs, "event", &known, &known[4..], |key, meta| {
        match key {
            "name" => name = Some(Named::written(&meta.value()?.parse()?)?),
            "version" => version = Some(history::version(meta)?.0),
            "added" => added = Some(history::version(meta)?),
            "renamed_from" => renames.was(history::stored_name(&meta.value()?.parse()?, category)?),
            "since" => renames.since(history::version(meta)?),
            "upcast" => upcasts.push(Upcast::read(meta)?),
            _ if matches!(variant.fields, Fields::Unnamed(_)) => has_its_fields = true,
            _ => {
                return Err(
                    meta.error("`fields` is for a variant with a payload of a type of its own: `Paid(Payment)`")
                );
            }
        }
        Ok(())
    })?;
    let name = name.unwrap_or_else(|| {
        let Named { text, span } = Named::kebab(&variant.ident);
        Named { text: format!("{}.{text}", category.value()), span }
    });
    Ok(SaidOfVariant { name, has_its_fields, version, added, renames: renames.pairs("renamed_from")?, upcasts })
}

/// The tags of one variant: a pattern that binds the fields, and an expression a tag.
struct Tags {
    pattern: TokenStream,
    each: Vec<TokenStream>,
}

fn tags_of(variant: &Variant, kernel: &Path) -> Result<Option<Tags>> {
    let (mut bindings, mut each) = (Vec::new(), Vec::new());
    for (n, field) in variant.fields.iter().enumerate() {
        let binding = field.ident.clone().unwrap_or_else(|| format_ident!("field"));
        let mut is_tag = false;
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("tag")) {
            is_tag = true;
            let format = tag_format(attribute, field)?;
            // Errors about its type point to its type.
            let value = quote_spanned!(field.ty.span()=> #binding);
            each.push(quote!(#kernel::values::Tag::new(#kernel::__private::format!(#format, #value))?));
        }
        if is_tag {
            let member = field.ident.clone().map_or_else(|| Member::from(n), Member::from);
            bindings.push(if field.ident.is_some() { quote!(#binding) } else { quote!(#member: #binding) });
        }
    }
    let ident = &variant.ident;
    let pattern = match variant.fields.len() > bindings.len() {
        true => quote!(Self::#ident { #(#bindings,)* .. }),
        false => quote!(Self::#ident { #(#bindings),* }),
    };
    Ok((!each.is_empty()).then_some(Tags { pattern, each }))
}

/// `account_id:{}`, or what the attribute says.
fn tag_format(attribute: &Attribute, field: &Field) -> Result<String> {
    let literal: LitStr = match (&attribute.meta, &field.ident) {
        (Meta::Path(_), Some(ident)) => return Ok(format!("{}:{{}}", unraw(ident))),
        (Meta::Path(path), None) => {
            return Err(Error::new(path.span(), "the field has no name; give the tag one: `#[tag(\"account:{}\")]`"));
        }
        (meta, _) => meta.require_list().and_then(|list| list.parse_args()).map_err(|error| {
            let message = "a tag is `#[tag]`, for the field's name and value, or a template: `#[tag(\"account:{}\")]`";
            Error::new(error.span(), message)
        })?,
    };
    let template = Template::read(&literal)?;
    match &template.fields[..] {
        [field] if field.is_empty() => Ok(template.format),
        _ => Err(Error::new(literal.span(), "a tag's template has one `{}`, for the field's value")),
    }
}

fn tags_fn(tags: &[Tags], variants: usize, kernel: &Path) -> TokenStream {
    if tags.is_empty() {
        return TokenStream::new();
    }
    let arms = tags.iter().map(|Tags { pattern, each }| quote!(#pattern => #kernel::__private::vec![#(#each),*],));
    let others = (tags.len() < variants).then(|| quote!(_ => #kernel::__private::Vec::new(),));
    quote! {
        fn tags(
            &self,
        ) -> ::core::result::Result<#kernel::__private::Vec<#kernel::values::Tag>, #kernel::values::InvalidName> {
            ::core::result::Result::Ok(match self {
                #(#arms)*
                #others
            })
        }
    }
}
