//! Under which name the kernel is to be had where a macro stands.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Error, Ident, Path, Result, parse_quote};

/// `::portolan` or `::portolan_kernel`, or whatever `Cargo.toml` calls them; both have the same modules.
pub(crate) fn path() -> Result<Path> {
    for package in ["portolan", "portolan-kernel"] {
        if let Ok(found) = crate_name(package) {
            let name = match found {
                // An example or a doctest of the package itself: it names the library as anybody does.
                FoundCrate::Itself => package.replace('-', "_"),
                FoundCrate::Name(name) => name,
            };
            let name = Ident::new(&name, Span::call_site());
            return Ok(parse_quote!(::#name));
        }
    }
    let message = "this macro needs `portolan`, or `portolan-kernel` with its feature `macros`, among the dependencies \
                   in Cargo.toml";
    Err(Error::new(Span::call_site(), message))
}

/// The same path, for code about whose errors the compiler is to speak there.
pub(crate) fn at(kernel: &Path, span: Span) -> TokenStream {
    let moved = kernel.to_token_stream().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    moved.collect()
}
