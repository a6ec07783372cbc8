//! The reference store keeps the laws; and the frame around them: what it says of stores that hang, panic, hide or
//! lie, and of child processes.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run where std is")]

use futures::future::LocalBoxFuture;
use portolan_conformance::{
    Broken, Capability, Check, EventStore, Fixture, Law, Outcome, Place, ReferenceStore, Runner, SKIP_UNREACHABLE,
    Trial, Verdict, capability_matrix, child, event_store_laws, expect_eq, laws,
};
use portolan_kernel::ports::Clock;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

const UNREACHABLE: &str = "PORTOLAN_TEST_UNREACHABLE";

event_store_laws! {
    open: async |place: &Place| {
        if std::env::var_os(UNREACHABLE).is_some() {
            return Err("nobody listens");
        }
        Ok(Arc::new(ReferenceStore::new(place.clock())) as Arc<dyn EventStore>)
    },
    lacks: { Durability: "it lives in memory", SeveralProcesses: "it lives in memory" },
}

fn judged(law: &Law<dyn EventStore>, fixture: fn() -> Fixture<dyn EventStore>) -> Outcome {
    Runner::new(fixture).time_limit(Duration::from_millis(200)).judge(law)
}

fn broken(outcome: Outcome) -> Broken {
    match outcome {
        Outcome::Broken { broken, .. } => broken,
        other => panic!("not broken: {other:?}"),
    }
}

fn in_memory(place: &Place) -> ReferenceStore {
    ReferenceStore::new(place.clock())
}

#[test]
fn a_store_that_hangs_is_named() {
    let asleep =
        || Fixture::event_store(async |_: &Place| std::future::pending::<Result<ReferenceStore, String>>().await);
    assert_eq!(broken(judged(&laws::es_01_revisions(), asleep)).actual, "it hangs");
    let blocked = || {
        Fixture::event_store(async |place: &Place| {
            std::thread::sleep(Duration::from_secs(1));
            Ok::<_, String>(in_memory(place))
        })
    };
    assert_eq!(broken(judged(&laws::es_01_revisions(), blocked)).actual, "it hangs");
}

#[test]
fn a_store_that_panics_is_named() {
    let panics = || Fixture::event_store(async |_: &Place| -> Result<ReferenceStore, String> { panic!("out of luck") });
    assert_eq!(broken(judged(&laws::es_01_revisions(), panics)).actual, "out of luck");
}

#[test]
fn a_lack_must_be_declared_and_said() {
    let undeclared = || Fixture::event_store(async |place: &Place| Ok::<_, String>(in_memory(place)));
    let what = broken(judged(&laws::capabilities(), undeclared)).what;
    assert_eq!(what, "what capabilities() says of durability");
    let unsaid = || {
        Fixture::event_store(async |place: &Place| Ok::<_, String>(in_memory(place)))
            .lacks(Capability::Durability, "it lives in memory")
            .lacks(Capability::SeveralProcesses, "it lives in memory")
            .lacks(Capability::Guard, "too hard")
    };
    assert_eq!(broken(judged(&laws::capabilities(), unsaid)).what, "what capabilities() says of guard");
    // The checks turned round find the same.
    let broken = broken(judged(&laws::es_08_guards(), unsaid));
    assert!(broken.what.contains("append"), "{broken}");
}

#[test]
fn damage_that_cannot_be_made_is_not_kept() {
    let hidden = || {
        Fixture::event_store(async |place: &Place| Ok::<_, String>(in_memory(place)))
            .lacks(Capability::SeveralProcesses, "it lives in memory")
    };
    let outcome = judged(&laws::es_26_damage(), hidden);
    assert!(matches!(outcome, Outcome::NotRun { check: "damage_is_never_served", .. }), "{outcome:?}");
}

#[test]
fn a_failure_names_the_law_and_says_it() {
    let asked = Law { checks: vec![Check { name: "odd", needs: &[], run: odd }], ..laws::es_08_guards() };
    fn odd(_: &Trial<dyn EventStore>) -> LocalBoxFuture<'_, Verdict> {
        Box::pin(async { Err(Broken::new("a thing", "an even number", "3".repeat(20_000))) })
    }
    fn fixture() -> Fixture<dyn EventStore> {
        Fixture::event_store(async |place: &Place| Ok::<_, String>(in_memory(place)))
    }
    let run = std::panic::catch_unwind(|| portolan_conformance::run(&asked, fixture, "here", "frame::none"));
    let words = *run.unwrap_err().downcast::<String>().unwrap();
    let said = ["ES-08", "es_08_guards", asked.sentence, "a thing", "an even number", "333", "frame.rs", "(odd)"];
    assert!(said.iter().all(|part| words.contains(part)), "{words}");
    assert!(words.len() < 8_000, "nobody reads {} bytes", words.len());
}

#[test]
fn a_law_without_checks_proves_nothing() {
    let empty = Law { checks: vec![], ..laws::es_01_revisions() };
    fn fixture() -> Fixture<dyn EventStore> {
        Fixture::event_store(async |place: &Place| Ok::<_, String>(in_memory(place)))
    }
    let run = std::panic::catch_unwind(|| portolan_conformance::run(&empty, fixture, "here", "frame::none"));
    let words = *run.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(words, "ES-01: no check ran, so nothing is proven");
}

/// Runs a test of this binary as another process.
fn this_binary(test: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("this test runs from a file"));
    command.args(["--exact", test]).envs(variables.iter().copied());
    command.output().expect("this binary can be run again")
}

#[test]
fn unreachable_fails_unless_left_out_aloud() {
    let fails = this_binary("event_store::es_01_revisions", &[(UNREACHABLE, "1")]);
    assert!(!fails.status.success());
    let left_out = this_binary("event_store::es_01_revisions", &[(UNREACHABLE, "1"), (SKIP_UNREACHABLE, "1")]);
    let said = String::from_utf8(left_out.stderr).unwrap();
    assert!(
        left_out.status.success() && said.contains("es_01_revisions: NOT RUN") && said.contains("nobody listens"),
        "{said}"
    );
}

#[test]
fn reports_become_a_matrix() {
    let place = Place::fresh().unwrap();
    let dir = place.dir().to_str().unwrap();
    for law in ["es_01_revisions", "es_08_guards"] {
        let run = this_binary(&format!("event_store::{law}"), &[(portolan_conformance::REPORT, dir)]);
        assert!(run.status.success());
    }
    let matrix = capability_matrix(place.dir()).unwrap();
    assert!(matrix.starts_with("| | laws kept | durability | several-processes |"), "{matrix}");
    assert!(matrix.contains(" | 2 of 2 | no | "), "{matrix}");
    assert!(matrix.contains("lacks durability: it lives in memory"), "{matrix}");
    assert!(capability_matrix(&place.dir().join("missing")).is_err());
}

fn parent(trial: &Trial<dyn EventStore>) -> LocalBoxFuture<'_, Verdict> {
    Box::pin(async {
        trial.clock().advance(Duration::from_secs(5));
        let mut child = trial.child("echo")?;
        let place = format!("{} {:?}", trial.place().dir().display(), trial.clock().now());
        expect_eq!(child.next(), Some(place), "the place and the time, in the child");
        child.ask("and this?").map_err(|error| Broken::new("asking the child", "no error", error.to_string()))?;
        expect_eq!(child.next(), Some("you asked: and this?".to_string()), "the child's answer");
        expect_eq!(child.finish(), true, "whether the child ended well");
        let mut child = trial.child("echo")?;
        child.next();
        child.kill();
        expect_eq!(child.next(), None, "what a killed child tells");
        Ok(())
    })
}

fn echo(trial: &Trial<dyn EventStore>) -> LocalBoxFuture<'_, Verdict> {
    Box::pin(async {
        child::tell(&format!("{} {:?}", trial.place().dir().display(), trial.clock().now()));
        while let Some(line) = child::asked() {
            child::tell(&format!("you asked: {line}"));
        }
        Ok(())
    })
}

#[test]
fn a_child_plays_its_role_at_the_same_place() {
    let check = |name, run| Check { name, needs: &[], run };
    let law = Law {
        name: "a_child_plays_its_role",
        checks: vec![check("parent", parent)],
        roles: vec![check("echo", echo)],
        ..laws::es_01_revisions()
    };
    fn fixture() -> Fixture<dyn EventStore> {
        Fixture::event_store(async |place: &Place| Ok::<_, String>(in_memory(place)))
    }
    portolan_conformance::run(
        &law,
        fixture,
        "here",
        concat!(module_path!(), "::a_child_plays_its_role_at_the_same_place"),
    );
}
