//! The impl of the trait, as a person would write it.

use super::said::Said;
use super::step::{Step, Steps};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemImpl, Path};

pub(super) fn implementation(said: &Said, steps: &Steps<'_>, methods: &ItemImpl, kernel: &Path) -> TokenStream {
    let Said { name, version, description, input, timeout, check } = said;
    let (handler, name) = (&methods.self_ty, &name.text);
    let version = (*version > 1).then(|| {
        let version = Literal::u32_unsuffixed(*version);
        quote!(const VERSION: u32 = #version;)
    });
    let description = (!description.is_empty()).then(|| quote!(const DESCRIPTION: &'static str = #description;));
    let timeout = timeout.map(|timeout| quote!(.timeout(#timeout)));
    let groups = steps.0.iter().map(|group| {
        let written = group.iter().map(|step| step.written(kernel));
        match group.len() {
            1 => quote!(#(.step(#written))*),
            _ => quote!(.parallel([#(#written),*])),
        }
    });
    // A missing schema is said at the type.
    let of_input = quote_spanned!(input.span()=> of_input::<#input>);
    let validate = check.as_ref().map(|check| {
        quote! {
            fn validate(input: &#input) -> #kernel::__private::Vec<#kernel::ports::Violation> {
                #check(input)
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #kernel::domain::saga::Saga for #handler {
            const NAME: &'static str = #name;
            #version
            #description
            type Input = #input;

            fn definition() -> #kernel::domain::saga::Definition<Self> {
                #kernel::domain::saga::Definition::new() #timeout #(#groups)*
            }

            fn schema() -> ::core::option::Option<#kernel::__private::Value> {
                ::core::option::Option::Some(#kernel::domain::schema::#of_input())
            }

            #validate
        }
    }
}

impl Step<'_> {
    fn written(&self, kernel: &Path) -> TokenStream {
        let (name, method) = (&self.name.text, path(self.method));
        let by = |setting: &str, method: Option<&Ident>| {
            let setting = Ident::new(setting, proc_macro2::Span::call_site());
            method.map(path).map(|method| quote!(.#setting(#method)))
        };
        let compensation = self.compensate.as_ref();
        let compensate = by("compensate", compensation.map(|compensation| compensation.method));
        let harmless = self.harmless.then(|| quote!(.harmless()));
        let outside = self.outside.then(|| quote!(.outside()));
        let (resolve, when) = (by("resolve", self.resolve), by("when", self.when));
        let retry = self.retry.as_ref().map(|retry| retry.written(kernel)).map(|retry| quote!(.retry(#retry)));
        let timeout = self.timeout.map(|timeout| quote!(.timeout(#timeout)));
        let back_retry = compensation.and_then(|compensation| compensation.retry.as_ref());
        let back_retry = back_retry.map(|retry| retry.written(kernel)).map(|retry| quote!(.compensation_retry(#retry)));
        let back_timeout = compensation.and_then(|compensation| compensation.timeout);
        let back_timeout = back_timeout.map(|timeout| quote!(.compensation_timeout(#timeout)));
        quote! {
            #kernel::domain::saga::Step::new(#name, #method)
                #compensate #harmless #outside #resolve #when #retry #timeout #back_retry #back_timeout
        }
    }
}

/// A method, in such a way that errors about its type point to it.
fn path(method: &Ident) -> TokenStream {
    quote_spanned!(method.span()=> Self::#method)
}
