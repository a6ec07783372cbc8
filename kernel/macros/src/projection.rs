//! `#[derive(Projection)]`.

mod apply;
mod said;

use crate::attributes::{named_fields, read};
use crate::names::unraw;
use crate::row;
use crate::template::Template;
use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use said::{Does, Handled, Key, Said};
use syn::spanned::Spanned;
use syn::{DeriveInput, Expr, FieldsNamed, GenericArgument, Ident, Path, PathArguments, Result, Token, Type};

/// A column, and what it takes from events.
struct Column<'a> {
    ident: &'a Ident,
    kind: &'a Type,
    /// What it holds, when it is an `Option`.
    inner: Option<&'a Type>,
    /// What it begins with, if it needs no field; nothing for its type's default.
    default: Option<Option<Expr>>,
}

impl Column<'_> {
    fn is_needed(&self) -> bool {
        self.inner.is_none() && self.default.is_none()
    }
}

pub(crate) fn derive(input: &DeriveInput, kernel: &Path) -> Result<TokenStream> {
    let fields = named_fields(input, row::WHAT, row::SUCH_AS)?;
    let columns = columns(fields)?;
    let said = Said::read(input)?;
    let Said { name, version, events, .. } = &said;
    let (ident, name, version) = (&input.ident, &name.text, Literal::u16_unsuffixed(*version));
    let domain = quote!(#kernel::domain);
    let key = key(&said.key, &columns, kernel);
    let apply = apply::body(&said, &columns, kernel);
    let check = check(&said, &columns, kernel);
    let on_failure = said.on_failure.as_ref().map(|policy| {
        let policy = said::policy(policy, kernel);
        quote! {
            fn on_failure() -> #domain::FailurePolicy {
                #policy
            }
        }
    });
    let on_unknown = said.on_unknown.as_ref().map(|variant| {
        quote! {
            fn on_unknown() -> #domain::Unknown {
                #domain::Unknown::#variant
            }
        }
    });
    let lifecycle = said.lifecycle.as_ref().map(|variant| {
        quote! {
            fn lifecycle() -> #kernel::ports::Lifecycle {
                #kernel::ports::Lifecycle::#variant
            }
        }
    });
    // Two parameters of our own, whatever the columns and fields are named.
    let (row, event) = (apply::ours("row"), apply::ours("event"));
    // What is missing is said where it is named.
    let this = quote_spanned!(ident.span()=> Self);
    Ok(quote! {
        #[automatically_derived]
        impl #domain::Projection for #ident {
            const NAME: &'static str = #name;
            const VERSION: u16 = #version;
            type Event = #events;
            type Row = #this;

            fn key(
                #event: &#domain::RecordedAs<#events>,
            ) -> ::core::option::Option<#kernel::__private::String> {
                #key
            }

            fn apply(#row: &mut ::core::option::Option<Self>, #event: &#domain::RecordedAs<#events>) {
                #apply
            }

            #on_failure
            #on_unknown
            #lifecycle

            fn check() -> ::core::result::Result<(), #domain::mapping::MappingError> {
                #check
            }
        }
    })
}

fn columns(fields: &FieldsNamed) -> Result<Vec<Column<'_>>> {
    let mut columns = Vec::new();
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let mut default = None;
        read(&field.attrs, "projection", &["default"], |_, meta| {
            default = Some(if meta.input.peek(Token![=]) { Some(meta.value()?.parse()?) } else { None });
            Ok(())
        })?;
        columns.push(Column { ident, kind: &field.ty, inner: inner(&field.ty), default });
    }
    Ok(columns)
}

/// What an `Option` holds, as it is written.
fn inner(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) => Some(inner),
        _ => None,
    }
}

fn key(key: &Key, columns: &[Column<'_>], kernel: &Path) -> TokenStream {
    let event = apply::ours("event");
    let private = quote!(#kernel::__private);
    match key {
        Key::Stream => quote!(::core::option::Option::Some(#private::ToString::to_string(#event.stream()))),
        Key::StreamId => quote!(::core::option::Option::Some(#private::String::from(#event.stream().id()))),
        Key::Function(path) => quote!(#path(#event)),
        Key::Fields(literal, Template { format, .. }) => {
            let parts = parts(key, columns);
            let values = parts.iter().map(|Part { name, kind }| {
                // Errors about its type point to its type, or to the key.
                let span = kind.as_ref().map_or(literal.span(), |kind| kind.span());
                let kind = kind.as_ref().map_or_else(|| quote!(#private::String), |kind| kind.to_token_stream());
                quote_spanned!(span=> #kernel::domain::mapping::value::<#kind>(&#event.event, #name)?)
            });
            quote!(::core::option::Option::Some(#private::format!(#format, #(#values),*)))
        }
    }
}

/// A field of the key: of the type of its column, or else a text.
struct Part<'a> {
    name: &'a str,
    kind: Option<&'a Type>,
}

fn parts<'a>(key: &'a Key, columns: &'a [Column<'_>]) -> Vec<Part<'a>> {
    let Key::Fields(_, template) = key else { return Vec::new() };
    let part = |name: &'a String| {
        let column = columns.iter().find(|column| unraw(column.ident) == *name);
        Part { name, kind: column.map(|column| column.inner.unwrap_or(column.kind)) }
    };
    template.fields.iter().map(part).collect()
}

fn check(said: &Said, columns: &[Column<'_>], kernel: &Path) -> TokenStream {
    let mapping = quote!(#kernel::domain::mapping);
    let told = columns.iter().map(|Column { ident, kind, inner, default }| {
        let (name, default) = (unraw(ident), default.as_ref().map(|_| quote!(.or_default())));
        match inner {
            Some(inner) => quote!(#mapping::MappedColumn::optional::<#inner>(#name) #default),
            None => quote!(#mapping::MappedColumn::of::<#kind>(#name) #default),
        }
    });
    let key = parts(&said.key, columns);
    let key = key.iter().map(|Part { name, kind }| match kind {
        Some(kind) => quote!(#mapping::MappedColumn::of::<#kind>(#name)),
        None => quote!(#mapping::MappedColumn::of::<#kernel::__private::String>(#name)),
    });
    let handled = said.handled.iter().map(|Handled { event, variant, does }| {
        let name = unraw(variant);
        let does = format_ident!(
            "{}",
            match does {
                Does::Method(..) => "Method",
                Does::Function(_) => "Function",
                Does::Delete => "Delete",
                Does::Nothing => "Nothing",
            }
        );
        quote!(#mapping::Handled::of::<#event>(#name, #mapping::Does::#does))
    });
    let events = &said.events;
    quote! {
        #mapping::Mapping { columns: &[#(#told),*], key: &[#(#key),*], handled: &[#(#handled),*] }.check::<#events>()
    }
}
