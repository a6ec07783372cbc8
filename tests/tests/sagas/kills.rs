//! Shops that are killed over and over while the time of their orders runs: an order that is not paid is cancelled once and not
//! too early, one that is paid never, and each event is received once.

use crate::crashes::facts_of;
use crate::orders::{Course, PayOrder, Payments, PlaceOrder, selling};
use crate::sharing::{done_soon, quick};
use futures::TryStreamExt as _;
use portolan::TokioRuntime as _;
use portolan::application::{Application, Runtime, Storage};
use portolan::domain::saga::{End, SagaEvent};
use portolan::drivers::{CommandBusExt as _, EventStoreExt as _};
use portolan::ports::CommandBus;
use portolan::sqlite::{Durability, SqliteStore};
use portolan::values::{EventId, EventType, Item, Name, Query, Read, Recorded, SAGA_CATEGORY, SagaId};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "kills::killed_over_and_over_they_cancel_what_is_not_paid_once";
const FILE: &str = "PORTOLAN_KILLED_SHOPS";
const ORDERS: u32 = 200;
const KILLS: usize = 12;

fn pays(n: u32) -> bool {
    n.is_multiple_of(3)
}

/// How many milliseconds the shop waits for its payment.
fn patience(n: u32) -> u32 {
    2_000 + n * 37 % 2_000
}

async fn storage(file: &Path) -> Storage {
    let builder = SqliteStore::builder(file).durability(Durability::SurvivesProcessCrashOnly);
    builder.open().await.unwrap().into()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Feeds and drives the processes of orders, until it is killed.
async fn shop(file: &Path) {
    // It ends with whoever has started it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let builder = selling(Application::builder(storage(file).await, Runtime::tokio()));
    let _application = builder.process(Payments::<1>).saga_options(quick()).build().await.unwrap();
    std::future::pending().await
}

struct Shop(Child);

impl Shop {
    fn open(file: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", NAME]).env(FILE, file).stdin(Stdio::piped()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// SIGKILL.
    fn kill(&mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it has ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
}

/// Now one, now the other, now both at once.
fn kill_over_and_over(file: &Path, mut shops: [Shop; 2]) -> [Shop; 2] {
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_millis(200 + random(1_000)));
        let killed = [&[0][..], &[1], &[0, 1]][usize::try_from(random(3)).unwrap()];
        killed.iter().for_each(|n| shops[*n].kill());
        killed.iter().for_each(|n| shops[*n] = Shop::open(file));
    }
    shops
}

async fn place(commands: &Arc<dyn CommandBus>, order: &str, course: Course) {
    commands.send(PlaceOrder { order: order.into(), course }).id(format!("place-{order}")).await.unwrap();
}

async fn order_and_pay(commands: &Arc<dyn CommandBus>) {
    for n in 0..ORDERS {
        let order = n.to_string();
        place(commands, &order, Course::Hurried(patience(n))).await;
        if pays(n) {
            commands.send(PayOrder { order }).id(format!("pay-{n}")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(random(60))).await;
    }
}

async fn events(storage: &Storage, item: Item) -> Vec<Arc<Recorded>> {
    storage.events.read_all(Read::log(Query::of(item))).try_collect().await.unwrap()
}

async fn by_order(storage: &Storage, category: &str) -> BTreeMap<String, Vec<Arc<Recorded>>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for event in events(storage, Item::new().category(Name::new(category).unwrap())).await {
        let order = event.stream.to_string().split_once('-').unwrap().1.to_owned();
        all.entry(order).or_default().push(event);
    }
    all
}

fn types(events: &[Arc<Recorded>]) -> Vec<&str> {
    events.iter().map(|event| event.event_type.as_str().split_once('.').unwrap().1).collect()
}

fn saga(order: &str) -> SagaId {
    SagaId::new("order-payment", order).unwrap()
}

/// What became of the orders is what was to become of them; tells how many were paid and never asked to be cancelled.
async fn audit(storage: &Storage) -> u32 {
    let (orders, shelves) = (by_order(storage, "order").await, by_order(storage, "shelf").await);
    let mut left_alone = 0;
    for n in 0..ORDERS {
        let events = &orders[&n.to_string()];
        let facts = facts_of(storage, &saga(&n.to_string())).await;
        let told = || format!("order {n}: {:?}\n{facts:#?}", types(events));
        // A payment that came too late is none in time.
        let is_paid = types(events) == ["placed", "paid"];
        let expected: &[&str] = if pays(n) { &["placed", "cancelled", "paid"] } else { &["placed", "cancelled"] };
        assert!((pays(n) && is_paid) || types(events) == expected, "{}", told());
        let due = events[0].recorded_at.plus(Duration::from_millis(patience(n).into()));
        assert!(is_paid || events[1].recorded_at >= due, "too early: {}", told());

        let fired = facts.iter().filter(|fact| matches!(fact, SagaEvent::Fired { .. })).map(SagaEvent::at);
        let fired: Vec<_> = fired.collect();
        assert!(fired.len() <= 1 && fired.iter().all(|at| *at >= due), "{}", told());
        let received = facts.iter().filter_map(|fact| match fact {
            SagaEvent::Received { event, .. } => Some(*event),
            _ => None,
        });
        let received: Vec<_> = received.collect();
        // One that is fed too late is not received any more: the timer has decided.
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let expected = if fired.is_empty() { &ids[..2] } else { &ids[..1] };
        assert_eq!(received, expected, "{}", told());
        assert!(is_paid || fired.len() == 1, "{}", told());
        let last = facts.last().unwrap();
        assert!(matches!(last, SagaEvent::Ended { end: End::Completed, .. }), "{}", told());
        let expected: &[&str] = if fired.is_empty() { &["reserved"] } else { &["reserved", "released"] };
        assert_eq!(types(&shelves[&n.to_string()]), expected, "{}", told());
        left_alone += u32::from(fired.is_empty());
    }
    left_alone
}

#[test]
fn killed_over_and_over_they_cancel_what_is_not_paid_once() {
    if let Some(file) = std::env::var_os(FILE) {
        return runtime().block_on(shop(Path::new(&file)));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let runtime = runtime();
    let _here = runtime.enter();
    let storage = runtime.block_on(storage(&file));
    let customers = selling(Application::builder(storage.clone(), Runtime::tokio()));
    let commands = runtime.block_on(customers.build()).unwrap().ports().commands;
    let shops = [Shop::open(&file), Shop::open(&file)];
    // Processes begin with what is recorded after their first deployment.
    runtime.block_on(done_soon("an order is received", async || {
        let order = format!("first-{}", random(u64::MAX));
        place(&commands, &order, Course::Forgets).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        !facts_of(&storage, &saga(&order)).await.is_empty()
    }));
    let ordered = runtime.spawn(async move { order_and_pay(&commands).await });
    let _shops = kill_over_and_over(&file, shops);
    runtime.block_on(async {
        ordered.await.unwrap();
        let ended = Item::new().category(Name::new(SAGA_CATEGORY).unwrap());
        let ended = ended.event_type(EventType::new("$saga.ended").unwrap());
        let all_have = async || events(&storage, ended.clone()).await.len() == ORDERS as usize;
        done_soon("all orders have come to an end", all_have).await;
        assert!(audit(&storage).await > 0, "some are paid in time for the shop to know");
    });
}
