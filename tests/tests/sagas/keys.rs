//! The keys of steps, and who may send commands under them.

use crate::bank::{Bank, Deposit, Trouble, Withdraw, saga, start};
use crate::driving::settled;
use portolan::MemoryStore;
use portolan::application::{Ports, Storage};
use portolan::domain::Command;
use portolan::domain::saga::{End, SagaId, Way};
use portolan::drivers::{CommandBusExt as _, SagaRest, Unrestricted};
use portolan::ports::{Caller, CommandBus, CommandError};
use portolan_testing::TestRuntime;
use portolan_testing::crash::streams;
use rstest::rstest;
use std::sync::Arc;

struct World {
    storage: Storage,
    runtime: TestRuntime,
    bank: Bank,
}

async fn world() -> World {
    let runtime = TestRuntime::held();
    let storage: Storage = MemoryStore::builder().clock(runtime.clock.clone()).build().into();
    let bank = Bank::new(storage.clone(), runtime.runtime(), None).await;
    settled(&runtime, bank.open()).await;
    World { storage, runtime, bank }
}

impl World {
    /// The bus of a server for this caller, who may do everything.
    fn bus(&self, caller: Caller) -> Arc<dyn CommandBus> {
        let ports = self.bank.ports.clone();
        let ports = Ports::new(ports.commands, ports.queries, ports.events, ports.spawn);
        ports.on_behalf_of(caller, Arc::new(Unrestricted)).commands
    }
}

async fn refused<C: Command>(bus: &Arc<dyn CommandBus>, command: C, id: &str) -> bool {
    match bus.send(command).id(id).await {
        Err(CommandError::Invalid(violations)) => violations[0].code == "step-key",
        _ => false,
    }
}

/// What a stranger sends under the key of a step to come is not taken for the step.
#[tokio::test]
async fn strangers_take_no_keys_of_steps() {
    let world = world().await;
    let eve = world.bus(Caller::new("eve"));
    let before = streams(&world.storage).await;
    let (debit, credit) = (saga("t-1").step_key("debit", Way::Forward), saga("t-1").step_key("credit", Way::Forward));
    assert!(refused(&eve, Withdraw { account: "ann".into(), amount: 1 }, &debit).await);
    // The very command of the step.
    assert!(refused(&eve, Deposit { account: "bob".into(), amount: 30 }, &credit).await);
    let long = SagaId::new("transfer-money", &"é".repeat(190)).unwrap();
    for way in [Way::Forward, Way::Back] {
        for id in [long.step_key("debit", way), saga("t-1").part_key("debit", way, "fee"), saga("%").step_key("a", way)]
        {
            assert!(refused(&eve, Deposit { account: "bob".into(), amount: 30 }, &id).await, "{id}");
        }
    }
    assert_eq!(streams(&world.storage).await, before);
    world.bank.driver.start(start(Trouble::None, 30)).await.unwrap();
    assert_eq!(settled(&world.runtime, world.bank.drive()).await, SagaRest::Ended(End::Completed));
    let is_of_bob = |(stream, _): &(&String, &Vec<String>)| *stream == "account-bob";
    assert!(streams(&world.storage).await.iter().any(|of| is_of_bob(&of)));
}

/// Ids of another form are anybody's.
#[rstest]
#[case("saga")]
#[case("sagas:1")]
#[case("saga-undone:1")]
#[case("my-saga:transfer-money:t-1:debit")]
#[tokio::test]
async fn other_ids_are_anybody_s(#[case] id: &str) {
    let world = world().await;
    let eve = world.bus(Caller::new("eve"));
    assert!(!eve.send(Deposit { account: "bob".into(), amount: 30 }).id(id).await.unwrap().repeated);
}

/// A node of the application, whose sagas send commands to this one.
#[tokio::test]
async fn nodes_send_under_the_keys_of_their_steps() {
    let world = world().await;
    let node = world.bus(Caller::new("node").speaking_for_others());
    let credit = saga("t-1").step_key("credit", Way::Forward);
    for is_repeated in [false, true] {
        let receipt = node.send(Deposit { account: "bob".into(), amount: 30 }).id(&*credit).await.unwrap();
        assert_eq!(receipt.repeated, is_repeated);
    }
}
