//! A process with a timer runs on a table, and its timer outlives whoever has set it (SG-02, SG-06).
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use bytes::Bytes;
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::application::{Application, Runtime};
use portolan_kernel::domain::saga::{Intents, Process};
use portolan_kernel::domain::{
    Aggregate, CodecError, Command, Context, Decide, Decision, Event, EventError, RecordedAs, Rejection, StreamCommand,
    variant,
};
use portolan_kernel::drivers::{ProjectionOptions, SagaOptions};
use portolan_kernel::ports::{Clock, IdSource, RawEvent, SagaPhase, Sleep, Spawn};
use portolan_kernel::values::{
    Append, EventId, EventType, InvalidName, Item, NewEvent, Query, Read, SagaId, StreamId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use support::Network;
use support::log::{all, fresh_log, name};

#[derive(Serialize, Deserialize)]
enum OrderEvent {
    #[serde(rename = "order.placed")]
    Placed { order: String },
    #[serde(rename = "order.paid")]
    Paid { order: String },
    #[serde(rename = "order.cancelled")]
    Cancelled { order: String },
}

impl Event for OrderEvent {
    const CATEGORY: &'static str = "order";

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

#[derive(Serialize, Deserialize)]
struct CancelOrder {
    order: String,
}

impl Command for CancelOrder {
    const NAME: &'static str = "cancel-order";
}

impl StreamCommand for CancelOrder {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("order-{}", self.order))
    }
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("it is paid")]
struct IsPaid {}

impl Rejection for IsPaid {}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Order {}

impl Aggregate for Order {
    const CATEGORY: &'static str = "order";
    type Event = OrderEvent;
    type Rejection = IsPaid;
    type Commands = (CancelOrder,);

    fn evolve(&mut self, _: &OrderEvent) {}
}

impl Decide<CancelOrder> for Order {
    fn decide(&self, command: &CancelOrder, _: &Context) -> Decision<Self> {
        Ok(vec![OrderEvent::Cancelled { order: command.order.clone() }])
    }
}

const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);

/// Cancels an order that is not paid within half an hour.
struct Payments;

#[derive(Default, Serialize, Deserialize)]
struct Awaited {
    order: String,
}

impl Process for Payments {
    const NAME: &'static str = "order-payment";
    // It may be deployed a moment after the first order.
    const RECEIVES_HISTORY: bool = true;
    type Event = OrderEvent;
    type State = Awaited;

    fn correlate(event: &RecordedAs<OrderEvent>) -> Option<String> {
        match &event.event {
            OrderEvent::Placed { order } | OrderEvent::Paid { order } => Some(order.clone()),
            OrderEvent::Cancelled { .. } => None,
        }
    }

    fn starts(event: &RecordedAs<OrderEvent>) -> bool {
        matches!(event.event, OrderEvent::Placed { .. })
    }

    fn on(&self, state: &mut Awaited, event: &RecordedAs<OrderEvent>, intents: &mut Intents) {
        match &event.event {
            OrderEvent::Placed { order } => {
                state.order = order.clone();
                intents.set_timer("payment", HALF_AN_HOUR);
            }
            OrderEvent::Paid { .. } => intents.end(),
            OrderEvent::Cancelled { .. } => {}
        }
    }

    fn on_timer(&self, state: &mut Awaited, _: &str, intents: &mut Intents) {
        intents.send(CancelOrder { order: state.order.clone() });
        intents.end();
    }
}

/// The system's clock, that can be turned; and the ids, sleeps and tasks of one process of the system.
struct Times {
    ahead: Arc<AtomicU64>,
    tasks: tokio::runtime::Handle,
}

impl Clock for Times {
    fn now(&self) -> Timestamp {
        let system = Timestamp::from_micros(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        system.plus(Duration::from_secs(self.ahead.load(SeqCst)))
    }
}

impl IdSource for Times {
    fn new_id(&self) -> EventId {
        EventId::from_bytes(core::array::from_fn(|_| fastrand::u8(..)))
    }
}

impl Sleep for Times {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let _of = self.tasks.enter();
        Box::pin(tokio::time::sleep(duration))
    }
}

impl Spawn for Times {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.tasks.spawn(task));
    }
}

/// A process of the system, with tasks of its own. Dropped, it is killed.
struct Life {
    tasks: Option<tokio::runtime::Runtime>,
    application: Application,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.tasks.take().unwrap().shutdown_background();
    }
}

impl Life {
    fn begin(log: &str, ahead: &Arc<AtomicU64>) -> Self {
        let tasks = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let times = Arc::new(Times { ahead: ahead.clone(), tasks: tasks.handle().clone() });
        let application = tasks.block_on(async {
            let (store, lease) = (Network::new().store(log).await, Duration::from_secs(1));
            Application::builder(store, Runtime::new(times.clone(), times.clone(), times.clone(), times))
                .aggregate::<Order>()
                .process(Payments)
                .projection_options(ProjectionOptions::default().with_lease(lease))
                .saga_options(SagaOptions::default().with_shards(1).with_lease(lease))
                .build()
                .await
                .unwrap()
        });
        Self { tasks: Some(tasks), application }
    }

    fn within<T>(&self, work: impl Future<Output = T>) -> T {
        self.tasks.as_ref().unwrap().block_on(work)
    }

    fn records(&self, event: OrderEvent) {
        let (OrderEvent::Placed { order } | OrderEvent::Paid { order } | OrderEvent::Cancelled { order }) = &event;
        let stream: StreamId = name(&format!("order-{order}"));
        let event = NewEvent::new(stream, name::<EventType>(event.event_type()), event.encode().unwrap());
        self.within(self.application.ports().events.append(Append::new([event]))).unwrap();
    }

    /// Waits until the process of this order has come to this phase.
    fn reaches(&self, order: &str, phase: SagaPhase) {
        let (sagas, begun) = (self.application.ports().sagas, Instant::now());
        self.within(async {
            loop {
                let status = sagas.status(SagaId::new(Payments::NAME, order).unwrap()).await;
                if status.as_ref().is_ok_and(|summary| summary.status.phase == phase) {
                    return;
                }
                assert!(begun.elapsed() < Duration::from_secs(120), "{order} is to be {phase}, and is {status:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }

    fn orders(&self) -> Vec<String> {
        let of_orders = Query::of(Item::new().category(name(OrderEvent::CATEGORY)));
        let events = self.within(all(&*self.application.ports().events, Read::log(of_orders)));
        events.iter().map(|event| format!("{} {}", event.stream, event.event_type)).collect()
    }
}

#[test]
fn a_timer_outlives_the_process_that_has_set_it() {
    let (log, ahead) = (fresh_log(), Arc::<AtomicU64>::default());
    let paid = ["order-paid order.placed", "order-unpaid order.placed", "order-paid order.paid"];
    {
        let life = Life::begin(&log, &ahead);
        life.records(OrderEvent::Placed { order: "paid".into() });
        life.records(OrderEvent::Placed { order: "unpaid".into() });
        life.reaches("paid", SagaPhase::Waiting);
        life.records(OrderEvent::Paid { order: "paid".into() });
        life.reaches("paid", SagaPhase::Completed);
        life.reaches("unpaid", SagaPhase::Waiting);
        assert_eq!(life.orders(), paid);
    }
    ahead.store(HALF_AN_HOUR.as_secs(), SeqCst);
    let life = Life::begin(&log, &ahead);
    life.reaches("unpaid", SagaPhase::Completed);
    // Whatever was due is done.
    assert_eq!(life.orders(), [&paid[..], &["order-unpaid order.cancelled"]].concat());
    life.within(life.application.shutdown());
    drop(life);
    // A third one finds nothing to do.
    let life = Life::begin(&log, &ahead);
    life.records(OrderEvent::Placed { order: "later".into() });
    life.reaches("later", SagaPhase::Waiting);
    assert_eq!(life.orders().iter().filter(|event| event.ends_with("cancelled")).count(), 1);
}
