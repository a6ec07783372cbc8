//! What a registry of schemas says, on the wire, and its errors as problems, and back (TR-2).

use super::errors::{PortError, busy, corrupt, damage, denied, failed, parsed, source};
use super::problem::Problem;
use super::text::{ESCAPED, Text};
use core::fmt;
use core::str::FromStr;
use http::StatusCode;
use percent_encoding::utf8_percent_encode;
use portolan_kernel::ports::{SchemaError, SchemaKind, SchemaSubject, SchemaVersions, Source};
use portolan_kernel::values::Name;
use serde::{Deserialize, Serialize};

/// What a schema is of, as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) SchemaKind);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Kind {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "event" => Ok(Self(SchemaKind::Event)),
            "command" => Ok(Self(SchemaKind::Command)),
            _ => Err("a kind is `event` or `command`"),
        }
    }
}

impl Kind {
    pub(crate) fn subject(self, name: Name) -> SchemaSubject {
        match self.0 {
            SchemaKind::Command => SchemaSubject::command(name),
            _ => SchemaSubject::event(name),
        }
    }
}

/// `GET /schemas`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireSchemas {
    pub(crate) schemas: Vec<WireSchemaVersions>,
}

/// What is known of a type.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireSchemaVersions {
    kind: Text<Kind>,
    name: Text<Name>,
    category: Option<Text<Name>>,
    current: Option<u32>,
    versions: Vec<WireSchemaVersion>,
}

/// A version, and the path of its schema.
#[derive(Debug, Serialize, Deserialize)]
struct WireSchemaVersion {
    version: u32,
    schema: String,
}

impl WireSchemaVersions {
    pub(crate) fn new(of: &SchemaVersions) -> Self {
        let version = |version: &u32| WireSchemaVersion { version: *version, schema: link(&of.subject, *version) };
        Self {
            kind: Text(Kind(of.subject.kind)),
            name: Text(of.subject.name.clone()),
            category: of.category.clone().map(Text),
            current: of.current,
            versions: of.versions.iter().map(version).collect(),
        }
    }

    pub(crate) fn decode(self) -> SchemaVersions {
        let Text(kind) = self.kind;
        let versions = self.versions.into_iter().map(|of| of.version).collect();
        SchemaVersions::new(kind.subject(self.name.0), versions)
            .with_category(self.category.map(|Text(category)| category))
            .with_current(self.current)
    }
}

/// The path of a schema. Without a kind an event comes first, so that only a command has to say what it is.
fn link(subject: &SchemaSubject, version: u32) -> String {
    let kind = if subject.kind == SchemaKind::Event { "" } else { "?kind=command" };
    format!("{}{kind}", path(&subject.name, version))
}

pub(crate) fn path(name: &Name, version: u32) -> String {
    format!("/schemas/{}/{version}", utf8_percent_encode(name, ESCAPED))
}

/// The version is known, and nobody said what it looks like.
pub(crate) fn no_schema(subject: &SchemaSubject, version: u32) -> Problem {
    let detail = format!(
        "version {version} of {subject} is known without a schema: whoever told of it did not say what it looks like"
    );
    of("no-schema", detail, subject, version)
}

fn of(name: &str, detail: String, subject: &SchemaSubject, version: u32) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, name, detail)
        .with("kind", subject.kind.to_string())
        .with("name", subject.name.as_str())
        .with("version", version)
}

impl PortError for SchemaError {
    fn to_problem(&self) -> Problem {
        let says = self.to_string();
        match self {
            Self::Unknown { subject, version } => of("unknown-schema", says, subject, *version),
            Self::Denied(reason) => denied(says, reason),
            Self::Busy(source) => busy(says, source),
            Self::Other(source) => match damage(source) {
                Some(place) => corrupt(place),
                None => failed(says, source),
            },
            _ => failed(says.clone(), &Source::new(says)),
        }
    }

    fn from_problem(problem: &Problem) -> Option<Self> {
        Some(match problem.name.as_str() {
            "unknown-schema" => {
                let kind: Kind = parsed(problem, "kind")?;
                let version = u32::try_from(problem.members.get("version")?.as_u64()?).ok()?;
                Self::Unknown { subject: kind.subject(parsed(problem, "name")?), version }
            }
            "denied" => Self::Denied(problem.text("reason")?.to_owned()),
            "busy" => Self::Busy(source(problem)?),
            "shutting-down" => Self::Busy(Source::new(problem.detail.clone())),
            "corrupt" => Self::Other(Source::new(problem.detail.clone())),
            "failed" => Self::Other(source(problem)?),
            _ => return None,
        })
    }
}
