//! ES-23: the hint that something has changed.

use crate::ask::{Ask, Store, all_of, event, name, one, tagged};
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect_eq, expect_is};
use core::time::Duration;
use futures::FutureExt;
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{Append, Item, Position, Query, Read};

law! {
    dyn EventStore, es_23_changed, "ES-23",
    "changed returns within the stated latency once something matching may be visible after the position, also from \
     another process; it may return early; dropping it loses nothing; correctness never needs it.",
    checks: [
        returns_at_once_for_what_is_there,
        returns_for_what_is_written_later,
        returns_for_every_kind_of_query,
        wakes_all_who_wait,
        dropping_it_loses_nothing,
        a_follower_sees_everything,
        wakes_another_handle if [SeveralProcesses],
    ],
}

/// Time for a busy machine, beside the stated latency.
const PATIENCE: Duration = Duration::from_secs(3);

/// `changed` returns in time, and without an error.
async fn told(store: &Store, query: Query, after: Option<Position>) -> Verdict {
    let limit = store.capabilities().hint_latency + PATIENCE;
    let what = format!("changed({query:?}, {after:?})");
    match tokio::time::timeout(limit, store.changed(query, after)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Broken::new(what, "a hint", error.to_string())),
        Err(_) => Err(Broken::new(what, format!("a hint within {limit:?}, as something has changed"), "none")),
    }
}

/// A task that waits for the hint, and time for it to begin.
async fn waiting(store: &Store, query: Query, after: Option<Position>) -> tokio::task::JoinHandle<Verdict> {
    let store = store.clone();
    let task = tokio::spawn(async move { told(&store, query, after).await });
    tokio::time::sleep(Duration::from_millis(5)).await;
    task
}

async fn returns_at_once_for_what_is_there(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let first = store.wrote(one("a-1", 0)).await?.last;
    store.wrote(one("b-1", 0)).await?;
    for (query, after) in [
        (Query::all(), None),
        (Query::all(), first),
        (Query::stream(name("a-1")), None),
        (Query::of(Item::new().category(name("b"))), first),
    ] {
        told(&store, query, after).await?;
    }
    Ok(())
}

async fn returns_for_what_is_written_later(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut last = None;
    for number in 0..3 {
        let task = waiting(&store, Query::all(), last).await;
        last = store.wrote(one("a-1", number)).await?.last;
        all_of([task]).await?;
    }
    Ok(())
}

async fn returns_for_every_kind_of_query(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let item = Item::new;
    for query in [
        Query::of(item().tag(name("t"))),
        Query::of(item().event_type(name("happened"))),
        Query::of(item().stream(name("$s-1"))),
        Query::of(item().category(name("$s"))),
        Query::all().with_system(),
        Query::of(item().tag(name("missing"))).or(item().tag(name("t")).stream(name("$s-1"))),
    ] {
        let after = store.log().await?.last().map(|event| event.position);
        let task = waiting(&store, query.clone(), after).await;
        // One that matches nothing comes before the one that does.
        store.wrote(Append::new([event("$t-1", 0)])).await?;
        store.wrote(Append::new([tagged("$s-1", 0, &["t"])])).await?;
        store.wrote(Append::new([tagged("s-1", 0, &["t"])])).await?;
        all_of([task]).await?;
    }
    Ok(())
}

async fn wakes_all_who_wait(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut tasks = Vec::new();
    for _ in 0..10 {
        tasks.push(waiting(&store, Query::all(), None).await);
    }
    store.wrote(one("a-1", 0)).await?;
    all_of(tasks).await?;
    Ok(())
}

async fn dropping_it_loses_nothing(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut last = store.wrote(one("a-1", 0)).await?.last;
    for number in 1..4 {
        for _ in 0..3 {
            let _ = store.changed(Query::all(), last).now_or_never();
        }
        let dropped = tokio::time::timeout(Duration::from_millis(2), store.changed(Query::all(), last)).await;
        expect_is!(dropped, Err(_) | Ok(Ok(())), "a hint for nothing");
        let written = store.wrote(one("a-1", number)).await?.last;
        told(&store, Query::all(), last).await?;
        last = written;
    }
    Ok(())
}

/// A reader that rests on nothing but the hint sees all that a writer writes.
async fn a_follower_sees_everything(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let count = trial.rounds(100);
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 0..u32::try_from(count).unwrap_or(0) {
                store.wrote(one("a-1", number)).await?;
                if number % 3 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            Verdict::Ok(())
        }
    });
    let (mut seen, mut after) = (0, None);
    while seen < count {
        told(&store, Query::all(), after).await?;
        let events = store.all(Read::log_after(Query::all(), after)).await?;
        seen += events.len();
        after = events.last().map(|event| event.position).or(after);
    }
    all_of([writer]).await?;
    expect_eq!(seen, count, "events that the follower saw");
    Ok(())
}

async fn wakes_another_handle(trial: &Trial<dyn EventStore>) -> Verdict {
    let (reader, writer) = (trial.open().await?, trial.open().await?);
    let mut last = None;
    for number in 0..3 {
        let task = waiting(&reader, Query::all(), last).await;
        last = writer.wrote(one("a-1", number)).await?.last;
        all_of([task]).await?;
    }
    Ok(())
}
