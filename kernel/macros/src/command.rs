//! `#[derive(Command)]`.

use crate::attributes::{description, named_fields, place, read};
use crate::history;
use crate::names::{Named, hint, unraw};
use crate::schema::inner_twin;
use crate::serde_view;
use crate::template::Template;
use proc_macro2::{Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, FieldsNamed, LitStr, Path, Result};

struct Said {
    name: Option<Named>,
    version: Option<u32>,
    stream: Option<(LitStr, Template)>,
    check: Option<Path>,
    /// Where it is said that validator has rules for it.
    validate: Option<Span>,
}

fn said(input: &DeriveInput, fields: &FieldsNamed) -> Result<Said> {
    let of_fields = || fields.named.iter().find_map(|field| place(&field.attrs, "validate"));
    let validate = place(&input.attrs, "validate").or_else(of_fields);
    let mut said = Said { name: None, version: None, stream: None, check: None, validate };
    read(&input.attrs, "command", &["name", "version", "stream", "check", "validate"], |key, meta| {
        match key {
            "name" => said.name = Some(Named::written(&meta.value()?.parse()?)?),
            "version" => said.version = Some(history::version(meta)?.0),
            "stream" => {
                let literal = meta.value()?.parse()?;
                let template = Template::read(&literal)?;
                said.stream = Some((literal, template));
            }
            "check" => said.check = Some(meta.value()?.parse()?),
            _ => said.validate = Some(meta.path.span()),
        }
        Ok(())
    })?;
    Ok(said)
}

pub(crate) fn derive(input: &DeriveInput, kernel: &Path) -> Result<TokenStream> {
    let fields = named_fields(input, "a command", "struct Deposit { account_id: String, amount: u64 }")?;
    serde_view::refuse_flatten(input)?;
    refuse_rules_on_wide_numbers(fields)?;
    let said = said(input, fields)?;
    let ident = &input.ident;
    let name = said.name.as_ref().map_or_else(|| Named::kebab(ident).text, |name| name.text.clone());
    let description = description_const(input);
    let version = said.version.filter(|version| *version > 1).map(|version| {
        let version = Literal::u32_unsuffixed(version);
        quote!(const VERSION: u32 = #version;)
    });
    let schema = schema_fn(input, kernel);
    let validate = validate_fn(input, &said, kernel);
    let stream = match &said.stream {
        Some((literal, template)) => stream_command(input, fields, literal, template, kernel)?,
        None => TokenStream::new(),
    };
    Ok(quote! {
        #[automatically_derived]
        impl #kernel::domain::Command for #ident {
            const NAME: &'static str = #name;
            #description
            #version
            #schema
            #validate
        }
        #stream
    })
}

/// Validator keeps a wrong value as JSON, and one past 64 bits has no such form.
fn refuse_rules_on_wide_numbers(fields: &FieldsNamed) -> Result<()> {
    let is_wide = |field: &&syn::Field| mentions(field.ty.to_token_stream(), &["u128", "i128"]);
    match fields.named.iter().filter(|field| place(&field.attrs, "validate").is_some()).find(is_wide) {
        None => Ok(()),
        Some(field) => Err(Error::new(
            field.ty.span(),
            "`#[validate]` takes no numbers of more than 64 bits; judge this field in `#[command(check = …)]`",
        )),
    }
}

/// Whether one of these names is anywhere among the tokens.
fn mentions(tokens: TokenStream, names: &[&str]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.iter().any(|name| ident == name),
        TokenTree::Group(group) => mentions(group.stream(), names),
        _ => false,
    })
}

/// The doc comment as `DESCRIPTION`, if there is one.
pub(crate) fn description_const(input: &DeriveInput) -> TokenStream {
    match &*description(&input.attrs) {
        "" => TokenStream::new(),
        text => quote!(const DESCRIPTION: &'static str = #text;),
    }
}

/// `fn schema()` of something that is sent from outside.
pub(crate) fn schema_fn(input: &DeriveInput, kernel: &Path) -> TokenStream {
    let (twin, name) = inner_twin(input, kernel);
    quote! {
        fn schema() -> ::core::option::Option<#kernel::__private::Value> {
            #twin
            ::core::option::Option::Some(#kernel::domain::schema::of_input::<#name>())
        }
    }
}

fn validate_fn(input: &DeriveInput, said: &Said, kernel: &Path) -> TokenStream {
    let violations = said.validate.map(|span| {
        let pairs = serde_view::fields(input).into_iter().map(|(field, wire)| quote!((#field, #wire)));
        let this = quote_spanned!(span=> self);
        quote!(#kernel::domain::validation::violations(#this, &[#(#pairs),*]))
    });
    let check = said.check.as_ref().map(|check| quote!(#check(self)));
    let body = match (violations, check) {
        (None, None) => return TokenStream::new(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(violations), Some(check)) => quote! {
            let mut violations = #violations;
            violations.extend(#check);
            violations
        },
    };
    quote! {
        fn validate(&self) -> #kernel::__private::Vec<#kernel::ports::Violation> {
            #body
        }
    }
}

fn stream_command(
    input: &DeriveInput,
    fields: &FieldsNamed,
    literal: &LitStr,
    template: &Template,
    kernel: &Path,
) -> Result<TokenStream> {
    let ident = &input.ident;
    let mut values = Vec::new();
    for wanted in &template.fields {
        let is_it = |field: &&syn::Field| field.ident.as_ref().is_some_and(|ident| unraw(ident) == *wanted);
        match fields.named.iter().find(is_it) {
            // Errors about its type point to its type.
            Some(field) => {
                let name = field.ident.as_ref().map(ToTokens::to_token_stream);
                values.push(quote_spanned!(field.ty.span()=> self.#name));
            }
            None if wanted.is_empty() => {
                return Err(Error::new(literal.span(), "`{}` names no field; a field is written `{account_id}`"));
            }
            None => {
                let names: Vec<_> = fields.named.iter().filter_map(|field| field.ident.as_ref().map(unraw)).collect();
                let hint = hint(wanted, names.iter().map(String::as_str), "its fields are");
                let message = format!("`{ident}` has no field `{wanted}`{hint}");
                return Err(Error::new(literal.span(), message));
            }
        }
    }
    let format = &template.format;
    let name = match values[..] {
        [] => template.fixed().to_token_stream(),
        _ => quote!(#kernel::__private::format!(#format, #(#values),*)),
    };
    let category = template.category().map(|category| {
        quote! {
            const CATEGORY: ::core::option::Option<&'static str> = ::core::option::Option::Some(#category);
        }
    });
    Ok(quote! {
        #[automatically_derived]
        impl #kernel::domain::StreamCommand for #ident {
            #category
            fn stream(&self) -> ::core::result::Result<#kernel::values::StreamId, #kernel::values::InvalidName> {
                #kernel::values::StreamId::new(#name)
            }
        }
    })
}
