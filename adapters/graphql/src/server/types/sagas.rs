//! The types of sagas.

use super::{json, long, member, optional, place, string};
use crate::model::{Choice, Member, Model, Scalar, Shape, Ty};
use crate::server::call::Call;
use crate::wire::saga::{Loud, WAYS};
use core::fmt::Display;
use portolan_kernel::ports::{SagaAction, SagaPhase, SagaWay};

pub(super) fn sagas(model: &mut Model) {
    enumeration(model, "SagaPhase", "What a saga is doing.", &SagaPhase::ALL, |phase| match phase {
        SagaPhase::Running => "It goes forward.",
        SagaPhase::Waiting => {
            "It goes forward, and pauses before another attempt; or it is a process that waits for an event or a timer."
        }
        SagaPhase::Compensating => "What was done is being undone.",
        SagaPhase::NeedsOperator => "It cannot go on by itself.",
        SagaPhase::Completed => "It has ended, with every step done.",
        SagaPhase::Compensated => "It has ended, with every step undone.",
        SagaPhase::Aborted => "An operator has ended it as it was.",
        _ => "",
    });
    enumeration(model, "SagaWay", "Which way a step goes.", &WAYS, |way| match way {
        SagaWay::Forward => "It is done.",
        SagaWay::Settle => "It is found out whether it has been done.",
        SagaWay::Back => "It is undone.",
    });
    enumeration(model, "SagaAction", "What an operator does to a saga.", &SagaAction::ALL, |action| match action {
        SagaAction::Retry => {
            "What holds it up is tried anew, with all its attempts; a pause between attempts ends at once. It is not, where it is \
             unknown whether it has happened and its key may be forgotten."
        }
        SagaAction::Skip => "What holds it up counts as passed over.",
        SagaAction::Compensate => "It turns back, and what was done is undone.",
        SagaAction::Abort => "It ends as it is. Nothing more is done, and what was done is not undone.",
    });
    let id = || {
        [member("name", string(), "The name of its definition."), member("id", string(), "What it was started under.")]
    };
    let version = || member("version", long(), "The version of the definition that it follows.");
    let mut saga = Vec::from(id());
    saga.extend([
        version(),
        member("startedAt", Scalar::DateTime.ty(), "When it was started."),
        optional(
            "deadline",
            Scalar::DateTime.ty(),
            "When it turns back, if it has not ended and is not past its pivot.",
        ),
        member("phase", Ty::named("SagaPhase"), "What it is doing."),
        optional(
            "step",
            string(),
            "The step that matters most now: one that holds it up, else one that pauses, else one in flight.",
        ),
        optional("way", Ty::named("SagaWay"), "Which way that step goes."),
        optional("attempt", long(), "Its attempts so far, that way."),
        optional("since", Scalar::DateTime.ty(), "Since when it stands so."),
        optional("due", Scalar::DateTime.ty(), "When something is due to happen, if nothing does before."),
        optional(
            "reason",
            string(),
            "Why it waits, needs an operator, was turned back, or was ended with something left.",
        ),
        member("isOverdue", Scalar::Boolean.ty(), "Whether the time for the whole has passed, and it has not ended."),
        optional(
            "lacks",
            string(),
            "Why the process that answers cannot go on with it: it lacks the code. Another process may have it.",
        ),
    ]);
    model.object("Saga", "How a saga stands.", saga);
    let page = |of: &'static str, what: &'static str, next: Ty| {
        vec![
            member(what, Ty::named(of).list(), "In their order."),
            optional("next", next, "What `after` takes for the next page; `null` at the end."),
        ]
    };
    let text = "A page of sagas, in the order of names and ids. It may hold fewer than asked for, even none: only `next` tells \
                whether there are more.";
    model.object("SagaPage", text, page("Saga", "sagas", string()));
    model.object(
        "SagaFact",
        "A fact about a saga, as its stream has it.",
        vec![
            member("revision", long(), "Its place in the stream."),
            member("at", Scalar::DateTime.ty(), "When it happened, by the clock of whoever recorded it."),
            member("type", string(), "Its type, such as `$saga.begun`."),
            member("data", json(), "What it tells."),
        ],
    );
    model.object("SagaTimeline", "A page of the facts of a saga.", page("SagaFact", "facts", long()));
    let mut started = Vec::from(id());
    started.extend([
        version(),
        optional("position", place(), "The position of its first fact; `null` where that is not told."),
        member("repeated", Scalar::Boolean.ty(), "Whether it had been started before, with the same input."),
    ]);
    model.object("SagaStarted", "A saga that has been started.", started);
    model.object(
        "SagaDefinition",
        "A definition that is registered.",
        vec![
            member("name", string(), "Its name on every wire."),
            member("version", long(), "Its version. A saga that is started follows the highest of its name."),
            member("description", string(), "For a person; empty when nobody said."),
            optional("schema", Scalar::Json.ty(), "The JSON Schema (2020-12) of its input."),
            member(
                "plan",
                json(),
                "Its steps and their policies. That of a process, which starts by events and not by hand, has `process`.",
            ),
            optional("trouble", string(), "What is in the way of it on this server: why processes of it receive no more events, or sagas of it are not driven."),
        ],
    );
    model.add(
        "SagaOptions",
        "How something is done to a saga.",
        Shape::Input(vec![
            optional("correlation", string(), "What belongs together; without one it is the saga's own id."),
            optional(
                "metadata",
                Scalar::Json.ty(),
                "All metadata, actor and tenant included, as an object. For a client that is an orchestrator.",
            ),
        ]),
    );
}

fn enumeration<T: Copy + Display>(
    model: &mut Model,
    name: &'static str,
    description: &str,
    values: &[T],
    of: impl Fn(T) -> &'static str,
) {
    let choice = |value: &T| {
        let name = Loud(*value).to_string();
        Choice { name: name.clone().into(), wire: name, description: of(*value).to_owned() }
    };
    model.add(name, description, Shape::Enum(values.iter().map(choice).collect()));
}

/// The arguments that name a saga.
fn which(more: impl IntoIterator<Item = Member>) -> Vec<Member> {
    let mut which = vec![member("name", string(), "The name of its definition."), id()];
    which.extend(more);
    which
}

fn id() -> Member {
    member("id", string(), "What it was started under.")
}

fn first() -> Member {
    optional("first", Scalar::Int.ty(), "The most entries in the page; 100 without it.")
}

fn options() -> Member {
    optional("options", Ty::named("SagaOptions"), "How it is done.")
}

/// The queries about sagas.
pub(in crate::server) fn queries() -> Vec<Member> {
    vec![
        optional("sagas", Ty::named("SagaPage"), "A page of sagas. What was recorded shortly before may be missing.")
            .taking([
                optional("name", string(), "Only those of this definition."),
                optional("phases", Ty::named("SagaPhase").list(), "Only those in one of these phases; in any without."),
                first(),
                optional("after", string(), "What the page before had as `next`; or the name of a definition, after all of whose sagas it begins."),
            ])
            .calls(Call::Sagas),
        optional("saga", Ty::named("Saga"), "How one saga stands, by all that has been recorded.")
            .taking(which([]))
            .calls(Call::Saga),
        optional("sagaTimeline", Ty::named("SagaTimeline"), "What has been recorded of a saga.")
            .taking(which([first(), optional("after", long(), "Only facts after this revision.")]))
            .calls(Call::SagaTimeline),
        optional(
            "sagaDefinitions",
            Ty::named("SagaDefinition").list(),
            "The definitions that are registered, in the order of names and versions.",
        )
        .calls(Call::SagaDefinitions),
    ]
}

/// The mutation that starts any saga.
pub(in crate::server) fn start() -> Member {
    let text = "Starts any saga, for clients that learn its name at run time.";
    let input = member("input", string(), "What it is started with: a JSON text.");
    optional("startSaga", Ty::named("SagaStarted"), text).taking(which([input, options()])).calls(Call::StartAnySaga)
}

/// The arguments of a mutation that starts one, around its input.
pub(in crate::server) fn start_arguments(input: Option<Member>) -> Vec<Member> {
    let text = "What makes a repetition harmless: the same id and the same input start once.";
    [Some(member("id", string(), text)), input, Some(options())].into_iter().flatten().collect()
}

/// The mutation for operators.
pub(in crate::server) fn act() -> Member {
    let text = "What an operator does to a saga, recorded with name and note. The saga as it stands then.";
    optional("actOnSaga", Ty::named("Saga"), text)
        .taking(which([
            member("action", Ty::named("SagaAction"), "What to do."),
            optional("note", string(), "Why, in the operator's words."),
            options(),
        ]))
        .calls(Call::ActOnSaga)
}
