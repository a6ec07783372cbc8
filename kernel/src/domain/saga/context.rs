//! What a step sees of its saga and of the world.

use super::{Outcomes, SagaId, SentCommand, StepError, Way};
use crate::domain::Command;
use crate::ports::{Body, CommandBus, CommandEnvelope, QueryBus};
use crate::values::{Format, Metadata, Name, Timestamp};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use serde::de::DeserializeOwned;

/// What a step sees besides handler and input: which saga and attempt it is, the outcomes so far, and the buses.
///
/// `send` and `ask` are in [`drivers`](crate::drivers), over the buses that are held here; to whoever writes a step, it is
/// one type. A clone shares all of it.
#[derive(Clone)]
pub struct StepContext {
    saga: SagaId,
    step: Name,
    way: Way,
    attempt: u32,
    started_at: Timestamp,
    outcomes: Outcomes,
    metadata: Metadata,
    within: Option<Duration>,
    commands: Arc<dyn CommandBus>,
    queries: Arc<dyn QueryBus>,
}

impl StepContext {
    /// The context of the first attempt at this step of this saga, at the epoch, without outcomes.
    ///
    /// # Errors
    ///
    /// [`SagaNameError`](super::SagaNameError) when the step's name is none.
    pub fn new(
        saga: SagaId,
        step: &str,
        commands: Arc<dyn CommandBus>,
        queries: Arc<dyn QueryBus>,
    ) -> Result<Self, super::SagaNameError> {
        let step = crate::values::check_saga_name("step", step)?;
        Ok(Self {
            saga,
            step,
            way: Way::Forward,
            attempt: 1,
            started_at: Timestamp::default(),
            outcomes: Outcomes::new(),
            metadata: Metadata::default(),
            within: None,
            commands,
            queries,
        })
    }

    /// The same context, for this attempt this way.
    #[must_use]
    pub fn attempting(self, way: Way, attempt: u32) -> Self {
        Self { way, attempt, ..self }
    }

    /// The same context, of a saga that was started then.
    #[must_use]
    pub fn with_start(self, started_at: Timestamp) -> Self {
        Self { started_at, ..self }
    }

    /// The same context, with these outcomes.
    #[must_use]
    pub fn with_outcomes(self, outcomes: Outcomes) -> Self {
        Self { outcomes, ..self }
    }

    /// The same context, with this metadata for all that is sent.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }

    /// The same context, where each command is to be answered within this time.
    #[must_use]
    pub fn within(self, within: Option<Duration>) -> Self {
        Self { within, ..self }
    }

    /// Which saga.
    #[must_use]
    pub fn saga(&self) -> &SagaId {
        &self.saga
    }

    /// Which step.
    #[must_use]
    pub fn step(&self) -> &Name {
        &self.step
    }

    /// Whether it is done, undone, or settled.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// Which attempt this way, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the saga was started: a time that is the same in every attempt.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The step's key (SG-1), the same in every attempt, for an effect elsewhere: pass it on, so that whoever has the effect
    /// has it once. A step with such an effect says so by [`outside`](super::Step::outside).
    #[must_use]
    pub fn key(&self) -> Name {
        self.saga.step_key(&self.step, self.way)
    }

    /// The recorded outcomes of earlier steps.
    #[must_use]
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// The recorded outcome of an earlier step.
    ///
    /// # Errors
    ///
    /// [`StepError::Refused`] when that step has no outcome, because it was passed over or comes later, or when its outcome
    /// has another shape. Where it may be missing, ask [`outcomes`](Self::outcomes).
    pub fn outcome<T: DeserializeOwned>(&self, step: &str) -> Result<T, StepError> {
        let found = self.outcomes.get(step).map_err(|error| {
            StepError::refused("outcome-of-another-shape", alloc::format!("the outcome of {step}: {error}"))
        })?;
        found.ok_or_else(|| StepError::refused("no-outcome", alloc::format!("the step {step} has no outcome here")))
    }

    /// The metadata of all that is sent: correlation, actor and tenant of the saga.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How long a command may take.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.within
    }

    /// Where commands go.
    #[must_use]
    pub fn commands(&self) -> &Arc<dyn CommandBus> {
        &self.commands
    }

    /// Where questions go.
    #[must_use]
    pub fn queries(&self) -> &Arc<dyn QueryBus> {
        &self.queries
    }

    /// The command as the step sends it: its id is the step's key, or that of a part of it. Metadata tells the saga under
    /// the name `saga`.
    ///
    /// # Errors
    ///
    /// [`StepError::Refused`] when the command's name is none.
    pub fn envelope<C: Command>(&self, command: C, part: Option<&str>) -> Result<CommandEnvelope, StepError> {
        let name = Name::new(C::NAME).map_err(|error| StepError::refused("invalid", error))?;
        let id = match part {
            None => self.key(),
            Some(part) => self.saga.part_key(&self.step, self.way, part),
        };
        Ok(self.enclosed(name, Body::Typed(Arc::new(command)), id))
    }

    /// The recorded command of a process's step, as that step sends it.
    ///
    /// # Errors
    ///
    /// [`StepError::Refused`] when the command's name is none.
    pub fn recorded_envelope(&self, command: &SentCommand) -> Result<CommandEnvelope, StepError> {
        let name = Name::new(&*command.name).map_err(|error| StepError::refused("invalid", error))?;
        let body = Body::Encoded(command.body.to_string().into(), Format::Json);
        Ok(self.enclosed(name, body, self.key()))
    }

    fn enclosed(&self, name: Name, body: Body, id: Name) -> CommandEnvelope {
        let mut metadata = self.metadata.clone();
        metadata.more.insert(String::from("saga"), self.saga.to_string().into());
        let mut envelope = CommandEnvelope::new(name, body).with_id(id).with_metadata(metadata);
        envelope.within = self.within;
        envelope
    }
}

impl fmt::Debug for StepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepContext")
            .field("saga", &self.saga)
            .field("step", &self.step)
            .field("way", &self.way)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
