//! The hops.

use super::read::{FieldLife, Function, Piece, Rename, Retired, Upcast, Value};
use crate::kernel;
use crate::names::{Named, hint, unraw};
use proc_macro2::{Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, LitStr, Path, Result, Variant};

/// A variant and what has become of it.
pub(crate) struct Life<'a> {
    pub(crate) variant: &'a Variant,
    pub(crate) name: Named,
    /// The current version.
    pub(crate) version: u32,
    /// The version that it came with, where that is said.
    pub(crate) added: Option<(u32, Span)>,
    pub(crate) renames: Vec<Rename>,
    pub(crate) fields: Vec<FieldLife>,
    pub(crate) upcasts: Vec<Upcast>,
}

/// The history of an enum.
pub(crate) struct Told<'a> {
    pub(crate) category: &'a LitStr,
    pub(crate) lives: Vec<Life<'a>>,
    pub(crate) retired: Vec<Retired>,
    pub(crate) told_by: Option<Path>,
    pub(crate) codec: Option<&'a Path>,
}

/// What it was called in this version. Renames go from the latest to the first.
fn name_at<'a>(now: &'a str, renames: &'a [Rename], version: u32) -> &'a str {
    renames.iter().rev().find(|rename| rename.since > version).map_or(now, |rename| &rename.was.text)
}

impl Life<'_> {
    fn name_at(&self, version: u32) -> &str {
        name_at(&self.name.text, &self.renames, version)
    }

    /// The version that it came with.
    fn first(&self) -> u32 {
        self.added.map_or(1, |(version, _)| version)
    }

    /// Every version that is said is one that the variant has come to.
    fn check(&self) -> Result<()> {
        if let Some((version, span)) = self.added {
            self.reaches(version, span)?;
        }
        let versions = self.renames.iter().map(|rename| (rename.since, rename.span));
        let of_fields = self.fields.iter().flat_map(|field| {
            let renames = field.renames.iter().map(|rename| (rename.since, rename.span));
            renames.chain(field.added.as_ref().map(|added| (added.version, added.span)))
        });
        let name = &self.variant.ident;
        for (version, span) in versions.chain(of_fields) {
            let first = self.first();
            if version <= first {
                let message = format!("what is so since version {first} was never otherwise; leave it out");
                return Err(Error::new(span, message));
            }
            self.reaches(version, span)?;
        }
        for (n, upcast) in self.upcasts.iter().enumerate() {
            self.reaches(upcast.from + 1, upcast.span)?;
            if upcast.from < self.first() {
                let message =
                    format!("`{name}` came in version {}, so there is no earlier one; leave this out", self.first());
                return Err(Error::new(upcast.span, message));
            }
            if self.upcasts[..n].iter().any(|before| before.from == upcast.from) {
                let message =
                    format!("two functions take version {} of `{name}`; a version has one way on", upcast.from);
                return Err(Error::new(upcast.span, message));
            }
            let makes = upcast.from + 1;
            let of_field = self.fields.iter().find_map(|field| {
                let renamed = field.renames.iter().find(|rename| rename.since == makes);
                let added = field.added.as_ref().filter(|added| added.version == makes);
                renamed.map(|rename| rename.span).or(added.map(|added| added.span))
            });
            if let Some(span) = of_field {
                let message =
                    format!("a function makes version {makes} of `{name}`, this field included; leave this out");
                return Err(Error::new(span, message));
            }
        }
        for field in &self.fields {
            let Some(added) = &field.added else { continue };
            if let Some(rename) = field.renames.iter().find(|rename| rename.since <= added.version) {
                let message = format!(
                    "the field came in version {}, so it was called otherwise in none before; leave this out",
                    added.version
                );
                return Err(Error::new(rename.span, message));
            }
        }
        Ok(())
    }

    fn reaches(&self, version: u32, span: Span) -> Result<()> {
        if version <= self.version {
            return Ok(());
        }
        let (name, current) = (&self.variant.ident, self.version);
        let message = format!(
            "`{name}` is of version {current}; raise it to {version}, by `version = {version}` on the variant or the enum"
        );
        Err(Error::new(span, message))
    }

    /// The fields that version adds and renames, as calls of a hop.
    fn changes_to(&self, version: u32) -> Vec<TokenStream> {
        let mut changes = Vec::new();
        for field in &self.fields {
            let name = |at| name_at(&field.name, &field.renames, at);
            if let Some(rename) = field.renames.iter().find(|rename| rename.since == version) {
                let (was, now) = (&rename.was.text, name(version));
                changes.push(quote!(.rename(#was, #now)));
            }
            let Some(added) = field.added.as_ref().filter(|added| added.version == version) else { continue };
            let value = match &added.value {
                // An `Option`: `null`, which it would have been read as anyway, so that whoever is shown it finds it there.
                None if field.is_usual => quote!(()),
                None => continue,
                Some(Value::Given(value)) => quote!(#value),
                Some(Value::Of(path)) => quote_spanned!(path.span()=> #path()),
            };
            let (name, kind) = (name(version), &field.kind);
            // Whether the value is of the field's type can be told where the field has stayed what it was.
            let is_made_later = self.upcasts.iter().any(|upcast| upcast.from >= version);
            changes.push(match field.is_usual && !is_made_later {
                true => quote!(.add_as::<#kind>(#name, #value)),
                false => quote!(.add(#name, #value)),
            });
        }
        changes
    }
}

/// As a person writes it.
fn number(version: u32) -> Literal {
    Literal::u32_unsuffixed(version)
}

/// A hop, where it starts, and whose it is.
struct Written {
    from: (String, u32),
    of: String,
    span: Span,
    hop: TokenStream,
}

impl Told<'_> {
    /// `fn version` and `fn history`.
    pub(crate) fn write(&self, kernel: &Path) -> Result<TokenStream> {
        self.lives.iter().try_for_each(Life::check)?;
        let mut hops = Vec::new();
        if self.told_by.is_some() {
            self.refuse_own_history()?;
        } else {
            for life in &self.lives {
                self.write_life(life, kernel, &mut hops)?;
            }
            for retired in &self.retired {
                self.write_retired(retired, kernel, &mut hops)?;
            }
        }
        self.refuse_two_ways(&hops)?;
        let current = self.lives.iter().map(|life| {
            let (name, version) = (&life.name.text, number(life.version));
            let first = life.added.map(|(first, _)| number(first)).map(|first| quote!(.first(#name, #first)));
            quote!(.current(#name, #version) #first)
        });
        let told_by = self.told_by.as_ref().map(|other| quote!(.told_by::<#other>()));
        let hops = hops.iter().map(|written| &written.hop);
        let version = self.version_fn();
        Ok(quote! {
            #version

            fn history() -> #kernel::domain::history::History {
                #kernel::domain::history::History::new()
                    #(#current)*
                    #told_by
                    #(.hop(#hops))*
            }
        })
    }

    fn version_fn(&self) -> Option<TokenStream> {
        let first = self.lives.first()?.version;
        let body = if self.lives.iter().any(|life| life.version != first) {
            let arms = self.lives.iter().map(|life| {
                let (variant, version) = (&life.variant.ident, number(life.version));
                quote!(Self::#variant { .. } => #version,)
            });
            quote!(match self { #(#arms)* })
        } else if first > 1 {
            let first = number(first);
            quote!(#first)
        } else {
            return None;
        };
        Some(quote!(fn version(&self) -> u32 { #body }))
    }

    /// The start of a hop, told of the codec where it looks into the payload.
    fn begin(&self, name: &str, version: u32, looks_in: bool, kernel: &TokenStream) -> TokenStream {
        let codec = self.codec.filter(|_| looks_in).map(|codec| quote!(.codec::<#codec>()));
        let version = number(version);
        quote!(#kernel::domain::history::Hop::from(#name, #version) #codec)
    }

    /// The start of a hop by a function: errors about that point to where it is named.
    fn begin_by(&self, name: &str, version: u32, function: &Path, kernel: &Path) -> TokenStream {
        let span = function.span();
        let from = self.begin(name, version, true, &kernel::at(kernel, span));
        let moved = from.into_iter().map(|mut token| {
            token.set_span(span);
            token
        });
        moved.collect()
    }

    fn write_life(&self, life: &Life<'_>, kernel: &Path, hops: &mut Vec<Written>) -> Result<()> {
        for version in life.first()..life.version {
            let (name, next) = (life.name_at(version), version + 1);
            let (to, then) = (life.name_at(next), number(next));
            let hop = match life.upcasts.iter().find(|upcast| upcast.from == version) {
                None => {
                    let changes = life.changes_to(next);
                    let from = self.begin(name, version, !changes.is_empty(), &quote!(#kernel));
                    quote!(#from #(#changes)* .to(#to, #then))
                }
                Some(upcast) => {
                    let (Function::With(path) | Function::TryWith(path) | Function::Split(path, _)) = &upcast.by;
                    let from = self.begin_by(name, version, path, kernel);
                    match &upcast.by {
                        // Errors about a function point to where it is named.
                        Function::With(path) => quote_spanned!(path.span()=> #from.with(#path).to(#to, #then)),
                        Function::TryWith(path) => quote_spanned!(path.span()=> #from.try_with(#path).to(#to, #then)),
                        Function::Split(path, pieces) => {
                            let to = self.pieces(pieces, next)?;
                            quote_spanned!(path.span()=> #from.split(#path).to_any([#(#to),*]))
                        }
                    }
                }
            };
            let of = format!("`{}`", life.variant.ident);
            hops.push(Written { from: (name.to_owned(), version), of, span: life.name.span, hop });
        }
        Ok(())
    }

    fn write_retired(&self, retired: &Retired, kernel: &Path, hops: &mut Vec<Written>) -> Result<()> {
        let name = retired.stored(self.category)?;
        for version in 1..=retired.until {
            let from = self.begin(&name, version, false, &quote!(#kernel));
            let (next, then) = (version + 1, number(version + 1));
            let hop = match &retired.split {
                None => quote!(#from.retire()),
                Some(_) if version < retired.until => quote!(#from.to(#name, #then)),
                Some((path, pieces)) => {
                    let from = self.begin_by(&name, version, path, kernel);
                    let to = self.pieces(pieces, next)?;
                    quote_spanned!(path.span()=> #from.split(#path).to_any([#(#to),*]))
                }
            };
            let of = format!("what is retired as `{name}`");
            hops.push(Written { from: (name.clone(), version), of, span: retired.span, hop });
        }
        Ok(())
    }

    /// What the pieces are stored as; of this version where none is said.
    fn pieces(&self, pieces: &[Piece], version: u32) -> Result<Vec<TokenStream>> {
        let piece = |piece: &Piece| {
            let wanted = &piece.variant;
            let life = self.lives.iter().find(|life| life.variant.ident == *wanted).ok_or_else(|| {
                let known: Vec<_> = self.lives.iter().map(|life| unraw(&life.variant.ident)).collect();
                let hint = hint(&unraw(wanted), known.iter().map(String::as_str), "there are");
                Error::new(wanted.span(), format!("`{wanted}` is none of the variants{hint}"))
            })?;
            let version = piece.version.unwrap_or(version);
            if version < life.first() {
                let first = life.first();
                let message = format!(
                    "`{wanted}` came in version {first}; say in which version the function gives it: `{wanted} = {first}`"
                );
                return Err(Error::new(wanted.span(), message));
            }
            if version > life.version {
                let current = life.version;
                let message = format!(
                    "`{wanted}` is of version {current}; say in which version the function gives it: `{wanted} = {current}`"
                );
                return Err(Error::new(wanted.span(), message));
            }
            let (name, version) = (life.name_at(version), number(version));
            Ok(quote!((#name, #version)))
        };
        pieces.iter().map(piece).collect()
    }

    /// The history is told elsewhere: what would be told here would be passed over.
    fn refuse_own_history(&self) -> Result<()> {
        let of_variants = self.lives.iter().find_map(|life| {
            let renames = life.renames.first().map(|rename| rename.span);
            let upcasts = life.upcasts.first().map(|upcast| upcast.span);
            let fields = life.fields.iter().find_map(|field| {
                let added = field.added.as_ref().map(|added| added.span);
                added.or(field.renames.first().map(|rename| rename.span))
            });
            life.added.map(|(_, span)| span).or(renames).or(upcasts).or(fields)
        });
        match of_variants.or(self.retired.first().map(|retired| retired.span)) {
            Some(span) => Err(Error::new(
                span,
                "the history is told by another event type; say this there, or leave `history` out",
            )),
            None => Ok(()),
        }
    }

    /// Two hops from one version of a stored type, or one from what is current.
    fn refuse_two_ways(&self, hops: &[Written]) -> Result<()> {
        for (n, written) in hops.iter().enumerate() {
            let (name, version) = &written.from;
            if let Some(first) = hops[..n].iter().find(|before| before.from == written.from) {
                let message = format!(
                    "{} and {} both begin as version {version} of `{name}`; give one of them another name, or take one out",
                    first.of, written.of
                );
                return Err(Error::new(written.span, message));
            }
            let current = self.lives.iter().find(|life| life.name.text == *name && life.version <= *version);
            if let Some(life) = current {
                let message = format!(
                    "{} begins as version {version} of `{name}`, which `{}` is stored as now; give one of them another name",
                    written.of, life.variant.ident
                );
                return Err(Error::new(written.span, message));
            }
        }
        Ok(())
    }
}
