//! What `#[saga(…)]` says.

use super::effort::{Length, timeout};
use crate::attributes::{description, read};
use crate::history;
use crate::names::Named;
use proc_macro2::{Span, TokenStream};
use syn::{Error, ItemImpl, LitStr, Path, Result, Type, parse_quote};

/// What stands on the impl.
pub(super) struct Said {
    pub(super) name: Named,
    pub(super) version: u32,
    pub(super) description: String,
    pub(super) input: Type,
    pub(super) timeout: Option<Length>,
    pub(super) check: Option<Path>,
}

const KEYS: [&str; 6] = ["name", "version", "description", "input", "timeout", "check"];

impl Said {
    pub(super) fn read(said: &TokenStream, methods: &ItemImpl) -> Result<Self> {
        let (mut name, mut version, mut told, mut input) = (None, 1, None::<LitStr>, None);
        let (mut whole, mut check) = (None, None);
        read(&[parse_quote!(#[saga(#said)])], "saga", &KEYS, |key, meta| {
            match key {
                "name" => name = Some(Named::written(&meta.value()?.parse()?)?),
                "version" => version = history::version(meta)?.0,
                "description" => told = Some(meta.value()?.parse()?),
                "input" => input = Some(meta.value()?.parse()?),
                "timeout" => whole = Some(timeout(&meta.value()?.parse()?)?),
                _ => check = Some(meta.value()?.parse()?),
            }
            Ok(())
        })?;
        let Some(input) = input else {
            let message = "what a saga is started with is missing, such as `#[saga(input = TransferMoney)]`";
            return Err(Error::new(Span::call_site(), message));
        };
        let name = match name {
            Some(name) => name,
            None => of_handler(&methods.self_ty)?,
        };
        check_name("saga", &name)?;
        let description = told.map_or_else(|| description(&methods.attrs), |told| told.value());
        Ok(Self { name, version, description, input, timeout: whole, check })
    }
}

/// The name of the handler's type, in kebab case.
fn of_handler(handler: &Type) -> Result<Named> {
    match handler {
        Type::Path(path) => path.path.segments.last().map(|last| Named::kebab(&last.ident)),
        _ => None,
    }
    .ok_or_else(|| Error::new_spanned(handler, "this type has no name; give the saga one: `#[saga(name = \"…\")]`"))
}

/// Refuses what the kernel would refuse at start-up.
pub(super) fn check_name(what: &str, Named { text, span }: &Named) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if text.len() <= 100 && text.chars().all(is_plain) {
        return Ok(());
    }
    let message = format!(
        "{text:?} cannot name a {what}; use 1 to 100 lower-case letters, digits, `-`, `_` and `.`, such as transfer-money"
    );
    Err(Error::new(*span, message))
}
