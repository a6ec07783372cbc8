//! What the crate's documentation shows is what the macros write.
//!
//! `UPDATE_EXPANSION=1 cargo test -p portolan-macros` writes it anew; read it then.

use crate::{Derive, command, event, event_set, projection, query, rejection, row, saga};
use std::path::Path;
use syn::{Attribute, DeriveInput, Item, ItemImpl, parse_quote};

const DERIVES: [(&str, Derive); 7] = [
    ("Command", command::derive),
    ("Event", event::derive),
    ("Rejection", rejection::derive),
    ("Query", query::derive),
    ("Row", row::derive),
    ("Projection", projection::derive),
    ("EventSet", event_set::derive),
];

fn is_derived(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|attribute| {
        let mut found = false;
        let read = attribute.parse_nested_meta(|meta| {
            found |= meta.path.is_ident(name);
            Ok(())
        });
        read.is_ok() && found
    })
}

/// What is written for an item.
fn expanded(item: &Item) -> String {
    if let Item::Impl(methods) = item {
        return expanded_saga(methods);
    }
    let input: DeriveInput = parse_quote!(#item);
    let crate_path = parse_quote!(crate);
    let derived = DERIVES.iter().filter(|(name, _)| is_derived(&input.attrs, name));
    let texts = derived.map(|(_, derive)| {
        let tokens = derive(&input, &crate_path).unwrap_or_else(|error| panic!("{error}"));
        let file = syn::parse2(tokens).unwrap_or_else(|error| panic!("{error}"));
        prettyplease::unparse(&file)
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn expanded_saga(methods: &ItemImpl) -> String {
    let attribute = methods.attrs.iter().find(|attribute| attribute.path().is_ident("saga")).expect("it is a saga");
    let said = attribute.meta.require_list().expect("it says something").tokens.clone();
    let tokens = saga::implementation(said, methods, &parse_quote!(crate)).unwrap_or_else(|error| panic!("{error}"));
    prettyplease::unparse(&syn::parse2(tokens).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn the_documentation_shows_what_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expansion");
    let input = std::fs::read_to_string(folder.join("input.rs")).expect("the input is there");
    let file = syn::parse_file(&input).expect("the input is Rust");
    let written = file.items.iter().map(expanded).collect::<Vec<_>>().join("\n");
    if std::env::var_os("UPDATE_EXPANSION").is_some() {
        std::fs::write(folder.join("output.rs"), &written).expect("the output can be written");
    }
    let shown = std::fs::read_to_string(folder.join("output.rs")).unwrap_or_default();
    assert!(written == shown, "the macros write something else now; UPDATE_EXPANSION=1 shows it:\n{written}");
}
