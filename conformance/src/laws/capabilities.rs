//! What a store says of itself.

use crate::ask::{Ask, one};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq};
use portolan_kernel::ports::{Capability, EventStore};

law! {
    dyn EventStore, capabilities, "capabilities",
    "What the author declares lacking is what the store says it lacks, both ways; a store says the same of itself at \
     all times.",
    checks: [declared_is_said, said_is_constant],
}

async fn declared_is_said(trial: &Trial<dyn EventStore>) -> Verdict {
    let said = trial.open().await?.capabilities();
    for capability in Capability::ALL {
        expect_eq!(said.has(capability), trial.has(capability), "what capabilities() says of {capability}");
    }
    for (capability, why) in trial.fixture.lacked() {
        expect!(!why.trim().is_empty(), "a reason for lacking {capability}");
    }
    Ok(())
}

async fn said_is_constant(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let before = store.capabilities();
    store.wrote(one("a-1", 0)).await?;
    expect_eq!(store.capabilities(), before, "capabilities() after an append");
    Ok(())
}
