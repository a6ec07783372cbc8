//! Wrong in guards.

use super::expectations::expecting;
use super::store::{Mutant, State};
use portolan_conformance::Judgment;
use portolan_kernel::ports::AppendError;
use portolan_kernel::values::{Append, Appended, Guard, Item, Name, Position, Query, Timestamp};

type Outcome = Result<Appended, AppendError>;

const fn wrong(name: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant::new(name, breaks)
}

/// The same with a changed guard.
fn guarding(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&State, &mut Guard)) -> Outcome {
    expecting(state, append, now, |state, append| {
        if let Some(guard) = &mut append.guard {
            change(state, guard);
        }
    })
}

/// The same with every item of the guard's query changed.
fn items(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&mut Item)) -> Outcome {
    guarding(state, append, now, |_, guard| guard.none_of.any_of.iter_mut().for_each(&change))
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn guard_query(item: &Item, system: bool) -> Query {
    let query = Query::of(item.clone());
    if system { query.with_system() } else { query }
}

pub const MUTANTS: &[Mutant] = &[
    wrong("guards are not asked", &["ES-06", "ES-08", "ES-10", "ES-13", "ES-14", "ES-model"])
        .append(|state, append, now| expecting(state, append, now, |_, append| append.guard = None)),
    wrong("a guard includes its position", &["ES-08", "ES-10", "ES-13", "ES-model"]).append(|state, append, now| {
        guarding(state, append, now, |state, guard| {
            let before = |position: Position| Position::new(position.get() - 1);
            if guard.after <= state.frontier() {
                guard.after = guard.after.and_then(before);
            }
        })
    }),
    wrong("a guard ignores its position", &["ES-08", "ES-10", "ES-13", "ES-model"]).append(|state, append, now| {
        guarding(state, append, now, |state, guard| {
            if guard.after <= state.frontier() {
                guard.after = None;
            }
        })
    }),
    wrong("a guard skips one more", &["ES-08"]).append(|state, append, now| {
        guarding(state, append, now, |state, guard| {
            if guard.after < state.frontier() {
                guard.after = guard.after.and_then(|after| Position::new(after.get() + 1));
            }
        })
    }),
    wrong("a guard's tags are ORed", &["ES-08"]).append(|state, append, now| {
        guarding(state, append, now, |_, guard| {
            let items = std::mem::take(&mut guard.none_of.any_of);
            for item in items {
                let tags = item.tags.clone();
                if tags.is_empty() {
                    guard.none_of.any_of.push(item.clone());
                }
                for tag in tags {
                    let mut one = item.clone();
                    one.tags = vec![tag];
                    guard.none_of.any_of.push(one);
                }
            }
        })
    }),
    wrong("a guard asks its first tag alone", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.tags.truncate(1))),
    wrong("a guard asks its first item alone", &["ES-08", "ES-model"])
        .append(|state, append, now| guarding(state, append, now, |_, guard| guard.none_of.any_of.truncate(1))),
    wrong("a guard asks its first stream alone", &["ES-08", "ES-14"])
        .append(|state, append, now| items(state, append, now, |item| item.streams.truncate(1))),
    wrong("a guard asks its first type alone", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.types.truncate(1))),
    wrong("a guard asks its first category alone", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.categories.truncate(1))),
    wrong("a guard's items are ANDed", &["ES-08", "ES-model"]).append(|state, append, now| {
        if let (Some(guard), Ok(Judgment::Repeat(_))) = (&append.guard, state.judge(append, now)) {
            let _ = guard;
            return state.model.append(append, now);
        }
        let all = |guard: &Guard| {
            let one = |item: &Item| guard_query(item, guard.none_of.system);
            state.events.iter().any(|event| {
                Some(event.position) > guard.after && guard.none_of.any_of.iter().all(|item| one(item).matches(event))
            })
        };
        let passes = append.guard.as_ref().is_some_and(|guard| guard.none_of.any_of.len() > 1 && !all(guard));
        expecting(state, append, now, |_, append| {
            if passes {
                append.guard = None;
            }
        })
    }),
    wrong("a guard's streams are ignored", &["ES-08", "ES-13", "ES-14", "ES-model"])
        .append(|state, append, now| items(state, append, now, |item| item.streams.clear())),
    wrong("a guard's types are ignored", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.types.clear())),
    wrong("a guard's tags are ignored", &["ES-06", "ES-08", "ES-model"])
        .append(|state, append, now| items(state, append, now, |item| item.tags.clear())),
    wrong("a guard's categories are prefixes", &["ES-08"]).append(|state, append, now| {
        let categories: Vec<String> = state.events.iter().map(|event| event.stream.category().to_string()).collect();
        items(state, append, now, |item| {
            for wanted in item.categories.clone() {
                item.categories
                    .extend(categories.iter().filter(|known| known.starts_with(&*wanted)).map(|known| name(known)));
            }
        })
    }),
    wrong("a guard sees system streams unasked", &["ES-08"])
        .append(|state, append, now| guarding(state, append, now, |_, guard| guard.none_of.system = true)),
    wrong("a guard never sees system streams", &["ES-08"]).append(|state, append, now| {
        expecting(state, append, now, |state, append| {
            let Some(guard) = &append.guard else { return };
            let seen = state.events.iter().any(|event| {
                Some(event.position) > guard.after && !event.stream.is_system() && guard.none_of.matches(event)
            });
            if !seen && guard.after <= state.frontier() {
                append.guard = None;
            }
        })
    }),
    wrong("a guard sees the append's own events", &["ES-08", "ES-09", "ES-model"]).append(|state, append, now| {
        if let (Ok(Judgment::Write), Some(guard)) = (state.judge(append, now), &append.guard)
            && append.events.iter().any(|event| guard.none_of.matches(event))
        {
            return Err(AppendError::GuardFailed { position: Position::new(state.next_position).unwrap() });
        }
        state.model.append(append, now)
    }),
    wrong("a guard past the frontier holds", &["ES-08", "ES-model"]).append(|state, append, now| {
        guarding(state, append, now, |state, guard| guard.after = guard.after.min(state.frontier()))
    }),
    wrong("a failed guard names no such event", &["ES-06", "ES-08", "ES-model"]).append(|state, append, now| {
        state.model.append(append, now).map_err(|error| match error {
            AppendError::GuardFailed { .. } => AppendError::GuardFailed { position: Position::new(0).unwrap() },
            error => error,
        })
    }),
    Mutant {
        reopen: |state| state.count = state.events.len() as u64,
        ..wrong("a guard sees this life alone", &["ES-08", "ES-model"])
    }
    .append(|state, append, now| {
        guarding(state, append, now, |state, guard| {
            let before = (state.count as usize).checked_sub(1).and_then(|last| Some(state.events.get(last)?.position));
            if guard.after <= state.frontier() {
                guard.after = guard.after.max(before);
            }
        })
    }),
    wrong("a guard looks at 100 events after its position", &["ES-08"]).append(|state, append, now| {
        expecting(state, append, now, |state, append| {
            let Some(guard) = &append.guard else { return };
            let mut after = state.events.iter().filter(|event| Some(event.position) > guard.after);
            let seen = after.by_ref().take(100).any(|event| guard.none_of.matches(event));
            if !seen && after.next().is_some() {
                append.guard = None;
            }
        })
    }),
    wrong("a guard looks at the last 100 events", &["ES-08"]).append(|state, append, now| {
        guarding(state, append, now, |state, guard| {
            let before = state.events.iter().rev().nth(100).map(|event| event.position);
            if guard.after <= state.frontier() {
                guard.after = guard.after.max(before);
            }
        })
    }),
    wrong("a guard asks four items", &["ES-08"])
        .append(|state, append, now| guarding(state, append, now, |_, guard| guard.none_of.any_of.truncate(4))),
    wrong("a guard asks four names of a kind", &["ES-08", "ES-14"]).append(|state, append, now| {
        items(state, append, now, |item| {
            item.streams.truncate(4);
            item.categories.truncate(4);
            item.types.truncate(4);
        })
    }),
    wrong("a guard asks four tags", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.tags.truncate(4))),
    wrong("a guard of more than 64 items asks all", &["ES-08"]).append(|state, append, now| {
        guarding(state, append, now, |_, guard| {
            if guard.none_of.any_of.len() > 64 {
                guard.none_of = Query::all();
            }
        })
    }),
    wrong("a guard of too many terms is cut", &["ES-14"])
        .append(|state, append, now| items(state, append, now, |item| item.streams.truncate(999))),
];
