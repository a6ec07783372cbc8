//! A shop whose orders are cancelled when they are not paid in time, by a process.

use portolan::application::{Application, ApplicationBuilder, Runtime, Storage};
use portolan::domain::saga::{AfterFailure, FailedIntent, FailureClass, Intents, Process, Retry, SagaHandler};
use portolan::domain::{
    Aggregate, Command, Context, Decide, Decision, Event, JsonSchema, RecordedAs, Rejection, StreamCommand,
};
use portolan::drivers::{CommandBusExt as _, Received, SagaDriver, SagaHandlers, SagaNudge, SagaPorts, SagaRest};
use portolan::ports::CommandBus;
use portolan::values::{InvalidName, Item, Name, Query, Read, Recorded, SagaId, StreamId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What the customer, and the shop, do.
#[derive(Debug, Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Pays at once.
    Pays,
    /// Never pays.
    Forgets,
    /// Pays or not, and the shop waits for so many milliseconds only.
    Hurried(u32),
    /// Pays when the process has decided to cancel, which is refused then.
    PaysLate,
    /// The process panics at the order.
    Panics,
    /// The order is correlated by something that is no id.
    NoKey,
    /// Cannot be reserved, and nobody has said what then.
    SoldOut,
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "order")]
pub(crate) enum OrderEvent {
    Placed { order: String, course: Course },
    Paid { order: String },
    Cancelled { order: String },
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "shelf")]
enum ShelfEvent {
    Reserved {},
    Released {},
}

#[derive(Command, Serialize, Deserialize, Clone)]
pub(crate) struct PlaceOrder {
    pub(crate) order: String,
    pub(crate) course: Course,
}

#[derive(Command, Serialize, Deserialize, Clone)]
pub(crate) struct PayOrder {
    pub(crate) order: String,
}

#[derive(Command, Serialize, Deserialize, Clone)]
pub(crate) struct CancelOrder {
    pub(crate) order: String,
}

#[derive(Command, Serialize, Deserialize, Clone)]
pub(crate) struct Reserve {
    pub(crate) order: String,
    pub(crate) sold_out: bool,
}

#[derive(Command, Serialize, Deserialize, Clone)]
pub(crate) struct Release {
    pub(crate) order: String,
}

macro_rules! streams {
    ($($command:ty => $category:literal),*) => {$(
        impl StreamCommand for $command {
            fn stream(&self) -> Result<StreamId, InvalidName> {
                StreamId::new(format!(concat!($category, "-{}"), self.order))
            }
        }
    )*};
}
streams!(PlaceOrder => "order", PayOrder => "order", CancelOrder => "order", Reserve => "shelf", Release => "shelf");

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
enum Refused {
    #[error("it is paid")]
    Paid {},
    #[error("it is sold out")]
    SoldOut {},
}

impl Rejection for Refused {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Order {
    late: bool,
    paid: bool,
}

impl Aggregate for Order {
    const CATEGORY: &'static str = "order";
    type Event = OrderEvent;
    type Rejection = Refused;
    type Commands = (PlaceOrder, PayOrder, CancelOrder);
    fn evolve(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Placed { course, .. } => self.late = *course == Course::PaysLate,
            OrderEvent::Paid { .. } => self.paid = true,
            OrderEvent::Cancelled { .. } => {}
        }
    }
}

impl Decide<PlaceOrder> for Order {
    fn decide(&self, command: &PlaceOrder, _: &Context) -> Decision<Self> {
        Ok(vec![OrderEvent::Placed { order: command.order.clone(), course: command.course }])
    }
}

impl Decide<PayOrder> for Order {
    fn decide(&self, command: &PayOrder, _: &Context) -> Decision<Self> {
        Ok(vec![OrderEvent::Paid { order: command.order.clone() }])
    }
}

impl Decide<CancelOrder> for Order {
    fn decide(&self, command: &CancelOrder, _: &Context) -> Decision<Self> {
        if self.late || self.paid {
            return Err(Refused::Paid {});
        }
        Ok(vec![OrderEvent::Cancelled { order: command.order.clone() }])
    }
}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Shelf {}

impl Aggregate for Shelf {
    const CATEGORY: &'static str = "shelf";
    type Event = ShelfEvent;
    type Rejection = Refused;
    type Commands = (Reserve, Release);
    fn evolve(&mut self, _: &ShelfEvent) {}
}

impl Decide<Reserve> for Shelf {
    fn decide(&self, command: &Reserve, _: &Context) -> Decision<Self> {
        if command.sold_out { Err(Refused::SoldOut {}) } else { Ok(vec![ShelfEvent::Reserved {}]) }
    }
}

impl Decide<Release> for Shelf {
    fn decide(&self, _: &Release, _: &Context) -> Decision<Self> {
        Ok(vec![ShelfEvent::Released {}])
    }
}

/// Cancels an order that is not paid within 30 minutes.
pub(crate) struct Payments<const VERSION: u32>;

/// What it knows of the order.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct Awaited {
    pub(crate) order: String,
    pub(crate) paid_late: bool,
}

impl<const VERSION: u32> Process for Payments<VERSION> {
    const NAME: &'static str = "order-payment";
    const VERSION: u32 = VERSION;
    const DESCRIPTION: &'static str = "Cancels an order that is not paid in time.";
    type Event = OrderEvent;
    type State = Awaited;

    fn correlate(event: &RecordedAs<OrderEvent>) -> Option<String> {
        match &event.event {
            OrderEvent::Placed { course: Course::NoKey, .. } => Some(String::new()),
            OrderEvent::Placed { order, .. } | OrderEvent::Paid { order } => Some(order.clone()),
            OrderEvent::Cancelled { .. } => None,
        }
    }

    fn starts(event: &RecordedAs<OrderEvent>) -> bool {
        matches!(event.event, OrderEvent::Placed { .. })
    }

    fn on(&self, state: &mut Awaited, event: &RecordedAs<OrderEvent>, intents: &mut Intents) {
        match &event.event {
            OrderEvent::Placed { order, course } => {
                assert_ne!(*course, Course::Panics, "a mistake");
                state.order = order.clone();
                intents.send(Reserve { order: order.clone(), sold_out: *course == Course::SoldOut });
                let within = match course {
                    Course::Hurried(millis) => Duration::from_millis((*millis).into()),
                    _ => Duration::from_secs(30 * 60),
                };
                intents.set_timer("payment", within);
            }
            OrderEvent::Paid { .. } => intents.end(),
            OrderEvent::Cancelled { .. } => {}
        }
    }

    fn on_timer(&self, state: &mut Awaited, timer: &str, intents: &mut Intents) {
        assert_eq!(timer, "payment");
        let order = state.order.clone();
        intents.send(CancelOrder { order }).retry(Retry::attempts(3)).timeout(Duration::from_secs(5));
        intents.send(Release { order: state.order.clone() });
        intents.end();
    }

    fn on_failed(&self, state: &mut Awaited, failed: &FailedIntent, _: &mut Intents) -> AfterFailure {
        if failed.command::<CancelOrder>().is_none() || failed.class != FailureClass::Refused {
            return AfterFailure::NeedsOperator;
        }
        state.paid_late = true;
        AfterFailure::GoOn
    }
}

pub(crate) fn saga() -> SagaId {
    SagaId::new("order-payment", "o-1").unwrap()
}

/// With all that takes the shop's commands.
pub(crate) fn selling(builder: ApplicationBuilder) -> ApplicationBuilder {
    builder.aggregate::<Order>().aggregate::<Shelf>()
}

/// The shop, and who feeds and drives its process.
pub(crate) struct Shop {
    pub(crate) commands: Arc<dyn CommandBus>,
    pub(crate) driver: SagaDriver,
    pub(crate) ports: SagaPorts,
    pub(crate) handler: SagaHandler,
    runtime: Runtime,
}

impl Shop {
    pub(crate) async fn new(storage: Storage, runtime: Runtime) -> Self {
        let handler = SagaHandler::process(Payments::<1>).unwrap();
        let mut handlers = SagaHandlers::new();
        assert!(handlers.add(handler.clone()));
        let application = Application::builder(storage.clone(), runtime.clone());
        let ports = selling(application).build().await.unwrap().ports();
        let Runtime { clock, ids, sleep, spawn, .. } = runtime.clone();
        let (commands, queries) = (ports.commands, ports.queries);
        let ports = SagaPorts { events: storage.events, commands: commands.clone(), queries, clock, ids, sleep, spawn };
        let driver = SagaDriver::new(ports.clone(), Arc::new(handlers));
        Self { commands, driver, ports, handler, runtime }
    }

    pub(crate) async fn pause(&self) {
        self.runtime.sleep.sleep(Duration::from_millis(100)).await;
    }

    /// The customer, who repeats what was not answered.
    pub(crate) async fn order(&self, course: Course) {
        let place = PlaceOrder { order: "o-1".into(), course };
        while self.commands.send(place.clone()).id("place").actor("ann").tenant("north").await.is_err() {
            self.pause().await;
        }
        while course == Course::Pays && self.pay().await.is_err() {
            self.pause().await;
        }
    }

    pub(crate) async fn pay(&self) -> Result<(), portolan::ports::CommandError> {
        self.commands.send(PayOrder { order: "o-1".into() }).id("pay").await.map(drop)
    }

    pub(crate) async fn log(&self) -> Vec<Arc<Recorded>> {
        let query = Query::of(Item::new().category(Name::new("order").unwrap()));
        assert_eq!(self.handler.events(), Some(&query));
        loop {
            match self.ports.events.read(Read::log(query.clone())).await {
                Ok(page) => return page.events,
                Err(_) => self.pause().await,
            }
        }
    }

    /// Feeds all there is, from the first, as one that knows nothing of what was fed.
    pub(crate) async fn feed(&self) -> Vec<Received> {
        let mut all = Vec::new();
        for event in self.log().await {
            all.extend(loop {
                match self.driver.receive(&self.handler, &event).await {
                    Ok(received) => break received,
                    Err(error) => assert!(!error.is_lasting(), "{error}"),
                }
                self.pause().await;
            });
        }
        all
    }

    /// Feeds and drives until it waits for nothing but people.
    pub(crate) async fn run(&self) -> SagaRest {
        let nudge = SagaNudge::new();
        loop {
            self.feed().await;
            match self.driver.drive(&saga(), &nudge).await {
                Ok(SagaRest::Until(due)) => {
                    let left = due.as_micros().saturating_sub(self.runtime.clock.now().as_micros());
                    self.runtime.sleep.sleep(Duration::from_micros(left)).await;
                }
                Ok(rest) => return rest,
                Err(_) => self.pause().await,
            }
        }
    }
}
