//! `#[saga]`.

mod effort;
mod said;
mod step;
mod write;

use crate::kernel;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use said::Said;
use step::Steps;
use syn::spanned::Spanned;
use syn::{Attribute, Error, ImplItem, Item, ItemImpl, Path, Result};

/// What the attribute makes of its item: the methods as they are, without attributes that are ours, and the trait's impl.
/// After a mistake it is the methods and what the compiler says of it, so that it says nothing else.
pub(crate) fn expand(said: TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse2(item.clone()) {
        Ok(Item::Impl(methods)) => {
            let plain = without_attributes(&methods);
            let written = kernel::path().and_then(|kernel| implementation(said, &methods, &kernel));
            let written = written.unwrap_or_else(Error::into_compile_error);
            quote!(#plain #written)
        }
        Ok(other) => {
            let message = "`#[saga(…)]` stands on the methods of a saga's handler: `impl Transfers { … }`";
            let error = Error::new(other.span(), message).into_compile_error();
            quote!(#item #error)
        }
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#item #error)
        }
    }
}

/// `impl Saga for …`.
pub(crate) fn implementation(said: TokenStream, methods: &ItemImpl, kernel: &Path) -> Result<TokenStream> {
    if let Some((path, _)) = &methods.trait_ {
        let handler = methods.self_ty.to_token_stream();
        let message = format!(
            "`#[saga(…)]` stands on the handler's own methods, `impl {handler} {{ … }}`; it writes the trait itself"
        );
        return Err(Error::new(path.span(), message));
    }
    if let Some(first) = methods.generics.params.first() {
        let message = "a saga has one name, and so no generics; write out the types it is for";
        return Err(Error::new(first.span(), message));
    }
    let said = Said::read(&said, methods)?;
    let steps = Steps::read(methods, &said.input)?;
    Ok(write::implementation(&said, &steps, methods, kernel))
}

/// Attributes of ours on a method.
const OURS: [&str; 2] = ["step", "compensation"];

fn without_attributes(methods: &ItemImpl) -> ItemImpl {
    let mut plain = methods.clone();
    for item in &mut plain.items {
        if let ImplItem::Fn(method) = item {
            method.attrs.retain(|attribute| !is_ours(attribute));
        }
    }
    plain
}

fn is_ours(attribute: &Attribute) -> bool {
    OURS.iter().any(|name| attribute.path().is_ident(name))
}
