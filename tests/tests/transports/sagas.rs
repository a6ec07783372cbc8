//! Sagas: what becomes of them, what is told of them, and what operators do.

use super::application::application;
use super::brews::brewing;
use super::outcome::{name, outcome, stream};
use super::table::{come_out_alike_over, steps};
use super::wires::Wire;
use portolan::application::{Admission, Ports};
use portolan::drivers::{Roles, StaticKeys};
use portolan::ports::{ActOnSaga, ListSagas, SagaAction, SagaError, SagaInfo, SagaPhase, StartSaga};
use portolan::prelude::*;
use portolan::values::{Read, Revision, SagaId};
use serde_json::{Value, json};

/// The wires that carry sagas.
const WIRES: [Wire; 4] = [Wire::InProcess, Wire::Http, Wire::Graphql, Wire::Grpc];

/// What ids may hold, and paths, documents and headers may not.
const HOSTILE: &str = "../größer/%2F?a=b#c:d \"'{$}\u{1F980}\u{202E}";

fn saga(of: &str, id: &str) -> SagaId {
    SagaId::new(of, id).unwrap()
}

fn brew(id: &str, goes: &str) -> StartSaga {
    let start = StartSaga::new(saga("brew", id), json!({ "jar": "brewed", "coins": 1, "goes": goes }));
    let metadata = Metadata { correlation: Some("c-1".into()), ..Metadata::default() };
    start.with_metadata(metadata)
}

async fn started(ports: &Ports, start: StartSaga) -> String {
    outcome(ports.sagas.start(start).await)
}

async fn status(ports: &Ports, of: SagaId) -> String {
    outcome(ports.sagas.status(of).await)
}

async fn what_there_is(ports: &Ports) -> String {
    let all = ports.sagas.describe().await;
    let of = |info: &SagaInfo| format!("{} {} {:?}", info.name, info.is_process(), info.trouble);
    let processes: Vec<_> = all.iter().flatten().map(of).collect();
    assert_eq!(processes[..2], ["brew false None", "watch true Some(\"größer \\\"als\\\"\\neine Zeile\")"]);
    outcome(all)
}

async fn nothing_yet(ports: &Ports) -> String {
    outcome(ports.sagas.list(ListSagas::all()).await)
}

/// Everything that metadata can hold.
async fn fresh(ports: &Ports) -> String {
    let metadata = Metadata {
        correlation: Some("c-9".into()),
        causation: Some("c-0".into()),
        actor: Some("Ann Größe".into()),
        tenant: Some("t-2".into()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        more: [("ship".to_owned(), json!({ "deck": [1, null, "größer"] }))].into_iter().collect(),
        ..Metadata::default()
    };
    let first = started(ports, brew("1", "well").with_metadata(metadata)).await;
    format!("{first}; {}", status(ports, saga("brew", "1")).await)
}

async fn what_its_step_has_written(ports: &Ports) -> String {
    let page = ports.events.read(Read::stream(stream("jar-brewed"))).await.unwrap();
    let metadata = Metadata::decode(&page.events[0].metadata);
    let (actor, tenant) = (metadata.actor.as_deref(), metadata.tenant.as_deref());
    assert_eq!((actor, tenant, metadata.correlation.as_deref()), (Some("Ann Größe"), Some("t-2"), Some("c-9")));
    assert!(metadata.traceparent.is_some() && metadata.more.contains_key("ship"), "{metadata:?}");
    format!("{:?}", page.events)
}

async fn repeated(ports: &Ports) -> String {
    started(ports, brew("1", "well")).await
}

async fn otherwise(ports: &Ports) -> String {
    started(ports, brew("1", "late")).await
}

async fn of_a_hostile_id(ports: &Ports) -> String {
    let first = started(ports, brew(HOSTILE, "untasted")).await;
    format!("{first}; {}", status(ports, saga("brew", HOSTILE)).await)
}

async fn that_waits(ports: &Ports) -> String {
    let first = started(ports, brew("2", "late")).await;
    format!("{first}; {}", status(ports, saga("brew", "2")).await)
}

async fn that_needs_an_operator(ports: &Ports) -> String {
    let first = started(ports, brew("3", "untold")).await;
    format!("{first}; {}", status(ports, saga("brew", "3")).await)
}

async fn of_no_definition(ports: &Ports) -> String {
    started(ports, StartSaga::new(saga("brew-of-tomorrow", HOSTILE), json!({}))).await
}

async fn of_wrong_input(ports: &Ports) -> String {
    started(ports, StartSaga::new(saga("brew", "4"), json!({ "jar": 7, "coins": "many", "goes": "up" }))).await
}

async fn of_no_input(ports: &Ports) -> String {
    started(ports, StartSaga::new(saga("brew", "4"), Value::Null)).await
}

/// A process starts by events alone.
async fn of_a_process(ports: &Ports) -> String {
    let answer = ports.sagas.start(StartSaga::new(saga("watch", "jar-brewed"), json!({}))).await;
    let Err(SagaError::Invalid(violations)) = &answer else { panic!("{answer:?}") };
    assert_eq!((violations.len(), &*violations[0].code), (1, "starts-by-events"));
    format!("{}; {}", outcome(answer), status(ports, saga("watch", "jar-brewed")).await)
}

async fn nobody(ports: &Ports) -> String {
    let none = || saga("brew", "größer/nobody ?");
    let answers = [
        outcome(ports.sagas.status(none()).await),
        outcome(ports.sagas.timeline(none(), None, 1).await),
        outcome(ports.sagas.act(ActOnSaga::new(none(), SagaAction::Abort)).await),
    ];
    answers.join("; ")
}

/// What no saga comes to by itself, of each call.
async fn troubles(ports: &Ports) -> String {
    let mut answers = Vec::new();
    for of in ["denied", "ending", "busy", "lost", "odd"] {
        answers.push(outcome(ports.sagas.start(StartSaga::new(saga(of, "1"), json!(1))).await));
        answers.push(outcome(ports.sagas.status(saga(of, "1")).await));
        answers.push(outcome(ports.sagas.timeline(saga(of, "1"), None, 1).await));
        answers.push(outcome(ports.sagas.act(ActOnSaga::new(saga(of, "1"), SagaAction::Skip)).await));
        answers.push(outcome(ports.sagas.list(ListSagas::all().named(name(of))).await));
    }
    answers.join("\n")
}

async fn pages(ports: &Ports, list: ListSagas) -> String {
    let (mut pages, mut next) = (Vec::new(), Some(list));
    while let Some(list) = next {
        let page = match ports.sagas.list(list.clone()).await {
            Ok(page) => page,
            Err(error) => return outcome::<(), _>(Err(error)),
        };
        next = page.next.clone().map(|after| list.after(Some(after)));
        pages.push(page);
    }
    format!("{} pages: {pages:?}", pages.len())
}

async fn list_by_ones(ports: &Ports) -> String {
    pages(ports, ListSagas::all().limit(1)).await
}

async fn list_whole(ports: &Ports) -> String {
    pages(ports, ListSagas::all().named(name("brew"))).await
}

async fn list_of_two_phases(ports: &Ports) -> String {
    pages(ports, ListSagas::all().phase(SagaPhase::Waiting).phase(SagaPhase::NeedsOperator).limit(1)).await
}

async fn list_of_others(ports: &Ports) -> String {
    pages(ports, ListSagas::all().named(name("größer/brew ?")).phase(SagaPhase::Aborted)).await
}

async fn list_of_none(ports: &Ports) -> String {
    pages(ports, ListSagas::all().limit(0)).await
}

async fn list_after_nonsense(ports: &Ports) -> String {
    pages(ports, ListSagas::all().after(Some("größer \"als\"\n?&=#".into()))).await
}

async fn timeline_by_twos(ports: &Ports) -> String {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = match ports.sagas.timeline(saga("brew", HOSTILE), after, 2).await {
            Ok(page) => page,
            Err(error) => return outcome::<(), _>(Err(error)),
        };
        after = page.next;
        all.push(page);
        if after.is_none() {
            return format!("{} pages: {all:?}", all.len());
        }
    }
}

async fn timeline_past_its_end(ports: &Ports) -> String {
    outcome(ports.sagas.timeline(saga("brew", "1"), Some(Revision::new(u64::MAX)), u32::MAX).await)
}

async fn timeline_of_none(ports: &Ports) -> String {
    outcome(ports.sagas.timeline(saga("brew", "1"), None, 0).await)
}

async fn acted(ports: &Ports, id: &str, action: SagaAction) -> String {
    let metadata = Metadata { actor: Some("Olga Größe".into()), ..Metadata::default() };
    let act = ActOnSaga::new(saga("brew", id), action).with_note("größer \"als\"\nnötig").with_metadata(metadata);
    outcome(ports.sagas.act(act).await)
}

async fn retried(ports: &Ports) -> String {
    acted(ports, "3", SagaAction::Retry).await
}

async fn compensated_too_late(ports: &Ports) -> String {
    acted(ports, "3", SagaAction::Compensate).await
}

async fn skipped(ports: &Ports) -> String {
    acted(ports, "3", SagaAction::Skip).await
}

async fn compensated(ports: &Ports) -> String {
    acted(ports, "2", SagaAction::Compensate).await
}

async fn ended_after_its_end(ports: &Ports) -> String {
    acted(ports, "1", SagaAction::Abort).await
}

async fn that_is_in_doubt_for_a_week(ports: &Ports) -> String {
    let first = started(ports, brew("5", "unheard")).await;
    let stands = status(ports, saga("brew", "5")).await;
    assert!(
        stands.contains("it is unknown whether tell has happened, and its key may be forgotten by now"),
        "{stands}"
    );
    format!("{first}; {stands}")
}

async fn retried_too_late(ports: &Ports) -> String {
    let answer = acted(ports, "5", SagaAction::Retry).await;
    assert!(answer.contains("do by hand what is missing, and skip it, or have the saga compensated"), "{answer}");
    answer
}

async fn skipped_too_late(ports: &Ports) -> String {
    acted(ports, "5", SagaAction::Skip).await
}

async fn what_operators_did(ports: &Ports) -> String {
    let timeline = ports.sagas.timeline(saga("brew", "3"), None, 100).await.unwrap();
    let acted: Vec<_> = timeline.facts.iter().filter(|fact| &*fact.event_type == "$saga.acted").collect();
    assert!(acted.iter().all(|fact| fact.data["actor"] == "Olga Größe"), "{acted:?}");
    format!("{} acts: {timeline:?}", acted.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sagas_come_out_alike() {
    come_out_alike_over(
        &WIRES,
        &steps![
            what_there_is => "[SagaInfo { name: \"brew\", version: 3",
            nothing_yet => "SagaPage { sagas: []",
            fresh => "SagaStarted",
            what_its_step_has_written => "[Recorded",
            repeated => "SagaStarted",
            otherwise => "StartedOtherwise",
            of_a_hostile_id => "SagaStarted",
            that_waits => "SagaStarted",
            that_needs_an_operator => "SagaStarted",
            of_no_definition => "UnknownDefinition",
            of_wrong_input => "Invalid([Violation",
            of_no_input => "Invalid([Violation",
            of_a_process => "Invalid([Violation",
            nobody => "NotFound",
            troubles => "Denied",
            list_by_ones => "4 pages",
            list_whole => "1 pages",
            list_of_two_phases => "2 pages",
            list_of_others => "1 pages",
            list_after_nonsense => "Invalid([Violation",
            timeline_by_twos => "5 pages",
            timeline_past_its_end => "SagaTimeline { facts: []",
            retried => "SagaSummary",
            compensated_too_late => "NotNow",
            skipped => "SagaSummary",
            compensated => "SagaSummary",
            ended_after_its_end => "NotNow",
            what_operators_did => "2 acts",
            that_is_in_doubt_for_a_week => "SagaStarted",
            retried_too_late => "NotNow",
            skipped_too_late => "SagaSummary",
        ],
    )
    .await;
}

/// HTTP says so itself, in words of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_none_come_out_alike() {
    let wires = [Wire::InProcess, Wire::Graphql, Wire::Grpc];
    let steps = steps![list_of_none => "Invalid([Violation", timeline_of_none => "Invalid([Violation"];
    come_out_alike_over(&wires, &steps).await;
}

const KEYS: &[u8] = br#"[
    {"key": "key-of-the-clerk", "actor": "clara", "tenant": "north", "roles": ["clerk"]},
    {"key": "key-of-the-guest", "actor": "gus", "roles": ["guest"]},
    {"key": "key-of-the-operator", "actor": "olga", "roles": ["operator"]},
    {"key": "key-of-nobody-much", "actor": "eve"}
]"#;

const ROLES: &[u8] = br#"{
    "clerk": {"starts": ["brew"], "streams": ["*", "$*"]},
    "guest": {"sagas": ["brew"], "streams": ["*"]},
    "operator": {"steers": ["brew"]}
}"#;

/// What each may do, of: start, list, status, timeline, act.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_denied_over_every_wire() {
    for wire in WIRES {
        let application = application().await;
        let (ports, inside) = (brewing(application.ports()), application.ports().events);
        for id in ["2", "3"] {
            ports.sagas.start(brew(id, "untold")).await.unwrap();
        }
        let admission =
            || Admission::by(StaticKeys::from_json(KEYS).unwrap()).with_policy(Roles::from_json(ROLES).unwrap());
        for (key, allowed) in [
            ("key-of-the-clerk", [true, true, true, true, false]),
            ("key-of-the-guest", [false, true, true, true, false]),
            ("key-of-the-operator", [false, true, true, true, true]),
            ("key-of-nobody-much", [false; 5]),
        ] {
            let shown = Some(format!("Bearer {key}"));
            let sagas = wire.open_to(ports.clone(), admission(), shown).await.unwrap().sagas;
            let claimed = Metadata { actor: Some("mallory".into()), ..Metadata::default() };
            let act = ActOnSaga::new(saga("brew", "1"), SagaAction::Retry).with_metadata(claimed.clone());
            let answers = [
                sagas.start(brew("1", "untold").with_metadata(claimed)).await.err(),
                sagas.list(ListSagas::all().named(name("brew"))).await.err(),
                sagas.status(saga("brew", "1")).await.err(),
                sagas.timeline(saga("brew", "1"), None, 9).await.err(),
                sagas.act(act).await.err(),
            ];
            for (nth, (answer, allowed)) in answers.into_iter().zip(allowed).enumerate() {
                match answer {
                    None if allowed => {}
                    Some(SagaError::Denied(why)) if !allowed => assert!(why.contains("may not"), "{wire:?}: {why}"),
                    other => panic!("{key} over {wire:?}, call {nth}: {other:?}"),
                }
            }
            // Nothing is said of those that he may not see, also by where a page ends.
            let (mut seen, mut list) = (0, Some(ListSagas::all().limit(1)));
            while let Some(asked) = list {
                let page = sagas.list(asked.clone()).await.unwrap();
                assert!(page.next.is_none() || !page.sagas.is_empty(), "{key} over {wire:?}: {page:?}");
                seen += page.sagas.len();
                list = page.next.map(|after| asked.after(Some(after)));
            }
            assert_eq!(seen, if allowed[1] { 3 } else { 0 }, "{key} over {wire:?}");
        }
        // In the name of whoever was let in, whatever was claimed.
        let page = inside.read(Read::stream(saga("brew", "1").stream())).await.unwrap();
        let actor = |event_type: &str| {
            let event = page.events.iter().find(|event| &*event.event_type == event_type).unwrap();
            Metadata::decode(&event.metadata).actor
        };
        assert_eq!(actor("$saga.started").as_deref(), Some("clara"), "{wire:?}");
        assert_eq!(actor("$saga.acted").as_deref(), Some("olga"), "{wire:?}");
    }
}
