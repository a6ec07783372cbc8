//! `#[derive(EventSet)]`.

use crate::attributes::variants;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Fields, Ident, Path, Result, Type};

const WHAT: &str = "a set of events";

pub(crate) fn derive(input: &DeriveInput, kernel: &Path) -> Result<TokenStream> {
    let each = "an event type, such as `enum BankEvent { Account(AccountEvent), Owner(OwnerEvent) }`";
    let data = variants(input, WHAT, each)?;
    let mut events: Vec<(&Ident, &Type)> = Vec::new();
    for variant in &data.variants {
        let Fields::Unnamed(fields) = &variant.fields else {
            return Err(Error::new(variant.span(), format!("{WHAT} is an enum with a variant {each}")));
        };
        for field in &fields.unnamed {
            refuse_twins(&events, &variant.ident, &field.ty)?;
            events.push((&variant.ident, &field.ty));
        }
    }

    let ident = &input.ident;
    let kinds: Vec<_> = events.iter().map(|(_, kind)| kind).collect();
    let event = quote!(#kernel::domain::Event);
    let last = events.len() - 1;
    let decode = events.iter().enumerate().map(|(n, (variant, kind))| {
        let pattern = if n == last { quote!(_) } else { quote!(<#kind as #event>::CATEGORY) };
        quote!(#pattern => <#kind as #event>::decode(raw).map(Self::#variant),)
    });
    let each = |method: TokenStream| {
        let arms = events.iter().map(|(variant, _)| quote!(Self::#variant(event) => #event::#method,));
        quote!(#(#arms)*)
    };
    let (versions, fields) = (each(quote!(version(event))), each(quote!(field(event, name))));
    let categories = distinct_categories(&events, kernel);
    let includes = events.iter().map(|(variant, kind)| {
        let others = (events.len() > 1).then(|| quote!(_ => ::core::option::Option::None,));
        quote! {
            #[automatically_derived]
            impl #kernel::domain::Includes<#kind> for #ident {
                fn part(&self) -> ::core::option::Option<&#kind> {
                    match self {
                        Self::#variant(event) => ::core::option::Option::Some(event),
                        #others
                    }
                }
            }
        }
    });
    Ok(quote! {
        #categories

        #[automatically_derived]
        impl #kernel::domain::EventSet for #ident {
            const CATEGORIES: &'static [&'static str] = &[#(<#kinds as #event>::CATEGORY),*];
            const SHAPES: &'static [#kernel::domain::EventShape] = &[#(#kernel::domain::EventShape::of::<#kinds>()),*];

            fn histories(histories: &mut #kernel::domain::history::Histories) {
                #(histories.event::<#kinds>();)*
            }

            fn decode_in(
                category: &str,
                raw: &#kernel::ports::RawEvent,
            ) -> ::core::result::Result<Self, #kernel::domain::EventError> {
                match category {
                    #(#decode)*
                }
            }

            fn current_version(&self) -> u32 {
                match self {
                    #versions
                }
            }

            fn field_named(&self, name: &str) -> ::core::option::Option<&dyn ::core::any::Any> {
                match self {
                    #fields
                }
            }
        }

        #(#includes)*
    })
}

/// The same type twice; the error stands at the second.
fn refuse_twins(earlier: &[(&Ident, &Type)], variant: &Ident, kind: &Type) -> Result<()> {
    let text = kind.to_token_stream().to_string();
    match earlier.iter().find(|(_, earlier)| earlier.to_token_stream().to_string() == text) {
        None => Ok(()),
        Some((first, _)) => {
            let message = format!("`{first}` and `{variant}` hold the same events; a set has a variant an event type");
            Err(Error::new(kind.span(), message))
        }
    }
}

/// An event is read by the category of its stream: so each has one of its own, which the compiler can tell.
fn distinct_categories(events: &[(&Ident, &Type)], kernel: &Path) -> TokenStream {
    let pairs = events.iter().enumerate().flat_map(|(n, second)| events[..n].iter().map(move |first| (first, second)));
    let asserts = pairs.map(|((first, one), (second, other))| {
        let message = format!(
            "`{first}` and `{second}` are events of one category, by which an event of the set is told; make one event type \
             of both"
        );
        quote_spanned! {other.span()=>
            const _: () = assert!(
                !#kernel::__private::is_same(
                    <#one as #kernel::domain::Event>::CATEGORY,
                    <#other as #kernel::domain::Event>::CATEGORY,
                ),
                #message
            );
        }
    });
    quote!(#(#asserts)*)
}
