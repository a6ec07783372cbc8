//! What stands over the shards of a process: it follows the log and tells each shard what concerns it, and sees that
//! processes share the work.
//!
//! Who holds which shard is seen by asking for them. A process that holds none, or few, asks whoever holds the most for some,
//! by an event in the stream [`SHARES`], and that one gives them up. So nobody counts processes, and none that is gone is
//! counted.

use super::board::{Board, Shard, Told};
use super::driver::SagaDriver;
use super::feeding::feed;
use super::listing::SagaIndex;
use super::options::SagaOptions;
use super::shard::{of_sagas, work};
use crate::drivers::lease::{Leasing, pause};
use crate::drivers::subscription::{Delivery, From, Subscriptions};
use crate::drivers::task::{Stop, Task};
use crate::ports::{EventStore, ReadError};
use crate::values::{
    Append, EventType, Item, Name, NewEvent, Position, Query, Read, Recorded, SAGA_CATEGORY, SagaId, StreamId,
};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_lock::Mutex;
use core::pin::pin;
use futures::future::{Either, select};
use futures::stream::StreamExt as _;
use serde::{Deserialize, Serialize};

/// Where processes ask each other for shards.
const SHARES: &str = "$sagas-shares";
const WANTED: &str = "$sagas.wanted";
const ENDED: &str = "$saga.ended";

/// What the shards of a process stand on.
pub(super) struct Env {
    pub(super) driver: SagaDriver,
    pub(super) index: SagaIndex,
    pub(super) subscriptions: Subscriptions,
    pub(super) leasing: Leasing,
    pub(super) options: SagaOptions,
    pub(super) board: Mutex<Board>,
}

impl Env {
    /// What is in the way of the sagas of this name here.
    pub(super) async fn trouble(&self, name: &Name) -> Option<String> {
        let (stuck, mut troubles) = {
            let board = self.board.lock().await;
            (board.stuck(name).cloned(), board.troubles(name))
        };
        if let Some(stuck) = stuck {
            let state = self.driver.ports.events.checkpoint(stuck.place).await;
            // Another process may have gone on.
            if stuck.at.is_none() || !state.is_ok_and(|state| state.position >= stuck.at) {
                troubles.insert(0, stuck.why);
            }
        }
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }
}

/// A process asks another for shards.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    name: String,
    shards: Vec<u32>,
    of: String,
    by: String,
}

/// Has the sagas of all handlers driven, and processes receive, until told to stop.
async fn steward(env: Arc<Env>, stop: Stop) {
    let names: BTreeSet<Name> = env.driver.handlers.all().map(|handler| handler.name().clone()).collect();
    // Known before the first shard looks what there is, so that nothing falls between the two.
    let Some(from) = beginning(&env, &stop).await else { return };
    let shards =
        names.iter().flat_map(|name| (0..env.options.shards).map(|number| Shard { name: name.clone(), number }));
    let spawn = &*env.leasing.spawn;
    let shards = shards.map(|shard| Task::spawn(spawn, |stop| work(env.clone(), shard, stop)));
    let feeders = names.iter().filter_map(|name| {
        let of_name = env.driver.handlers.processes().filter(|handler| handler.name() == name);
        let of_name: Vec<_> = of_name.cloned().collect();
        (!of_name.is_empty()).then(|| Task::spawn(spawn, |stop| feed(env.clone(), of_name, stop)))
    });
    let tasks: Vec<_> = shards.chain(feeders).collect();
    let following = pin!(follow(&env, &names, from));
    select(pin!(stop.recv()), following).await;
    tasks.iter().for_each(Task::stop);
    for task in &tasks {
        task.stopped().await;
    }
}

async fn beginning(env: &Env, stop: &Stop) -> Option<Option<Position>> {
    let mut failures = 0_u32;
    loop {
        if let Ok(frontier) = frontier(env).await {
            return Some(frontier);
        }
        if stop.is_closed() {
            return None;
        }
        failures = failures.saturating_add(1);
        pause(&*env.leasing.ids, &*env.leasing.sleep, failures).await;
    }
}

/// Tells shards what happens in the log after this, and never ends.
async fn follow(env: &Env, names: &BTreeSet<Name>, from: Option<Position>) {
    let mut at = from;
    let mut failures = 0_u32;
    let mut look = env.leasing.sleep.sleep(env.options.lease);
    loop {
        let from = at.map_or(From::Beginning, From::After);
        let mut deliveries = env.subscriptions.subscribe(followed(), from);
        loop {
            match select(deliveries.next(), &mut look).await {
                Either::Left((Some(Ok(delivery)), _)) => {
                    failures = 0;
                    match delivery {
                        Delivery::Event(event) => {
                            at = Some(event.position);
                            tell(env, &event).await;
                        }
                        Delivery::Progress(position) | Delivery::CaughtUp(Some(position)) => at = Some(position),
                        _ => {}
                    }
                }
                Either::Left(_) => break,
                Either::Right(_) => {
                    look = env.leasing.sleep.sleep(env.options.lease);
                    share(env, names).await;
                }
            }
        }
        failures = failures.saturating_add(1);
        pause(&*env.leasing.ids, &*env.leasing.sleep, failures).await;
    }
}

fn followed() -> Query {
    let shares = StreamId::new(SHARES).expect("a plain name is one of a stream");
    of_sagas().or(Item::new().stream(shares))
}

async fn tell(env: &Env, event: &Recorded) {
    if event.stream.category() == SAGA_CATEGORY {
        // Nothing is due of what has ended.
        if event.event_type.as_str() != ENDED
            && let Some(saga) = SagaId::of_stream(&event.stream)
        {
            let shard = Shard::of(&saga, env.options.shards);
            env.board.lock().await.tell(&shard, Told::Grown(saga, event.revision));
        }
        return;
    }
    let wanted = serde_json::from_slice::<Wanted>(&event.payload).ok();
    if let Some(wanted) = wanted.filter(|wanted| wanted.of == env.leasing.holder.as_str())
        && let Ok(name) = Name::new(wanted.name)
    {
        let board = env.board.lock().await;
        for number in wanted.shards {
            board.tell(&Shard { name: name.clone(), number }, Told::GiveUp);
        }
    }
}

/// Asks for shards, if another process has more than its share.
async fn share(env: &Env, names: &BTreeSet<Name>) {
    for name in names {
        let wanted = env.board.lock().await.wanted(name, env.options.shards);
        let Some((of, shards)) = wanted else { continue };
        let by = env.leasing.holder.as_str().into();
        let wanted = Wanted { name: name.as_str().into(), shards, of: of.as_str().into(), by };
        let (stream, event_type) = (StreamId::new(SHARES), EventType::new(WANTED));
        if let (Ok(stream), Ok(event_type), Ok(payload)) = (stream, event_type, serde_json::to_vec(&wanted)) {
            let event = NewEvent::new(stream, event_type, payload).with_id(env.leasing.ids.new_id());
            // If it fails, the next look asks again.
            let _ = env.driver.ports.events.append(Append::new([event])).await;
        }
    }
}

/// Keeps the sagas of a process driven.
pub(super) fn start(env: Arc<Env>) -> Task {
    let spawn = env.leasing.spawn.clone();
    Task::spawn(&*spawn, |stop| steward(env, stop))
}

/// The end of this log.
pub(super) async fn end_of(events: &dyn EventStore) -> Result<Option<Position>, ReadError> {
    Ok(events.read(Read::log(of_sagas()).backward().limit(1)).await?.frontier)
}

/// The end of the log.
pub(super) async fn frontier(env: &Env) -> Result<Option<Position>, ReadError> {
    end_of(&*env.driver.ports.events).await
}
