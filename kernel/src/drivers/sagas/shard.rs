//! A shard at work: leased, claimed, and its sagas driven, each when something is due.

use super::board::{Hindrance, Shard, Told};
use super::driver::{SagaDriveError, SagaDriver, SagaRest, pause_until};
use super::listing::Unfinished;
use super::log::SagaReadError;
use super::nudge::SagaNudge;
use super::resting::Resting;
use super::steward::{Env, frontier};
use crate::drivers::lease::{acquire, hold, pause};
use crate::drivers::subscription::yield_now;
use crate::drivers::task::Stop;
use crate::ports::{AppendError, ReadError, SagaError, SagaPhase};
use crate::values::{
    Append, Checkpoint, CheckpointState, Item, Move, Name, Position, Query, Revision, SAGA_CATEGORY, SagaId, Token,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_channel::Receiver;
use core::fmt;
use core::pin::pin;
use core::time::Duration;
use futures::future::{BoxFuture, Either, select};
use futures::stream::{FuturesUnordered, StreamExt as _};

/// The pause before the index is asked again that has not answered.
const LOOK: Duration = Duration::from_millis(250);

/// How often something fails in a row before it is told; and how often the index does, which may have to catch up first.
const PATIENCE: u32 = 3;
const LOOKS: u32 = 20;

/// The events that tell of sagas.
pub(super) fn of_sagas() -> Query {
    let category = Name::new(SAGA_CATEGORY).expect("a category's name is a name");
    Query::of(Item::new().category(category))
}

/// Drives the sagas of the shard whenever this process holds it, until told to stop.
///
/// # Cancellation
///
/// It can be dropped at any moment, as the process can die. Its lease is then given up by a task of its own.
pub(super) async fn work(env: Arc<Env>, shard: Shard, stop: Stop) {
    // A saga's name has at most 100 bytes.
    let Ok(name) = Name::new(shard.place(env.options.shards)) else { return };
    loop {
        let seen = |holder: &Name| {
            if let Some(mut board) = env.board.try_lock() {
                board.see(&shard, holder);
            }
        };
        let Some(mut lease) = acquire(&env.leasing, &name, &stop, seen).await else { return };
        let token = lease.token();
        let is_given_up = {
            let term = pin!(term(&env, &shard, &name, token, &stop));
            match select(pin!(hold(&mut lease)), term).await {
                Either::Left(_) => false,
                Either::Right((is_given_up, _)) => is_given_up,
            }
        };
        env.board.lock().await.leave(&shard);
        lease.release().await;
        if stop.is_closed() {
            return;
        }
        if is_given_up {
            // Time for whoever has asked for it.
            select(pin!(stop.recv()), env.leasing.sleep.sleep(env.leasing.time_to_live)).await;
        }
        yield_now().await;
    }
}

/// From a lease to its end, or until the shard is to be given up, which it tells.
async fn term(env: &Env, shard: &Shard, name: &Name, token: Token, stop: &Stop) -> bool {
    let mut troubles = 0_u32;
    loop {
        let end = match Shift::begin(env, shard, name, token).await {
            Ok(shift) => shift.run(stop).await,
            Err(end) => end,
        };
        match end {
            End::Superseded | End::Stopped => return false,
            End::GivenUp => return true,
            End::Trouble(why) => {
                if stop.is_closed() {
                    return false;
                }
                troubles = troubles.saturating_add(1);
                if troubles >= PATIENCE {
                    env.board.lock().await.say_of_shard(shard, Some(why));
                }
                pause(&*env.leasing.ids, &*env.leasing.sleep, troubles).await;
            }
        }
    }
}

/// Why a shift is over.
enum End {
    /// Somebody else has a larger token.
    Superseded,
    /// The process is to stop.
    Stopped,
    /// Another process has asked for the shard.
    GivenUp,
    /// The store is busy or gone.
    Trouble(String),
}

impl End {
    fn not_read(error: &ReadError) -> Self {
        let is_damage = matches!(error, ReadError::Corrupt { .. });
        Self::trouble(if is_damage { &DAMAGE } else { error })
    }

    fn not_appended(error: &AppendError) -> Self {
        let is_damage = matches!(error, AppendError::Corrupt { .. });
        Self::trouble(if is_damage { &DAMAGE } else { error })
    }

    fn trouble(why: &dyn fmt::Display) -> Self {
        Self::Trouble(format!("a shard cannot be driven: {why}"))
    }
}

/// What is said of a store that is damaged, in place of the place, which names files.
const DAMAGE: &str = "the store is damaged; verify it";

/// What a saga's driver came to.
type Driven = (SagaId, Result<(SagaRest, Option<Revision>), SagaDriveError>);

/// What happens in a shard.
enum Happened {
    Driven(Driven),
    Told(Told),
    Found(Result<Vec<Unfinished>, SagaError>),
    Due,
    Stop,
}

struct Shift<'a> {
    env: &'a Env,
    shard: &'a Shard,
    /// The end of the log when the shift began.
    frontier: Option<Position>,
    driver: SagaDriver,
    told: Receiver<Told>,
    /// The sagas that had not ended when the shift began; `None` once they are known.
    finding: Option<BoxFuture<'a, Result<Vec<Unfinished>, SagaError>>>,
    /// How often they could not be found in a row.
    looks: u32,
    at_work: FuturesUnordered<BoxFuture<'static, Driven>>,
    /// Those at work, and how often each could not be driven.
    driven: BTreeMap<SagaId, (SagaNudge, u32)>,
    resting: Resting,
}

impl<'a> Shift<'a> {
    /// Claims the shard, so that nothing is written by whoever held it before, and begins to look for what there is.
    async fn begin(env: &'a Env, shard: &'a Shard, name: &Name, token: Token) -> Result<Self, End> {
        let events = &env.driver.ports.events;
        // What comes after this is told; what came before is found.
        let (to, told) = async_channel::unbounded();
        env.board.lock().await.take(shard.clone(), to);
        let state = events.checkpoint(name.clone()).await.map_err(|error| End::not_read(&error))?;
        if state.token > token {
            return Err(End::Superseded);
        }
        let claim = |state: CheckpointState| Checkpoint::new(name.clone(), state, token, Move::Claim);
        match events.append(Append::new([]).checkpoint(claim(state))).await {
            Ok(_) => {}
            Err(AppendError::CheckpointMoved { token: larger, .. }) if larger > token => return Err(End::Superseded),
            Err(error) => return Err(End::not_appended(&error)),
        }
        let fence = claim(CheckpointState::new(state.store, state.position, token));
        let frontier = frontier(env).await.map_err(|error| End::not_read(&error))?;
        let mut shift = Self {
            env,
            shard,
            frontier,
            driver: env.driver.under(fence),
            told,
            finding: None,
            looks: 0,
            at_work: FuturesUnordered::new(),
            driven: BTreeMap::new(),
            resting: Resting::default(),
        };
        shift.finding = Some(shift.found_after(Duration::ZERO));
        Ok(shift)
    }

    /// The sagas that have not ended, by an index that knows of all that was recorded when the shift began.
    fn found_after(&self, pause: Duration) -> BoxFuture<'a, Result<Vec<Unfinished>, SagaError>> {
        let Self { env, shard, frontier, .. } = *self;
        Box::pin(async move {
            if !pause.is_zero() {
                env.leasing.sleep.sleep(pause).await;
                yield_now().await;
            }
            env.index.unfinished(&shard.name, shard.slots(env.options.shards), frontier).await
        })
    }

    async fn run(mut self, stop: &Stop) -> End {
        loop {
            self.begin_what_is_due();
            match self.happened(stop).await {
                Happened::Driven(driven) => {
                    self.tell(&driven).await;
                    if let Some(end) = self.rests(driven) {
                        return end;
                    }
                }
                Happened::Told(Told::Grown(saga, last)) => match self.driven.get(&saga) {
                    Some((nudge, _)) => nudge.has(last),
                    None => self.resting.grown(saga, last),
                },
                Happened::Told(Told::GiveUp) => {
                    self.finish().await;
                    return End::GivenUp;
                }
                Happened::Found(Ok(unfinished)) => {
                    self.finding = None;
                    self.env.board.lock().await.say_of_shard(self.shard, None);
                    for found in unfinished.into_iter().filter(|found| !self.driven.contains_key(&found.saga)) {
                        match found.phase {
                            // It waits for somebody, and for no timer.
                            SagaPhase::NeedsOperator if found.due.is_none() => {}
                            SagaPhase::NeedsOperator | SagaPhase::Waiting => self.resting.found(found.saga, found.due),
                            _ => self.resting.found(found.saga, Some(self.env.driver.ports.clock.now())),
                        }
                    }
                }
                // Those that are told of are driven meanwhile.
                Happened::Found(Err(error)) => {
                    self.looks = self.looks.saturating_add(1);
                    if self.looks >= LOOKS {
                        let why = format!("sagas that were started before cannot be found: {error}");
                        self.env.board.lock().await.say_of_shard(self.shard, Some(why));
                    }
                    self.finding = Some(self.found_after(LOOK));
                }
                Happened::Due => {}
                Happened::Stop => {
                    self.finish().await;
                    return End::Stopped;
                }
            }
        }
    }

    /// Has as many sagas driven as there is room for.
    fn begin_what_is_due(&mut self) {
        let now = self.env.driver.ports.clock.now();
        while self.at_work.len() < self.env.options.in_flight as usize {
            let Some((saga, failures)) = self.resting.take_due(now) else { return };
            let (driver, nudge) = (self.driver.clone(), SagaNudge::new());
            self.driven.insert(saga.clone(), (nudge.clone(), failures));
            self.at_work.push(Box::pin(async move {
                let driven = driver.drive_up_to(&saga, &nudge).await;
                (saga, driven)
            }));
        }
    }

    /// Has it known why the saga is not driven, if something is in its way.
    async fn tell(&mut self, (saga, driven): &Driven) {
        let hindrance = match driven {
            Ok((SagaRest::Lacks { why, .. }, _)) => Some(Hindrance::Lacks(why.to_string())),
            Ok(_) => None,
            Err(error) if self.driven.get(saga).is_some_and(|(_, failures)| *failures >= PATIENCE) => {
                Some(Hindrance::Fails(told(error)))
            }
            // It may be over soon.
            Err(_) => return,
        };
        self.env.board.lock().await.say_of_saga(self.shard, saga, hindrance);
    }

    /// A saga has come to rest, and perhaps the shift to its end.
    fn rests(&mut self, (saga, driven): Driven) -> Option<End> {
        let (nudge, failures) = self.driven.remove(&saga).unwrap_or_default();
        let (last, due) = match driven {
            Ok((SagaRest::Ended(_), _)) => {
                self.resting.ended(saga);
                return None;
            }
            Ok((SagaRest::Until(due) | SagaRest::Lacks { until: Some(due), .. }, last)) => (last, Some(due)),
            Ok((_, last)) => (last, None),
            Err(SagaDriveError::Append { source: AppendError::CheckpointMoved { .. }, .. }) => {
                return Some(End::Superseded);
            }
            Err(error @ SagaDriveError::Append { source: AppendError::WrongStore { .. }, .. }) => {
                return Some(End::trouble(&error));
            }
            Err(_) => {
                self.resting.failed(saga, failures, self.env.driver.ports.clock.now(), &*self.env.leasing.ids);
                return None;
            }
        };
        self.resting.rests(saga.clone(), last, due);
        // What it was told last, and did not look at any more.
        if let Some(last) = nudge.untold() {
            self.resting.grown(saga, last);
        }
        None
    }

    /// What happens next.
    async fn happened(&mut self, stop: &Stop) -> Happened {
        let is_full = self.at_work.len() >= self.env.options.in_flight as usize;
        let due = self.resting.next_due().filter(|_| !is_full);
        let due = pause_until(&*self.env.driver.ports.clock, due);
        let Self { at_work, told, finding, env, .. } = self;
        let driven = async {
            match at_work.next().await {
                Some(driven) => Happened::Driven(driven),
                None => core::future::pending().await,
            }
        };
        let told = async {
            match told.recv().await {
                Ok(told) => Happened::Told(told),
                Err(_) => core::future::pending().await,
            }
        };
        let found = async {
            match finding {
                Some(finding) => Happened::Found(finding.await),
                None => core::future::pending().await,
            }
        };
        let due = async {
            env.leasing.sleep.sleep(due).await;
            Happened::Due
        };
        let stop = async {
            let _ = stop.recv().await;
            Happened::Stop
        };
        let driven = pin!(driven);
        let told = pin!(told);
        let found = pin!(found);
        let work = select(driven, select(told, found));
        match select(pin!(stop), select(work, pin!(due))).await {
            Either::Left((stop, _)) => stop,
            Either::Right((Either::Left((Either::Left((happened, _)), _)), _))
            | Either::Right((Either::Left((Either::Right((Either::Left((happened, _)), _)), _)), _))
            | Either::Right((Either::Left((Either::Right((Either::Right((happened, _)), _)), _)), _))
            | Either::Right((Either::Right((happened, _)), _)) => happened,
        }
    }

    /// Begins nothing more, and waits for what is at work, for its time of grace.
    async fn finish(&mut self) {
        self.driven.values().for_each(|(nudge, _)| nudge.stop());
        let at_work = &mut self.at_work;
        let finished = async { while at_work.next().await.is_some() {} };
        select(pin!(finished), self.env.leasing.sleep.sleep(self.env.options.grace)).await;
    }
}

/// The error in a sentence.
fn told(error: &SagaDriveError) -> String {
    match error {
        SagaDriveError::Read { saga, source: SagaReadError::Read(ReadError::Corrupt { .. }) }
        | SagaDriveError::Append { saga, source: AppendError::Corrupt { .. } } => {
            format!("saga {saga} cannot be driven: {DAMAGE}")
        }
        _ => error.to_string(),
    }
}
