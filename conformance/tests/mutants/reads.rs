//! Wrong in what a read shows.

use super::store::{Inner, Mutant, State};
use portolan_kernel::ports::{ReadError, Source};
use portolan_kernel::values::{Direction, Item, Page, Position, Query, Read, Recorded, Revision, Start};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const fn wrong(name: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant::new(name, breaks)
}

/// Reads the log with a changed query.
fn querying(state: &State, read: &Read, change: impl Fn(&mut Query)) -> Result<Page, ReadError> {
    let mut changed = read.clone();
    if let Start::Log(query, _) = &mut changed.from {
        change(query);
    }
    let mut page = state.model.read(&changed)?;
    if let (Some(next), Start::Log(query, _)) = (&mut page.next, &read.from)
        && let Start::Log(changed, _) = &mut next.from
    {
        *changed = query.clone();
    }
    Ok(page)
}

/// The same with every item changed.
fn items(state: &State, read: &Read, change: impl Fn(&mut Item)) -> Result<Page, ReadError> {
    querying(state, read, |query| query.any_of.iter_mut().for_each(&change))
}

/// Reads rightly, then changes the page.
fn paged(state: &State, read: &Read, change: impl Fn(&mut Page)) -> Result<Page, ReadError> {
    let mut page = state.model.read(read)?;
    change(&mut page);
    Ok(page)
}

/// Shows the events that `show` lets pass, and cuts the rest.
fn cut(state: &State, read: &Read, show: impl Fn(&Recorded) -> bool) -> Result<Page, ReadError> {
    paged(state, read, |page| {
        let all = page.events.len();
        page.events = page.events.iter().take_while(|event| show(event)).cloned().collect();
        if page.events.len() < all {
            page.next = None;
        }
    })
}

fn is_log(read: &Read) -> bool {
    matches!(read.from, Start::Log(..))
}

/// Takes one of 50 connections, and gives it back unless it is dropped meanwhile.
async fn leaky(inner: Arc<Inner>) {
    while inner.state().count >= 50 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    inner.state().count += 1;
    tokio::task::yield_now().await;
    inner.state().count -= 1;
}

pub const MUTANTS: &[Mutant] = &[
    // Starts, ends, directions.
    wrong("a stream's start is inclusive", &["ES-14", "ES-15", "ES-16", "ES-17", "ES-18", "ES-model"]).read(
        |state, read| {
            let mut read = read.clone();
            if let Start::Stream(_, Some(start)) = &mut read.from
                && read.limit > 1
                && start.get() > 0
            {
                *start = match read.direction {
                    Direction::Forward => Revision::new(start.get() - 1),
                    Direction::Backward => start.plus(1),
                };
            }
            state.model.read(&read)
        },
    ),
    wrong("a log's start is inclusive", &["ES-03", "ES-15", "ES-16", "ES-17", "ES-18", "ES-19", "ES-model"]).read(
        |state, read| {
            let mut read = read.clone();
            if let (Start::Log(_, Some(start)), Direction::Forward) = (&mut read.from, read.direction)
                && read.limit > 1
            {
                *start = Position::new(start.get() - 1).unwrap();
            }
            state.model.read(&read)
        },
    ),
    wrong("backward includes the start", &["ES-15", "ES-16", "ES-17", "ES-18", "ES-model"]).read(|state, read| {
        let mut read = read.clone();
        if let (Start::Log(_, Some(start)), Direction::Backward) = (&mut read.from, read.direction)
            && read.limit > 1
            && *start < Position::MAX
        {
            *start = Position::new(start.get() + 1).unwrap();
        }
        state.model.read(&read)
    }),
    wrong("backward reads forward", &["ES-14", "ES-15", "ES-16", "ES-18", "ES-model"]).read(|state, read| {
        let mut read = read.clone();
        read.direction = Direction::Forward;
        state.model.read(&read)
    }),
    wrong("backward ignores its start", &["ES-15", "ES-model"]).read(|state, read| {
        let mut read = read.clone();
        if read.direction == Direction::Backward && read.until.is_none() {
            match &mut read.from {
                Start::Stream(_, start) => *start = None,
                Start::Log(_, start) => *start = None,
            }
        }
        state.model.read(&read)
    }),
    wrong("backward ignores until", &["ES-04", "ES-15", "ES-16", "ES-model"]).read(|state, read| {
        let mut asked = read.clone();
        if read.direction == Direction::Backward {
            asked.until = None;
        }
        let mut page = state.model.read(&asked)?;
        page.frontier = state.model.read(read)?.frontier;
        Ok(page)
    }),
    wrong("until is exclusive", &["ES-15", "ES-16", "ES-model"]).read(|state, read| {
        let mut asked = read.clone();
        if read.until < state.frontier() {
            asked.until = read.until.and_then(|until| Position::new(until.get() - 1));
        }
        let mut page = state.model.read(&asked)?;
        page.frontier = state.model.read(read)?.frontier;
        Ok(page)
    }),
    wrong("a stream's read ignores until", &["ES-04", "ES-15", "ES-16", "ES-model"]).read(|state, read| {
        let mut asked = read.clone();
        if !is_log(read) {
            asked.until = None;
        }
        state.model.read(&asked)
    }),
    wrong("a stream's limit is ignored", &["ES-16", "ES-model"]).read(|state, read| {
        let limit = if is_log(read) || read.limit == 0 { read.limit } else { u32::MAX };
        state.model.read(&read.clone().limit(limit))
    }),
    wrong("past the end is an error", &["ES-15"]).read(|state, read| {
        if let Start::Log(_, Some(after)) = &read.from
            && Some(*after) > state.frontier()
        {
            return Err(ReadError::Invalid("past the end".into()));
        }
        state.model.read(read)
    }),
    wrong("a missing stream is an error", &["ES-03", "ES-04", "ES-07", "ES-12", "ES-15", "ES-17", "ES-model"]).read(
        |state, read| {
            if let Start::Stream(stream, _) = &read.from
                && state.last(stream).is_none()
            {
                return Err(ReadError::Other(Source::new("no such stream")));
            }
            state.model.read(read)
        },
    ),
    // Queries.
    wrong("tags are ORed", &["ES-15"]).read(|state, read| {
        querying(state, read, |query| {
            for item in std::mem::take(&mut query.any_of) {
                if item.tags.is_empty() {
                    query.any_of.push(item.clone());
                }
                for tag in &item.tags {
                    query.any_of.push(one_tag(&item, tag));
                }
            }
        })
    }),
    wrong("the first item alone is asked", &["ES-15", "ES-model"])
        .read(|state, read| querying(state, read, |query| query.any_of.truncate(1))),
    wrong("the first stream alone is asked", &["ES-12", "ES-14", "ES-15"])
        .read(|state, read| items(state, read, |item| item.streams.truncate(1))),
    wrong("the first type alone is asked", &["ES-15"])
        .read(|state, read| items(state, read, |item| item.types.truncate(1))),
    wrong("the first category alone is asked", &["ES-15"])
        .read(|state, read| items(state, read, |item| item.categories.truncate(1))),
    wrong("streams are ignored beside categories", &["ES-15"]).read(|state, read| {
        items(state, read, |item| {
            if !item.categories.is_empty() {
                item.streams.clear();
            }
        })
    }),
    wrong("types are ignored beside tags", &["ES-15", "ES-model"]).read(|state, read| {
        items(state, read, |item| {
            if !item.tags.is_empty() {
                item.types.clear();
            }
        })
    }),
    wrong("an empty item matches nothing", &["ES-15", "ES-model"]).read(|state, read| {
        querying(state, read, |query| {
            if !query.any_of.is_empty() {
                query.any_of.retain(|item| *item != Item::new());
                if query.any_of.is_empty() {
                    query.any_of.push(Item::new().tag(portolan_kernel::values::Tag::new("nothing has this").unwrap()));
                }
            }
        })
    }),
    wrong("system streams are shown", &["ES-15"])
        .read(|state, read| querying(state, read, |query| query.system = true)),
    wrong("system streams are never shown", &["ES-08", "ES-14", "ES-19", "ES-22", "ES-model"]).read(|state, read| {
        let mut hidden = state.model.clone();
        if is_log(read) {
            hidden.events.retain(|event| !event.stream.is_system());
        }
        hidden.read(read)
    }),
    wrong("a system stream is hidden though named", &["ES-14", "ES-15", "ES-19", "ES-22", "ES-model"]).read(
        |state, read| {
            let mut hidden = state.model.clone();
            if let Start::Log(Query { system: false, .. }, _) = &read.from {
                hidden.events.retain(|event| !event.stream.is_system());
            }
            hidden.read(read)
        },
    ),
    wrong("a stream of the system's cannot be read", &["ES-14", "ES-model"]).read(|state, read| {
        let mut hidden = state.model.clone();
        if !is_log(read) {
            hidden.events.retain(|event| !event.stream.is_system());
        }
        hidden.read(read)
    }),
    wrong("an event that fits two items comes twice", &["ES-15"]).read(|state, read| {
        paged(state, read, |page| {
            let Start::Log(query, _) = &read.from else { return };
            let fits =
                |event: &Recorded| query.any_of.iter().filter(|item| Query::of((*item).clone()).matches(event)).count();
            page.events = page.events.iter().flat_map(|event| vec![event.clone(); fits(event).max(1)]).collect();
        })
    }),
    wrong("events come item by item", &["ES-15"]).read(|state, read| {
        paged(state, read, |page| {
            let Start::Log(query, _) = &read.from else { return };
            let first = |event: &Arc<Recorded>| {
                query.any_of.iter().position(|item| Query::of(item.clone()).matches(event)).unwrap_or(usize::MAX)
            };
            page.events.sort_by_key(first);
        })
    }),
    // Pages.
    wrong("a page holds one more", &["ES-16", "ES-model"]).read(|state, read| {
        state.capabilities.check_read(read)?;
        state.model.read(&read.clone().limit(read.limit.saturating_add(1)))
    }),
    wrong("a limit of 0 is an empty page", &["ES-16"]).read(|state, read| {
        if read.limit == 0 { Ok(Page::new(vec![], state.frontier(), None, None)) } else { state.model.read(read) }
    }),
    wrong("a limit of 0 is no limit", &["ES-16"]).read(|state, read| {
        let limit = if read.limit == 0 { u32::MAX } else { read.limit };
        state.model.read(&read.clone().limit(limit))
    }),
    wrong("the limit comes before the filter", &["ES-14", "ES-15", "ES-16", "ES-18", "ES-19", "ES-model"]).read(
        |state, read| {
            let Start::Log(query, after) = &read.from else { return state.model.read(read) };
            let mut all = read.clone();
            all.from = Start::Log(Query::all().with_system(), *after);
            let mut page = state.model.read(&all)?;
            page.events.retain(|event| query.matches(event));
            let full = page.events.len() == read.limit as usize;
            page.next = page
                .next
                .filter(|_| full)
                .and_then(|_| page.events.last())
                .map(|last| read.clone().after(last).until(page.frontier));
            Ok(page)
        },
    ),
    wrong("there is no next page", &["ES-03", "ES-15", "ES-16", "ES-17", "ES-18", "ES-19", "ES-model"])
        .read(|state, read| paged(state, read, |page| page.next = None)),
    wrong("the next page is lost where one event is left", &["ES-15", "ES-16", "ES-model"]).read(|state, read| {
        let page = state.model.read(read)?;
        let left = page.next.as_ref().map(|next| state.model.read(next).map(|next| next.events.len()));
        Ok(if let Some(Ok(1)) = left { Page::new(page.events, page.frontier, None, page.revision) } else { page })
    }),
    wrong("the next page begins one too late", &["ES-15", "ES-16", "ES-17", "ES-18", "ES-model"]).read(
        |state, read| {
            let page = state.model.read(read)?;
            let next = page.next.as_ref().and_then(|next| state.model.read(&next.clone().limit(1)).ok());
            let next = next.and_then(|next| Some(read.clone().after(next.events.first()?).until(page.frontier)));
            Ok(Page::new(page.events, page.frontier, next, page.revision))
        },
    ),
    wrong("the next page begins with the last event", &["ES-15", "ES-16", "ES-17", "ES-18", "ES-19"]).read(
        |state, read| {
            let page = state.model.read(read)?;
            let before = page.events.len().checked_sub(2).and_then(|at| page.events.get(at));
            let next = match (&page.next, before) {
                (Some(_), Some(before)) => Some(read.clone().after(before).until(page.frontier)),
                _ => page.next.clone(),
            };
            Ok(Page::new(page.events, page.frontier, next, page.revision))
        },
    ),
    wrong("the last page of three has itself as next", &["ES-04", "ES-15", "ES-16", "ES-model"]).read(|state, read| {
        let more = || (read.limit == 3).then(|| read.clone());
        paged(state, read, |page| page.next = page.next.clone().or_else(more))
    }),
    wrong("each page has a frontier of its own", &["ES-16"]).read(|state, read| {
        paged(state, read, |page| {
            if let Some(next) = &mut page.next {
                next.until = read.until;
            }
        })
    }),
    wrong("the frontier is the last event of the page", &["ES-04", "ES-16", "ES-17", "ES-model"]).read(
        |state, read| {
            paged(state, read, |page| {
                if is_log(read) && read.direction == Direction::Forward {
                    page.frontier = page.events.last().map(|event| event.position).or(page.frontier);
                }
            })
        },
    ),
    wrong("a page without events has no frontier", &["ES-04", "ES-20", "ES-22", "ES-model"]).read(|state, read| {
        paged(state, read, |page| {
            if page.events.is_empty() {
                page.frontier = None;
            }
        })
    }),
    wrong("an empty store has frontier 0", &["ES-04", "ES-10", "ES-19", "ES-model"])
        .read(|state, read| paged(state, read, |page| page.frontier = page.frontier.or(Position::new(0)))),
    wrong("the frontier is one ahead", &["ES-04", "ES-10", "ES-16", "ES-19", "ES-20", "ES-21", "ES-22", "ES-model"])
        .perhaps(&["ES-03"])
        .read(|state, read| {
            paged(state, read, |page| {
                page.frontier = page.frontier.and_then(|frontier| Position::new(frontier.get() + 1));
            })
        }),
    wrong("the frontier passes until", &["ES-04", "ES-16"])
        .read(|state, read| paged(state, read, |page| page.frontier = state.frontier())),
    wrong("the frontier is the last match", &["ES-04", "ES-19", "ES-20", "ES-22", "ES-model"]).read(|state, read| {
        let Start::Log(query, _) = &read.from else { return state.model.read(read) };
        let newest = state.model.read(&Read::log(query.clone()).backward().until(read.until).limit(1))?;
        paged(state, read, |page| page.frontier = newest.events.first().map(|event| event.position))
    }),
    wrong("the revision is the page's last", &["ES-07", "ES-15", "ES-16", "ES-17", "ES-model"]).read(|state, read| {
        paged(state, read, |page| {
            if page.revision.is_some() {
                page.revision = page.events.last().map(|event| event.revision);
            }
        })
    }),
    wrong("the revision ignores until", &["ES-15", "ES-16", "ES-model"]).read(|state, read| {
        paged(state, read, |page| {
            if let Start::Stream(stream, _) = &read.from {
                page.revision = state.last(stream);
            }
        })
    }),
    wrong("next forgets the direction", &["ES-15", "ES-16", "ES-17", "ES-18", "ES-model"]).read(|state, read| {
        paged(state, read, |page| {
            if let Some(next) = &mut page.next {
                next.direction = Direction::Forward;
            }
        })
    }),
    wrong("next forgets the query", &["ES-15", "ES-16", "ES-18", "ES-model"]).read(|state, read| {
        paged(state, read, |page| {
            if let Some(Start::Log(query, _)) = page.next.as_mut().map(|next| &mut next.from) {
                *query = Query::all();
            }
        })
    }),
    wrong("next counts from the end of the log", &["ES-04", "ES-15", "ES-16", "ES-model"]).read(|state, read| {
        // A backward page goes on by how far it came, which another writer shifts.
        let (Direction::Backward, Start::Log(query, Some(after))) = (read.direction, &read.from) else {
            return state.model.read(read);
        };
        let seen =
            state.events.iter().filter(|event| event.position >= *after && Some(event.position) <= read.until).count();
        let skip = state.events.len().checked_sub(seen).and_then(|at| state.events.get(at));
        let from = Start::Log(query.clone(), skip.map(|event| event.position).or(Some(*after)));
        let mut shifted = read.clone();
        shifted.from = from;
        if read.until.is_some() && read.limit <= 3 { state.model.read(&shifted) } else { state.model.read(read) }
    }),
    // Large ones.
    wrong("a stream is cut at 1,000 events", &["ES-18"]).read(|state, read| {
        if is_log(read) { state.model.read(read) } else { cut(state, read, |event| event.revision.get() < 1_000) }
    }),
    wrong("a log is cut at 1,000 events", &["ES-18"]).read(|state, read| {
        let Some(last) = state.events.get(1_000) else { return state.model.read(read) };
        if is_log(read) { cut(state, read, |event| event.position < last.position) } else { state.model.read(read) }
    }),
    wrong("a page is cut at 1 MiB, and is the last", &["ES-14", "ES-18"]).read(|state, read| {
        let sum = std::cell::Cell::new(0);
        cut(state, read, |event| {
            sum.set(sum.get() + event.payload.len());
            sum.get() <= 1 << 20
        })
    }),
    wrong("events past 1 MiB of a page are skipped", &["ES-14", "ES-18"]).read(|state, read| {
        paged(state, read, |page| {
            let mut sum = 0;
            page.events.retain(|event| {
                sum += event.payload.len();
                sum <= 1 << 20
            });
        })
    }),
    wrong(
        "events with one id are shown once",
        &["ES-02", "ES-03", "ES-08", "ES-09", "ES-12", "ES-14", "ES-15", "ES-16", "ES-17", "ES-model"],
    )
    .read(|state, read| {
        paged(state, read, |page| {
            let mut seen = BTreeSet::new();
            page.events.retain(|event| seen.insert((event.id, event.stream.clone())));
        })
    }),
    wrong("four items of a query count", &["ES-15"])
        .read(|state, read| querying(state, read, |query| query.any_of.truncate(4))),
    wrong("four names of a kind count", &["ES-14", "ES-15"]).read(|state, read| {
        items(state, read, |item| {
            item.streams.truncate(4);
            item.categories.truncate(4);
            item.types.truncate(4);
        })
    }),
    wrong("four tags count", &["ES-15"]).read(|state, read| items(state, read, |item| item.tags.truncate(4))),
    wrong("more than 64 items are all", &["ES-15"]).read(|state, read| {
        querying(state, read, |query| {
            if query.any_of.len() > 64 {
                *query = Query::all();
            }
        })
    }),
    wrong("a query of too many terms is cut", &["ES-14"])
        .read(|state, read| items(state, read, |item| item.streams.truncate(999))),
    Mutant {
        capabilities: |state| {
            let mut stated = state.model.capabilities.clone();
            stated.limits.page_events = 50;
            stated
        },
        ..wrong("pages are longer than stated", &["ES-16"])
    },
    Mutant {
        before_read: Some(|inner| Box::pin(leaky(inner))),
        ..wrong("a dropped read keeps its connection", &["ES-12"])
    },
];

fn one_tag(item: &Item, tag: &portolan_kernel::values::Tag) -> Item {
    let mut one = item.clone();
    one.tags = vec![tag.clone()];
    one
}
