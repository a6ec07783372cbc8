//! `#[derive(Rejection)]`.

use crate::attributes::{read, variants};
use crate::names::{Named, refuse_duplicates};
use crate::serde_view;
use heck::ToKebabCase;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Error, LitStr, Path, Result, Variant};

pub(crate) fn derive(input: &DeriveInput, kernel: &Path) -> Result<TokenStream> {
    let data = variants(input, "a rejection", "a reason, such as `enum Refused { NotOpen }`")?;
    serde_view::refuse_other_forms(input, "a rejection")?;
    read(&input.attrs, "rejection", &[], |_, _| Ok(()))?;
    let mut codes = Vec::new();
    for variant in &data.variants {
        codes.push((&variant.ident, code(variant)?));
    }
    refuse_duplicates(&codes, "both have the code", "`#[rejection(code = \"…\")]`")?;

    let ident = &input.ident;
    let arms = codes.iter().map(|(variant, code)| {
        let code = &code.text;
        quote!(Self::#variant { .. } => #code,)
    });
    let texts = codes.iter().map(|(_, code)| &code.text);
    // What is missing is said at the type's name.
    let rejection = quote_spanned!(ident.span()=> Rejection);
    Ok(quote! {
        const _: () = #kernel::__private::has_a_message::<#ident>();

        #[automatically_derived]
        impl #kernel::domain::#rejection for #ident {
            fn code(&self) -> &'static str {
                match self {
                    #(#arms)*
                }
            }

            fn from_parts(code: &str, fields: &#kernel::__private::Value) -> ::core::option::Option<Self> {
                let codes = [#(#texts),*];
                #kernel::domain::variant::from_parts(&codes, code, fields)
            }
        }
    })
}

/// The variant's name in kebab case, or what its attribute says.
fn code(variant: &Variant) -> Result<Named> {
    let mut code = None;
    read(&variant.attrs, "rejection", &["code"], |_, meta| {
        let literal: LitStr = meta.value()?.parse()?;
        let named = Named::written(&literal)?;
        let kebab = named.text.to_kebab_case();
        if named.text != kebab {
            return Err(Error::new(literal.span(), format!("a code is in kebab case: `{kebab}`")));
        }
        code = Some(named);
        Ok(())
    })?;
    Ok(code.unwrap_or_else(|| Named::kebab(&variant.ident)))
}
