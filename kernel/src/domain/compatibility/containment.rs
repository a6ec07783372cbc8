//! Whether all that the one schema writes the other reads.

use super::differences::differences_of_forms;
use super::form::{below, form, list, resolve, shown, type_of};
use super::numbers::{are_counted_within, are_within, is_width};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde_json::{Map, Value, json};

/// A place where something may be written that is not read, or where nobody can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misfit {
    /// Where: a JSON Pointer into the schema of what is written, which goes on through references.
    pub path: String,
    /// Why, in a sentence without its end.
    pub reason: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        write!(f, "{path}: {}", self.reason)
    }
}

/// Where a reader who knows the second JSON Schema may meet what he cannot read in what is written by the first; none when he
/// reads all of it. How objects are judged stands at [the module](super).
///
/// ```
/// # use portolan_kernel::domain::compatibility::misfits;
/// # use serde_json::json;
/// let old = json!({ "type": "object", "properties": { "amount": { "type": "integer" } }, "required": ["amount"] });
/// let new = json!({ "type": "object", "properties": { "cents": { "type": "integer" } }, "required": ["cents"] });
/// assert_eq!(misfits(&old, &new)[0].to_string(), "/properties/cents: it is required, and need not be written");
/// assert!(misfits(&old, &old).is_empty());
/// ```
#[must_use]
pub fn misfits(written: &Value, read: &Value) -> Vec<Misfit> {
    let (written, read) = (form(written), form(read));
    let mut judge = Judge { written: &written, read: &read, met: Vec::new(), found: Vec::new(), left: 100_000 };
    judge.fits("", &written, &read);
    judge.found
}

/// What is judged by name below; anything else that a reader asks for has to be asked of the writer alike.
const JUDGED: [&str; 25] = [
    "$defs",
    "$ref",
    "default",
    "type",
    "enum",
    "oneOf",
    "anyOf",
    "allOf",
    "format",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

struct Judge<'a> {
    written: &'a Value,
    read: &'a Value,
    /// What has been judged, where references meet: a type may hold itself.
    met: Vec<(*const Value, *const Value)>,
    found: Vec<Misfit>,
    /// How many steps are left: alternatives within alternatives multiply.
    left: u32,
}

impl Judge<'_> {
    fn fits(&mut self, path: &str, written: &Value, read: &Value) {
        let ((of_writer, of_reader), before) = ((self.written, self.read), self.met.len());
        let ((written, by_name), (read, also_by_name)) = (resolve(of_writer, written), resolve(of_reader, read));
        if self.left == 0 {
            return self.unjudged(path, "it is too large to be judged");
        }
        self.left -= 1;
        if by_name || also_by_name {
            let pair = (core::ptr::from_ref(written), core::ptr::from_ref(read));
            if self.met.contains(&pair) {
                return;
            }
            self.met.push(pair);
        }
        self.judge(path, written, read);
        // What was built on the way here is gone, and its address another's.
        if !(by_name && also_by_name) {
            self.met.truncate(before);
        }
    }

    fn judge(&mut self, path: &str, written: &Value, read: &Value) {
        let (new, old) = match (written.as_object(), read.as_object()) {
            (None, _) => return, // nothing is written
            (Some(_), None) => return self.misfit(path, "it is written, and nothing is read there".into()),
            (Some(written), Some(read)) => (written, read),
        };
        if is_anything(old) {
            return;
        }
        if is_anything(new) {
            return self.misfit(path, "anything may be written, and not everything is read".into());
        }
        if new.contains_key("$ref") || old.contains_key("$ref") {
            return self.unless_equal(path, written, read, "a reference leads nowhere");
        }
        if let Some((keyword, branches)) = alternatives(new) {
            if new.keys().any(|key| key != keyword && key != "$defs" && key != "default") {
                return self.unless_equal(path, written, read, "alternatives beside something else cannot be judged");
            }
            for (at, branch) in branches.iter().enumerate() {
                self.fits(&below(&below(path, keyword), &at.to_string()), branch, read);
            }
            return;
        }
        if new.contains_key("allOf") {
            return self.unless_equal(path, written, read, "what is written in parts cannot be judged");
        }
        // One type, and one value, at a time.
        for keyword in ["type", "enum"] {
            if let Some(Value::Array(several)) = new.get(keyword)
                && several.len() > 1
            {
                for one in several {
                    let one = if keyword == "enum" { json!([one]) } else { one.clone() };
                    let mut alone = new.clone();
                    alone.insert(keyword.into(), one);
                    self.fits(path, &Value::Object(alone), read);
                }
                return;
            }
        }
        if let Some(Value::Array(parts)) = old.get("allOf") {
            for part in parts {
                self.fits(path, written, part);
            }
            return self.fits(path, written, &without(old, "allOf"));
        }
        if let Some((keyword, branches)) = alternatives(old) {
            self.any(path, written, branches);
            return self.fits(path, written, &without(old, keyword));
        }
        if self.values(path, new, old) || self.types(path, new, old) {
            return;
        }
        self.members(path, new, old);
        self.items(path, new, old);
        self.others(path, written, read);
    }

    /// One of the reader's alternatives takes it.
    fn any(&mut self, path: &str, written: &Value, branches: &[Value]) {
        let mut failed = Vec::new();
        for branch in branches {
            let met = self.met.clone();
            let mut trial = Judge { written: self.written, read: self.read, met, found: Vec::new(), left: self.left };
            trial.fits(path, written, branch);
            self.left = trial.left;
            if trial.found.is_empty() {
                return;
            }
            failed.push((branch, trial.found));
        }
        // The variant of the same name says more, and so does the one that is not `null`.
        let said =
            |branch: &Value, keyword| branch.get(keyword).filter(|of| Some(*of) == written.get(keyword)).is_some();
        let is_null = |branch: &Value| branch.get("type").is_some_and(|kind| kind == "null");
        let is_option = branches.len() == 2 && branches.iter().any(is_null);
        let is_same = |branch: &Value| said(branch, "required") || is_option && !is_null(branch);
        match failed.into_iter().find(|(branch, _)| is_same(branch)) {
            Some((_, found)) => self.found.extend(found),
            None => {
                let of = shown(&json!(written.get("enum").or_else(|| written.get("required")).unwrap_or(written)));
                self.misfit(
                    path,
                    alloc::format!("{of} may be written, and none of the alternatives that are read takes it"),
                );
            }
        }
    }

    /// Values that are listed; tells whether that settles it.
    fn values(&mut self, path: &str, new: &Map<String, Value>, old: &Map<String, Value>) -> bool {
        let value = new.get("enum").and_then(Value::as_array).and_then(|values| values.first());
        match (value, old.get("enum").and_then(Value::as_array)) {
            (Some(value), Some(read)) => {
                if !read.contains(value) {
                    self.misfit(path, alloc::format!("{} may be written, and is not read", shown(value)));
                }
                true
            }
            (Some(value), None) => {
                let is_of = |kind: &Value| is_type(type_of(value), kind);
                if old.get("type").is_some_and(|kinds| !list(kinds).any(is_of)) {
                    self.misfit(path, alloc::format!("{} may be written, and is not read", shown(value)));
                } else if old.keys().any(|key| !["type", "default", "$defs"].contains(&&**key)) {
                    let reason = alloc::format!("whether {} is read cannot be judged", shown(value));
                    self.unjudged(path, &reason);
                }
                true
            }
            (None, Some(read)) => {
                let read = shown(&json!(read));
                self.misfit(path, alloc::format!("other values than {read} may be written, and only those are read"));
                true
            }
            (None, None) => false,
        }
    }

    /// The type of JSON; tells whether that settles it.
    fn types(&mut self, path: &str, new: &Map<String, Value>, old: &Map<String, Value>) -> bool {
        let Some(read) = old.get("type") else { return false };
        let Some(written) = new.get("type").and_then(Value::as_str) else {
            self.unless_equal(path, &json!(new), &json!(old), "what is written has no type");
            return true;
        };
        if list(read).any(|kind| is_type(written, kind)) {
            return false;
        }
        self.misfit(path, alloc::format!("{written:?} may be written, and {read} is read"));
        true
    }

    /// The fields of objects.
    fn members(&mut self, path: &str, new: &Map<String, Value>, old: &Map<String, Value>) {
        let named = |schema: &Map<String, Value>, keyword: &str| {
            schema.get(keyword).and_then(Value::as_object).cloned().unwrap_or_default()
        };
        let is_required = |schema: &Map<String, Value>, name: &str| {
            schema.get("required").is_some_and(|names| list(names).any(|required| required == name))
        };
        let (written, read) = (named(new, "properties"), named(old, "properties"));
        let path_of = |name: &str| below(&below(path, "properties"), name);
        for name in old.get("required").into_iter().flat_map(list).filter_map(Value::as_str) {
            let has_default = read.get(name).is_some_and(|field| field.get("default").is_some());
            if !has_default && !is_required(new, name) {
                self.misfit(&path_of(name), "it is required, and need not be written".into());
            }
        }
        let (patterns, read_patterns) = (named(new, "patternProperties"), named(old, "patternProperties"));
        let others = old.get("additionalProperties");
        for (name, field) in &written {
            match (read.get(name), others) {
                (Some(read), _) => self.fits(&path_of(name), field, read),
                (None, _) if !read_patterns.is_empty() => {
                    self.unless_equal(path, &json!(new), &json!(old), "names by pattern cannot be judged");
                }
                (None, None) => {}
                (None, Some(Value::Bool(false))) => {
                    self.misfit(&path_of(name), "it may be written, and is refused as unknown".into());
                }
                (None, Some(read)) => self.fits(&path_of(name), field, read),
            }
        }
        for (pattern, field) in &patterns {
            let path = below(&below(path, "patternProperties"), pattern);
            match read_patterns.get(pattern) {
                Some(read) => self.fits(&path, field, read),
                None if read_patterns.is_empty() && read.is_empty() && others.is_none() => {}
                None => self.unjudged(&path, "names by pattern cannot be judged"),
            }
        }
        // A map: any name may come.
        if let Some(field) = new.get("additionalProperties").filter(|field| **field != Value::Bool(false)) {
            let path = below(path, "additionalProperties");
            match others {
                None => {}
                Some(read) => self.fits(&path, field, read),
            }
            for (name, read) in read.iter().filter(|(name, _)| !written.contains_key(*name)) {
                self.fits(&below(&path, name), field, read);
            }
            if read_patterns.keys().any(|pattern| !patterns.contains_key(pattern)) {
                self.unjudged(&path, "names by pattern cannot be judged");
            }
        }
    }

    /// The items of arrays.
    fn items(&mut self, path: &str, new: &Map<String, Value>, old: &Map<String, Value>) {
        let (open, none) = (json!({}), json!([]));
        let row = |schema: &'_ Map<String, Value>| schema.get("prefixItems").unwrap_or(&none).clone();
        let rest = |schema: &'_ Map<String, Value>| schema.get("items").unwrap_or(&open).clone();
        let (written, read) = (row(new), row(old));
        let (written_rest, read_rest) = (rest(new), rest(old));
        let length = |row: &Value| row.as_array().map_or(0, Vec::len);
        let most = new.get("maxItems").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
        let of_rows = length(&written).max(length(&read));
        for at in 0..of_rows.min(most.unwrap_or(of_rows)) {
            let path = below(&below(path, "prefixItems"), &at.to_string());
            self.fits(&path, written.get(at).unwrap_or(&written_rest), read.get(at).unwrap_or(&read_rest));
        }
        if most.is_none_or(|most| most > of_rows) && old.contains_key("items") {
            self.fits(&below(path, "items"), &written_rest, &read_rest);
        }
    }

    /// Bounds, and what has to be the same.
    fn others(&mut self, path: &str, written: &Value, read: &Value) {
        let said = |schema: &Value, keyword: &str| schema.get(keyword).map_or_else(|| "none".to_string(), shown);
        if !are_within(written, read) {
            let bounds = |schema: &Value| {
                let keywords = ["format", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"];
                let said = keywords.iter().filter_map(|key| Some(((*key).to_string(), schema.get(*key)?.clone())));
                shown(&Value::Object(said.collect()))
            };
            let reason =
                alloc::format!("numbers of {} may be written, and those of {} are read", bounds(written), bounds(read));
            self.misfit(path, reason);
        }
        for keywords in [["minLength", "maxLength"], ["minItems", "maxItems"], ["minProperties", "maxProperties"]] {
            if !are_counted_within(written, read, keywords) {
                let [least, most] = keywords;
                let of =
                    |schema: &Value| alloc::format!("{least} {}, {most} {}", said(schema, least), said(schema, most));
                self.misfit(path, alloc::format!("{} is written, and {} is read", of(written), of(read)));
            }
        }
        if let Some(format) = read.get("format").filter(|format| !is_width(format)) {
            let is_number = matches!(written.get("type").and_then(Value::as_str), Some("integer" | "number"));
            if !(format == "double" && is_number) && written.get("format") != Some(format) {
                let reason = alloc::format!("format {} is written, and {format} is read", said(written, "format"));
                self.misfit(path, reason);
            }
        }
        let asked = read.as_object().into_iter().flatten();
        for (keyword, value) in asked.filter(|(keyword, _)| !JUDGED.contains(&&***keyword)) {
            let is_equal = written.get(keyword).is_some_and(|of| {
                let (of_writer, of_reader) = (self.written, self.read);
                let (of, value) = (json!({ keyword.as_str(): of }), json!({ keyword.as_str(): value }));
                differences_of_forms((of_writer, &of), (of_reader, &value)).is_empty()
            });
            if !is_equal {
                let reason = alloc::format!("{keyword:?} is read as {}, which cannot be judged", shown(value));
                self.unjudged(path, &reason);
            }
        }
    }

    fn unless_equal(&mut self, path: &str, written: &Value, read: &Value, reason: &str) {
        if !differences_of_forms((self.written, written), (self.read, read)).is_empty() {
            self.unjudged(path, reason);
        }
    }

    fn unjudged(&mut self, path: &str, reason: &str) {
        self.misfit(path, alloc::format!("{reason}, and it is not the same as before"));
    }

    fn misfit(&mut self, path: &str, reason: String) {
        let misfit = Misfit { path: path.to_string(), reason };
        if !self.found.contains(&misfit) {
            self.found.push(misfit);
        }
    }
}

fn is_anything(schema: &Map<String, Value>) -> bool {
    schema.keys().all(|key| key == "default" || key == "$defs")
}

fn alternatives(schema: &Map<String, Value>) -> Option<(&'static str, &[Value])> {
    ["oneOf", "anyOf"].into_iter().find_map(|keyword| Some((keyword, schema.get(keyword)?.as_array()?.as_slice())))
}

fn without(schema: &Map<String, Value>, keyword: &str) -> Value {
    let mut rest = schema.clone();
    rest.remove(keyword);
    Value::Object(rest)
}

/// Whether a value of this type is one of that, as types are in schemas.
fn is_type(written: &str, read: &Value) -> bool {
    read == written || written == "integer" && read == "number"
}
