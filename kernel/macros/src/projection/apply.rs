//! What a derived projection does with an event.

use super::Column;
use super::said::{Does, Handled, Said};
use crate::names::unraw;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Path};

/// A variable that is none of the user's, even if a column or field has its name.
pub(super) fn ours(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// A match a type of events; what is in none of them is left to its fields.
pub(super) fn body(said: &Said, columns: &[Column<'_>], kernel: &Path) -> TokenStream {
    let text = |event: &Path| event.to_token_stream().to_string();
    let mut groups: Vec<(&Path, Vec<TokenStream>)> = Vec::new();
    for handled in &said.handled {
        let arm = arm(handled, columns);
        match groups.iter_mut().find(|(event, _)| text(event) == text(&handled.event)) {
            Some((_, arms)) => arms.push(arm),
            None => groups.push((&handled.event, vec![arm])),
        }
    }
    let recorded = ours("event");
    groups.into_iter().rfold(by_fields(columns, kernel), |rest, (event, arms)| {
        let events = &said.events;
        quote! {
            match <#events as #kernel::domain::Includes<#event>>::part(&#recorded.event) {
                #(#arms)*
                _ => { #rest }
            }
        }
    })
}

fn arm(handled: &Handled, columns: &[Column<'_>]) -> TokenStream {
    let Handled { event, variant, does } = handled;
    let (row, recorded) = (ours("row"), ours("event"));
    let pattern = match does {
        Does::Method(bindings, ..) => quote!(#event::#variant #bindings),
        _ => quote!(#event::#variant { .. }),
    };
    let body = match does {
        Does::Method(_, values, method) => {
            let call = quote_spanned!(method.span()=> Self::#method(#row, #(#values),*));
            if columns.iter().any(Column::is_needed) {
                quote! {
                    if let ::core::option::Option::Some(#row) = #row {
                        #call;
                    }
                }
            } else {
                let defaults = columns.iter().map(|column| {
                    let (ident, default) = (column.ident, default(column));
                    quote!(#ident: #default)
                });
                quote! {
                    let #row = #row.get_or_insert_with(|| Self { #(#defaults),* });
                    #call;
                }
            }
        }
        Does::Function(function) => {
            let call = quote_spanned!(function.span()=> Self::#function(#row, #recorded));
            quote!(#call;)
        }
        Does::Delete => quote!(*#row = ::core::option::Option::None;),
        Does::Nothing => TokenStream::new(),
    };
    quote!(::core::option::Option::Some(#pattern) => { #body })
}

/// Fields into the columns of the same name.
fn by_fields(columns: &[Column<'_>], kernel: &Path) -> TokenStream {
    if columns.is_empty() {
        return TokenStream::new();
    }
    let row = ours("row");
    let overwrite = columns.iter().map(|column| {
        let (ident, value) = (column.ident, value(column, kernel));
        quote! {
            if let ::core::option::Option::Some(value) = #value {
                #row.#ident = value;
            }
        }
    });
    let take = columns.iter().map(|column| {
        let (ident, value) = (column.ident, value(column, kernel));
        match column.is_needed() {
            true => quote!(let ::core::option::Option::Some(#ident) = #value else { return };),
            false => quote!(let #ident = #value;),
        }
    });
    let cells = columns.iter().map(|column| {
        let ident = column.ident;
        match &column.default {
            _ if column.is_needed() => quote!(#ident),
            Some(Some(default)) => quote!(#ident: #ident.unwrap_or_else(|| #default)),
            _ => {
                let value = quote_spanned!(column.kind.span()=> #ident.unwrap_or_default());
                quote!(#ident: #value)
            }
        }
    });
    let make = quote!(*#row = ::core::option::Option::Some(Self { #(#cells),* }););
    let make = if columns.iter().any(Column::is_needed) {
        make
    } else {
        let idents = columns.iter().map(|column| column.ident);
        quote! {
            if #(#idents.is_some())||* {
                #make
            }
        }
    };
    quote! {
        match #row {
            ::core::option::Option::Some(#row) => {
                #(#overwrite)*
            }
            ::core::option::Option::None => {
                #(#take)*
                #make
            }
        }
    }
}

/// The field of an event for the column.
fn value(column: &Column<'_>, kernel: &Path) -> TokenStream {
    let (event, name) = (ours("event"), unraw(column.ident));
    // Errors about its type point to its type.
    let (function, kind) = match column.inner {
        Some(inner) => ("optional", inner),
        None => ("value", column.kind),
    };
    let function = Ident::new(function, kind.span());
    quote!(#kernel::domain::mapping::#function::<#kind>(&#event.event, #name))
}

fn default(column: &Column<'_>) -> TokenStream {
    match &column.default {
        Some(Some(default)) => default.to_token_stream(),
        _ => quote_spanned!(column.kind.span()=> ::core::default::Default::default()),
    }
}
