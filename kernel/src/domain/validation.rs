//! Rules on fields by the attributes of the crate [validator](https://docs.rs/validator), as [`Violation`]s.
//!
//! The derive `Command` calls this when a field has a `#[validate(…)]`; by hand it is one line.

use crate::ports::Violation;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde_json::Value;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

/// What has rules: whatever derives `Validate`. It stands here for what the compiler says of a type that does not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no rules",
    label = "there are rules, and nothing that applies them",
    note = "add `validator::Validate` to its derives"
)]
pub trait Rules: Validate {}

#[diagnostic::do_not_recommend]
impl<T: Validate + ?Sized> Rules for T {}

/// Everything that is wrong with the value, by its rules.
///
/// `fields` are its fields in their order, each with its name in Rust and on the wire: violations come in that order
/// and under the wire's names. What is nested comes in the order of its names in Rust, which is all that validator
/// tells of it. Codes are the rule's (`length`, `range`, `does-not-contain`) or its attribute's `code`; so are messages,
/// and a rule without `message` has one of ours.
///
/// ```
/// use portolan_kernel::domain::validation::violations;
/// use validator::Validate;
///
/// #[derive(Validate)]
/// struct Line { #[validate(range(min = 1))] amount: u64 }
/// #[derive(Validate)]
/// struct Order { #[validate(length(min = 1))] buyer: String, #[validate(nested)] lines: Vec<Line> }
///
/// let order = Order { buyer: String::new(), lines: vec![Line { amount: 1 }, Line { amount: 0 }] };
/// let wrong = violations(&order, &[("buyer", "buyer"), ("lines", "lines")]);
/// assert_eq!((&*wrong[0].path, &*wrong[0].code), ("buyer", "length"));
/// assert_eq!((&*wrong[1].path, &*wrong[1].code), ("lines[1].amount", "range"));
/// assert_eq!(wrong[1].message, "it must be 1 or more");
/// ```
///
/// # Panics
///
/// When a wrong value has no JSON form, such as a `u128` past `u64::MAX`: validator keeps it as JSON. The derive
/// `Command` refuses rules on such fields; it does not see those of nested types. Judge them by hand.
#[must_use]
pub fn violations<T: Rules + ?Sized>(value: &T, fields: &[(&str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    if let Err(errors) = value.validate() {
        collect(&errors, "", fields, &mut found);
    }
    found
}

fn collect(errors: &ValidationErrors, parent: &str, fields: &[(&str, &str)], into: &mut Vec<Violation>) {
    let place = |name: &str| fields.iter().position(|(field, _)| *field == name).unwrap_or(fields.len());
    let mut errors: Vec<(&Cow<'static, str>, _)> = errors.errors().iter().collect();
    errors.sort_by_key(|(name, _)| (place(name), *name));
    for (name, kind) in errors {
        let wire = fields.get(place(name)).map_or(&**name, |(_, wire)| wire);
        let path = match (parent, wire) {
            // The rule of a whole struct.
            (_, "__all__") => parent.to_string(),
            ("", _) => wire.to_string(),
            _ => format!("{parent}.{wire}"),
        };
        match kind {
            ValidationErrorsKind::Field(errors) => into.extend(errors.iter().map(|error| violation(&path, error))),
            ValidationErrorsKind::Struct(errors) => collect(errors, &path, &[], into),
            ValidationErrorsKind::List(items) => {
                for (n, errors) in items {
                    collect(errors, &format!("{path}[{n}]"), &[], into);
                }
            }
        }
    }
}

fn violation(path: &str, error: &ValidationError) -> Violation {
    let message = error.message.as_ref().map_or_else(|| message(error), ToString::to_string);
    Violation::new(path, error.code.replace('_', "-").to_ascii_lowercase(), message)
}

/// What to say of a rule that says nothing itself.
fn message(error: &ValidationError) -> String {
    let param = |name: &str| error.params.get(name).map(shown);
    let is_number = error.params.get("value").is_some_and(Value::is_number);
    if let Some(equal) = param("equal") {
        return format!("it must be exactly {equal} long");
    }
    match (param("min"), param("max"), param("exclusive_min"), param("exclusive_max")) {
        (None, None, None, None) => {}
        (Some(min), Some(max), ..) if is_number => return format!("it must be from {min} to {max}"),
        (Some(min), Some(max), ..) => return format!("it must be {min} to {max} long"),
        (Some(min), ..) if !is_number => return format!("it must be at least {min} long"),
        (None, Some(max), ..) if !is_number => return format!("it must be at most {max} long"),
        (min, max, above, below) => {
            let bounds = [
                min.map(|min| format!("{min} or more")),
                above.map(|above| format!("above {above}")),
                max.map(|max| format!("{max} or less")),
                below.map(|below| format!("below {below}")),
            ];
            return format!("it must be {}", bounds.into_iter().flatten().collect::<Vec<_>>().join(" and "));
        }
    }
    match (&*error.code, param("needle")) {
        ("required", _) => "it is required".to_string(),
        ("email", _) => "it must be an e-mail address".to_string(),
        ("url", _) => "it must be a URL".to_string(),
        ("ip", _) => "it must be an IP address".to_string(),
        ("credit_card", _) => "it must be the number of a card".to_string(),
        ("non_control_character", _) => "it must have no control characters".to_string(),
        ("must_match", _) => "it must equal the field it repeats".to_string(),
        ("regex", _) => "it does not have the right form".to_string(),
        ("contains", Some(needle)) => format!("it must contain {needle}"),
        ("does_not_contain", Some(needle)) => format!("it must not contain {needle}"),
        (code, _) => format!("it breaks the rule {}", code.replace('_', "-")),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
