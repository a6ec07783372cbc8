//! Everybody who reads typed events, and what each has seen.

use super::events::{UserEvent, told};
use futures::TryStreamExt;
use portolan::MemoryStore;
use portolan::application::{Application, ApplicationBuilder, Ports, Runtime};
use portolan::domain::saga::{Intents, Process, SagaEvent, SagaState};
use portolan::domain::{
    Aggregate, Command, Context, Decide, Decision, DecisionModel, Event as _, EventSet, Includes, OrRaw, Projection,
    RecordedAs, Rejection, Row, SnapshotPolicy, StreamCommand, Unknown, Upcasters,
};
use portolan::drivers::{
    ApplyError, CommandBusExt, EventStoreExt, From, ProjectionRegistryExt, QueryBusExt, QueryContext, Question, Reply,
    TypedDelivery, TypedEvents, View, ViewProjection, Viewed,
};
use portolan::ports::{CommandError, Lifecycle, ProjectionRegistry, QueryError, RawEvent};
use portolan::tokio::TokioRuntime;
use portolan::values::{InvalidName, Item, Name, Position, Query, Read, Recorded, SagaId, StreamId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn users() -> Query {
    Query::of(Item::new().category(Name::new("user").unwrap()))
}

pub(crate) fn builder(store: &MemoryStore) -> ApplicationBuilder {
    Application::builder(store.clone(), Runtime::tokio())
}

fn stream() -> Result<StreamId, InvalidName> {
    StreamId::new("user-1")
}

/// Refuses with all that it has seen.
#[derive(Serialize, Deserialize, Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it has seen {}", seen.len())]
    Seen { seen: Vec<String> },
}
impl Rejection for Refused {}

fn refused(error: &CommandError) -> Result<Vec<String>, String> {
    match Refused::of(error) {
        Some(Refused::Seen { seen }) => Ok(seen),
        None => Err(error.to_string()),
    }
}

/// Sees what the aggregate sees; or writes a user, so that a snapshot may be due.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tell {
    pub(crate) create: bool,
}

impl Command for Tell {
    const NAME: &'static str = "tell";
}

impl StreamCommand for Tell {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        stream()
    }
}

#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct User<const SKIP: bool = false> {
    seen: Vec<String>,
}

fn unknown(skip: bool) -> Unknown {
    if skip { Unknown::Skip } else { Unknown::Fail }
}

impl<const SKIP: bool> Aggregate for User<SKIP> {
    const CATEGORY: &'static str = "user";
    type Event = UserEvent;
    type Rejection = Refused;
    type Commands = (Tell,);
    fn evolve(&mut self, event: &UserEvent) {
        self.seen.push(told(event));
    }
    fn on_unknown() -> Unknown {
        unknown(SKIP)
    }
    fn snapshots() -> SnapshotPolicy {
        if SKIP { SnapshotPolicy::every(1) } else { SnapshotPolicy::never() }
    }
}

impl<const SKIP: bool> Decide<Tell> for User<SKIP> {
    fn decide(&self, command: &Tell, _: &Context) -> Decision<Self> {
        match command.create {
            true => Ok(vec![UserEvent::EmailUpdated { email: "new".into() }]),
            false => Err(Refused::Seen { seen: self.seen.clone() }),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TellAll {}

impl Command for TellAll {
    const NAME: &'static str = "tell-all";
}

pub(crate) struct Everybody<const SKIP: bool = false> {
    seen: Vec<String>,
}

impl<const SKIP: bool> DecisionModel for Everybody<SKIP> {
    type Command = TellAll;
    type Event = UserEvent;
    type Rejection = Refused;
    fn query(_: &TellAll) -> Result<Query, InvalidName> {
        Ok(users())
    }
    fn start(_: &TellAll) -> Self {
        Self { seen: Vec::new() }
    }
    fn evolve(&mut self, event: &UserEvent) {
        self.seen.push(told(event));
    }
    fn decide(&self, _: &TellAll, _: &Context) -> Result<Vec<UserEvent>, Refused> {
        Err(Refused::Seen { seen: self.seen.clone() })
    }
    fn stream(_: &UserEvent) -> Result<StreamId, InvalidName> {
        stream()
    }
    fn on_unknown() -> Unknown {
        unknown(SKIP)
    }
}

/// A row with all that it has seen, a line an event.
#[derive(Row, Debug, PartialEq)]
pub(crate) struct Lines {
    lines: String,
}

fn add(lines: &mut Option<Lines>, event: &UserEvent) {
    let Lines { lines } = lines.get_or_insert(Lines { lines: String::new() });
    lines.push_str(&told(event));
    lines.push('\n');
}

/// Made by a worker, live, or inside of appends.
pub(crate) struct Seen<const LIFE: usize, const SKIP: bool = false>;

pub(crate) const WORKER: usize = 0;
pub(crate) const LIVE: usize = 1;
pub(crate) const INLINE: usize = 2;

impl<const LIFE: usize, const SKIP: bool> Projection for Seen<LIFE, SKIP> {
    const NAME: &'static str = ["by-worker", "live", "inline"][LIFE];
    const VERSION: u16 = 1;
    type Event = UserEvent;
    type Row = Lines;
    fn key(_: &RecordedAs<UserEvent>) -> Option<String> {
        Some("all".into())
    }
    fn apply(row: &mut Option<Lines>, event: &RecordedAs<UserEvent>) {
        add(row, &event.event);
    }
    fn lifecycle() -> Lifecycle {
        [Lifecycle::Asynchronous, Lifecycle::Live, Lifecycle::Inline][LIFE]
    }
    fn on_unknown() -> Unknown {
        unknown(SKIP)
    }
}

pub(crate) struct SeenByView<const SKIP: bool = false>;

impl<const SKIP: bool> ViewProjection for SeenByView<SKIP> {
    const NAME: &'static str = "by-view";
    const VERSION: u16 = 1;
    type Event = UserEvent;
    type Row = Lines;
    async fn apply(view: &mut View<'_, Lines>, event: &RecordedAs<UserEvent>) -> Result<(), ApplyError> {
        let mut lines = view.get("all").await?;
        add(&mut lines, &event.event);
        view.put("all", &lines.unwrap())
    }
    fn on_unknown() -> Unknown {
        unknown(SKIP)
    }
}

/// A process that remembers all that it has received.
pub(crate) struct Watcher<const SKIP: bool = false>;

impl<const SKIP: bool> Process for Watcher<SKIP> {
    const NAME: &'static str = if SKIP { "lenient-watcher" } else { "watcher" };
    const RECEIVES_HISTORY: bool = true;
    type Event = UserEvent;
    type State = Vec<String>;
    fn correlate(_: &RecordedAs<UserEvent>) -> Option<String> {
        Some("all".into())
    }
    fn starts(_: &RecordedAs<UserEvent>) -> bool {
        true
    }
    fn on(&self, seen: &mut Vec<String>, event: &RecordedAs<UserEvent>, _: &mut Intents) {
        seen.push(told(&event.event));
    }
    fn on_unknown() -> Unknown {
        unknown(SKIP)
    }
}

/// What is asked: by which way, and whether what is unknown is skipped.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ask {
    way: String,
    skip: bool,
}

impl Question for Ask {
    const NAME: &'static str = "ask";
    type Answer = Vec<String>;
}

async fn answer(ask: Ask, context: QueryContext) -> Result<Reply<Vec<String>>, QueryError> {
    let context = context.on_unknown(unknown(ask.skip));
    let stream = stream().unwrap();
    Ok(Reply::new(match &*ask.way {
        "load" if ask.skip => context.load::<User<true>>(stream).await?.state.seen,
        "load" => context.load::<User>(stream).await?.state.seen,
        "events_of" => context.events_of::<UserEvent>(users()).map_ok(|event| told(&event.event)).try_collect().await?,
        _ => {
            let log: Vec<_> = context.events().read_all(Read::log(users())).try_collect().await.unwrap();
            let mut seen = Vec::new();
            for recorded in &log {
                seen.extend(context.decode::<UserEvent>(recorded)?.iter().map(|event| told(&event.event)));
            }
            seen
        }
    }))
}

/// One way to typed events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Aggregate,
    Model,
    Load,
    EventsOf,
    Decode,
    Read,
    Subscription,
    Set,
    Worker,
    Live,
    View,
    Process,
}

pub(crate) const PATHS: [Path; 12] = {
    use Path::*;
    [Aggregate, Model, Load, EventsOf, Decode, Read, Subscription, Set, Worker, Live, View, Process]
};

impl Path {
    /// What is seen on this path, in an application that has registered nothing else.
    pub(crate) async fn seen<const SKIP: bool>(
        self,
        store: &MemoryStore,
        last: Position,
    ) -> Result<Vec<String>, String> {
        let builder = builder(store);
        let error = |error: &dyn std::error::Error| error.to_string();
        match self {
            Self::Aggregate => {
                let ports = builder.aggregate::<User<SKIP>>().build().await.unwrap().ports();
                refused(&ports.commands.send(Tell { create: false }).await.unwrap_err())
            }
            Self::Model => {
                let ports = builder.decision::<Everybody<SKIP>>().build().await.unwrap().ports();
                refused(&ports.commands.send(TellAll {}).await.unwrap_err())
            }
            Self::Load | Self::EventsOf | Self::Decode => {
                let ports = builder.query(answer).build().await.unwrap().ports();
                let way = match self {
                    Self::Load => "load",
                    Self::EventsOf => "events_of",
                    _ => "decode",
                };
                let ask = Ask { way: way.into(), skip: SKIP };
                ports.queries.query(ask).await.map(|reply| reply.answer).map_err(|failed| error(&failed))
            }
            Self::Read => {
                let events = builder.build().await.unwrap().typed_events().on_unknown(unknown(SKIP));
                let seen = events.read::<UserEvent>(Read::log(users()).limit(2)).map_ok(|event| told(&event.event));
                seen.try_collect().await.map_err(|failed| error(&failed))
            }
            Self::Subscription => subscribed::<UserEvent>(builder.events::<UserEvent>(), unknown(SKIP)).await,
            Self::Set => subscribed::<Set>(builder, unknown(SKIP)).await,
            Self::Worker => {
                let ports = builder.projection::<Seen<WORKER, SKIP>>().build().await.unwrap().ports();
                lines(ports, "by-worker", last, async |of| of.get::<Seen<WORKER, SKIP>>().get("all").await).await
            }
            Self::Live => {
                let ports = builder.projection::<Seen<LIVE, SKIP>>().build().await.unwrap().ports();
                lines(ports, "live", last, async |of| of.get::<Seen<LIVE, SKIP>>().get("all").await).await
            }
            Self::View => {
                let ports = builder.view_projection::<SeenByView<SKIP>>().build().await.unwrap().ports();
                lines(ports, "by-view", last, async |of| of.get::<Viewed<SeenByView<SKIP>>>().get("all").await).await
            }
            Self::Process => {
                let application = builder.process(Watcher::<SKIP>).build().await.unwrap();
                let watcher = SagaId::new(Watcher::<SKIP>::NAME, "all").unwrap();
                let seen = received(&application.ports(), watcher, last).await;
                application.shutdown().await;
                seen
            }
        }
    }
}

/// Several event types, one of which is a set's.
#[derive(EventSet)]
pub(crate) enum Set {
    User(UserEvent),
    #[allow(dead_code, reason = "nobody owns anything here")]
    Owner(OwnerEvent),
}

#[derive(portolan::domain::Event, Serialize, Deserialize)]
#[event(category = "owner")]
pub(crate) enum OwnerEvent {
    Came,
}

pub(crate) async fn lines<E: std::error::Error>(
    ports: Ports,
    name: &str,
    last: Position,
    read: impl AsyncFnOnce(&dyn ProjectionRegistry) -> Result<Option<Lines>, E>,
) -> Result<Vec<String>, String> {
    ports.projections.wait_for(Name::new(name).unwrap(), last).await.map_err(|error| error.to_string())?;
    let row = read(&*ports.projections).await.map_err(|error| error.to_string())?;
    Ok(row.map_or_else(Vec::new, |row| row.lines.lines().map(str::to_owned).collect()))
}

/// What this process knows, once it has received all up to the last; or why it receives nothing more.
async fn received(ports: &Ports, process: SagaId, last: Position) -> Result<Vec<String>, String> {
    let received = async {
        loop {
            if let Some(trouble) = ports.sagas.describe().await.unwrap().swap_remove(0).trouble {
                return Err(trouble);
            }
            let facts = ports.events.read(Read::stream(process.stream())).await.unwrap().events;
            let facts: Vec<SagaEvent> = facts.iter().map(|fact| decoded(fact)).collect();
            let state = SagaState::fold(process.clone(), &facts).unwrap();
            if state.received_to() >= Some(last) {
                return Ok(serde_json::from_value((**state.process_state().unwrap()).clone()).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), received).await.unwrap()
}

fn decoded(fact: &Recorded) -> SagaEvent {
    let (event_type, payload) = (fact.event_type.clone(), fact.payload.clone());
    SagaEvent::decode(&RawEvent::new(event_type, fact.version, fact.format, payload)).unwrap()
}

async fn subscribed<E: EventSet + Includes<UserEvent>>(
    builder: ApplicationBuilder,
    unknown: Unknown,
) -> Result<Vec<String>, String> {
    let events = builder.build().await.unwrap().typed_events().on_unknown(unknown);
    let deliveries = until_caught_up(events.subscribe::<E>(users(), From::Beginning)).await?;
    let seen = deliveries.iter().filter_map(|delivery| match delivery {
        TypedDelivery::Event { event, .. } => Includes::<UserEvent>::part(&event.event).map(told),
        _ => None,
    });
    Ok(seen.collect())
}

pub(crate) async fn until_caught_up<E>(
    mut deliveries: portolan::drivers::TypedSubscription<E>,
) -> Result<Vec<TypedDelivery<E>>, String> {
    let mut delivered = Vec::new();
    let all = async {
        while let Some(delivery) = deliveries.try_next().await.map_err(|error| error.to_string())? {
            if matches!(delivery, TypedDelivery::CaughtUp(_)) {
                return Ok(delivered);
            }
            delivered.push(delivery);
        }
        Err("it ended".to_owned())
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.unwrap()
}

/// Over a wire there is no application: a reader brings its own upcasters.
pub(crate) async fn raw_or_events(ports: &Ports) -> Vec<String> {
    let upcasters = Arc::new(Upcasters::new());
    let events = TypedEvents::new(ports.events.clone(), ports.subscriptions.clone(), upcasters);
    let seen = events.read::<OrRaw<UserEvent>>(Read::log(users())).map_ok(|event| match event.event {
        OrRaw::Event(event) => told(&event),
        OrRaw::Raw(raw) => format!("raw {} {}", raw.event_type, raw.version),
        _ => "neither".into(),
    });
    seen.try_collect().await.unwrap()
}
