//! Names of the application as names of GraphQL.

use heck::{ToLowerCamelCase as _, ToUpperCamelCase as _};
use juniper::ArcStr;
use std::collections::BTreeSet;

/// `open-account` as `openAccount`, for a field.
pub(crate) fn camel(name: &str) -> String {
    valid(&ascii(name).to_lower_camel_case())
}

/// `open-account` as `OpenAccount`, for a type.
pub(crate) fn pascal(name: &str) -> String {
    valid(&ascii(name).to_upper_camel_case())
}

/// What GraphQL has no letter for separates words.
fn ascii(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect()
}

/// A name that is one already, or the nearest that is: with an underscore for every other character.
pub(crate) fn valid(name: &str) -> String {
    let mut valid: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    // Two underscores at the beginning are for introspection.
    while valid.starts_with("__") {
        valid.remove(0);
    }
    if valid.starts_with(|c: char| c.is_ascii_digit()) || valid.is_empty() {
        valid.insert(0, '_');
    }
    valid
}

/// Names that are taken in one place.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// The name, or if it is taken the name with the least number behind it that is not.
    pub(crate) fn take(&mut self, wanted: &str) -> ArcStr {
        let mut name = wanted.to_owned();
        let mut n = 2_u32;
        while !self.0.insert(name.clone()) {
            name = format!("{wanted}{n}");
            n += 1;
        }
        name.into()
    }
}

impl<'n> FromIterator<&'n str> for Names {
    fn from_iter<I: IntoIterator<Item = &'n str>>(names: I) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one() {
        for (name, field, of_type) in [
            ("open-account", "openAccount", "OpenAccount"),
            ("OpenAccount", "openAccount", "OpenAccount"),
            ("2fa.enable", "_2faEnable", "_2faEnable"),
            ("größe", "grE", "GrE"),
            ("漢字", "_", "_"),
            ("__x", "x", "X"),
        ] {
            assert_eq!((camel(name), pascal(name)), (field.to_owned(), of_type.to_owned()), "{name}");
        }
        assert_eq!(valid("first-name"), "first_name");
        assert_eq!(valid("__typename"), "_typename");
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut names: Names = ["events"].into_iter().collect();
        assert_eq!(
            [names.take("a"), names.take("events"), names.take("a"), names.take("a")],
            ["a", "events2", "a2", "a3"]
        );
    }
}
