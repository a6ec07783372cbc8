//! Templates of names: text with fields in braces, such as `account-{account_id}`.

use syn::{Error, LitStr, Result};

/// A template, read.
pub(crate) struct Template {
    /// As a format string: each field is `{}`.
    pub(crate) format: String,
    /// The fields, in the order of their places; one that is not named is empty.
    pub(crate) fields: Vec<String>,
    /// The text before the first field.
    head: String,
}

impl Template {
    /// Reads the literal.
    pub(crate) fn read(literal: &LitStr) -> Result<Self> {
        let wrong = |message: String| Err(Error::new(literal.span(), message));
        let text = literal.value();
        let (mut format, mut fields, mut head) = (String::new(), Vec::new(), String::new());
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.next_if_eq(&c).is_some() => {
                    format.extend([c, c]);
                    if fields.is_empty() {
                        head.push(c);
                    }
                }
                '}' => return wrong("there is a `}` without its `{`; a brace that is meant is written `}}`".into()),
                '{' => {
                    let field: String = core::iter::from_fn(|| rest.next_if(|c| !matches!(c, '{' | '}'))).collect();
                    if rest.next() != Some('}') {
                        let message = format!(
                            "`{{{field}` is not closed; a field is written `{{{field}}}`, a brace that is meant `{{{{`"
                        );
                        return wrong(message);
                    }
                    if let Some((name, _)) = field.split_once(':') {
                        return wrong(format!("a field is written plainly, without a format: `{{{name}}}`"));
                    }
                    format.push_str("{}");
                    fields.push(field);
                }
                c => {
                    format.push(c);
                    if fields.is_empty() {
                        head.push(c);
                    }
                }
            }
        }
        if text.is_empty() {
            return wrong("the template is empty".into());
        }
        Ok(Self { format, fields, head })
    }

    /// The text of a template without fields.
    pub(crate) fn fixed(&self) -> &str {
        &self.head
    }

    /// The category of the streams, if it is the same for all: what precedes the first `-` that does not begin the
    /// name.
    pub(crate) fn category(&self) -> Option<&str> {
        match self.head.find('-') {
            Some(at) if at > 0 => Some(&self.head[..at]),
            _ if self.fields.is_empty() => Some(&self.head),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;
    use rstest::rstest;

    fn read(text: &str) -> Result<Template> {
        Template::read(&LitStr::new(text, Span::call_site()))
    }

    #[rstest]
    #[case("account-{account_id}", "account-{}", &["account_id"], Some("account"))]
    #[case("{kind}-{id}", "{}-{}", &["kind", "id"], None)]
    #[case("settings", "settings", &[], Some("settings"))]
    #[case("a{b}-c", "a{}-c", &["b"], None)]
    #[case("-{id}", "-{}", &["id"], None)]
    #[case("a{{b}}-{{{id}}}", "a{{b}}-{{{}}}", &["id"], Some("a{b}"))]
    #[case("course:{}", "course:{}", &[""], None)]
    fn right(#[case] text: &str, #[case] format: &str, #[case] fields: &[&str], #[case] category: Option<&str>) {
        let template = read(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(template.format, format);
        assert_eq!(template.fields, fields);
        assert_eq!(template.category(), category);
    }

    #[rstest]
    #[case("account-{id", "`{id` is not closed; a field is written `{id}`, a brace that is meant `{{`")]
    #[case("account-{a{b}", "`{a` is not closed; a field is written `{a}`, a brace that is meant `{{`")]
    #[case("account-id}", "there is a `}` without its `{`; a brace that is meant is written `}}`")]
    #[case("account-{id:?}", "a field is written plainly, without a format: `{id}`")]
    #[case("", "the template is empty")]
    fn wrong(#[case] text: &str, #[case] message: &str) {
        assert_eq!(read(text).err().map(|error| error.to_string()).as_deref(), Some(message));
    }
}
