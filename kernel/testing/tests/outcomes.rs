//! What a failed expectation says.

use portolan_kernel::Bytes;
use portolan_kernel::domain::{
    Aggregate, CodecError, Command, Context, Decide, Decision, Event, EventError, Rejection, StreamCommand, variant,
};
use portolan_kernel::ports::{RawEvent, Violation};
use portolan_kernel::values::{InvalidName, StreamId, Timestamp};
use portolan_testing::{Outcome, given};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Noted {
    Noted { text: String, at: u64 },
}

impl Event for Noted {
    const CATEGORY: &'static str = "note";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

/// `""` is invalid, `"again"` changes nothing, `"no"` is rejected.
#[derive(Serialize, Deserialize)]
struct Note {
    text: String,
}

impl Command for Note {
    const NAME: &'static str = "note";
    fn validate(&self) -> Vec<Violation> {
        let empty = self.text.is_empty().then(|| Violation::new("text", "empty", "say something"));
        empty.into_iter().collect()
    }
}

impl StreamCommand for Note {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new("note-1")
    }
}

#[derive(thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Refused {
    #[error("{notes} notes are enough")]
    Enough { notes: u64 },
}

impl Rejection for Refused {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Notes(u64);

impl Aggregate for Notes {
    const CATEGORY: &'static str = "note";
    type Event = Noted;
    type Rejection = Refused;
    type Commands = (Note,);
    fn evolve(&mut self, _: &Noted) {
        self.0 += 1;
    }
}

impl Decide<Note> for Notes {
    fn decide(&self, command: &Note, context: &Context) -> Decision<Self> {
        match &*command.text {
            "again" => Ok(vec![]),
            "no" => Err(Refused::Enough { notes: self.0 }),
            text => Ok(vec![noted(text, context.now().as_micros())]),
        }
    }
}

fn noted(text: &str, at: u64) -> Noted {
    Noted::Noted { text: text.to_owned(), at }
}

fn when(text: &str) -> Outcome<Noted, Refused> {
    given::<Notes>([noted("first", 0)]).at(Timestamp::from_micros(7)).when(Note { text: text.to_owned() })
}

type Then = fn(Outcome<Noted, Refused>);

const EVENTS: Then = |outcome| outcome.then([noted("hello", 7)]);
const NOTHING: Then = |outcome| outcome.then_nothing();
const REJECTED: Then = |outcome| outcome.then_rejected(Refused::Enough { notes: 1 });
const INVALID: Then = |outcome| outcome.then_invalid(["text"]);

const LATER: Then = |outcome| outcome.then([noted("hello", 8)]);
const NO_EVENTS: Then = |outcome| outcome.then([]);
const TWO_NOTES: Then = |outcome| outcome.then_rejected(Refused::Enough { notes: 2 });
const TWO_FIELDS: Then = |outcome| outcome.then_invalid(["text", "title"]);

/// What came of it is met by its own expectation, and by no other.
#[rstest]
#[case("hello", EVENTS)]
#[case("again", NOTHING)]
#[case("no", REJECTED)]
#[case("", INVALID)]
fn each_outcome_meets_its_own_expectation_alone(#[case] text: &str, #[case] own: Then) {
    let passing: Vec<bool> = [EVENTS, NOTHING, REJECTED, INVALID]
        .iter()
        .map(|then| catch_unwind(AssertUnwindSafe(|| then(when(text)))).is_ok())
        .collect();
    own(when(text));
    assert_eq!(passing.iter().filter(|passed| **passed).count(), 1, "{text:?}: {passing:?}");
}

#[rstest]
#[case::other_field("hello", LATER, &["note decided other events", "-         at: 8,\n", "+         at: 7,\n", "          text: \"hello\",\n"])]
#[case::one_more("hello", NO_EVENTS, &["- []\n", "+ [\n", "+         text: \"hello\",\n"])]
#[case::rejected("no", EVENTS, &["note was rejected: Enough { notes: 1 } (enough: 1 notes are enough)", "expected", "text: \"hello\""])]
#[case::invalid("", EVENTS, &["note is invalid (text: say something [empty])"])]
#[case::other_rejection("no", TWO_NOTES, &["-     notes: 2,\n", "+     notes: 1,\n"])]
#[case::not_rejected("again", REJECTED, &["note decided nothing, where a rejection was expected: Enough { notes: 1 } (enough)"])]
#[case::other_fields("", TWO_FIELDS, &["note has other wrong fields", "-     \"title\",\n", "text: say something [empty]"])]
#[case::valid("hello", INVALID, &["note decided", "where wrong fields were expected: text"])]
#[case::something("hello", NOTHING, &["note decided [", "where nothing was expected"])]
fn a_failure_says_what_came(#[case] text: &str, #[case] then: Then, #[case] says: &[&str]) {
    let panic = catch_unwind(AssertUnwindSafe(|| then(when(text)))).expect_err("it is not met");
    let message = panic.downcast_ref::<String>().expect("a panic with a sentence");
    for part in says {
        assert!(message.contains(part), "`{part}` is missing in:\n{message}");
    }
}
