//! A saga, and a small orchestrator of it: a driver that drives what is started and acted upon at once, and knows by heart
//! what there is.

use super::jars::{FillJar, JarEvent};
use async_trait::async_trait;
use core::time::Duration;
use portolan::application::Ports;
use portolan::domain::RecordedAs;
use portolan::domain::saga::{Definition, Intents, Process, Retry, Saga, SagaHandler, Step, StepContext, StepError};
use portolan::drivers::{SagaDriver, SagaHandlers, SagaNudge, SagaPorts};
use portolan::ports::*;
use portolan::tokio::{Tasks, UuidV7};
use portolan::values::{Revision, SagaId, Timestamp};
use portolan_testing::TestClock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// These ports, with the orchestrator.
pub(crate) fn brewing(ports: Ports) -> Ports {
    let tasks = Arc::new(Tasks::current());
    let clock = Arc::new(TestClock::at(Timestamp::from_micros(1_700_000_000_123_456)));
    let over = SagaPorts {
        events: ports.events.clone(),
        commands: ports.commands.clone(),
        queries: ports.queries.clone(),
        clock: clock.clone(),
        ids: Arc::new(UuidV7::new()),
        sleep: tasks.clone(),
        spawn: tasks,
    };
    let mut handlers = SagaHandlers::new();
    assert!(handlers.add(SagaHandler::new(Brews { clock }).unwrap()));
    assert!(handlers.add(SagaHandler::process(Watches).unwrap()));
    ports.with_sagas(Arc::new(Kettle { driver: SagaDriver::new(over, Arc::new(handlers)), known: Mutex::default() }))
}

/// What becomes of a brew.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Goes {
    Well,
    /// Nobody tastes it: it turns back.
    Untasted,
    /// Nobody tastes it yet: it waits.
    Late,
    /// Nobody is told, after it was sealed.
    Untold,
    /// Nobody knows whether somebody was told, and a week goes by.
    Unheard,
}

#[derive(Serialize, Deserialize, Clone)]
struct Brew {
    jar: String,
    coins: u64,
    goes: Goes,
}

struct Brews {
    clock: Arc<TestClock>,
}

impl Saga for Brews {
    const NAME: &'static str = "brew";
    const VERSION: u32 = 3;
    type Input = Brew;

    fn definition() -> Definition<Self> {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let tasting = Retry::attempts(3).first(minute).longest(minute);
        Definition::new()
            .timeout(Duration::from_secs(3_600))
            .step(Step::new("fill", Self::fill).compensate(Self::empty).retry(Retry::never()).timeout(second))
            .step(Step::new("taste", Self::taste).harmless().retry(tasting).timeout(second))
            .step(Step::new("seal", Self::seal).retry(Retry::never()).timeout(second))
            .step(Step::new("tell", Self::tell).harmless().retry(Retry::never()).timeout(second))
    }
}

impl Brews {
    async fn fill(&self, brew: &Brew, step: &StepContext) -> Result<u64, StepError> {
        step.send(FillJar { jar: brew.jar.clone(), coins: brew.coins, by: "brewer".into() }).await?;
        Ok(brew.coins)
    }

    async fn empty(&self, _: &Brew, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    async fn taste(&self, brew: &Brew, _: &StepContext) -> Result<(), StepError> {
        match brew.goes {
            Goes::Untasted => Err(StepError::refused("bitter", "größer \"als\" bitter")),
            Goes::Late => Err(StepError::retry("nobody is there")),
            _ => Ok(()),
        }
    }

    async fn seal(&self, _: &Brew, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    async fn tell(&self, brew: &Brew, _: &StepContext) -> Result<(), StepError> {
        match brew.goes {
            Goes::Untold => Err(StepError::refused("no", "nobody to tell")),
            Goes::Unheard => {
                self.clock.advance(Duration::from_secs(7 * 24 * 60 * 60));
                Err(StepError::unknown("größer \"als\" gehört"))
            }
            _ => Ok(()),
        }
    }
}

/// A process that nobody feeds.
struct Watches;

impl Process for Watches {
    const NAME: &'static str = "watch";
    type Event = JarEvent;
    type State = u32;

    fn correlate(event: &RecordedAs<JarEvent>) -> Option<String> {
        Some(event.stream().as_str().into())
    }

    fn starts(_: &RecordedAs<JarEvent>) -> bool {
        true
    }

    fn on(&self, seen: &mut u32, _: &RecordedAs<JarEvent>, _: &mut Intents) {
        *seen += 1;
    }
}

struct Kettle {
    driver: SagaDriver,
    known: Mutex<BTreeSet<SagaId>>,
}

/// What no saga comes to by itself, by the name of the definition.
fn trouble(of: &str) -> Result<(), SagaError> {
    let said = || Source::new("größer \"als\"\neine Zeile");
    match of {
        "denied" => Err(SagaError::Denied("nobody brews \"here\"".into())),
        "ending" => Err(SagaError::ShuttingDown),
        "busy" => Err(SagaError::Busy(said())),
        "lost" => Err(SagaError::Unknown(said())),
        "odd" => Err(SagaError::Other(said())),
        _ => Ok(()),
    }
}

fn invalid(path: &str) -> SagaError {
    SagaError::Invalid(vec![Violation::new(path, "wrong-value", "größer \"als\"")])
}

impl Kettle {
    async fn drive(&self, saga: &SagaId) -> Result<(), SagaError> {
        let driven = self.driver.drive(saga, &SagaNudge::new()).await;
        driven.map(drop).map_err(|error| SagaError::Other(Source::new(error)))
    }
}

#[async_trait]
impl SagaOrchestrator for Kettle {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        let saga = start.saga.clone();
        trouble(saga.name())?;
        let started = self.driver.start(start).await?;
        self.drive(&saga).await?;
        self.known.lock().unwrap().insert(saga);
        Ok(started)
    }

    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        if let Some(name) = &list.name {
            trouble(name)?;
        }
        if list.limit == 0 {
            return Err(invalid("limit"));
        }
        let mut known = self.known.lock().unwrap().clone();
        if let Some(after) = &list.after {
            match after.parse().ok().and_then(|stream| SagaId::of_stream(&stream)) {
                Some(last) => known.retain(|saga| *saga > last),
                None if after.contains(' ') => return Err(invalid("after")),
                // All of a name.
                None => known.retain(|saga| saga.name().as_str() > &**after),
            }
        }
        let mut page = SagaPage::default();
        for saga in known {
            let summary = self.driver.status(saga.clone()).await?;
            let is_named = list.name.as_ref().is_none_or(|name| name == saga.name());
            if !is_named || !(list.phases.is_empty() || list.phases.contains(&summary.status.phase)) {
                continue;
            }
            if page.sagas.len() as u64 == u64::from(list.limit) {
                page.next = page.sagas.last().map(|last| last.saga.stream().to_string());
                break;
            }
            page.sagas.push(summary);
        }
        Ok(page)
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        trouble(saga.name())?;
        self.driver.status(saga).await
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        trouble(saga.name())?;
        self.driver.timeline(saga, after, limit).await
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        let saga = act.saga.clone();
        trouble(saga.name())?;
        self.driver.act(act).await?;
        self.drive(&saga).await?;
        self.driver.status(saga).await
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        let order = serde_json::json!({ "type": "object", "properties": { "what": { "type": "string" } } });
        let odd = SagaInfo::new("order".parse().unwrap(), u32::MAX, serde_json::Value::Null);
        let mut all = self.driver.describe();
        for process in all.iter_mut().filter(|info| info.is_process()) {
            process.trouble = Some("größer \"als\"\neine Zeile".into());
        }
        all.push(odd.with_description("größer \"als\"").with_schema(Some(order)));
        Ok(all)
    }
}
