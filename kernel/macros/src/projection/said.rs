//! What `#[projection(…)]` says.

use crate::attributes::{place, read};
use crate::names::{Named, hint, unraw};
use crate::template::Template;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Expr, Ident, LitInt, LitStr, Path, Result, Token, braced, parenthesized};

/// What stands on the struct.
pub(super) struct Said {
    pub(super) name: Named,
    pub(super) version: u16,
    pub(super) events: Path,
    pub(super) key: Key,
    pub(super) handled: Vec<Handled>,
    pub(super) on_failure: Option<Expr>,
    /// The variant of `Unknown`.
    pub(super) on_unknown: Option<Ident>,
    /// A variant of `Lifecycle`.
    pub(super) lifecycle: Option<Ident>,
}

/// What the key of a row is made of.
pub(super) enum Key {
    Stream,
    StreamId,
    Fields(LitStr, Template),
    Function(Path),
}

/// A variant that is not left to its fields.
pub(super) struct Handled {
    /// Its event type.
    pub(super) event: Path,
    pub(super) variant: Ident,
    pub(super) does: Does,
}

pub(super) enum Does {
    /// `on(Deposited { amount } = deposited)`: the bindings, with their braces or parentheses.
    Method(TokenStream, Vec<Ident>, Ident),
    /// `on(Opened = opened)`.
    Function(Ident),
    Delete,
    Nothing,
}

const KEYS: [&str; 10] =
    ["name", "version", "events", "key", "on", "delete_on", "ignore", "on_failure", "on_unknown", "lifecycle"];

impl Said {
    pub(super) fn read(input: &DeriveInput) -> Result<Self> {
        let (mut name, mut version, mut events, mut key) = (None, 1, None, None);
        let (mut chosen, mut on_failure, mut on_unknown, mut lifecycle) = (Vec::new(), None, None, None);
        read(&input.attrs, "projection", &KEYS, |word, meta| {
            match word {
                "name" => name = Some(Named::written(&meta.value()?.parse()?)?),
                "version" => version = self::version(&meta.value()?.parse()?)?,
                "events" => events = Some(meta.value()?.parse()?),
                "key" => key = Some(meta.value()?.parse()?),
                "on" => chosen.extend(list::<On>(meta)?.into_iter().map(|on| (on.path, on.does))),
                "delete_on" => chosen.extend(list::<Path>(meta)?.into_iter().map(|path| (path, Does::Delete))),
                "ignore" => chosen.extend(list::<Path>(meta)?.into_iter().map(|path| (path, Does::Nothing))),
                "on_failure" => on_failure = Some(meta.value()?.parse()?),
                "on_unknown" => on_unknown = Some(self::on_unknown(&meta.value()?.parse()?)?),
                _ => lifecycle = Some(self::lifecycle(&meta.value()?.parse()?)?),
            }
            Ok(())
        })?;
        let here = place(&input.attrs, "projection").unwrap_or(input.ident.span());
        let missing = |what| move || Error::new(here, what);
        let events: Path = events.ok_or_else(missing(
            "the events are missing: an event type, or a set of several, such as `#[projection(events = AccountEvent)]`",
        ))?;
        let key = key.ok_or_else(missing(NO_KEY))?;
        let handled = handled(chosen, &events)?;
        let name = name.unwrap_or_else(|| Named::kebab(&input.ident));
        Ok(Self { name, version, events, key, handled, on_failure, on_unknown, lifecycle })
    }
}

const NO_KEY: &str = "what tells the rows apart is missing: `key = stream_id` for what follows the category in the stream's \
                      name, `key = stream` for the whole name, `key = \"{owner}\"` for fields of the events, or the path of \
                      a `fn(&RecordedAs<Event>) -> Option<String>`";

impl Parse for Key {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(LitStr) {
            let literal = input.parse()?;
            let template = Template::read(&literal)?;
            return match template.fields.is_empty() || template.fields.iter().any(String::is_empty) {
                true => Err(Error::new(literal.span(), "a key is made of fields: `key = \"{owner}\"`")),
                false => Ok(Self::Fields(literal, template)),
            };
        }
        let path: Path = input.parse()?;
        Ok(match path.get_ident() {
            Some(ident) if ident == "stream" => Self::Stream,
            Some(ident) if ident == "stream_id" => Self::StreamId,
            _ => Self::Function(path),
        })
    }
}

fn version(literal: &LitInt) -> Result<u16> {
    match literal.base10_parse() {
        Ok(version) if version > 0 => Ok(version),
        _ => Err(Error::new(literal.span(), "a version is a number from 1 to 65535")),
    }
}

fn lifecycle(word: &Ident) -> Result<Ident> {
    let known = [
        ("asynchronous", "Asynchronous"),
        ("inline", "Inline"),
        ("inline_if_possible", "InlineIfPossible"),
        ("live", "Live"),
    ];
    variant(word, known, "lifecycle")
}

fn on_unknown(word: &Ident) -> Result<Ident> {
    variant(word, [("fail", "Fail"), ("skip", "Skip")], "way with unknown events")
}

/// The variant that is meant by the word.
fn variant<const N: usize>(word: &Ident, known: [(&str, &str); N], what: &str) -> Result<Ident> {
    match known.iter().find(|(known, _)| word == known) {
        Some((_, variant)) => Ok(Ident::new(variant, word.span())),
        None => {
            let hint = hint(&word.to_string(), known.map(|(known, _)| known), "there are");
            Err(Error::new(word.span(), format!("`{word}` is no {what}{hint}")))
        }
    }
}

/// `stop`, `skip` and `park` for what happens at last, or any policy.
pub(super) fn policy(said: &Expr, kernel: &Path) -> TokenStream {
    let word = match said {
        Expr::Path(path) => path.path.get_ident(),
        _ => None,
    };
    let known = [("stop", "Stop"), ("skip", "Skip"), ("park", "Park")];
    let then = word.and_then(|word| known.iter().find(|(known, _)| word == known).map(|(_, then)| (word, then)));
    match then {
        Some((word, then)) => {
            let then = Ident::new(then, word.span());
            quote!(#kernel::domain::FailurePolicy::then(#kernel::domain::OnFailure::#then))
        }
        None => said.to_token_stream(),
    }
}

/// What stands in parentheses, with commas between.
fn list<T: Parse>(meta: &ParseNestedMeta<'_>) -> Result<Vec<T>> {
    let content;
    parenthesized!(content in meta.input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

/// One of `on(…)`.
struct On {
    path: Path,
    does: Does,
}

impl Parse for On {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let path = input.call(Path::parse_mod_style)?;
        let bindings;
        let bound = if input.peek(syn::token::Brace) {
            braced!(bindings in input);
            let idents = self::bindings(&bindings)?;
            Some((quote!({ #(#idents,)* .. }), idents))
        } else if input.peek(syn::token::Paren) {
            parenthesized!(bindings in input);
            let idents = self::bindings(&bindings)?;
            Some((quote!((#(#idents),*)), idents))
        } else {
            None
        };
        if !input.peek(Token![=]) {
            let message = "a method is missing: `on(Deposited { amount } = deposited)` for a `fn deposited(&mut self, amount: \
                           &u64)`, or `on(Deposited = deposited)` for one that is given the row and the event";
            return Err(Error::new(path.span(), message));
        }
        input.parse::<Token![=]>()?;
        let method = input.parse()?;
        let does = match bound {
            Some((pattern, idents)) => Does::Method(pattern, idents, method),
            None => Does::Function(method),
        };
        Ok(Self { path, does })
    }
}

/// The fields of a variant that a method is given; `..` may stand at the end.
fn bindings(input: ParseStream<'_>) -> Result<Vec<Ident>> {
    let mut idents = Vec::new();
    while !input.is_empty() {
        if input.peek(Token![..]) {
            input.parse::<Token![..]>()?;
            break;
        }
        idents.push(input.parse()?);
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    if input.is_empty() { Ok(idents) } else { Err(input.error("`..` stands at the end")) }
}

/// Each variant with its event type: that of the projection, unless it is named.
fn handled(chosen: Vec<(Path, Does)>, events: &Path) -> Result<Vec<Handled>> {
    let mut handled: Vec<Handled> = Vec::new();
    for (path, does) in chosen {
        let (event, variant) = split(&path, events)?;
        let text = |event: &Path| event.to_token_stream().to_string();
        let is_same = |earlier: &&Handled| earlier.variant == variant && text(&earlier.event) == text(&event);
        if handled.iter().any(|earlier| is_same(&earlier)) {
            let message = format!("it is said twice what `{}` does", unraw(&variant));
            return Err(Error::new(path.span(), message));
        }
        handled.push(Handled { event, variant, does });
    }
    Ok(handled)
}

/// `AccountEvent::Opened` in its parts; `Opened` is of the projection's own events.
fn split(path: &Path, events: &Path) -> Result<(Path, Ident)> {
    let mut event = path.clone();
    let variant = event.segments.pop().map(|last| last.ident);
    let variant = variant.ok_or_else(|| Error::new(path.span(), "a variant is missing"))?;
    if event.segments.is_empty() {
        return Ok((events.clone(), variant));
    }
    event.segments.pop_punct();
    Ok((event, variant))
}
