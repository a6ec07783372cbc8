//! A policy as data: what each role may do.

use super::{Access, AccessPolicy};
use crate::ports::Caller;
use crate::values::{Append, IdempotencyKey, Item, Name, Query};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A policy by roles: a caller may do what his roles may together.
///
/// The role `*` is everybody's, also that of callers without a name. What no role allows is denied.
///
/// ```
/// # use portolan_kernel::drivers::{Access, AccessPolicy, Roles};
/// # use portolan_kernel::ports::Caller;
/// # use portolan_kernel::values::StreamId;
/// let roles = Roles::from_json(br#"{
///     "teller": {"commands": ["deposit", "withdraw"], "queries": ["*"], "projections": ["balances"]},
///     "auditor": {"streams": ["*"]}
/// }"#)?;
/// let stream: StreamId = "account-ann".parse()?;
/// let read = Access::Stream(&stream);
/// assert!(roles.judge(&Caller::new("eve").with_role("auditor"), &read).is_ok());
/// assert!(roles.judge(&Caller::new("bob").with_role("teller"), &read).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roles {
    roles: BTreeMap<String, Role>,
}

/// What a role may do: names, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Role {
    /// The commands it may send.
    pub commands: BTreeSet<String>,
    /// The questions it may ask.
    pub queries: BTreeSet<String>,
    /// The categories whose streams it may read. `*` is all but the system's, whose categories begin with `$`; `$*` is all
    /// of these. A read of the log has to name categories or streams, unless all may be read.
    pub streams: BTreeSet<String>,
    /// The categories to whose streams it may append past the domain. An append with a guard (which may ask of
    /// any stream) or a checkpoint, under the key of a command, or with a key and nothing else, takes `*`.
    pub appends: BTreeSet<String>,
    /// The projections whose rows and state it may see. `*` is all but the system's, as `$sagas`; `$*` is all of these.
    pub projections: BTreeSet<String>,
    /// The projections on which it may act, and whose parked events it may see. `*` and `$*` are as with those.
    pub operates: BTreeSet<String>,
    /// The sagas that it may start, by the names of their definitions, and see.
    pub starts: BTreeSet<String>,
    /// The sagas that it may see, by the names of their definitions: how they stand, their inputs and outcomes.
    pub sagas: BTreeSet<String>,
    /// The sagas on which it may act, by the names of their definitions, and see.
    pub steers: BTreeSet<String>,
    /// Whether it may see what became of appends and where checkpoints stand.
    pub records: bool,
}

/// Everybody's role, and every name.
const ALL: &str = "*";

/// Every name of the system.
const ALL_OF_SYSTEM: &str = "$*";

impl Roles {
    /// No role, so that nobody may do anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with this role.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, role: Role) -> Self {
        self.roles.insert(name.into(), role);
        self
    }

    /// Reads an object with a member a role.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Whether there is a role of this name. One that there is not allows nothing, so that a misspelt one is a mistake.
    #[must_use]
    pub fn has(&self, role: &str) -> bool {
        self.roles.contains_key(role)
    }

    fn of(&self, caller: &Caller) -> Held<'_> {
        let names = caller.roles.iter().map(String::as_str).chain([ALL]);
        Held(names.filter_map(|name| self.roles.get(name)).collect())
    }
}

/// The roles of a caller, which allow together what one of them allows for each part.
struct Held<'a>(Vec<&'a Role>);

/// A part of what a role may do.
type Part = fn(&Role) -> &BTreeSet<String>;

impl Held<'_> {
    fn lists(&self, part: Part, name: &str) -> bool {
        self.0.iter().any(|role| part(role).contains(name))
    }

    fn names(&self, part: Part, name: &str) -> bool {
        self.lists(part, ALL) || self.lists(part, name)
    }

    /// The same, where names that begin with `$` are the system's, and no others.
    fn names_apart(&self, part: Part, name: &str) -> bool {
        let all = if name.starts_with('$') { ALL_OF_SYSTEM } else { ALL };
        self.lists(part, all) || self.lists(part, name)
    }

    /// Whether all that a query can find may be read.
    fn may_find(&self, query: &Query) -> bool {
        let part: Part = |role| &role.streams;
        // What names no place finds every category, those of the system only if it says so.
        let everywhere = self.lists(part, ALL) && (!query.system || self.lists(part, ALL_OF_SYSTEM));
        let may_find = |item: &Item| {
            let streams = item.streams.iter().all(|stream| self.names_apart(part, stream.category()));
            let categories = item.categories.iter().all(|category| self.names_apart(part, category));
            match (item.streams.is_empty(), item.categories.is_empty()) {
                (true, true) => everywhere,
                (false, true) => streams,
                (true, false) => categories,
                // Both have to hold of an event, so that one that is allowed suffices.
                (false, false) => streams || categories,
            }
        };
        if query.any_of.is_empty() { everywhere } else { query.any_of.iter().all(may_find) }
    }

    fn may_append(&self, append: &Append) -> bool {
        // The keys of commands are the bus's.
        let of_a_command = |key: &IdempotencyKey| key.scope.starts_with("command");
        let (events, expect) = (append.events.iter(), append.expect.iter());
        let names_nothing = events.len() == 0 && expect.len() == 0;
        let more = append.guard.is_some()
            || append.checkpoint.is_some()
            || append.key.as_ref().is_some_and(|key| names_nothing || of_a_command(key));
        let mut streams = events.map(|event| &event.stream).chain(expect.map(|(stream, _)| stream));
        let part: Part = |role| &role.appends;
        (!more || self.lists(part, ALL)) && streams.all(|stream| self.names_apart(part, stream.category()))
    }

    fn may(&self, access: &Access<'_>) -> bool {
        let operates = |name: &Name| self.names_apart(|role| &role.operates, name);
        match access {
            Access::Command(command) => self.names(|role| &role.commands, &command.name),
            Access::Query(query) => self.names(|role| &role.queries, &query.name),
            Access::Stream(stream) => self.names_apart(|role| &role.streams, stream.category()),
            Access::Log(query) => self.may_find(query),
            Access::Append(append) => self.may_append(append),
            Access::Records => self.0.iter().any(|role| role.records),
            Access::Projection(name) => self.names_apart(|role| &role.projections, name) || operates(name),
            Access::Operate(name, _) => operates(name),
            Access::StartSaga(start) => self.names(|role| &role.starts, start.saga.name()),
            Access::OperateSaga(act) => self.names(|role| &role.steers, act.saga.name()),
            Access::Sagas(name) => {
                let parts: [Part; 3] = [|role| &role.sagas, |role| &role.starts, |role| &role.steers];
                parts.into_iter().any(|part| self.names(part, name))
            }
        }
    }
}

/// What it is called, and where a role would allow it.
fn described(access: &Access<'_>) -> (String, &'static str) {
    let named = |what: &str, name: &Name| format!("{what} {name}");
    match access {
        Access::Command(command) => (named("send the command", &command.name), "commands"),
        Access::Query(query) => (named("ask the query", &query.name), "queries"),
        Access::Stream(stream) => (format!("read the stream {stream}"), "streams"),
        Access::Log(_) => ("read these events of the log".to_string(), "streams"),
        Access::Append(_) => ("append these events".to_string(), "appends"),
        Access::Records => ("see the store's records".to_string(), "records"),
        Access::Projection(name) => (named("see the projection", name), "projections"),
        Access::Operate(name, _) => (named("operate the projection", name), "operates"),
        Access::StartSaga(start) => (named("start the saga", start.saga.name()), "starts"),
        Access::Sagas(name) => (named("see the sagas", name), "sagas"),
        Access::OperateSaga(act) => (named("act on the saga", act.saga.name()), "steers"),
    }
}

impl AccessPolicy for Roles {
    fn judge(&self, caller: &Caller, access: &Access<'_>) -> Result<(), String> {
        if self.of(caller).may(access) {
            return Ok(());
        }
        let (what, place) = described(access);
        Err(format!("{} may not {what}: no role of this caller has it in `{place}`", caller.name()))
    }
}
