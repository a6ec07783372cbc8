//! Finding out by keys whether a step has happened: a bus that, in place of sending a command, closes its key, or finds that
//! it has taken effect.

use crate::domain::saga::{StepError, settled_by_keys};
use crate::drivers::command_scope;
use crate::drivers::key::CommandKey;
use crate::ports::{Body, CommandBus, CommandEnvelope, CommandError, CommandInfo, Receipt, Source};
use crate::values::{IdempotencyKey, Name, Recalled};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_channel::Sender;
use async_lock::Mutex;
use async_trait::async_trait;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A key that is to be closed by whoever appends to the saga's stream.
pub(super) struct Close {
    pub(super) step: String,
    pub(super) attempt: u32,
    pub(super) key: IdempotencyKey,
    pub(super) answer: Sender<Closed>,
}

/// What has become of a key.
pub(super) enum Closed {
    /// It is closed: no command will take effect under it.
    Now,
    /// Something has taken effect under it.
    Taken(Recalled),
    /// It could not be closed, and nothing is known.
    Not(String),
}

/// The digest of a key that is closed, unlike that of any command.
pub(super) fn closed_digest() -> [u8; 32] {
    Sha256::digest("portolan: this key is closed").into()
}

/// A command bus that sends nothing. It stands in for that of a step while the step is settled.
///
/// What surrounds commands on the step's bus surrounds them here: they come to their keys as they came to them before.
pub(super) struct ClosingBus {
    bus: Arc<dyn CommandBus>,
    keys: Arc<Keys>,
}

/// Closes keys, and remembers what has become of them.
struct Keys {
    step: String,
    attempt: u32,
    requests: Sender<Close>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    closed: u32,
    found: u32,
    /// Why it cannot be known by keys, whatever the step makes of the error.
    unknown: Option<String>,
}

impl ClosingBus {
    pub(super) fn new(bus: Arc<dyn CommandBus>, step: String, attempt: u32, requests: Sender<Close>) -> Self {
        Self { bus, keys: Arc::new(Keys { step, attempt, requests, told: Mutex::default() }) }
    }

    /// What the run over this bus tells of the step.
    pub(super) async fn settled(&self, result: Result<Value, StepError>) -> Result<Value, StepError> {
        // What was closed stays so, and what is missing is closed when it is run again.
        if let Err(StepError::Interrupted { .. }) = &result {
            return result;
        }
        let told = self.keys.told.lock().await;
        match &told.unknown {
            Some(why) => Err(StepError::unknown(why)),
            None => settled_by_keys(result, told.closed, told.found),
        }
    }
}

#[async_trait]
impl CommandBus for ClosingBus {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let name = command.name.clone();
        let end =
            Arc::new(AtTheEnd { bus: self.bus.clone(), keys: self.keys.clone(), is_reached: AtomicBool::new(false) });
        let Some(way) = self.bus.leading_to(end.clone()) else {
            let why = format!("the bus that {name} was sent over does not tell under which key it takes effect");
            return Err(self.keys.unknown(why).await);
        };
        let answer = way.dispatch(command).await;
        if end.is_reached.load(SeqCst) {
            return answer;
        }
        // Whoever has answered knows nothing of the key.
        let answer = answer.map_or_else(|error| error.to_string(), |_| "it went well".into());
        Err(self.keys.unknown(format!("{name} was answered before it came to its key: {answer}")).await)
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.bus.commands()
    }
}

/// Where commands come to their keys.
struct AtTheEnd {
    bus: Arc<dyn CommandBus>,
    keys: Arc<Keys>,
    is_reached: AtomicBool,
}

#[async_trait]
impl CommandBus for AtTheEnd {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.is_reached.store(true, SeqCst);
        self.keys.settle(command).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.bus.commands()
    }
}

impl Keys {
    async fn settle(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let Some(id) = command.id.clone() else {
            return Err(self.unknown(format!("{} was sent without an id, which cannot be closed", command.name)).await);
        };
        let Body::Typed(value) = &command.body else {
            return Err(self.unknown("commands are settled by their values; send them as such").await);
        };
        let digest = match value.digest() {
            Ok(digest) => digest,
            Err(error) => return Err(self.unknown(error.to_string()).await),
        };
        let scope = command_scope(&command.name, command.metadata.tenant.as_deref());
        match self.close(scope.clone(), id.clone()).await {
            Closed::Not(why) => Err(self.unknown(why).await),
            Closed::Now => {
                self.told.lock().await.closed += 1;
                let message = "it has not taken effect, and its key is closed".into();
                let fields = Value::Object(serde_json::Map::new());
                Err(CommandError::Rejected { code: "key-closed".into(), message, fields })
            }
            Closed::Taken(recalled) => {
                self.told.lock().await.found += 1;
                if recalled.digest != digest {
                    return Err(CommandError::KeyReused);
                }
                let key = CommandKey { scope, id: id.clone(), digest };
                match key.receipt(recalled.appended) {
                    Some(receipt) => Ok(receipt.with_command(Some(id.to_string()))),
                    None => Err(self.unknown(format!("{} was not taken by a command", key.place())).await),
                }
            }
        }
    }

    async fn close(&self, scope: Name, id: Name) -> Closed {
        let (answer, answers) = async_channel::bounded(1);
        let key = IdempotencyKey::new(scope, id, closed_digest());
        let close = Close { step: self.step.clone(), attempt: self.attempt, key, answer };
        let not = |_| Closed::Not("nobody closes keys any more".into());
        match self.requests.send(close).await {
            Ok(()) => answers.recv().await.unwrap_or_else(|error| not(error.to_string())),
            Err(error) => not(error.to_string()),
        }
    }

    async fn unknown(&self, why: impl Into<String>) -> CommandError {
        let why = why.into();
        self.told.lock().await.unknown.get_or_insert_with(|| why.clone());
        CommandError::Unknown(Source::new(why))
    }
}
