//! What `#[step(…)]` and `#[compensation(…)]` say.

use super::effort::{Length, Retry, timeout};
use super::said::check_name;
use crate::attributes::read;
use crate::names::{Named, hint, refuse_duplicates, unraw};
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, Ident, ImplItem, ItemImpl, LitInt, LitStr, Meta, ReceiverKind, Result, ReturnType,
    Signature, Token, Type, parse_quote,
};

/// A step, and everything it names.
pub(super) struct Step<'a> {
    number: u32,
    /// Where the number stands.
    place: LitInt,
    pub(super) name: Named,
    pub(super) method: &'a Ident,
    pub(super) compensate: Option<Compensation<'a>>,
    pub(super) harmless: bool,
    pub(super) outside: bool,
    pub(super) resolve: Option<&'a Ident>,
    pub(super) when: Option<&'a Ident>,
    pub(super) retry: Option<Retry>,
    pub(super) timeout: Option<Length>,
}

/// The compensation of a step.
pub(super) struct Compensation<'a> {
    pub(super) method: &'a Ident,
    pub(super) retry: Option<Retry>,
    pub(super) timeout: Option<Length>,
}

/// The steps in groups, by their numbers.
pub(super) struct Steps<'a>(pub(super) Vec<Vec<Step<'a>>>);

impl<'a> Steps<'a> {
    pub(super) fn read(methods: &'a ItemImpl, input: &'a Type) -> Result<Self> {
        let all = All { methods, input };
        let mut steps = Vec::new();
        for (signature, attributes) in all.each() {
            if let Some(attribute) = one(attributes, "step")? {
                refuse_conditions(attributes)?;
                steps.push(all.step(signature, attribute)?);
            }
        }
        if steps.is_empty() {
            let message = "a saga has steps: `#[step(1)]` on the method that comes first";
            return Err(Error::new(methods.self_ty.span(), message));
        }
        all.refuse_compensations_of_nothing(&steps)?;
        let names: Vec<_> = steps.iter().map(|step| (step.method, step.name.clone())).collect();
        refuse_duplicates(&names, "are both the step", "`#[step(1, name = \"…\")]`")?;
        steps.sort_by_key(|step| step.number);
        let mut groups: Vec<Vec<Step<'a>>> = Vec::new();
        for step in steps {
            let last = groups.last().map_or(0, |group| group[0].number);
            match groups.last_mut() {
                Some(group) if step.number == last => group.push(step),
                _ if last.checked_add(1) == Some(step.number) => groups.push(vec![step]),
                _ => return Err(step.after_a_gap(last)),
            }
        }
        groups.iter().try_for_each(|group| refuse_two_pivots(group))?;
        Ok(Self(groups))
    }
}

impl Step<'_> {
    fn after_a_gap(&self, last: u32) -> Error {
        let message = match self.number {
            0 => "steps are numbered from 1".to_owned(),
            number => {
                format!("there is no step {}, and so no step {number}; number them without gaps, from 1", last + 1)
            }
        };
        Error::new(self.place.span(), message)
    }

    fn is_pivot(&self) -> bool {
        self.compensate.is_none() && !self.harmless
    }
}

/// When one has happened and the other fails, there is no way on and no way back.
fn refuse_two_pivots(group: &[Step<'_>]) -> Result<()> {
    let mut pivots = group.iter().filter(|step| step.is_pivot());
    match (pivots.next(), pivots.next()) {
        (Some(first), Some(second)) => {
            let message = format!(
                "`{}` and `{}` are begun together, and neither can be undone; number one after the other, or give one of them \
                 `compensate = \"…\"`, or `harmless` if there is nothing to undo",
                first.method, second.method
            );
            Err(Error::new(second.place.span(), message))
        }
        _ => Ok(()),
    }
}

/// Whether it holds is not known here, and the definition would name a step that is not there.
fn refuse_conditions(attributes: &[Attribute]) -> Result<()> {
    match attributes.iter().find(|attribute| attribute.path().is_ident("cfg")) {
        Some(condition) => {
            let message = "a step is there whatever is compiled; put `#[cfg(…)]` on the `impl`, one for each case, or give \
                           the step a condition: `#[step(1, when = \"…\")]`";
            Err(Error::new(condition.path().span(), message))
        }
        None => Ok(()),
    }
}

/// The one attribute of this name, if there is one.
fn one<'a>(attributes: &'a [Attribute], name: &str) -> Result<Option<&'a Attribute>> {
    let mut own = attributes.iter().filter(|attribute| attribute.path().is_ident(name));
    match (own.next(), own.next()) {
        (_, Some(second)) => Err(Error::new(second.path().span(), format!("`#[{name}]` stands here twice"))),
        (first, None) => Ok(first),
    }
}

const NO_NUMBER: &str =
    "a step has a number, which is its place: `#[step(1)]`; those with one number are begun together";

/// `1, compensate = "refund"`: the number, and the rest.
fn numbered(attribute: &Attribute) -> Result<(LitInt, TokenStream)> {
    let Meta::List(list) = &attribute.meta else {
        return Err(Error::new(attribute.path().span(), NO_NUMBER));
    };
    let parse = |input: ParseStream<'_>| {
        if !input.peek(LitInt) {
            return Err(Error::new(attribute.path().span(), NO_NUMBER));
        }
        let number = input.parse()?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok((number, input.parse()?))
    };
    list.parse_args_with(parse)
}

/// All methods, in which steps name others.
struct All<'a> {
    methods: &'a ItemImpl,
    input: &'a Type,
}

const KEYS: [&str; 8] = ["name", "compensate", "harmless", "outside", "resolve", "when", "retry", "timeout"];

impl<'a> All<'a> {
    fn each(&self) -> impl Iterator<Item = (&'a Signature, &'a [Attribute])> + use<'a> {
        self.methods.items.iter().filter_map(|item| match item {
            ImplItem::Fn(method) => Some((&method.sig, &*method.attrs)),
            _ => None,
        })
    }

    /// The method that is named by a text, with its attributes.
    fn named(&self, literal: &LitStr) -> Result<(&'a Signature, &'a [Attribute])> {
        let name = literal.value();
        self.each().find(|(signature, _)| unraw(&signature.ident) == name).ok_or_else(|| {
            let names: Vec<_> = self.each().map(|(signature, _)| unraw(&signature.ident)).collect();
            let hint = hint(&name, names.iter().map(String::as_str), "its methods are");
            let handler = text(&self.methods.self_ty);
            Error::new(literal.span(), format!("`{handler}` has no method `{name}` here{hint}"))
        })
    }

    fn step(&self, signature: &'a Signature, attribute: &Attribute) -> Result<Step<'a>> {
        let (place, rest) = numbered(attribute)?;
        let number = place.base10_parse().map_err(|_| Error::new(place.span(), "this number is too large"))?;
        self.check(Kind::Step, signature)?;
        let name = Named::kebab(&signature.ident);
        let mut step = Step {
            number,
            place,
            name,
            method: &signature.ident,
            compensate: None,
            harmless: false,
            outside: false,
            resolve: None,
            when: None,
            retry: None,
            timeout: None,
        };
        let mut harmless = None;
        read(&[parse_quote!(#[step(#rest)])], "step", &KEYS, |key, meta| {
            match key {
                "name" => step.name = Named::written(&meta.value()?.parse()?)?,
                "compensate" => step.compensate = Some(self.compensation(&meta.value()?.parse()?)?),
                "harmless" => harmless = Some(meta.path.span()),
                "outside" => step.outside = true,
                "resolve" => step.resolve = Some(self.checked(Kind::Resolution, &meta.value()?.parse()?)?),
                "when" => step.when = Some(self.checked(Kind::Condition, &meta.value()?.parse()?)?),
                "retry" => step.retry = Some(Retry::read(meta)?),
                _ => step.timeout = Some(timeout(&meta.value()?.parse()?)?),
            }
            Ok(())
        })?;
        check_name("step", &step.name)?;
        step.harmless = harmless.is_some();
        match harmless {
            Some(span) if step.compensate.is_some() => {
                Err(Error::new(span, "what is harmless has nothing to undo; take away `harmless`, or `compensate`"))
            }
            _ => Ok(step),
        }
    }

    fn compensation(&self, literal: &LitStr) -> Result<Compensation<'a>> {
        let (signature, attributes) = self.named(literal)?;
        self.check(Kind::Compensation, signature)?;
        let mut compensation = Compensation { method: &signature.ident, retry: None, timeout: None };
        // `#[compensation]` alone says nothing more.
        let said = one(attributes, "compensation")?.filter(|said| !matches!(said.meta, Meta::Path(_)));
        read(said.map_or(&[], core::slice::from_ref), "compensation", &["retry", "timeout"], |key, meta| {
            match key {
                "retry" => compensation.retry = Some(Retry::read(meta)?),
                _ => compensation.timeout = Some(timeout(&meta.value()?.parse()?)?),
            }
            Ok(())
        })?;
        Ok(compensation)
    }

    fn refuse_compensations_of_nothing(&self, steps: &[Step<'_>]) -> Result<()> {
        for (signature, attributes) in self.each() {
            let ident = &signature.ident;
            let is_named =
                || steps.iter().filter_map(|step| step.compensate.as_ref()).any(|named| named.method == ident);
            if let Some(attribute) = one(attributes, "compensation")?
                && !is_named()
            {
                let message =
                    format!("no step is undone by `{ident}`; name it: `#[step(1, compensate = \"{ident}\")]`");
                return Err(Error::new(attribute.path().span(), message));
            }
        }
        Ok(())
    }

    /// The method that is named by a text, if it is of this kind.
    fn checked(&self, kind: Kind, literal: &LitStr) -> Result<&'a Ident> {
        let (signature, _) = self.named(literal)?;
        self.check(kind, signature)?;
        Ok(&signature.ident)
    }

    /// Refuses what is no method of this kind, as far as it can be seen. What the types are is left to the compiler.
    fn check(&self, kind: Kind, signature: &Signature) -> Result<()> {
        let Some((span, wrong)) = kind.wrong(signature) else { return Ok(()) };
        let form = kind.form(&signature.ident, &text(self.input));
        Err(Error::new(span, format!("{} is `{form}`; this one {wrong}", kind.name())))
    }
}

/// What a method is for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Step,
    Compensation,
    Resolution,
    Condition,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Step => "a step",
            Self::Compensation => "a compensation",
            Self::Resolution => "a resolution",
            Self::Condition => "a condition",
        }
    }

    /// How such a method is written.
    fn form(self, ident: &Ident, input: &str) -> String {
        let returned = match self {
            Self::Condition => return format!("fn {ident}(input: &{input}, outcomes: &Outcomes) -> bool"),
            Self::Step => "_",
            Self::Compensation => "()",
            Self::Resolution => "Option<_>",
        };
        format!("async fn {ident}(&self, input: &{input}, step: &StepContext) -> Result<{returned}, StepError>")
    }

    fn wrong(self, signature: &Signature) -> Option<(Span, &'static str)> {
        let is_condition = self == Self::Condition;
        match (&signature.asyncness, is_condition) {
            (None, false) => return Some((signature.fn_token.span(), "is not async")),
            (Some(is_async), true) => return Some((is_async.span(), "is async")),
            _ => {}
        }
        let has_receiver = signature.receiver().is_some();
        if has_receiver == is_condition || signature.inputs.len() - usize::from(has_receiver) != 2 {
            return Some((signature.ident.span(), "takes something else"));
        }
        let is_shared = |argument: &&FnArg| match argument {
            FnArg::Receiver(own) => matches!(own.kind, ReceiverKind::Reference(_, _, None)),
            FnArg::Typed(typed) => matches!(&*typed.ty, Type::Reference(reference) if reference.mutability.is_none()),
        };
        if let Some(other) = signature.inputs.iter().find(|argument| !is_shared(argument)) {
            let span = if let FnArg::Typed(typed) = other { typed.ty.span() } else { other.span() };
            return Some((span, "takes something else"));
        }
        match &signature.output {
            ReturnType::Default if is_condition => Some((signature.ident.span(), "returns nothing")),
            ReturnType::Default => Some((signature.ident.span(), "returns no `Result`")),
            ReturnType::Type(_, returned) if !matches!(**returned, Type::Path(_) | Type::Macro(_)) => {
                Some((returned.span(), if is_condition { "returns something else" } else { "returns no `Result`" }))
            }
            ReturnType::Type(..) => None,
        }
    }
}

/// A type as somebody would have written it.
fn text(kind: &Type) -> String {
    kind.to_token_stream().to_string().replace(" :: ", "::").replace(" < ", "<").replace(" >", ">")
}
