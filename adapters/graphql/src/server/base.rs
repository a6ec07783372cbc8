//! The types that every schema has.

use super::call::Call;
use super::commands::FAILURES;
use super::live::KINDS;
use super::projections::ACTIONS;
use crate::model::{Member, Model, Scalar, Shape, Source, Ty};

fn string() -> Ty {
    Scalar::String.ty()
}

fn long() -> Ty {
    Scalar::Long.ty()
}

fn place() -> Ty {
    Scalar::Position.ty()
}

fn json() -> Ty {
    Scalar::Json.ty().maybe()
}

/// A field or an argument of this type.
pub(super) fn member(name: &'static str, ty: Ty, description: &str) -> Member {
    Member::new(name, ty, description)
}

/// The same, which may be `null` or left out.
pub(super) fn optional(name: &'static str, ty: Ty, description: &str) -> Member {
    Member::new(name, ty.maybe(), description)
}

/// A model with the types that every schema has, and without roots.
pub(super) fn model() -> Model {
    let mut model = Model::default();
    scalars(&mut model);
    commands(&mut model);
    questions(&mut model);
    events(&mut model);
    store(&mut model);
    projections(&mut model);
    model
}

fn scalars(model: &mut Model) {
    for scalar in Scalar::ALL {
        let description = match scalar {
            Scalar::Long => {
                "A whole number of 64 bits, with a sign or without: a string of digits in answers, because a JSON number \
                 of a browser holds 53 bits. Given, it may be a number too."
            }
            Scalar::Position => {
                "A place in the log, as a string of digits. Positions rise; nothing can be computed from two of them."
            }
            Scalar::Json => {
                "Any JSON. Lists and objects are given in variables; in the document itself GraphQL has no literals for \
                 them."
            }
            Scalar::Bytes => "Bytes, in base64 with padding (RFC 4648, section 4).",
            Scalar::DateTime => "A moment (RFC 3339, UTC, microseconds).",
            _ => "",
        };
        model.add(scalar.name(), description, Shape::Scalar(scalar));
    }
    model.object(
        "PageInfo",
        "Where a page stands, after the Relay convention.",
        vec![
            member("hasNextPage", Scalar::Boolean.ty(), "Whether there is more after the end."),
            member("hasPreviousPage", Scalar::Boolean.ty(), "Whether there is more before the start."),
            optional("startCursor", string(), "What `before` takes for the page before."),
            optional("endCursor", string(), "What `after` takes for the page that follows."),
        ],
    );
    model.object(
        "Violation",
        "One field that is wrong, and how.",
        vec![
            member("path", string(), "The path of the field, dotted: `lines[2].amount`; empty for the whole."),
            member("code", string(), "A stable code in kebab case."),
            member("message", string(), "A sentence for a person."),
        ],
    );
}

fn commands(model: &mut Model) {
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

fn questions(model: &mut Model) {
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

fn events(model: &mut Model) {
    model.object(
        "Event",
        "A recorded event.",
        vec![
            member("id", Scalar::Id.ty(), "Its id."),
            member("type", string(), "Its stored type."),
            member("version", long(), "The version of the type's schema."),
            member("stream", string(), "Its stream."),
            member("revision", long(), "Its place in the stream."),
            member("position", place(), "Its place in the log."),
            member("recordedAt", Scalar::DateTime.ty(), "When it was recorded."),
            member("tags", string().list(), "Its tags."),
            member("format", Ty::named("Format"), "What the payload is."),
            member("data", json(), "The payload, if it is JSON.").from(Source::JsonIn("dataBase64")),
            member("dataBase64", Scalar::Bytes.ty(), "The payload, byte for byte."),
            member("metadata", json(), "Who and what caused it; `null` for none.")
                .from(Source::JsonIn("metadataBase64")),
            member("metadataBase64", Scalar::Bytes.ty(), "The metadata, byte for byte."),
        ],
    );
    model.object(
        "EventEdge",
        "An event in a page.",
        vec![member("cursor", string(), "Where it stands."), member("node", Ty::named("Event"), "The event.")],
    );
    model.object(
        "EventConnection",
        "A page of events, in the order of the log. A page may hold fewer than asked for, even none: only `pageInfo` tells \
         whether there are more. All pages that are walked by cursor end where the log ended for the first.",
        vec![
            member("edges", Ty::named("EventEdge").list(), "The events."),
            member("pageInfo", Ty::named("PageInfo"), "Where the page stands."),
            optional("frontier", place(), "Where the log ended for this page."),
            optional("revision", long(), "Of one stream, its last revision; `null` for a missing one and for the log."),
        ],
    );
    model.add(
        "EventItem",
        "Which events: those that fit every list that is given.",
        Shape::Input(vec![
            optional("streams", string().list(), "In one of these streams."),
            optional("categories", string().list(), "In one of these categories."),
            optional("types", string().list(), "Of one of these types."),
            optional("tags", string().list(), "With all of these tags."),
        ]),
    );
    model.enumeration("DeliveryKind", "What a subscription tells.", &KINDS);
    model.object(
        "Delivery",
        "What a subscription to events tells.",
        vec![
            member("kind", Ty::named("DeliveryKind"), "What it is."),
            optional("position", place(), "Where to resume `after`."),
            optional("event", Ty::named("Event"), "The event."),
        ],
    );
}

/// The arguments that choose events.
pub(super) fn which_events() -> Vec<Member> {
    vec![
        optional("any", Ty::named("EventItem").list(), "Events that fit any of these; all, where there are none."),
        optional("system", Scalar::Boolean.ty(), "Whether streams of the system, `$…`, match like any other."),
    ]
}

/// The arguments that choose a part of a connection.
pub(super) fn part(more: Vec<Member>) -> Vec<Member> {
    let mut part = vec![
        optional("first", Scalar::Int.ty(), "The most entries in the page; 100 without it."),
        optional("after", string(), "The cursor that the page begins after."),
        optional("last", Scalar::Int.ty(), "The most entries in the page, from the end."),
        optional("before", string(), "The cursor that the page ends before."),
    ];
    part.extend(more);
    part
}

fn store(model: &mut Model) {
    let limit = |name, description: &str| member(name, long(), description);
    model.object(
        "StoreLimits",
        "How much the store takes. Sizes are in bytes.",
        vec![
            limit("appendEvents", "Events in one append."),
            limit("appendBytes", "All events of one append together."),
            limit("appendStreams", "Streams that one append writes or expects."),
            limit("eventBytes", "One event."),
            limit("eventTags", "Tags of one event."),
            limit("noteBytes", "The note of a key."),
            limit("queryTerms", "Items, streams, categories, types and tags of one query, all counted."),
            limit("pageEvents", "Events in one page."),
        ],
    );
    model.object(
        "Checkpoint",
        "Where a checkpoint stands.",
        vec![
            member("store", Scalar::Id.ty(), "The store it is of."),
            optional("position", place(), "The position; `null` before the first move."),
            member("token", long(), "The largest fencing token seen."),
        ],
    );
    model.object(
        "Recalled",
        "What was recorded under a key.",
        vec![
            optional("first", place(), "The position of the first event."),
            optional("last", place(), "The position of the last event."),
            member(
                "streams",
                Ty::named("StreamRevision").list(),
                "The last revision of each stream, after the append.",
            ),
            member("noteBase64", Scalar::Bytes.ty(), "The note of the key."),
            member("digestBase64", Scalar::Bytes.ty(), "The digest of what was asked."),
        ],
    );
    let mut changed = which_events();
    changed.push(optional("after", place(), "After this position."));
    changed.push(optional("wait", Scalar::Float.ty(), "For how many seconds to wait; without it, not at all."));
    model.object(
        "Store",
        "The store of the log.",
        vec![
            member("identity", Scalar::Id.ty(), "Which store it is. Positions are of one store."),
            member("lacks", string().list(), "What it cannot do."),
            optional("keyRetention", string(), "For how many seconds keys are kept; `null`: as long as the store."),
            member("hintLatency", string(), "How soon `changed` tells, in seconds."),
            member("limits", Ty::named("StoreLimits"), "How much it takes."),
            optional("checkpoint", Ty::named("Checkpoint"), "Where a checkpoint stands.")
                .taking([member("name", string(), "Its name.")])
                .calls(Call::Checkpoint),
            optional("recall", Ty::named("Recalled"), "What was recorded under a key; `null` for nothing.")
                .taking([member("scope", string(), "The key's scope."), member("id", string(), "The key's id.")])
                .calls(Call::Recall),
            optional("changed", Scalar::Boolean.ty(), "Whether something that matches may have come. A hint.")
                .taking(changed)
                .calls(Call::Changed),
        ],
    );
}

fn projections(model: &mut Model) {
    model.enumeration(
        "ProjectionLifecycle",
        "When rows are made.",
        &[
            ("ASYNCHRONOUS", "A worker follows the log."),
            ("INLINE", "Inside of each append."),
            ("INLINE_IF_POSSIBLE", "Inside of each append, on a store that does that."),
            ("LIVE", "Each time that they are read."),
        ],
    );
    model.enumeration(
        "ProjectionState",
        "What a projection does.",
        &[
            ("CATCHING_UP", "It is behind the log, and moves."),
            ("CAUGHT_UP", "It applies events as they come."),
            ("PAUSED", "An operator has paused it."),
            ("STOPPED", "It has met what it cannot apply; an operator has to say how to go on."),
            ("STALLED", "It is behind and does not move, though nothing has stopped it."),
        ],
    );
    let state = || {
        [
            member("state", Ty::named("ProjectionState"), "What it does."),
            optional("reason", string(), "Why it has stopped."),
            optional("stalledSince", Scalar::DateTime.ty(), "Since when it has stalled."),
        ]
    };
    model.object(
        "ProjectionFailure",
        "What went wrong in a projection.",
        vec![
            member("at", Scalar::DateTime.ty(), "When."),
            optional("position", place(), "At which event."),
            member("reason", string(), "What."),
        ],
    );
    let mut edition = vec![member("edition", string(), "Which one: `3`, or `3.2` for its second rebuild.")];
    edition.extend(state());
    edition.extend([
        member("isActive", Scalar::Boolean.ty(), "Whether it is the one that is read."),
        member("isReady", Scalar::Boolean.ty(), "Whether it has caught up once."),
        optional("position", place(), "Every event up to here is in its rows."),
        optional("holder", string(), "Who works on it."),
    ]);
    model.object("ProjectionEdition", "One filling of a projection's rows.", edition);
    model.object(
        "ParkedEvent",
        "An event that waits for an operator.",
        vec![
            member("position", place(), "The event."),
            member("stream", string(), "Its stream."),
            optional("key", string(), "The key of the row that it would change."),
            member("reason", string(), "Why it is parked."),
            member("at", Scalar::DateTime.ty(), "Since when."),
        ],
    );
    model.object(
        "ParkedEvents",
        "A page of parked events.",
        vec![
            member("events", Ty::named("ParkedEvent").list(), "The events, in the order of the log."),
            optional("next", place(), "What `after` takes for the next page; `null` at the end."),
        ],
    );
    let mut fields = vec![
        member("name", string(), "Its name."),
        member("version", Scalar::Int.ty(), "The version of its code in the process that was asked."),
        member("lifecycle", Ty::named("ProjectionLifecycle"), "When its rows are made."),
    ];
    fields.extend(state());
    fields.extend([
        optional("edition", string(), "The edition that is read; `null` while none has caught up."),
        optional("position", place(), "Every event up to here is in the rows that are read."),
        optional("frontier", place(), "Where the log ended when it was asked."),
        member("lagEvents", long(), "At most so many events are not applied yet."),
        member("lagTime", string(), "How many seconds ago the first of them was recorded."),
        member("eventsPerSecond", long(), "How many events a second were applied of late."),
        optional("lastError", Ty::named("ProjectionFailure"), "The last failure, also one that was overcome."),
        member("parked", long(), "How many events are parked."),
        member("editions", Ty::named("ProjectionEdition").list(), "All its editions, rising."),
        optional("parkedEvents", Ty::named("ParkedEvents"), "The events that are parked.")
            .taking([
                optional("first", Scalar::Int.ty(), "The most events in the page; 100 without it."),
                optional("after", place(), "After this position."),
            ])
            .calls(Call::Parked),
    ]);
    model.object("Projection", "How a projection stands.", fields);
    model.enumeration("ProjectionAction", "What an operator does to a projection.", &ACTIONS);
}
