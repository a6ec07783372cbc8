//! The types of commands and questions.

use super::{json, long, member, optional, place, string};
use crate::model::{Member, Model, Scalar, Shape, Source, Ty};
use crate::server::commands::FAILURES;

pub(super) fn commands(model: &mut Model) {
    model.object(
        "StreamRevision",
        "The last revision of one stream.",
        vec![
            member("stream", string(), "The stream."),
            optional("revision", long(), "Its last revision; `null` while it is missing."),
        ],
    );
    model.object(
        "Receipt",
        "What came of a command.",
        vec![
            optional("stream", string(), "The first of `streams`."),
            optional("revision", long(), "The revision of the first of `streams`."),
            optional("position", place(), "The position of the last event; `null` when the decision made none."),
            member("events", Scalar::Id.ty().list(), "The ids of the events, in the order of the log."),
            member(
                "streams",
                Ty::named("StreamRevision").list(),
                "The last revision of each stream that was written or decided upon.",
            ),
            optional("correlation", string(), "What the events and all that follows from them are correlated by."),
            optional("command", string(), "The id of the command, also one that the server made."),
            member("repeated", Scalar::Boolean.ty(), "Whether it is the receipt of an earlier command under this id."),
        ],
    );
    let message = || member("message", string(), "A sentence for a person.");
    model.add("CommandFailure", "What a command has instead of a receipt.", Shape::Interface(vec![message()]));
    let mut results = vec!["Receipt".into()];
    for (name, _, description) in FAILURES {
        let mut fields = vec![message()];
        fields.extend(match name {
            "Rejection" => vec![
                member("code", string(), "A stable code in kebab case."),
                optional("fields", Scalar::Json.ty(), "What the message is about, as an object."),
            ],
            "Invalid" => vec![member("violations", Ty::named("Violation").list(), "Each field that is wrong.")],
            "UnknownCommand" => vec![member("name", string(), "The name.")],
            "Conflict" => vec![
                member("stream", string(), "The stream."),
                optional("actual", long(), "Its last revision, when last seen."),
            ],
            "NotCaughtUp" => vec![
                member("receipt", Ty::named("Receipt"), "What came of the command."),
                member("waiting", string().list(), "The projections that have not applied its events."),
            ],
            "Malformed" | "Denied" | "Busy" | "OutcomeUnknown" | "Failed" => {
                vec![member("reason", string(), "What was said of it.")]
            }
            _ => vec![],
        });
        model.add(name, description, Shape::Object { fields, interfaces: vec!["CommandFailure".into()] });
        results.push(name.into());
    }
    model.add("CommandResult", "What comes of a command.", Shape::Union(results));
    model.add(
        "CommandOptions",
        "How a command is sent.",
        Shape::Input(vec![
            optional("id", string(), "What makes a repetition harmless: the same id, the same effect, once."),
            optional("correlation", string(), "What belongs together; it reaches every event."),
            optional(
                "within",
                Scalar::Float.ty(),
                "For how many seconds the caller waits. Without it, what the header `Request-Timeout` says.",
            ),
            optional(
                "waitFor",
                string().list(),
                "The projections that are to have applied the events before the answer.",
            ),
            optional(
                "metadata",
                Scalar::Json.ty(),
                "All metadata, actor and tenant included, as an object. For a client that is a bus.",
            ),
        ]),
    );
    let info = |more: Vec<Member>| {
        let mut fields = vec![
            member("name", string(), "The name on every wire."),
            member("field", string(), "The name of its field here."),
            member("description", string(), "For a person; empty when nobody said."),
            optional("schema", Scalar::Json.ty(), "The JSON Schema (2020-12) of what it takes."),
        ];
        fields.extend(more);
        fields
    };
    model.object("CommandInfo", "A command that is registered.", info(vec![]));
    let answer = optional("answerSchema", Scalar::Json.ty(), "The JSON Schema (2020-12) of its answer.");
    model.object("QueryInfo", "A question that is registered.", info(vec![answer]));
}

pub(super) fn questions(model: &mut Model) {
    model.add(
        "QueryOptions",
        "How a question is asked.",
        Shape::Input(vec![
            optional("atLeast", place(), "A position, such as a receipt's, that the answer must not be older than."),
            optional("within", Scalar::Float.ty(), "For how many seconds the caller waits."),
            optional("correlation", string(), "What belongs together."),
            optional("metadata", Scalar::Json.ty(), "All metadata, as an object. For a client that is a bus."),
        ]),
    );
    model.enumeration("Format", "What bytes are.", &[("JSON", "JSON text in UTF-8."), ("BINARY", "Anything else.")]);
    model.object(
        "Answer",
        "An answer as the bus gave it.",
        vec![
            member("format", Ty::named("Format"), "What the body is."),
            member("bodyBase64", Scalar::Bytes.ty(), "The body, byte for byte."),
            member("body", json(), "The body, if it is JSON.").from(Source::JsonIn("bodyBase64")),
            optional("revision", long(), "The revision of the stream it was made from, if it was one."),
        ],
    );
}
