//! Derives.
use proc_macro::TokenStream;
use syn::{DeriveInput, Path, Result, parse_macro_input};

mod attributes;
mod command;
mod event;
mod kernel;
mod names;
mod query;
mod rejection;
mod schema;
mod serde_view;
mod template;

type Derive = fn(&DeriveInput, &Path) -> Result<proc_macro2::TokenStream>;

fn expand(input: TokenStream, derive: Derive) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let expanded = kernel::path().and_then(|kernel| derive(&input, &kernel));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// C
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    expand(input, command::derive)
}

/// E
#[proc_macro_derive(Event, attributes(event, tag))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    expand(input, event::derive)
}

/// R
#[proc_macro_derive(Rejection, attributes(rejection))]
pub fn derive_rejection(input: TokenStream) -> TokenStream {
    expand(input, rejection::derive)
}

/// Q
#[proc_macro_derive(Query, attributes(query))]
pub fn derive_query(input: TokenStream) -> TokenStream {
    expand(input, query::derive)
}

/// J
#[proc_macro_derive(JsonSchema, attributes(schemars, serde, validate))]
pub fn derive_json_schema(input: TokenStream) -> TokenStream {
    expand(input, schema::derive)
}
