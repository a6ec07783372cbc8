//! Appends that no stream guards but a query over tags, as a dynamic consistency boundary is.

use crate::Run;
use crate::appends::all;
use crate::support::Outcome;
use crate::support::fixture::{Events, Kind, stream};
use crate::support::report::{Latencies, latencies, note};
use portolan::ports::EventStore;
use portolan::values::{Append, Guard, Item, Query, Tag};
use std::sync::Arc;
use std::time::Instant;

/// In flight, as the row says.
const CLIENTS: u64 = 64;

/// So many tags each client has.
const TAGS: u64 = 1_000;

pub(crate) async fn rows(run: &mut Run, kind: &Kind) -> Outcome<()> {
    let name = "appends with a guard over tags, 64 in flight";
    if run.options.wants(name) {
        let beside = run.disk.beside(kind)?;
        let place = kind.open().await?;
        let store = place.store.clone();
        let time = run.options.time();
        let sample = all(CLIENTS, |number, start| client(store.clone(), number, start + time)).await?;
        drop(store);
        place.close();
        run.row(kind, name, &sample, &beside);
    }
    Ok(())
}

/// Appends an event with two tags, one its own and one of all clients, unless an event with its own tag stands after the
/// last that it knows. Others have appended since, so that the store has to look.
async fn client(store: Arc<dyn EventStore>, number: u64, until: Instant) -> Outcome<Latencies> {
    let (mut events, id, all) = (Events::from(number << 32)?, stream(number)?, Tag::new("course:all")?);
    let tags = (0..TAGS).map(|tag| Ok(Tag::new(format!("seat:{number:02}-{tag:04}"))?)).collect::<Outcome<Vec<_>>>()?;
    let mut known = vec![None; tags.len()];
    let mut latencies = latencies();
    loop {
        for (tag, known) in tags.iter().zip(&mut known) {
            let guard = Query::of(Item::new().tag(tag.clone()));
            let event = events.next(&id).with_tags([tag.clone(), all.clone()]);
            let append = Append::new([event]).guard(Guard::new(guard, *known));
            let one = Instant::now();
            *known = store.append(append).await?.last;
            let done = Instant::now();
            note(&mut latencies, done - one);
            if done >= until {
                return Ok(latencies);
            }
        }
    }
}
