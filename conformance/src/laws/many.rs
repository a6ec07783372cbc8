//! What is right of a few has to be right of many: checks of ES-05, ES-08, ES-09, ES-13, ES-15 and ES-16 by
//! their numbers alone.

use super::guards::judged_rightly;
use super::world;
use crate::ask::{Ask, Store, all_of, event, key, name, nothing, one, tagged};
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{AppendError, Capability, EventStore};
use portolan_kernel::values::{
    Append, Checkpoint, CheckpointState, Expected, Guard, Item, Move, NewEvent, Query, Read, Recorded, Revision, Token,
};
use std::sync::Arc;

/// Writes the events in as few appends as the store takes.
async fn write(trial: &Trial<dyn EventStore>, store: &Store, events: Vec<NewEvent>) -> Verdict {
    let limits = store.capabilities().limits;
    let streams = if trial.has(Capability::SeveralStreams) { limits.append_streams } else { 1 };
    let step = limits.append_events.min(streams).min(100) as usize;
    for events in events.chunks(step) {
        store.wrote(Append::new(events.to_vec())).await?;
    }
    Ok(())
}

/// Makes these appends, some at a time.
async fn write_each(store: &Store, appends: impl Iterator<Item = Append>) -> Verdict {
    let appends: Vec<_> = appends.collect();
    for some in appends.chunks(16) {
        let tasks = some.iter().cloned().map(|append| {
            let store = store.clone();
            tokio::spawn(async move { store.wrote(append).await.map(|_| ()) })
        });
        all_of(tasks.collect::<Vec<_>>()).await?;
    }
    Ok(())
}

fn count(trial: &Trial<dyn EventStore>, normal: usize) -> u32 {
    u32::try_from(trial.rounds(normal)).unwrap_or(1)
}

/// ES-05: a stream is known however many others were written since.
pub(super) async fn among_many_streams(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let count = count(trial, 2_500);
    let stream = |number: u32| format!("s-{number}");
    write(trial, &store, (0..count).map(|number| event(&stream(number), number)).collect()).await?;
    for number in [0, 1, count / 2, count - 1] {
        let stream = stream(number);
        let refusal = store.refused(one(&stream, 0).expect(name(&stream), Expected::NoStream)).await?;
        let first = Some(Revision::FIRST);
        expect_is!(
            refusal,
            AppendError::Conflict { actual, .. } if *actual == first,
            "the refusal of a second {stream} among {count} streams"
        );
        store.wrote(one(&stream, 1).expect(name(&stream), Expected::Exact(Revision::FIRST))).await?;
    }
    Ok(())
}

/// ES-08: what is forbidden is found however far it is from the guard's position, and from the end.
pub(super) async fn far_from_its_position(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let about = |tag: &str| Query::of(Item::new().tag(name(tag)));
    let hay = count(trial, 1_500);
    let hay = || (0..hay).map(|number| event("hay-1", number)).collect::<Vec<_>>();
    let first = store.wrote(one("a-1", 0)).await?.last;
    let step = store.capabilities().limits.append_events.min(100) as usize;
    for chunk in hay().chunks(step) {
        store.wrote(Append::new(chunk.to_vec())).await?;
    }
    let needle = store.wrote(Append::new([tagged("a-1", 1, &["needle"])])).await?.last;
    for chunk in hay().chunks(step) {
        store.wrote(Append::new(chunk.to_vec())).await?;
    }
    for after in [None, first] {
        let refusal = store.refused(one("b-1", 0).guard(Guard::new(about("needle"), after))).await?;
        expect_is!(
            refusal,
            AppendError::GuardFailed { position } if Some(*position) == needle,
            "a guard after {after:?}, far from what it forbids"
        );
    }
    for (tag, after) in [("needle", needle), ("missing", None)] {
        store.wrote(one("b-1", 0).guard(Guard::new(about(tag), after))).await?;
    }
    Ok(())
}

/// A log in which queries of many terms find every second event, and those queries.
async fn many_terms(
    trial: &Trial<dyn EventStore>,
    store: &Store,
    many: usize,
) -> Verdict<(Vec<Arc<Recorded>>, Vec<Query>)> {
    let limits = store.capabilities().limits;
    let many = many.min(limits.query_terms as usize / 2);
    let tags: Vec<String> = (0..many.min(limits.event_tags as usize)).map(|n| format!("all-{n}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let mut events = vec![tagged("tags-1", 0, &tags), tagged("tags-1", 1, &tags[..tags.len().saturating_sub(1)])];
    for (number, id) in (0..2 * many).zip(2..) {
        let mut event = tagged(&format!("c{number}-1"), id, &[&format!("t{number}")]);
        event.event_type = name(&format!("k{number}"));
        events.push(event);
    }
    write(trial, store, events).await?;
    let every_second = || (0..2 * many).step_by(2);
    let of = |add: fn(Item, usize) -> Item| Query::of(every_second().take(many - 1).fold(Item::new(), add));
    let mut items = Query::all();
    for number in every_second() {
        items = items.or(Item::new().tag(name(&format!("t{number}"))));
    }
    let queries = vec![
        items,
        of(|item, n| item.stream(name(&format!("c{n}-1")))),
        of(|item, n| item.category(name(&format!("c{n}")))),
        of(|item, n| item.event_type(name(&format!("k{n}")))),
        Query::of(tags.iter().fold(Item::new(), |item, tag| item.tag(name(tag)))),
    ];
    Ok((store.log().await?, queries))
}

/// As many terms as are asked; the second number is past what a machine word has bits.
const TERMS: [usize; 2] = [10, 66];

/// ES-15: every term of a query counts.
pub(super) async fn a_query_of_many_terms(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for many in TERMS {
        let (log, queries) = many_terms(trial, &store, many).await?;
        for query in queries {
            let read = Read::log(query);
            expect_eq!(store.all(read.clone()).await?, world::expected(&log, &read), "the events of {read:?}");
        }
    }
    Ok(())
}

/// ES-08: every term of a guard counts.
pub(super) async fn a_guard_of_many_terms(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for many in TERMS {
        let (log, queries) = many_terms(trial, &store, many).await?;
        for query in queries {
            judged_rightly(&store, &log, &query).await?;
        }
    }
    Ok(())
}

/// ES-09: a key is known however many others were used since.
pub(super) async fn among_many_keys(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let append = |number: u32| one("a-1", number).key(key(&format!("k{number}"), 1));
    let original = store.wrote(append(0)).await?.as_repeated();
    let count = count(trial, 2_000).max(300);
    write_each(&store, (1..count).map(append)).await?;
    let recalled = store.recalled("k0").await?.map(|recalled| recalled.appended);
    expect_eq!(recalled, Some(original.clone()), "the first of {count} keys recalled");
    expect_eq!(store.wrote(append(0)).await?, original, "a repetition under the first of {count} keys");
    let refusal = store.refused(one("a-1", 0).key(key("k0", 2))).await?;
    expect_is!(refusal, AppendError::KeyReused { .. }, "another digest under the first of {count} keys");
    Ok(())
}

/// ES-13: a checkpoint stands however many others were moved since.
pub(super) async fn among_many_names(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let last = store.wrote(one("a-1", 0)).await?.last;
    let identity = store.capabilities().identity;
    let count = count(trial, 300).max(60);
    let fresh = CheckpointState::new(identity, None, Token(0));
    let checkpoint = |n: u32| Checkpoint::new(name(&format!("c{n}")), fresh, Token(1), Move::Reset(last));
    store.wrote(nothing().checkpoint(checkpoint(0))).await?;
    write_each(&store, (1..count).map(|number| nothing().checkpoint(checkpoint(number)))).await?;
    let stands = CheckpointState::new(identity, last, Token(1));
    expect_eq!(store.stands("c0").await?, stands, "where the first of {count} checkpoints stands");
    let refusal = store.refused(nothing().checkpoint(checkpoint(0))).await?;
    expect_is!(refusal, AppendError::CheckpointMoved { .. }, "a move of the first of {count} from where it stood");
    Ok(())
}

/// A log so long is not written to see where its pages end; a tenth of it by the quick.
const MOST_EVENTS: usize = 10_000;

/// ES-16: no page holds more than the store's own limit, whatever the read asks.
pub(super) async fn the_stores_own_limit_bounds_a_page(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limits = store.capabilities().limits;
    if limits.page_events as usize > trial.rounds(MOST_EVENTS) {
        return Ok(());
    }
    let (mut left, most) = (limits.page_events + 1, limits.append_events);
    while left > 0 {
        let step = left.min(most);
        store.wrote(Append::new((0..step).map(|number| event("a-1", number)))).await?;
        left -= step;
    }
    for read in [Read::stream(name("a-1")), Read::log(Query::all())] {
        for read in [read.clone(), read.backward()] {
            let pages = store.pages(read.limit(u32::MAX)).await?;
            let longest = pages.iter().map(|page| page.events.len()).max().unwrap_or(0);
            expect!(longest <= limits.page_events as usize, "at most {} events, not {longest}", limits.page_events);
        }
    }
    Ok(())
}
