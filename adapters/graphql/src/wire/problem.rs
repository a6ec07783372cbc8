//! Errors on the wire: a stable code, a sentence, and members that give a client back the port's error.

use core::str::FromStr;
use portolan_kernel::ports::{Source, Violation};
use serde_json::{Map, Value, json};

/// One error, as it travels: in `extensions` of a GraphQL error, or as a member of a command's result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) members: Map<String, Value>,
    /// A line for the server's error output, which does not travel.
    pub(crate) for_operator: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), members: Map::new(), for_operator: None }
    }

    /// The same problem with this member. One that holds nothing is written as `null`.
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// An argument that cannot be meant.
    pub(crate) fn wrong(path: &str, code: &str, message: impl Into<String>) -> Self {
        let violations = [Violation::new(path, code, message)];
        Self::new("invalid-request", format!("the request is invalid: {path}: {}", violations[0].message))
            .with("violations", list(&violations))
    }

    /// The same problem, of arguments that are part of another.
    pub(crate) fn below(mut self, path: &str) -> Self {
        for wrong in self.members.get_mut("violations").and_then(Value::as_array_mut).into_iter().flatten() {
            let whole = wrong.get("path").and_then(Value::as_str).map(|name| format!("{path}{name}"));
            if let (Some(whole), Value::Object(members)) = (whole, wrong) {
                members.insert("path".to_owned(), whole.into());
            }
        }
        self
    }

    /// What stands beside the message of a GraphQL error.
    pub(crate) fn extensions(&self) -> Value {
        let mut extensions = self.members.clone();
        extensions.insert("code".to_owned(), self.code.into());
        Value::Object(extensions)
    }

    /// Writes what only the operator may know to the process's error output.
    #[expect(clippy::print_stderr, reason = "the operator's only channel, until there is another")]
    pub(crate) fn report(&self) {
        if let Some(line) = &self.for_operator {
            eprintln!("portolan-graphql: {line}");
        }
    }
}

pub(crate) fn list(violations: &[Violation]) -> Value {
    let one = |wrong: &Violation| json!({ "path": wrong.path, "code": wrong.code, "message": wrong.message });
    violations.iter().map(one).collect()
}

/// A problem as a client receives it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) members: Map<String, Value>,
}

impl Received {
    /// A member that is a string.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.members.get(member)?.as_str()
    }

    /// A member that has a text form of its own.
    pub(crate) fn parsed<T: FromStr>(&self, member: &str) -> Option<T> {
        self.text(member)?.parse().ok()
    }

    /// The same, or `null`.
    pub(crate) fn maybe<T: FromStr>(&self, member: &str) -> Option<Option<T>> {
        match self.members.get(member)? {
            Value::Null => Some(None),
            value => Some(Some(value.as_str()?.parse().ok()?)),
        }
    }

    pub(crate) fn source(&self) -> Option<Source> {
        self.text("reason").map(Source::new)
    }

    pub(crate) fn violations(&self) -> Option<Vec<Violation>> {
        let list = self.members.get("violations")?.as_array()?;
        let one = |wrong: &Value| {
            let text = |member: &str| wrong.get(member).and_then(Value::as_str);
            Some(Violation::new(text("path")?, text("code")?, text("message")?))
        };
        list.iter().map(one).collect()
    }
}
