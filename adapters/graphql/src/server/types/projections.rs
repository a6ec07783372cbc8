//! The types of projections.

use super::{long, member, optional, place, string};
use crate::model::{Model, Scalar, Ty};
use crate::server::call::Call;
use crate::server::projections::ACTIONS;

pub(super) fn projections(model: &mut Model) {
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
        member(
            "skipped",
            long(),
            "How many events the rows are without for good: unknown or failed ones, where it skips such.",
        ),
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
