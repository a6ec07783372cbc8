//! Steps that are settled where middleware has its way with commands: by the keys that they have at the end of that way.

use crate::bank::{Bank, Deposit, Transfers, Trouble, saga, start};
use crate::driving::{settled, trace};
use portolan::MemoryStore;
use portolan::application::Storage;
use portolan::domain::saga::{SagaHandler, Way};
use portolan::drivers::{
    CommandBusExt as _, Middleware, MiddlewareBus, Next, SagaDriver, SagaHandlers, SagaPorts, SagaRest, command_in,
};
use portolan::ports::{CommandBus, CommandEnvelope, CommandError, CommandInfo, Receipt};
use portolan::values::Name;
use portolan_testing::TestRuntime;
use portolan_testing::crash::streams;
use rstest::rstest;
use std::sync::Arc;

/// Middleware, and what it does.
#[derive(Clone, Copy)]
enum Does {
    Nothing,
    /// All is of one tenant.
    Tenant,
    /// All ids are of a form of its own.
    Ids,
    /// It lets nothing through for bob.
    Refuses,
    /// The same, and it says that all went well.
    Pretends,
}

#[async_trait::async_trait]
impl Middleware for Does {
    async fn handle(&self, mut command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        let is_for_bob = command_in::<Deposit>(&command).is_ok_and(|deposit| deposit.account == "bob");
        match self {
            Self::Tenant => command.metadata.tenant = Some("acme".into()),
            Self::Ids => command.id = command.id.map(|id| Name::new(format!("{id}-of-acme")).unwrap()),
            Self::Refuses if is_for_bob => return Err(CommandError::Denied("not now".into())),
            Self::Pretends if is_for_bob => return Ok(Receipt::none()),
            Self::Nothing | Self::Refuses | Self::Pretends => {}
        }
        next.run(command).await
    }
}

/// Where middleware stands.
#[derive(Clone, Copy)]
enum Stands {
    InTheApplication,
    AroundItsBus,
}

struct World {
    storage: Storage,
    runtime: TestRuntime,
    bank: Bank,
    /// Where steps send commands.
    commands: Arc<dyn CommandBus>,
}

impl World {
    async fn new(does: Does, stands: Stands) -> Self {
        Self::with(
            does,
            |bus| match stands {
                Stands::InTheApplication => bus,
                Stands::AroundItsBus => Arc::new(MiddlewareBus::new(bus).middleware(does)),
            },
            stands,
        )
        .await
    }

    async fn with(does: Does, around: impl FnOnce(Arc<dyn CommandBus>) -> Arc<dyn CommandBus>, stands: Stands) -> Self {
        let runtime = TestRuntime::held();
        let storage: Storage = MemoryStore::builder().clock(runtime.clock.clone()).build().into();
        let mut bank = Bank::with(storage.clone(), runtime.runtime(), None, |application| match stands {
            Stands::InTheApplication => application.middleware(does),
            Stands::AroundItsBus => application,
        })
        .await;
        settled(&runtime, bank.open()).await;
        let commands = around(bank.commands.clone());
        let mut handlers = SagaHandlers::new();
        assert!(handlers.add(SagaHandler::new(Transfers { effects: None, sleep: runtime.runtime().sleep }).unwrap()));
        let ports = SagaPorts { commands: commands.clone(), ..bank.ports.clone() };
        bank.driver = SagaDriver::new(ports, Arc::new(handlers));
        Self { storage, runtime, bank, commands }
    }

    /// The transfer, driven until it waits for nobody but people; and what was recorded of it.
    async fn transferred(&self, trouble: Trouble) -> (SagaRest, String) {
        self.bank.driver.start(start(trouble, 30)).await.unwrap();
        let rest = settled(&self.runtime, self.bank.drive()).await;
        (rest, trace(&self.storage).await)
    }
}

#[rstest]
#[tokio::test]
async fn a_lost_answer_is_found_under_the_key_at_the_end_of_the_way(
    #[values(Trouble::SilentDebit, Trouble::SilentCredit, Trouble::LostDebit, Trouble::LostCredit)] trouble: Trouble,
    #[values(Does::Tenant, Does::Ids)] does: Does,
    #[values(Stands::InTheApplication, Stands::AroundItsBus)] stands: Stands,
) {
    let plain = World::new(Does::Nothing, Stands::InTheApplication).await;
    let world = World::new(does, stands).await;
    assert_eq!(world.transferred(trouble).await, plain.transferred(trouble).await);
    assert_eq!(streams(&world.storage).await, streams(&plain.storage).await);
}

#[rstest]
#[tokio::test]
async fn what_was_closed_never_happens_on_that_way(
    #[values(Does::Tenant, Does::Ids)] does: Does,
    #[values(Stands::InTheApplication, Stands::AroundItsBus)] stands: Stands,
) {
    let world = World::new(does, stands).await;
    world.transferred(Trouble::LostCredit).await;
    let before = streams(&world.storage).await;
    // The command that was on its way all the time.
    let late = world.commands.send(Deposit { account: "bob".into(), amount: 30 });
    let late = late.id(&*saga("t-1").step_key("credit", Way::Forward)).await;
    assert!(matches!(late, Err(CommandError::KeyReused)), "{late:?}");
    assert_eq!(streams(&world.storage).await, before);
}

/// What middleware answers by itself tells nothing of the key.
#[rstest]
#[tokio::test]
async fn who_lets_nothing_through_settles_nothing(
    #[values(Does::Refuses, Does::Pretends)] does: Does,
    #[values(Stands::InTheApplication, Stands::AroundItsBus)] stands: Stands,
) {
    let world = World::new(does, stands).await;
    let (rest, recorded) = world.transferred(Trouble::LostCredit).await;
    assert_eq!(rest, SagaRest::NeedsOperator);
    assert!(recorded.ends_with("credit settle 10, -unknown, STOP"), "{recorded}");
    assert!(!recorded.contains("closed"), "{recorded}");
}

/// A bus that does not tell what becomes of a command on its way, as at the end of a wire.
struct Wire(Arc<dyn CommandBus>);

#[async_trait::async_trait]
impl CommandBus for Wire {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.0.dispatch(command).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.0.commands()
    }
}

#[tokio::test]
async fn where_the_way_is_not_known_nothing_is_guessed() {
    let world = World::with(Does::Tenant, |bus| Arc::new(Wire(bus)), Stands::InTheApplication).await;
    let (rest, recorded) = world.transferred(Trouble::SilentCredit).await;
    assert_eq!(rest, SagaRest::NeedsOperator);
    assert!(!recorded.contains("closed"), "{recorded}");
    let why = world.bank.driver.status(saga("t-1")).await.unwrap().status.reason;
    assert!(why.clone().unwrap().contains("does not tell under which key"), "{why:?}");
}
