//! The feeder of a process manager: it follows the log and has processes receive the events that are for them.
//!
//! One at a time for each newest version of a name, under a lease. How far it has come is a checkpoint in the log's own store,
//! which was set where it begins ([`beginning`](super::beginning)) and is moved now and then: an event that is fed again is
//! received once. What is received is an append to the stream of a process, and so told to its shard.

use super::board::Stuck;
use super::driver::SagaDriver;
use super::places::place;
use super::receiving::{OfNewer, ReceiveReason};
use super::steward::Env;
use crate::domain::saga::SagaHandler;
use crate::drivers::lease::{acquire, hold, pause};
use crate::drivers::subscription::{Delivery, From, yield_now};
use crate::drivers::task::Stop;
use crate::ports::AppendError;
use crate::values::{Append, Checkpoint, CheckpointState, Move, Name, Position, Query, Recorded, Token};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::pin::pin;
use core::time::Duration;
use futures::future::{Either, select};
use futures::stream::StreamExt as _;

/// So many events are fed at most before the checkpoint is moved, and so long it rests.
const EVENTS: u32 = 256;
const REST: Duration = Duration::from_secs(1);

/// The pause before an event is tried again that no process can receive.
const LOOK: Duration = Duration::from_secs(5);

/// Feeds the processes of one name, whenever this process of the system holds the lease, until told to stop.
pub(super) async fn feed(env: Arc<Env>, handlers: Vec<SagaHandler>, stop: Stop) {
    let Some(newest) = handlers.iter().max_by_key(|handler| handler.version()) else { return };
    let (name, place) = (newest.name().clone(), place(newest.name(), newest.version()));
    let of = Of { name, place: place.clone(), handlers };
    loop {
        let Some(mut lease) = acquire(&env.leasing, &place, &stop, |_| {}).await else { return };
        let token = lease.token();
        let end = {
            let term = pin!(term(&env, &of, token, &stop));
            match select(pin!(hold(&mut lease)), term).await {
                Either::Left(_) => End::Superseded,
                Either::Right((end, _)) => end,
            }
        };
        lease.release().await;
        if stop.is_closed() {
            return;
        }
        if let End::Stuck = end {
            // Another process of the system may have newer code.
            select(pin!(stop.recv()), env.leasing.sleep.sleep(LOOK)).await;
        }
        yield_now().await;
    }
}

enum End {
    Superseded,
    Stopped,
    /// An event cannot be received by this code, and perhaps by that of another process.
    Stuck,
    /// The store is busy or gone.
    Trouble,
}

/// What a feeder is of.
struct Of {
    name: Name,
    place: Name,
    handlers: Vec<SagaHandler>,
}

async fn term(env: &Env, of: &Of, token: Token, stop: &Stop) -> End {
    let mut troubles = 0_u32;
    loop {
        let end = match Feeder::begin(env, of, token).await {
            Ok(mut feeder) => feeder.run(stop).await,
            Err(end) => end,
        };
        let End::Trouble = end else { return end };
        if stop.is_closed() {
            return End::Stopped;
        }
        troubles = troubles.saturating_add(1);
        pause(&*env.leasing.ids, &*env.leasing.sleep, troubles).await;
    }
}

struct Feeder<'a> {
    env: &'a Env,
    of: &'a Of,
    driver: SagaDriver,
    /// Where the checkpoint stands.
    saved: CheckpointState,
    /// Up to where all has been fed.
    fed: Option<Position>,
    unsaved: u32,
    /// The event that is being received.
    at: Option<Position>,
    /// Whether something may have been said that is over once an event is received.
    is_in_trouble: bool,
}

impl<'a> Feeder<'a> {
    async fn begin(env: &'a Env, of: &'a Of, token: Token) -> Result<Self, End> {
        let events = &env.driver.ports.events;
        let state = events.checkpoint(of.place.clone()).await.map_err(|_| End::Trouble)?;
        if state.token > token {
            return Err(End::Superseded);
        }
        let claim = Append::new([]).checkpoint(Checkpoint::new(of.place.clone(), state, token, Move::Claim));
        events.append(claim).await.map_err(|error| refused(&error, token))?;
        let saved = CheckpointState::new(state.store, state.position, token);
        let driver = env.driver.clone();
        let fed = state.position;
        let mut feeder = Self { env, of, driver, saved, fed, unsaved: 0, at: None, is_in_trouble: true };
        feeder.fence();
        Ok(feeder)
    }

    fn fence(&mut self) {
        let fence = Checkpoint::new(self.of.place.clone(), self.saved, self.saved.token, Move::Claim);
        self.driver = self.env.driver.under(fence);
    }

    async fn run(&mut self, stop: &Stop) -> End {
        let end = self.follow(stop).await;
        if let End::Stopped | End::Stuck = end {
            // If it fails, events are fed again.
            let _ = self.save().await;
        }
        end
    }

    async fn follow(&mut self, stop: &Stop) -> End {
        let from = self.fed.map_or(From::Beginning, From::After);
        let mut deliveries = self.env.subscriptions.subscribe(self.events(), from);
        let mut rest = self.env.leasing.sleep.sleep(REST);
        loop {
            let next = select(deliveries.next(), &mut rest);
            let delivery = match select(pin!(stop.recv()), next).await {
                Either::Left(_) => return End::Stopped,
                Either::Right((Either::Left((Some(Ok(delivery)), _)), _)) => delivery,
                Either::Right((Either::Left(_), _)) => return End::Trouble,
                Either::Right((Either::Right(_), _)) => {
                    rest = self.env.leasing.sleep.sleep(REST);
                    if let Err(end) = self.save().await {
                        return end;
                    }
                    continue;
                }
            };
            let position = match delivery {
                Delivery::Event(event) => {
                    if let Err(end) = self.receive(&event).await {
                        return end;
                    }
                    event.position
                }
                Delivery::Progress(position) | Delivery::CaughtUp(Some(position)) => position,
                _ => continue,
            };
            self.fed = Some(position);
            self.unsaved += 1;
            if self.unsaved >= EVENTS
                && let Err(end) = self.save().await
            {
                return end;
            }
        }
    }

    /// The events of all versions.
    fn events(&self) -> Query {
        let mut all = Query::default();
        for query in self.of.handlers.iter().filter_map(SagaHandler::events) {
            all.system |= query.system;
            for item in &query.any_of {
                if !all.any_of.contains(item) {
                    all.any_of.push(item.clone());
                }
            }
        }
        all
    }

    async fn receive(&mut self, event: &Arc<Recorded>) -> Result<(), End> {
        self.at = Some(event.position);
        let mut passed_over = None;
        for handler in &self.of.handlers {
            match self.driver.receive_by(handler, event, OfNewer::IsPassedOver).await {
                Ok(_) => {}
                // Or whoever can have such an event recorded has nobody receive anything any more.
                Err(error) if error.is_for_none() => passed_over = Some((handler, error)),
                Err(error) => {
                    self.say(Some(error.told())).await;
                    self.is_in_trouble = true;
                    // Who lacks code makes way for another who may have it.
                    let is_stuck = error.is_lasting() || matches!(error.reason, ReceiveReason::Lacks { .. });
                    return Err(if is_stuck { End::Stuck } else { End::Trouble });
                }
            }
        }
        let was_in_trouble = core::mem::take(&mut self.is_in_trouble);
        if let Some((handler, error)) = passed_over {
            handler.tell_skipped(event);
            // It stands until this process feeds anew: nobody mends it by going on.
            self.at = None;
            self.say(Some(format!("{}; it was passed over, and the next are received", error.told()))).await;
        } else if was_in_trouble {
            self.say(None).await;
        }
        Ok(())
    }

    /// Why nothing is received, or what was passed over, for whoever asks what is registered.
    async fn say(&self, trouble: Option<String>) {
        let stuck = trouble.map(|why| Stuck { place: self.of.place.clone(), at: self.at, why });
        self.env.board.lock().await.say(&self.of.name, stuck);
    }

    async fn save(&mut self) -> Result<(), End> {
        self.unsaved = 0;
        let Some(fed) = self.fed.filter(|fed| Some(*fed) > self.saved.position) else { return Ok(()) };
        let token = self.saved.token;
        let to = Checkpoint::new(self.of.place.clone(), self.saved, token, Move::At(fed));
        let append = Append::new([]).checkpoint(to);
        self.env.driver.ports.events.append(append).await.map_err(|error| refused(&error, token))?;
        self.saved.position = Some(fed);
        self.fence();
        Ok(())
    }
}

fn refused(error: &AppendError, token: Token) -> End {
    match error {
        AppendError::CheckpointMoved { token: larger, .. } if *larger > token => End::Superseded,
        _ => End::Trouble,
    }
}
