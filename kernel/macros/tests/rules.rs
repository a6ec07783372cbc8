//! What each rule of validator says where its attribute says nothing.

use portolan_kernel::domain::Command;
use serde::{Deserialize, Serialize};
use validator::{Validate, ValidationError};

#[derive(Command, Validate, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[validate(schema(function = first_is_not_last, skip_on_field_errors = false))]
struct Register {
    #[validate(length(min = 2), contains(pattern = "@"))]
    first_name: String,
    #[validate(length(max = 1, code = "TOO_LONG"))]
    last_name: String,
    #[validate(length(equal = 3))]
    country: String,
    #[validate(length(min = 1, max = 2))]
    roles: Vec<String>,
    #[validate(email)]
    email: String,
    #[validate(url)]
    home: Option<String>,
    #[validate(ip)]
    host: String,
    #[validate(must_match(other = email))]
    email_again: String,
    #[validate(does_not_contain(pattern = "x"))]
    nick: String,
    #[validate(non_control_character)]
    motto: String,
    #[validate(required)]
    consent: Option<bool>,
    #[validate(range(min = 1))]
    at_least: u8,
    #[validate(range(max = 1))]
    at_most: Option<u8>,
    #[validate(range(min = 1, max = 2))]
    between: i64,
    #[validate(range(exclusive_min = 0.0, exclusive_max = 1.0))]
    share: f64,
    #[validate(custom(function = never))]
    odd: u8,
    #[validate(nested)]
    address: Address,
}

#[derive(portolan_kernel::domain::JsonSchema, Validate, Serialize, Deserialize)]
#[validate(schema(function = no_place))]
struct Address {
    place: String,
}

fn never(_: u8) -> Result<(), ValidationError> {
    Err(ValidationError::new("never_right"))
}

fn no_place(_: &Address) -> Result<(), ValidationError> {
    Err(ValidationError::new("no_place"))
}

fn first_is_not_last(register: &Register) -> Result<(), ValidationError> {
    let same = register.first_name == register.last_name;
    if same { Err(ValidationError::new("same").with_message("two names, please".into())) } else { Ok(()) }
}

#[test]
fn every_rule_has_a_code_and_a_sentence() {
    let wrong = Register {
        first_name: "a".into(),
        last_name: "ab".into(),
        country: "de".into(),
        roles: vec![],
        email: "nobody".into(),
        home: Some("nowhere".into()),
        host: "localhost".into(),
        email_again: "somebody".into(),
        nick: "xx".into(),
        motto: "a\nb".into(),
        consent: None,
        at_least: 0,
        at_most: Some(2),
        between: 3,
        share: 1.0,
        odd: 1,
        address: Address { place: String::new() },
    };
    let found = Command::validate(&wrong);
    let found: Vec<_> = found.iter().map(|wrong| (&*wrong.path, &*wrong.code, &*wrong.message)).collect();
    assert_eq!(
        found,
        [
            ("firstName", "length", "it must be at least 2 long"),
            ("firstName", "contains", "it must contain \"@\""),
            ("lastName", "too-long", "it must be at most 1 long"),
            ("country", "length", "it must be exactly 3 long"),
            ("roles", "length", "it must be 1 to 2 long"),
            ("email", "email", "it must be an e-mail address"),
            ("home", "url", "it must be a URL"),
            ("host", "ip", "it must be an IP address"),
            ("emailAgain", "must-match", "it must equal the field it repeats"),
            ("nick", "does-not-contain", "it must not contain \"x\""),
            ("motto", "non-control-character", "it must have no control characters"),
            ("consent", "required", "it is required"),
            ("atLeast", "range", "it must be 1 or more"),
            ("atMost", "range", "it must be 1 or less"),
            ("between", "range", "it must be from 1 to 2"),
            ("share", "range", "it must be above 0.0 and below 1.0"),
            ("odd", "never-right", "it breaks the rule never-right"),
            ("address", "no-place", "it breaks the rule no-place"),
        ]
    );
    let same = Register { first_name: "ab".into(), ..wrong };
    let last = Command::validate(&same).pop().map(|wrong| (wrong.path, wrong.code, wrong.message));
    assert_eq!(
        last,
        Some((String::new(), "same".into(), "two names, please".into())),
        "of the whole, after all fields"
    );
}

#[test]
fn the_schema_has_what_the_rules_say() {
    let schema = Register::schema().expect("derived commands have one");
    let of = |field: &str| &schema["properties"][field];
    assert_eq!((&of("firstName")["minLength"], &of("firstName")["pattern"]), (&2.into(), &"@".into()));
    assert_eq!((&of("roles")["minItems"], &of("roles")["maxItems"]), (&1.into(), &2.into()));
    assert_eq!((&of("email")["format"], &of("home")["format"]), (&"email".into(), &"uri".into()));
    assert_eq!((&of("between")["minimum"], &of("between")["maximum"]), (&1.into(), &2.into()));
    assert!(schema["required"].as_array().is_some_and(|required| required.contains(&"consent".into())), "{schema:#}");
}
