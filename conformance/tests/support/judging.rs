//! Judging wrong implementations: which laws each breaks, and whether these are the ones it says.

use portolan_conformance::{Law, Outcome, Port, Runner};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Mutex;

/// Which of the laws are broken, and how.
pub fn broken_by<P: Port + ?Sized>(runner: &Runner<P>, laws: Vec<Law<P>>) -> (BTreeSet<&'static str>, String) {
    // At full effort on request, for the right ones above all.
    let runner = runner.clone();
    let runner = if std::env::var_os("PORTOLAN_MUTANTS_IN_FULL").is_some() { runner } else { runner.quick() };
    let (mut ids, mut how) = (BTreeSet::new(), String::new());
    for law in laws {
        match runner.judge(&law) {
            Outcome::Kept { checks, .. } => assert!(checks > 0, "{} has no check", law.id),
            Outcome::Broken { check, broken } => {
                ids.insert(law.id);
                writeln!(how, "{} ({check}):\n{broken}", law.id).unwrap();
            }
            Outcome::NotRun { check, why } => panic!("{check} was not run: {why}"),
            Outcome::Unreachable(broken) => panic!("{broken}"),
        }
    }
    (ids, how)
}

/// How often laws are judged again that are broken and not declared, or declared and not broken: on a busy machine a law about
/// time breaks by chance now and then, and a race is won that was to be lost.
pub const AGAIN: u32 = 2;

/// The laws that are broken. Where they are not those declared, they are judged again so often.
fn broken_in_the_end<P: Port + ?Sized>(
    runner: &Runner<P>,
    laws: &impl Fn() -> Vec<Law<P>>,
    declared: &BTreeSet<&'static str>,
    again: u32,
) -> (BTreeSet<&'static str>, String) {
    let (mut broken, how) = broken_by(runner, laws());
    for id in declared.symmetric_difference(&broken.clone()) {
        let law = || laws().into_iter().filter(|law| law.id == *id).collect();
        let breaks = || broken_by(runner, law()).0.contains(id);
        if (0..again).any(|_| breaks() == declared.contains(id)) {
            if declared.contains(id) {
                broken.insert(id)
            } else {
                broken.remove(id)
            };
        }
    }
    (broken, how)
}

/// The one to look at alone and closely, if any.
pub fn only() -> Option<String> {
    std::env::var("PORTOLAN_MUTANT").ok()
}

/// What is to be said of one that declares to break these laws: nothing, if it breaks exactly these.
pub fn complaint<P: Port + ?Sized>(
    name: &str,
    runner: &Runner<P>,
    laws: impl Fn() -> Vec<Law<P>>,
    declared: &[&'static str],
    again: u32,
) -> Option<String> {
    let declared: BTreeSet<_> = declared.iter().copied().collect();
    let (broken, how) = broken_in_the_end(runner, &laws, &declared, again);
    let alone = only().is_some();
    let how = if alone { how } else { String::new() };
    (declared != broken || alone)
        .then(|| format!("\n{name} says that it breaks\n  {declared:?}, and breaks\n  {broken:?}\n{how}"))
}

/// Runs `judge` on every item, so many at a time, and gives what it found to say. What it has something to say of is judged
/// once more when all the others are done, alone, and may then judge laws again so often; never, if that is 0.
pub fn complaints<T: Send + Clone>(
    items: Vec<T>,
    at_once: usize,
    again: u32,
    judge: impl Fn(T, u32) -> Option<String> + Sync,
) -> String {
    let (items, found) = (Mutex::new(items), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(item) = { items.lock().unwrap().pop() } {
                    if let Some(complaint) = judge(item.clone(), 0) {
                        found.lock().unwrap().push((item, complaint));
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap().into_iter();
    found.filter_map(|(item, complaint)| if again == 0 { Some(complaint) } else { judge(item, again) }).collect()
}
