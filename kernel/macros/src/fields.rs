//! What an event tells of its variants' fields.

use crate::names::unraw;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Fields, Path, Variant};

/// `const VARIANTS` and `fn field`.
pub(crate) fn of_variants<'a>(variants: impl Iterator<Item = &'a Variant>, kernel: &Path) -> TokenStream {
    let (mut told, mut arms) = (Vec::new(), Vec::new());
    for variant in variants {
        let ident = &variant.ident;
        let name = unraw(ident);
        if let Fields::Unnamed(_) = &variant.fields {
            told.push(quote!(#kernel::domain::EventVariant::opaque(#name)));
            continue;
        }
        let mut fields = Vec::new();
        for field in &variant.fields {
            let Some(binding) = &field.ident else { continue };
            let (name, kind) = (unraw(binding), &field.ty);
            fields.push(quote!(#kernel::domain::EventField::of::<#kind>(#name)));
            arms.push(quote!((Self::#ident { #binding, .. }, #name) => ::core::option::Option::Some(#binding),));
        }
        told.push(quote!(#kernel::domain::EventVariant::new(#name, &[#(#fields),*])));
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
    quote! {
        const VARIANTS: &'static [#kernel::domain::EventVariant] = &[#(#told),*];
        #field
    }
}
