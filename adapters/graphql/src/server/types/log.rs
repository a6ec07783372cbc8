//! The types of events and their store.

use super::{json, long, member, optional, place, string};
use crate::model::{Member, Model, Scalar, Shape, Source, Ty};
use crate::server::call::Call;
use crate::server::live::KINDS;

pub(super) fn events(model: &mut Model) {
    model.enumeration("EventForm", "In which form events are shown.", &FORMS);
    model.object(
        "NotCurrent",
        "Why nobody can say what a stored event is now.",
        vec![
            member("code", string(), "`unknown-type`, `unknown-version` or `upcast-failed`."),
            member("message", string(), "A sentence for a person."),
        ],
    );
    model.object(
        "Event",
        "A recorded event.",
        vec![
            member("id", Scalar::Id.ty(), "Its id."),
            member("type", string(), "Its type, in its form."),
            member("version", long(), "The version of the type's schema, in its form."),
            member("stream", string(), "Its stream."),
            member("revision", long(), "Its place in the stream."),
            member("position", place(), "Its place in the log."),
            member("recordedAt", Scalar::DateTime.ty(), "When it was recorded."),
            member("tags", string().list(), "Its tags."),
            member("form", Ty::named("EventForm"), "The form that it is in."),
            optional(
                "part",
                Scalar::Int.ty(),
                "Which of the several events it is that a stored one has become, from 1, in the current form; `null` where it \
                 is the only one. They share their id, so that a cache by id has to take the part too.",
            ),
            optional(
                "notCurrent",
                Ty::named("NotCurrent"),
                "Why it is as it is stored, where the current form was asked for.",
            ),
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
        "A page of events, in the order of the log. A page is counted by stored events, and may hold fewer than asked for, \
         even none: only `pageInfo` tells whether there are more. All pages that are walked by cursor end where the log ended for the first.",
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
            optional(
                "position",
                place(),
                "Where to resume `after`; `null` while more events of the same stored one follow.",
            ),
            optional("event", Ty::named("Event"), "The event."),
        ],
    );
}

/// The forms, as `EventForm` of the schema has them.
const FORMS: [(&str, &str); 2] = [
    ("STORED", "As they are stored."),
    (
        "CURRENT",
        "As what they have become, with the type, version and payload of now. What is retired is left out; one that was \
         split is several, one after another, with one id and one position. `types` are those of now. One whose current form \
         is unknown is there as it is stored, and says why.",
    ),
];

/// The argument that chooses the form.
pub(in crate::server) fn form() -> Member {
    optional("form", Ty::named("EventForm"), "In which form events are shown.").or("STORED")
}

/// The arguments that choose events.
pub(in crate::server) fn which_events() -> Vec<Member> {
    vec![
        optional("any", Ty::named("EventItem").list(), "Events that fit any of these; all, where there are none."),
        optional("system", Scalar::Boolean.ty(), "Whether streams of the system, `$…`, match like any other."),
    ]
}

/// The arguments that choose a part of a connection.
pub(in crate::server) fn part(more: Vec<Member>) -> Vec<Member> {
    let mut part = vec![
        optional("first", Scalar::Int.ty(), "The most entries in the page; 100 without it."),
        optional("after", string(), "The cursor that the page begins after."),
        optional("last", Scalar::Int.ty(), "The most entries in the page, from the end."),
        optional("before", string(), "The cursor that the page ends before."),
    ];
    part.extend(more);
    part
}

pub(super) fn store(model: &mut Model) {
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
