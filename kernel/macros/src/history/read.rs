//! The attributes.

use crate::attributes::{known_key, once, read_often};
use crate::names::Named;
use heck::ToKebabCase;
use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, Fields, Ident, LitInt, LitStr, Path, Result, Token, Type, Variant, parenthesized};

/// `version = 2`, and where that stands.
pub(crate) fn version(meta: &ParseNestedMeta<'_>) -> Result<(u32, Span)> {
    number(&meta.value()?.parse()?)
}

fn number(literal: &LitInt) -> Result<(u32, Span)> {
    match literal.base10_parse() {
        Ok(version) if version > 0 => Ok((version, literal.span())),
        _ => Err(Error::new(literal.span(), "a version is a number from 1 on")),
    }
}

/// A stored name as a whole, with a dot in it, or that of a variant that was.
pub(crate) fn stored_name(literal: &LitStr, category: &LitStr) -> Result<Named> {
    let Named { text, span } = Named::written(literal)?;
    Ok(Named { text: if text.contains('.') { text } else { of_variant(&text, category) }, span })
}

fn of_variant(name: &str, category: &LitStr) -> String {
    format!("{}.{}", category.value(), name.to_kebab_case())
}

/// What something was called before a version.
pub(crate) struct Rename {
    pub(super) was: Named,
    pub(super) since: u32,
    pub(super) span: Span,
}

/// Renames as they are read: each `since` is of the name beside it.
#[derive(Default)]
pub(crate) struct Renames {
    were: Vec<Named>,
    since: Vec<(u32, Span)>,
}

impl Renames {
    pub(crate) fn was(&mut self, name: Named) {
        self.were.push(name);
    }

    pub(crate) fn since(&mut self, version: (u32, Span)) {
        self.since.push(version);
    }

    /// From the latest to the first.
    pub(crate) fn pairs(self, key: &str) -> Result<Vec<Rename>> {
        let (names, versions) = (self.were.len(), self.since.len());
        if names > versions {
            let message = format!(
                "`since` is missing: the version from which on it has its new name, such as `{key} = \"…\", since = 2`"
            );
            return Err(Error::new(self.were[versions].span, message));
        }
        if versions > names {
            let message = format!("`since` is for a name that was: `{key} = \"…\", since = 2`");
            return Err(Error::new(self.since[names].1, message));
        }
        let pairs = self.were.into_iter().zip(self.since);
        let mut renames: Vec<_> = pairs.map(|(was, (since, span))| Rename { was, since, span }).collect();
        renames.sort_by_key(|rename| core::cmp::Reverse(rename.since));
        match renames.windows(2).find(|pair| pair[0].since == pair[1].since) {
            Some(pair) => {
                Err(Error::new(pair[1].span, "it was renamed twice in one version; leave one of the two out"))
            }
            None => Ok(renames),
        }
    }
}

/// A field and what has become of it.
pub(crate) struct FieldLife {
    pub(super) name: String,
    pub(super) kind: Type,
    /// Whether serde reads it as its type says.
    pub(super) is_usual: bool,
    pub(super) added: Option<Added>,
    pub(super) renames: Vec<Rename>,
}

/// A field that old events do not have.
pub(crate) struct Added {
    pub(super) version: u32,
    pub(super) span: Span,
    /// What they have instead; nothing for an `Option`.
    pub(super) value: Option<Value>,
}

pub(crate) enum Value {
    Given(Expr),
    Of(Path),
}

/// The fields of a variant, with their names in payloads.
pub(crate) fn fields(variant: &Variant, wire: Vec<(String, String, bool)>) -> Result<Vec<FieldLife>> {
    let mut lives = Vec::new();
    for field in &variant.fields {
        let (mut added, mut default, mut renames) = (None, None, Renames::default());
        let known = ["added", "default", "default_with", "was", "since"];
        read_often(&field.attrs, "event", &known, &known[3..], |key, meta| {
            if matches!(variant.fields, Fields::Unnamed(_)) {
                return Err(meta.error(
                    "this payload is a type of its own, whose fields stand there; a function says what has become of it: \
                     `#[event(upcast(from = 1, with = path))]` on the variant",
                ));
            }
            match key {
                "added" => added = Some(version(meta)?),
                "default" | "default_with" if default.is_some() => {
                    return Err(meta.error("`default` and `default_with` are both here; leave one out"));
                }
                "default" => default = Some((Value::Given(meta.value()?.parse()?), meta.path.span())),
                "default_with" => default = Some((Value::Of(meta.value()?.parse()?), meta.path.span())),
                "was" => renames.was(Named::written(&meta.value()?.parse()?)?),
                _ => renames.since(version(meta)?),
            }
            Ok(())
        })?;
        let Some(ident) = &field.ident else { continue };
        let added = match (added, default) {
            (Some((_, span)), None) if !is_option(&field.ty) => {
                let message = "old events need a value here: `default = …`, or `default_with = path` for a function; an \
                               `Option` needs none";
                return Err(Error::new(span, message));
            }
            (Some((version, span)), default) => Some(Added { version, span, value: default.map(|(value, _)| value) }),
            (None, Some((_, span))) => {
                let message = "`default` is for a field that came later: `added = 2, default = …`";
                return Err(Error::new(span, message));
            }
            (None, None) => None,
        };
        let ours = crate::names::unraw(ident);
        let found = wire.iter().find(|(name, ..)| *name == ours);
        let (name, is_usual) = found.map_or((ours, true), |(_, name, is_usual)| (name.clone(), *is_usual));
        lives.push(FieldLife { name, kind: field.ty.clone(), is_usual, added, renames: renames.pairs("was")? });
    }
    Ok(lives)
}

fn is_option(kind: &Type) -> bool {
    matches!(kind, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

/// `upcast(from = 1, with = path)` on a variant.
pub(crate) struct Upcast {
    pub(super) from: u32,
    pub(super) span: Span,
    pub(super) by: Function,
}

pub(crate) enum Function {
    With(Path),
    TryWith(Path),
    Split(Path, Vec<Piece>),
}

/// A variant that a piece is, and its version, where that is said.
pub(crate) struct Piece {
    pub(super) variant: Ident,
    pub(super) version: Option<u32>,
}

impl Parse for Piece {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let variant = input.parse()?;
        let version = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(number(&input.parse()?)?.0),
            None => None,
        };
        Ok(Self { variant, version })
    }
}

/// The functions among the keys, which exclude each other.
#[derive(Default)]
struct Functions {
    by: Option<(String, Path, Span)>,
    into: Option<Vec<Piece>>,
}

impl Functions {
    fn read(&mut self, key: &str, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if key == "into" {
            let content;
            parenthesized!(content in meta.input);
            self.into = Some(Punctuated::<Piece, Token![,]>::parse_terminated(&content)?.into_iter().collect());
            return Ok(());
        }
        if let Some((before, ..)) = &self.by {
            return Err(meta.error(format!("`{before}` and `{key}` are both here; leave one out")));
        }
        self.by = Some((key.to_owned(), meta.value()?.parse()?, meta.path.span()));
        Ok(())
    }

    fn function(self, here: Span) -> Result<Option<Function>> {
        Ok(match (self.by, self.into) {
            (Some((key, path, _)), Some(pieces)) if key == "split" => Some(Function::Split(path, pieces)),
            (Some((key, _, span)), None) if key == "split" => {
                let message = "what it is split into is missing: the variants that the pieces are, such as `into(CityChosen, \
                               StreetChosen)`";
                return Err(Error::new(span, message));
            }
            (_, Some(_)) => {
                return Err(Error::new(here, "`into` is for pieces: `split = path, into(CityChosen, StreetChosen)`"));
            }
            (Some((key, path, _)), None) if key == "with" => Some(Function::With(path)),
            (Some((_, path, _)), None) => Some(Function::TryWith(path)),
            (None, None) => None,
        })
    }
}

impl Upcast {
    pub(crate) fn read(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        let (mut from, mut functions, mut seen) = (None, Functions::default(), Vec::new());
        let here = meta.path.span();
        meta.parse_nested_meta(|meta| {
            let key = known_key(&meta, "event", &["from", "with", "try_with", "split", "into"])?;
            once(&meta, &key, &mut seen)?;
            match &*key {
                "from" => from = Some(version(&meta)?),
                key => functions.read(key, &meta)?,
            }
            Ok(())
        })?;
        let such_as = "such as `upcast(from = 1, with = path)`";
        let Some((from, span)) = from else {
            return Err(Error::new(here, format!("`from` is missing: the version that the function takes, {such_as}")));
        };
        let Some(by) = functions.function(here)? else {
            return Err(Error::new(here, format!("the function is missing, {such_as}")));
        };
        Ok(Self { from, span, by })
    }
}

/// `retired(NewsletterFlagged, until = 2)` on the enum.
pub(crate) struct Retired {
    name: RetiredName,
    pub(super) span: Span,
    /// The last version that was stored.
    pub(super) until: u32,
    /// What it was split into; nothing: it is passed over.
    pub(super) split: Option<(Path, Vec<Piece>)>,
}

enum RetiredName {
    Variant(Ident),
    Stored(LitStr),
}

impl RetiredName {
    fn read(content: ParseStream<'_>) -> Result<(Self, Span)> {
        if content.peek(LitStr) {
            let literal: LitStr = content.parse()?;
            let span = literal.span();
            return Ok((Self::Stored(literal), span));
        }
        let ident: Ident = content.parse()?;
        let span = ident.span();
        Ok((Self::Variant(ident), span))
    }
}

impl Retired {
    /// The types that are named, each by itself.
    pub(crate) fn read(meta: &ParseNestedMeta<'_>) -> Result<Vec<Self>> {
        let here = meta.path.span();
        let content;
        parenthesized!(content in meta.input);
        let mut names = vec![RetiredName::read(&content)?];
        let mut goes_on = content.parse::<Option<Token![,]>>()?.is_some();
        while goes_on && (content.peek(LitStr) || (content.peek2(Token![,]) && content.peek(Ident))) {
            names.push(RetiredName::read(&content)?);
            goes_on = content.parse::<Option<Token![,]>>()?.is_some();
        }
        let (mut until, mut functions, mut seen) = (None, Functions::default(), Vec::new());
        if goes_on {
            let rest = syn::meta::parser(|meta| {
                let key = known_key(&meta, "event", &["until", "split", "into"])?;
                once(&meta, &key, &mut seen)?;
                match &*key {
                    "until" => until = Some(version(&meta)?),
                    key => functions.read(key, &meta)?,
                }
                Ok(())
            });
            syn::parse::Parser::parse2(rest, content.parse()?)?;
        }
        let Some((until, _)) = until else {
            let message =
                "the last version that was stored is missing, such as `retired(NewsletterFlagged, until = 2)`";
            return Err(Error::new(names[0].1, message));
        };
        let split = match functions.function(here)? {
            Some(Function::Split(path, pieces)) => Some((path, pieces)),
            _ => None,
        };
        if let (Some(_), [_, (_, second), ..]) = (&split, &names[..]) {
            return Err(Error::new(*second, "a function is for one type; give this one a `retired(…)` of its own"));
        }
        let mut split = Some(split);
        let one = |(name, span)| Self { name, span, until, split: split.take().flatten() };
        Ok(names.into_iter().map(one).collect())
    }

    pub(super) fn stored(&self, category: &LitStr) -> Result<String> {
        match &self.name {
            RetiredName::Variant(ident) => Ok(of_variant(&crate::names::unraw(ident), category)),
            RetiredName::Stored(literal) => Ok(stored_name(literal, category)?.text),
        }
    }
}
