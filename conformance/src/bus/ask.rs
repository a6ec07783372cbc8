//! Asking a bus, and words to build what it is asked.

use super::domain::{AddEntries, CloseTally, Entry, LimitTally, Owner};
use super::seats::TakeSeat;
use super::served::Served;
use crate::ask::name;
use crate::laws::least_limits;
use crate::{Broken, Verdict};
use core::time::Duration;
use portolan_kernel::domain::{Codec, Command, Json};
use portolan_kernel::ports::{Body, CommandBus, CommandEnvelope, CommandError, Receipt};
use portolan_kernel::values::{Format, Metadata};
use std::panic::Location;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// What came of a command.
pub(crate) type Outcome = Result<Receipt, CommandError>;

/// An application that has been started, and the bus on trial to it.
pub(crate) struct App {
    pub(crate) bus: Arc<dyn CommandBus>,
    served: Served,
    takes_typed: bool,
    patience: Duration,
}

impl App {
    pub(super) fn new(bus: Arc<dyn CommandBus>, served: Served, takes_typed: bool, patience: Duration) -> Self {
        Self { bus, served, takes_typed, patience }
    }

    /// The command in a form that the bus takes.
    fn taken(&self, mut command: CommandEnvelope) -> CommandEnvelope {
        if let Body::Typed(typed) = &command.body
            && !self.takes_typed
            && let Ok(json) = typed.encode()
        {
            command.body = Body::Encoded(json, Format::Json);
        }
        command
    }

    /// What comes of a command; it has to be answered before the check loses patience.
    #[track_caller]
    pub(crate) fn answer(&self, command: CommandEnvelope) -> impl Future<Output = Verdict<Outcome>> {
        let (at, said) = (Location::caller(), brief(&command));
        let answer = self.bus.dispatch(self.taken(command));
        in_time(answer, said, self.patience, at)
    }

    /// A command that has to be answered with a receipt.
    #[track_caller]
    pub(crate) fn took(&self, command: CommandEnvelope) -> impl Future<Output = Verdict<Receipt>> {
        let (at, said) = (Location::caller(), brief(&command));
        let answer = self.answer(command);
        async move { receipt_of(answer.await?, said, at) }
    }

    /// A command that has to be refused.
    #[track_caller]
    pub(crate) fn refused(&self, command: CommandEnvelope) -> impl Future<Output = Verdict<CommandError>> {
        let (at, said) = (Location::caller(), brief(&command));
        let answer = self.answer(command);
        async move {
            match answer.await? {
                Err(error) => Ok(error),
                Ok(receipt) => Err(Broken::new(said, "a refusal", format!("{receipt:?}")).at(at)),
            }
        }
    }

    /// Sends a command on a task of its own.
    pub(crate) fn begin(&self, command: CommandEnvelope) -> Begun {
        let (bus, said, command) = (self.bus.clone(), brief(&command), self.taken(command));
        Begun { task: tokio::spawn(async move { bus.dispatch(command).await }), said, patience: self.patience }
    }

    /// Shuts the application down, which has to end.
    #[track_caller]
    pub(crate) fn shut_down(&self) -> impl Future<Output = Verdict> {
        in_time(self.served.shut_down(), "shutting down".into(), self.patience, Location::caller())
    }

    /// Whether the application can be shut down within this time. If not, it goes on refusing new commands.
    pub(crate) async fn shuts_down_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.served.shut_down()).await.is_ok()
    }

    /// How long to wait for what has to come.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }
}

/// A command under way.
pub(crate) struct Begun {
    task: JoinHandle<Outcome>,
    said: String,
    patience: Duration,
}

impl Begun {
    /// What has come of it, which has to come.
    #[track_caller]
    pub(crate) fn answer(self) -> impl Future<Output = Verdict<Outcome>> {
        let at = Location::caller();
        async move {
            let ended = in_time(self.task, self.said.clone(), self.patience, at).await?;
            ended.map_err(|error| Broken::new(self.said, "no panic", error.to_string()).at(at))
        }
    }

    /// Its receipt, which has to come.
    #[track_caller]
    pub(crate) fn receipt(self) -> impl Future<Output = Verdict<Receipt>> {
        let (at, said) = (Location::caller(), self.said.clone());
        let answer = self.answer();
        async move { receipt_of(answer.await?, said, at) }
    }

    /// Its refusal, which has to come.
    #[track_caller]
    pub(crate) fn refusal(self) -> impl Future<Output = Verdict<CommandError>> {
        let (at, said) = (Location::caller(), self.said.clone());
        let answer = self.answer();
        async move { answer.await?.err().ok_or_else(|| Broken::new(said, "a refusal", "a receipt").at(at)) }
    }

    /// The same, to be waited for this long.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whether there is an answer already.
    pub(crate) fn is_answered(&self) -> bool {
        self.task.is_finished()
    }

    /// Lets the caller go away.
    pub(crate) async fn leave(self) {
        self.task.abort();
        // Cancelled, or just too late.
        let _ = self.task.await;
    }
}

/// Waits for what has to come.
pub(crate) async fn in_time<T>(
    answer: impl Future<Output = T>,
    said: String,
    patience: Duration,
    at: &'static Location<'static>,
) -> Verdict<T> {
    let late = |_| Broken::new(said, format!("an answer within {patience:?}"), "none").at(at);
    tokio::time::timeout(patience, answer).await.map_err(late)
}

fn receipt_of(outcome: Outcome, said: String, at: &'static Location<'static>) -> Verdict<Receipt> {
    outcome.map_err(|error| Broken::new(said, "a receipt", format!("{error:?}")).at(at))
}

/// A command in few words.
fn brief(command: &CommandEnvelope) -> String {
    let body = match &command.body {
        Body::Encoded(bytes, _) => String::from_utf8_lossy(bytes).into_owned(),
        Body::Typed(typed) => match typed.encode() {
            Ok(bytes) => format!("typed {}", String::from_utf8_lossy(&bytes)),
            Err(error) => format!("typed, and without a form: {error}"),
        },
    };
    let CommandEnvelope { name, id, within, wait_for, metadata, .. } = command;
    let mut words = format!("{name} {body:.300}");
    let mut add = |what: &str, part: Option<String>| words.extend(part.map(|part| format!(", {what} {part}")));
    add("id", id.as_ref().map(ToString::to_string));
    add("within", within.map(|within| format!("{within:?}")));
    add("waits for", (!wait_for.is_empty()).then(|| format!("{wait_for:?}")));
    add("tenant", metadata.tenant.clone());
    words
}

/// Adds entries of these amounts to a tally.
pub(crate) fn add(tally: &str, amounts: &[u64]) -> AddEntries {
    let entries = amounts.iter().map(|amount| entry("entry", *amount)).collect();
    AddEntries { tally: tally.to_string(), entries, owner: Owner::default() }
}

pub(crate) fn entry(label: &str, amount: u64) -> Entry {
    Entry { label: label.to_string(), amount }
}

/// Adds as many entries to a tally as an append of every store has room for, most of which their labels take.
pub(crate) fn large(tally: &str) -> AddEntries {
    let least = least_limits();
    let bytes = usize::try_from(least.append_bytes).unwrap_or(usize::MAX) * 3 / 4 / least.append_events as usize;
    let labelled = |n| entry(&format!("{n:04} {}", "x".repeat(bytes)), 1);
    AddEntries { entries: (0..least.append_events).map(labelled).collect(), ..add(tally, &[]) }
}

/// Limits a tally.
pub(crate) fn limit(tally: &str, limit: u64) -> LimitTally {
    LimitTally { tally: tally.to_string(), limit }
}

/// Closes a tally.
pub(crate) fn close(tally: &str) -> CloseTally {
    CloseTally { tally: tally.to_string() }
}

/// Takes a seat in a room of so many for each of these guests.
pub(crate) fn seats(room: &str, guests: impl IntoIterator<Item = String>, seats: u64) -> TakeSeat {
    TakeSeat { room: room.to_string(), guests: guests.into_iter().collect(), seats }
}

/// The command as a value.
pub(crate) fn sent<C: Command>(command: C) -> CommandEnvelope {
    CommandEnvelope::new(name(C::NAME), Body::Typed(Arc::new(command)))
}

/// The command as JSON.
pub(crate) fn encoded<C: Command>(command: &C) -> CommandEnvelope {
    let json = Json::encode(command).expect("the suite's commands have a JSON form");
    CommandEnvelope::new(name(C::NAME), Body::Encoded(json, Format::Json))
}

/// A command as this text.
pub(crate) fn written<C: Command>(json: String) -> CommandEnvelope {
    CommandEnvelope::new(name(C::NAME), Body::Encoded(json.into(), Format::Json))
}

/// Metadata of this tenant.
pub(crate) fn of_tenant(tenant: &str) -> Metadata {
    Metadata { tenant: Some(tenant.to_string()), ..Metadata::default() }
}
