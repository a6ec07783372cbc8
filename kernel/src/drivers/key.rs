//! The idempotency key of a command: its scope, its digest and its note.

use crate::domain::IdSeed;
pub use crate::domain::key_scope::key_scope;
use crate::ports::Receipt;
use crate::values::{Appended, EventId, IdempotencyKey, Name};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use bytes::Bytes;

/// The scope of a command's idempotency key: `command:deposit`, or `command:deposit:acme` in the tenant `acme`.
///
/// Different pairs of command and tenant have different scopes, whatever they are made of: `:`, `%` and control
/// characters in them are percent-encoded, and a scope that would be no [`Name`] is its SHA-256 instead.
///
/// ```
/// # use portolan_kernel::drivers::command_scope;
/// assert_eq!(&*command_scope("deposit", None), "command:deposit");
/// assert_eq!(&*command_scope("deposit", Some("a:b")), "command:deposit:a%3Ab");
/// ```
#[must_use]
pub fn command_scope(command: &str, tenant: Option<&str>) -> Name {
    key_scope("command", [Some(command), tenant].into_iter().flatten())
}

/// A command that came with an id: what makes its repetition harmless.
#[derive(Debug, Clone)]
pub(super) struct CommandKey {
    pub(super) scope: Name,
    pub(super) id: Name,
    pub(super) digest: [u8; 32],
}

impl CommandKey {
    pub(super) fn seed(&self) -> IdSeed {
        IdSeed::of_command(&self.scope, &self.id)
    }

    /// The key of an append of this many events, and of what correlates them, when that was given; else it derives from
    /// the key, like their ids.
    pub(super) fn to_append(&self, events: u32, correlation: Option<&str>) -> IdempotencyKey {
        let correlation = correlation.unwrap_or_default();
        let note = [&[NOTE_VERSION][..], &events.to_be_bytes(), correlation.as_bytes()].concat();
        IdempotencyKey::new(self.scope.clone(), self.id.clone(), self.digest).with_note(note)
    }

    /// The ids of the events that were written under the key, and what they were said to be correlated by; `None`
    /// when its note is of another form, or says that there are more than have room between the first and the last:
    /// raw appends can write any note. Ids derive from the key, so that the note holds no more than how many there
    /// are.
    pub(super) fn noted(&self, appended: &Appended) -> Option<(Vec<EventId>, Option<String>)> {
        let [NOTE_VERSION, note @ ..] = &*appended.note else { return None };
        let (count, correlation) = note.split_first_chunk()?;
        let count = u32::from_be_bytes(*count);
        let room = match (appended.first, appended.last) {
            (Some(first), Some(last)) => last.get().checked_sub(first.get())? + 1,
            _ => 0,
        };
        if u64::from(count) > room {
            return None;
        }
        let correlation = core::str::from_utf8(correlation).ok()?;
        let seed = self.seed();
        let given = (!correlation.is_empty()).then(|| String::from(correlation));
        Some(((0..count).map(|n| seed.event_id(n)).collect(), given))
    }

    /// The receipt of the command that took the key; `None` as for [`noted`](Self::noted).
    pub(super) fn receipt(&self, appended: Appended) -> Option<Receipt> {
        let (events, correlation) = self.noted(&appended)?;
        let correlation = correlation.unwrap_or_else(|| self.seed().correlation_id().to_string());
        Some(Receipt::new(appended.streams, appended.last, events, true).with_correlation(Some(correlation)))
    }

    /// For a message to a person.
    pub(super) fn place(&self) -> String {
        format!("key {} in {}", self.id, self.scope)
    }
}

const NOTE_VERSION: u8 = 1;

/// The note of a command whose append has become one of this many events: it tells of no more than there are.
pub(super) fn note_of_at_most(note: &Bytes, events: usize) -> Bytes {
    let [NOTE_VERSION, rest @ ..] = &**note else { return note.clone() };
    let Some((count, correlation)) = rest.split_first_chunk() else { return note.clone() };
    let count = u32::from_be_bytes(*count).min(u32::try_from(events).unwrap_or(u32::MAX));
    Bytes::from([&[NOTE_VERSION][..], &count.to_be_bytes(), correlation].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Position;
    use rstest::rstest;

    #[rstest]
    #[case(("a:b", None), ("a", Some("b")))]
    #[case(("a", None), ("a", Some("")))]
    #[case(("a", Some("b:c")), ("a:b", Some("c")))]
    #[case(("a%3Ab", None), ("a:b", None))]
    #[case(("a", Some("\n")), ("a", Some("%0A")))]
    fn scopes_are_unambiguous(#[case] one: (&str, Option<&str>), #[case] other: (&str, Option<&str>)) {
        assert_ne!(command_scope(one.0, one.1), command_scope(other.0, other.1));
    }

    #[test]
    fn scopes_that_are_too_long_for_a_name_differ() {
        let long = |end: &str| format!("{}{end}", "t".repeat(2_000));
        assert_ne!(command_scope(&long("a"), None), command_scope(&long("b"), None));
        assert_ne!(key_scope("POST /streams", [&*long("a")]), key_scope("POST /streams", [&*long("b")]));
    }

    fn key() -> CommandKey {
        let name = |text| Name::new(text).unwrap();
        CommandKey { scope: name("s"), id: name("k"), digest: [0; 32] }
    }

    #[test]
    fn a_note_is_believed_only_as_far_as_there_is_room() {
        let key = key();
        let ids = |count, first, last| {
            let appended = Appended::new(Position::new(first), Position::new(last), Vec::new());
            key.noted(&appended.with_note(key.to_append(count, None).note)).map(|(ids, _)| ids.len())
        };
        assert_eq!(ids(3, 7, 9), Some(3));
        assert_eq!(ids(2, 7, 9), Some(2));
        assert_eq!(ids(u32::MAX, 7, 9), None);
        assert_eq!(key.noted(&Appended::new(None, None, Vec::new()).with_note(key.to_append(1, None).note)), None);
    }

    #[rstest]
    #[case::given(Some("c-1"), Some("c-1"))]
    #[case::derived(None, None)]
    #[case::empty(Some(""), None)]
    fn a_note_keeps_the_correlation_that_was_given(#[case] given: Option<&str>, #[case] noted: Option<&str>) {
        let appended = Appended::new(None, None, Vec::new()).with_note(key().to_append(0, given).note);
        let (_, correlation) = key().noted(&appended).unwrap();
        assert_eq!(correlation.as_deref(), noted);
    }

    #[test]
    fn long_scopes_are_hashed_apart() {
        let long = "x".repeat(512);
        let (one, other) = (command_scope(&long, Some("t")), command_scope(&long, Some("u")));
        assert!(one.starts_with("command#") && one != other);
    }
}
