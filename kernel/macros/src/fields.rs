//! What an event tells of its variants' fields, and `#[derive(EventFields)]`.

use crate::attributes::named_fields;
use crate::kernel;
use crate::names::unraw;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Field, Fields, Path, Result, Variant};

/// `const VARIANTS` and `fn field`, if there are fields. Beside each variant stands whether the fields of its payload are
/// its own.
pub(crate) fn of_variants(variants: &[(&Variant, bool)], kernel: &Path) -> (TokenStream, Option<TokenStream>) {
    let (mut told, mut arms) = (Vec::new(), Vec::new());
    for (variant, has_its_fields) in variants {
        let ident = &variant.ident;
        let name = unraw(ident);
        match &variant.fields {
            Fields::Unnamed(payload) if *has_its_fields => {
                // Errors about its type point to its type.
                let (span, kernel_there) = (payload.span(), kernel::at(kernel, payload.span()));
                let told_fields = payload.unnamed.iter().map(|field| {
                    let kind = &field.ty;
                    quote_spanned!(span=> <#kind as #kernel_there::domain::EventFields>::FIELDS)
                });
                told.push(quote!(#kernel::domain::EventVariant::new(#name, #(#told_fields),*)));
                let field = quote_spanned!(span=> #kernel_there::domain::EventFields::field(payload, name));
                arms.push(quote!((Self::#ident(payload), _) => #field,));
            }
            Fields::Unnamed(_) => told.push(quote!(#kernel::domain::EventVariant::opaque(#name))),
            fields => {
                let each = fields.iter().map(|field| told_of(field, kernel));
                told.push(quote!(#kernel::domain::EventVariant::new(#name, &[#(#each),*])));
                for field in fields.iter().filter_map(|field| field.ident.as_ref()) {
                    let name = unraw(field);
                    arms.push(quote!((Self::#ident { #field, .. }, #name) => ::core::option::Option::Some(#field),));
                }
            }
        }
    }
    let field = (!arms.is_empty()).then(|| {
        quote! {
            fn field(&self, name: &str) -> ::core::option::Option<&dyn ::core::any::Any> {
                match (self, name) {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    });
    (quote!(const VARIANTS: &'static [#kernel::domain::EventVariant] = &[#(#told),*];), field)
}

/// A field's name and type.
fn told_of(field: &Field, kernel: &Path) -> TokenStream {
    let (name, kind) = (field.ident.as_ref().map(unraw), &field.ty);
    quote!(#kernel::domain::EventField::of::<#kind>(#name))
}

/// `#[derive(EventFields)]`.
pub(crate) fn derive(input: &DeriveInput, kernel: &Path) -> Result<TokenStream> {
    let fields = named_fields(input, "a payload", "struct Payment { amount: u64 }")?;
    let ident = &input.ident;
    let told = fields.named.iter().map(|field| told_of(field, kernel));
    let arms = fields.named.iter().filter_map(|field| field.ident.as_ref()).map(|field| {
        let name = unraw(field);
        quote!(#name => ::core::option::Option::Some(&self.#field),)
    });
    Ok(quote! {
        #[automatically_derived]
        impl #kernel::domain::EventFields for #ident {
            const FIELDS: &'static [#kernel::domain::EventField] = &[#(#told),*];

            fn field(&self, name: &str) -> ::core::option::Option<&dyn ::core::any::Any> {
                match name {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    })
}
