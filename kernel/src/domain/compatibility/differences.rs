//! Where two schemas differ.

use super::form::{Holds, below, form, holds, list, resolve, shown};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde_json::Value;

/// A place where two schemas differ.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Where: a JSON Pointer, which goes on through references.
    pub path: String,
    /// What was there, in short; `None`: nothing.
    pub was: Option<String>,
    /// What is there, in short; `None`: nothing.
    pub is: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_string());
        let path = if self.path.is_empty() { "/" } else { &self.path };
        write!(f, "{path}: was {}, is {}", said(&self.was), said(&self.is))
    }
}

/// Where two JSON Schemas differ in what they take; none when they take the same.
///
/// Titles, descriptions, examples, defaults and comments are no difference, nor is the order of keys, of required fields, of
/// values and of alternatives, nor how definitions are called.
///
/// ```
/// # use portolan_kernel::domain::compatibility::differences;
/// # use serde_json::json;
/// let was = json!({ "type": "object", "properties": { "amount": { "type": "integer" } }, "required": ["amount"] });
/// let is = json!({ "type": "object", "properties": { "amount": { "type": "string" } }, "description": "Paid in." });
/// let lines: Vec<_> = differences(&was, &is).iter().map(ToString::to_string).collect();
/// assert_eq!(lines, [
///     r#"/properties/amount/type: was "integer", is "string""#,
///     r#"/required: was ["amount"], is nothing"#,
/// ]);
/// ```
#[must_use]
pub fn differences(was: &Value, is: &Value) -> Vec<Difference> {
    let (was, is) = (form(was), form(is));
    differences_of_forms((&was, &was), (&is, &is))
}

/// The same of two parts, each with the whole that it is of.
pub(super) fn differences_of_forms(was: (&Value, &Value), is: (&Value, &Value)) -> Vec<Difference> {
    let mut walk = Walk { was: was.0, is: is.0, met: Vec::new(), found: Vec::new() };
    walk.compare("", was.1, is.1);
    walk.found
}

struct Walk<'a> {
    was: &'a Value,
    is: &'a Value,
    /// What has been compared, where references meet: a type may hold itself.
    met: Vec<(*const Value, *const Value)>,
    found: Vec<Difference>,
}

impl<'a> Walk<'a> {
    fn compare(&mut self, path: &str, was: &'a Value, is: &'a Value) {
        let ((was, by_name), (is, also_by_name)) = (resolve(self.was, was), resolve(self.is, is));
        if by_name || also_by_name {
            let pair = (core::ptr::from_ref(was), core::ptr::from_ref(is));
            if self.met.contains(&pair) {
                return;
            }
            self.met.push(pair);
        }
        let (Some(old), Some(new)) = (was.as_object(), is.as_object()) else {
            if was != is {
                self.differs(path, Some(was), Some(is));
            }
            return;
        };
        let mut keywords: Vec<_> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
        keywords.sort();
        for keyword in keywords.into_iter().filter(|keyword| *keyword != "$defs" && *keyword != "default") {
            let path = below(path, keyword);
            match (holds(keyword), old.get(keyword), new.get(keyword)) {
                (Holds::Named, was, is) => {
                    let named = |schema: Option<&'a Value>| schema.and_then(Value::as_object);
                    for (name, was) in named(was).into_iter().flatten() {
                        self.maybe(&below(&path, name), Some(was), named(is).and_then(|is| is.get(name)));
                    }
                    let is_new = |name: &String| !named(was).is_some_and(|was| was.contains_key(name));
                    for (name, is) in named(is).into_iter().flatten().filter(|(name, _)| is_new(name)) {
                        self.maybe(&below(&path, name), None, Some(is));
                    }
                }
                (Holds::One, was, is) => self.maybe(&path, was, is),
                (Holds::Row, Some(Value::Array(old)), Some(Value::Array(new))) => {
                    for at in 0..old.len().max(new.len()) {
                        self.maybe(&below(&path, &at.to_string()), old.get(at), new.get(at));
                    }
                }
                (Holds::Several, Some(Value::Array(old)), Some(Value::Array(new))) => self.several(&path, old, new),
                (Holds::Set, Some(old), Some(new)) => {
                    for was in list(old).filter(|was| !list(new).any(|is| is == *was)) {
                        // Another single value in its place is shown beside it.
                        let is = Some(new).filter(|new| !new.is_array() && !old.is_array());
                        self.differs(&path, Some(was), is);
                    }
                    let is_told = !new.is_array() && !old.is_array();
                    for is in list(new).filter(|is| !is_told && !list(old).any(|was| was == *is)) {
                        self.differs(&path, None, Some(is));
                    }
                }
                (_, was, is) if was != is => self.differs(&path, was, is),
                _ => {}
            }
        }
    }

    fn maybe(&mut self, path: &str, was: Option<&'a Value>, is: Option<&'a Value>) {
        match (was, is) {
            (Some(was), Some(is)) => self.compare(path, was, is),
            (was, is) => self.differs(path, was, is),
        }
    }

    /// In any order: those without an equal are compared, one after another.
    fn several(&mut self, path: &str, old: &'a [Value], new: &'a [Value]) {
        let mut others: Vec<(usize, &Value)> = new.iter().enumerate().collect();
        let mut left = Vec::new();
        for (at, was) in old.iter().enumerate() {
            match others.iter().position(|(_, is)| self.are_equal(was, is)) {
                Some(equal) => drop(others.remove(equal)),
                None => left.push((at, was)),
            }
        }
        // Those that have the same one required field are one variant.
        for (at, was) in left {
            let named = |schema: &Value| schema.get("required").cloned();
            let same = others.iter().position(|(_, is)| named(was).is_some() && named(was) == named(is));
            let same = same.or_else(|| others.iter().position(|(other, _)| *other == at && named(was).is_none()));
            let is = same.map(|same| others.remove(same).1);
            self.maybe(&below(path, &at.to_string()), Some(was), is);
        }
        for (at, is) in others {
            self.maybe(&below(path, &at.to_string()), None, Some(is));
        }
    }

    fn are_equal(&self, was: &'a Value, is: &'a Value) -> bool {
        let mut walk = Walk { was: self.was, is: self.is, met: self.met.clone(), found: Vec::new() };
        walk.compare("", was, is);
        walk.found.is_empty()
    }

    fn differs(&mut self, path: &str, was: Option<&Value>, is: Option<&Value>) {
        let (was, is) = (was.map(shown), is.map(shown));
        self.found.push(Difference { path: path.to_string(), was, is });
    }
}
