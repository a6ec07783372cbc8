//! Names: in kebab case, checked, and alike.

use heck::ToKebabCase;
use proc_macro2::Span;
use syn::{Error, Ident, LitStr, Result};

/// A name on a wire or in a store, and where the code has it from.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Named {
    /// The name of a type or variant, in kebab case.
    pub(crate) fn kebab(ident: &Ident) -> Self {
        Self { text: unraw(ident).to_kebab_case(), span: ident.span() }
    }

    /// A name as somebody wrote it: 1 to 512 bytes without control characters, as everywhere.
    pub(crate) fn written(literal: &LitStr) -> Result<Self> {
        let (text, span) = (literal.value(), literal.span());
        match text.len() {
            0 => Err(Error::new(span, "a name is not empty")),
            513.. => Err(Error::new(span, "a name has 512 bytes at most")),
            _ if text.chars().any(char::is_control) => Err(Error::new(span, "a name has no control characters")),
            _ => Ok(Self { text, span }),
        }
    }
}

/// An identifier's text, without `r#`.
pub(crate) fn unraw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// Two variants with one name: the error stands at the second.
pub(crate) fn refuse_duplicates(names: &[(&Ident, Named)], what: &str, mend: &str) -> Result<()> {
    for (n, (second, name)) in names.iter().enumerate() {
        if let Some((first, _)) = names[..n].iter().find(|(_, earlier)| earlier.text == name.text) {
            let text = &name.text;
            let message = format!("`{first}` and `{second}` {what} `{text}`; give one of them another: {mend}");
            return Err(Error::new(name.span, message));
        }
    }
    Ok(())
}

/// What was probably meant, or else what there is: `did you mean …?`, `it takes …`.
pub(crate) fn hint<'a>(written: &str, known: impl IntoIterator<Item = &'a str>, these_are: &str) -> String {
    let known: Vec<_> = known.into_iter().collect();
    let near = known.iter().map(|name| (strsim::jaro_winkler(written, name), name));
    match near.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        None => String::new(),
        Some((likeness, name)) if likeness > 0.75 => format!("; did you mean `{name}`?"),
        Some(_) => format!("; {these_are} `{}`", known.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    #[test]
    fn kebab_case() {
        for (ident, expected) in [("OpenAccount", "open-account"), ("HTTPSent", "http-sent"), ("r#Move", "move")] {
            let ident = syn::parse_str::<Ident>(ident).expect("it is an identifier");
            assert_eq!(Named::kebab(&ident).text, expected);
        }
    }

    #[test]
    fn names_are_those_of_the_ports() {
        let written = |text: &str| Named::written(&LitStr::new(text, Span::call_site())).is_ok();
        assert!(written("a b") && written(&"ä".repeat(256)));
        assert!(!written("") && !written("a\n") && !written(&"ä".repeat(257)));
    }

    #[test]
    fn hints() {
        assert_eq!(hint("catgory", ["category", "codec"], "it takes"), "; did you mean `category`?");
        assert_eq!(hint("zzz", ["category", "codec"], "it takes"), "; it takes `category`, `codec`");
        assert_eq!(hint("zzz", [], "it takes"), "");
    }
}
