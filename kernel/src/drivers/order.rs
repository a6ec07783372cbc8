//! Orders: under what circumstances a command is carried out.

use super::key::CommandKey;
use super::progress::Progress;
use crate::domain::{Command, Context, Event, IdSeed, new_event};
use crate::ports::{Clock, CommandError, IdSource, Receipt, Source};
use crate::values::{Append, Appended, EventId, Metadata, Name, Revision, StreamId};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A command's id, where it came from, and how far it has come.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) key: Option<CommandKey>,
    seed: IdSeed,
    /// The id of a command that has no key.
    fresh: String,
    metadata: Metadata,
    /// Whether the correlation derives from the seed.
    derived: bool,
    pub(super) progress: &'a Progress,
}

impl<'a> Order<'a> {
    /// The order to carry out this command, with an id or, without one, once.
    pub(super) fn new<C: Command>(
        command: &C,
        id: Option<Name>,
        mut metadata: Metadata,
        ids: &dyn IdSource,
        progress: &'a Progress,
    ) -> Result<Self, CommandError> {
        metadata.correlation.take_if(|correlation| correlation.is_empty());
        let key = match id {
            Some(id) => {
                let digest = crate::domain::digest(command).map_err(|error| CommandError::Other(Source::new(error)))?;
                let scope = super::command_scope(C::NAME, metadata.tenant.as_deref());
                Some(CommandKey { scope, id, digest })
            }
            None => None,
        };
        let (seed, fresh) = match &key {
            Some(key) => (key.seed(), String::new()),
            None => {
                let id = ids.new_id();
                (IdSeed::fresh(id), id.to_string())
            }
        };
        let derived = metadata.correlation.is_none();
        metadata.correlation.get_or_insert_with(|| seed.correlation_id().to_string());
        Ok(Self { key, seed, fresh, metadata, derived, progress })
    }

    /// What causes its events: the id of the command.
    fn command(&self) -> &str {
        self.key.as_ref().map_or(&self.fresh, |key| &key.id)
    }

    /// What a decision sees, at one attempt.
    pub(super) fn context(&self, clock: &dyn Clock) -> Context {
        let Metadata { actor, tenant, .. } = &self.metadata;
        Context::new(self.seed.clone(), clock.now()).by(actor.clone()).in_tenant(tenant.clone())
    }

    /// These events in their streams, as an append under the order's key.
    pub(super) fn append<'e, E: Event>(
        &self,
        decided: impl ExactSizeIterator<Item = (&'e E, StreamId)>,
    ) -> Result<(Append, Vec<EventId>), CommandError> {
        let count = u32::try_from(decided.len()).map_err(|error| CommandError::Other(Source::new(error)))?;
        let ids: Vec<_> = (0..count).map(|n| self.seed.event_id(n)).collect();
        let metadata = self.metadata.encode_caused(Some(self.command()), Some(self.command()));
        let new = |((event, stream), id): ((&E, StreamId), &EventId)| {
            new_event(event, stream, *id, metadata.clone()).map_err(|error| CommandError::Other(Source::new(error)))
        };
        let mut events = Vec::with_capacity(decided.len());
        for event in decided.zip(&ids) {
            events.push(new(event)?);
        }
        let append = Append::new(events);
        let given = self.metadata.correlation.as_deref().filter(|_| !self.derived);
        Ok(match &self.key {
            Some(key) => (append.key(key.to_append(count, given)), ids),
            None => (append, ids),
        })
    }

    /// The receipt of a decision that was not appended because it makes no events and has no key.
    pub(super) fn nothing(&self, streams: Vec<(StreamId, Option<Revision>)>) -> Receipt {
        self.told(Receipt::new(streams, None, Vec::new(), false))
    }

    /// The receipt of what was appended now.
    pub(super) fn receipt(&self, appended: Appended, ids: Vec<EventId>) -> Receipt {
        self.told(Receipt::new(appended.streams, appended.last, ids, false))
    }

    /// The receipt of what was appended under the order's key before.
    pub(super) fn original(&self, appended: Appended) -> Result<Receipt, CommandError> {
        let receipt = self.key.as_ref().and_then(|key| key.receipt(appended));
        let receipt = receipt.ok_or_else(|| {
            let place = self.key.as_ref().map(CommandKey::place).unwrap_or_default();
            CommandError::Other(Source::new(format!("{place} was not taken by a command; its note is of another form")))
        })?;
        Ok(receipt.with_command(Some(self.command().into())))
    }

    fn told(&self, receipt: Receipt) -> Receipt {
        receipt.with_correlation(self.metadata.correlation.clone()).with_command(Some(self.command().into()))
    }
}
