//! How something is tried: durations and retries.

use crate::attributes::once;
use crate::names::hint;
use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{Error, LitInt, LitStr, Path, Result, Token, bracketed};

/// A length of time, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length(u64);

/// Each unit, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The longest that a plan takes: a hundred years.
const LONGEST: u64 = 100 * 366 * 86_400_000;

impl Length {
    fn read(literal: &LitStr) -> Result<Self> {
        let text = literal.value();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| millis);
        let Some((number, unit)) = number.parse::<u64>().ok().zip(unit) else {
            let message = format!(
                "{text:?} is no length of time; write a whole number and `ms`, `s`, `m`, `h` or `d`: \"250ms\""
            );
            return Err(Error::new(literal.span(), message));
        };
        match number.checked_mul(*unit) {
            Some(millis) if millis <= LONGEST => Ok(Self(millis)),
            _ => Err(Error::new(literal.span(), "no length of time is longer than a hundred years here")),
        }
    }
}

impl ToTokens for Length {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let (function, number) = match self.0 {
            millis if millis.is_multiple_of(1_000) => (quote!(from_secs), millis / 1_000),
            millis => (quote!(from_millis), millis),
        };
        let number = Literal::u64_unsuffixed(number);
        tokens.extend(quote!(::core::time::Duration::#function(#number)));
    }
}

/// A time-out.
pub(super) fn timeout(literal: &LitStr) -> Result<Length> {
    match Length::read(literal)? {
        Length(0) => Err(Error::new(literal.span(), "a time-out is at least \"1ms\"")),
        span => Ok(span),
    }
}

/// `retry(…)`.
pub(super) struct Retry {
    attempts: u32,
    first: Option<Length>,
    factor: Option<u32>,
    longest: Option<Length>,
    jitter: Option<u32>,
    also_refused: Vec<LitStr>,
}

const KEYS: [&str; 6] = ["attempts", "first", "factor", "max", "jitter", "also_refused"];

impl Retry {
    pub(super) fn read(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        let (mut attempts, mut first, mut factor, mut longest) = (None, None, None, None);
        let (mut jitter, mut also_refused, mut seen) = (None, Vec::new(), Vec::new());
        if !meta.input.peek(syn::token::Paren) {
            return Err(meta.error(WITHOUT_ATTEMPTS));
        }
        meta.parse_nested_meta(|meta| {
            let path = &meta.path;
            let key = quote!(#path).to_string();
            if !KEYS.contains(&&*key) {
                let hint = hint(&key, KEYS, "it takes");
                return Err(meta.error(format!("`retry({key})` is not known{hint}")));
            }
            once(&meta, &key, &mut seen)?;
            match &*key {
                "attempts" => {
                    attempts = Some(number(&meta, 1..=u32::MAX, "the first try is an attempt too: at least 1")?)
                }
                "first" => first = Some(Length::read(&meta.value()?.parse()?)?),
                "factor" => {
                    factor = Some(number(&meta, 1..=u32::MAX, "a factor is at least 1, which makes all pauses equal")?)
                }
                "max" => longest = Some(Length::read(&meta.value()?.parse()?)?),
                "jitter" => {
                    jitter = Some(number(&meta, 0..=100, "what is taken away from a pause is 0 to 100 percent of it")?);
                }
                _ => also_refused = codes(&meta)?,
            }
            Ok(())
        })?;
        let attempts = attempts.ok_or_else(|| meta.error(WITHOUT_ATTEMPTS))?;
        Ok(Self { attempts, first, factor, longest, jitter, also_refused })
    }

    pub(super) fn written(&self, kernel: &Path) -> TokenStream {
        let number = |number: &u32| Literal::u32_unsuffixed(*number);
        let attempts = number(&self.attempts);
        let first = self.first.map(|first| quote!(.first(#first)));
        let factor = self.factor.as_ref().map(number).map(|factor| quote!(.factor(#factor)));
        let longest = self.longest.map(|longest| quote!(.longest(#longest)));
        let jitter = self.jitter.as_ref().map(number).map(|percent| quote!(.jitter_percent(#percent)));
        let codes = &self.also_refused;
        let also_refused = if codes.is_empty() { None } else { Some(quote!(.also_refused([#(#codes),*]))) };
        quote!(#kernel::domain::saga::Retry::attempts(#attempts) #first #factor #longest #jitter #also_refused)
    }
}

const WITHOUT_ATTEMPTS: &str = "how often it is tried in all is missing, such as `retry(attempts = 5)`";

fn number(meta: &ParseNestedMeta<'_>, range: core::ops::RangeInclusive<u32>, else_: &str) -> Result<u32> {
    let literal: LitInt = meta.value()?.parse()?;
    match literal.base10_parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(Error::new(literal.span(), else_)),
    }
}

/// `also_refused = ["busy", "closed"]`.
fn codes(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    let content;
    let value = meta.value()?;
    bracketed!(content in value);
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(text: &str) -> Result<Length> {
        Length::read(&LitStr::new(text, proc_macro2::Span::call_site()))
    }

    #[rstest]
    #[case("250ms", 250, "from_millis(250)")]
    #[case("5s", 5_000, "from_secs(5)")]
    #[case("2m", 120_000, "from_secs(120)")]
    #[case("1h", 3_600_000, "from_secs(3600)")]
    #[case("7d", 604_800_000, "from_secs(604800)")]
    #[case("0ms", 0, "from_secs(0)")]
    #[case("36600d", LONGEST, "from_secs(3162240000)")]
    fn lengths_of_time(#[case] text: &str, #[case] millis: u64, #[case] written: &str) {
        let span = read(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(span, Length(millis));
        assert!(span.to_token_stream().to_string().replace(' ', "").ends_with(written));
    }

    #[rstest]
    #[case("")]
    #[case("5")]
    #[case("s")]
    #[case("5 s")]
    #[case("1.5s")]
    #[case("-5s")]
    #[case("5sec")]
    #[case("5S")]
    #[case("99999999999999999999s")]
    fn no_lengths_of_time(#[case] text: &str) {
        let message = read(text).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.starts_with(&format!("{text:?} is no length of time; ")), "{message}");
    }

    #[rstest]
    #[case("36601d")]
    #[case("18446744073709551615h")]
    fn too_long(#[case] text: &str) {
        let message = read(text).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(message, "no length of time is longer than a hundred years here");
    }

    #[test]
    fn a_time_out_takes_time() {
        let timeout = |text: &str| timeout(&LitStr::new(text, proc_macro2::Span::call_site()));
        assert!(timeout("1ms").is_ok());
        assert!(timeout("0s").is_err());
    }
}
