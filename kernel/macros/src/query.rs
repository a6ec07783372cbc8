//! `#[derive(Query)]`.

use crate::attributes::{named_fields, place, read};
use crate::command::{description_const, schema_fn};
use crate::names::Named;
use crate::serde_view;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Path, Result, Type};

pub(crate) fn derive(input: &DeriveInput, kernel: &Path) -> Result<TokenStream> {
    named_fields(input, "a query", "struct AccountQuery { account_id: String }")?;
    serde_view::refuse_flatten(input)?;
    let (mut name, mut answer) = (None, None::<Type>);
    read(&input.attrs, "query", &["name", "answer"], |key, meta| {
        match key {
            "name" => name = Some(Named::written(&meta.value()?.parse()?)?),
            _ => answer = Some(meta.value()?.parse()?),
        }
        Ok(())
    })?;
    let Some(answer) = answer else {
        let message = "the type of the answer is missing, such as `#[query(answer = AccountView)]`";
        return Err(Error::new(place(&input.attrs, "query").unwrap_or(input.ident.span()), message));
    };
    let ident = &input.ident;
    let name = name.unwrap_or_else(|| Named::kebab(ident)).text;
    let description = description_const(input);
    let schema = schema_fn(input, kernel);
    // A missing schema is said at the type.
    let of_output = quote_spanned!(answer.span()=> of_output::<#answer>);
    Ok(quote! {
        #[automatically_derived]
        impl #kernel::drivers::Question for #ident {
            const NAME: &'static str = #name;
            #description
            type Answer = #answer;
            #schema
            fn answer_schema() -> ::core::option::Option<#kernel::__private::Value> {
                ::core::option::Option::Some(#kernel::domain::schema::#of_output())
            }
        }
    })
}
