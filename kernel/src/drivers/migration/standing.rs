//! How far a target has come: its last record, and what was written after that.

use super::reader::Reader;
use super::record::{self, Record, RulesDigest};
use super::{Migration, MigrationError, MigrationProgress, MigrationVerified};
use crate::ports::{AppendError, Capability, EventStore, StoreId};
use crate::values::{Append, Expected, Guard, Item, Position, Read, Recorded};
use alloc::string::String;
use alloc::sync::Arc;

/// How far a migration has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    /// Events of the source so far, and up to where.
    pub(super) read: u64,
    pub(super) through: Option<Position>,
    /// Events of the target so far, and where the last is that this migration has written, a record or not.
    pub(super) written: u64,
    pub(super) target: Option<Position>,
    /// How much was read when the last record was written.
    pub(super) recorded: u64,
    /// Whether that record says that the copy is whole.
    pub(super) whole: bool,
}

impl Standing {
    pub(super) fn progress(&self, frontier: Option<Position>) -> MigrationProgress {
        MigrationProgress { read: self.read, written: self.written, position: self.through, frontier }
    }
}

async fn last_record(store: &dyn EventStore) -> Result<Option<Arc<Recorded>>, MigrationError> {
    let last = Read::stream(record::stream()).backward().limit(1);
    let page = store.read(last).await.map_err(MigrationError::Target)?;
    Ok(page.events.into_iter().next())
}

impl Migration {
    pub(super) fn source(&self, after: Option<Position>) -> Reader<'_> {
        Reader::new(&*self.from, MigrationError::Source, self.chain.query(), after)
    }

    fn target(&self, after: Option<Position>) -> Reader<'_> {
        Reader::new(&*self.to, MigrationError::Target, self.chain.query(), after)
    }

    /// Nobody has written the target since.
    pub(super) fn alone_since(&self, after: Option<Position>) -> Guard {
        let copied = self.chain.query();
        let all = if copied.system { copied } else { copied.or(Item::new()).or(Item::new().stream(record::stream())) };
        Guard::new(all, after)
    }

    /// The stores are two, and the target has what this migration stands on.
    pub(super) fn judge_stores(&self) -> Result<StoreId, MigrationError> {
        let (source, target) = (self.from.capabilities().identity, self.to.capabilities());
        if source == target.identity {
            return Err(MigrationError::SameStore(source));
        }
        if !target.has(Capability::Guard) {
            return Err(MigrationError::Unsupported(Capability::Guard));
        }
        if !self.commands.is_empty() && !target.has(Capability::Keys) {
            return Err(MigrationError::Unsupported(Capability::Keys));
        }
        Ok(source)
    }

    pub(super) async fn last_record(&self) -> Result<Option<Arc<Recorded>>, MigrationError> {
        last_record(&*self.to).await
    }

    /// Whether this store is the target of a migration whose last run has not come to its end. For an application to ask before
    /// it starts there. That the source has grown since that end, nobody can tell here.
    ///
    /// # Errors
    ///
    /// [`MigrationError::Target`], and [`MigrationError::NoRecord`].
    pub async fn is_unfinished(store: &dyn EventStore) -> Result<bool, MigrationError> {
        match last_record(store).await? {
            Some(recorded) => Record::of(&recorded).map(|record| !record.whole),
            None => Ok(false),
        }
    }

    /// How far the last record says, once it has been judged; `None` for a target without one. One under another chain is
    /// not believed: then all of the target is compared with what comes of the source now.
    pub(super) async fn recorded(&self, source: StoreId) -> Result<Option<Standing>, MigrationError> {
        let Some(recorded) = self.last_record().await? else { return Ok(None) };
        let record = Record::of(&recorded)?;
        if record.source != source {
            return Err(MigrationError::OtherSource { began: record.source, source_store: source });
        }
        if record.options != self.options() {
            return Err(MigrationError::OtherRules);
        }
        if record.chain != self.chain.rules() {
            let mut all = Standing::default();
            self.compare(&mut all).await.map_err(|error| match error {
                MigrationError::Foreign { .. } => MigrationError::OtherRules,
                error => error,
            })?;
            return Ok(Some(Standing { target: all.target.max(Some(recorded.position)), ..all }));
        }
        let Record { read, through, written, whole, .. } = record;
        Ok(Some(Standing { read, through, written, target: Some(recorded.position), recorded: read, whole }))
    }

    /// What has to be the same in every run into one target, as a digest.
    fn options(&self) -> String {
        let mut digest = RulesDigest::default();
        self.commands.iter().for_each(|command| digest.text(command));
        digest.text("");
        digest.flags(&[self.chain.system, self.times.is_some()]);
        digest.into_hex()
    }

    /// A record of this standing, on the condition that nobody has written since.
    pub(super) fn record(&self, source: StoreId, standing: &Standing) -> Append {
        let Standing { read, through, written, target, whole, .. } = *standing;
        let (options, chain) = (self.options(), self.chain.rules());
        let record = Record { source, options, chain, through, read, written, whole };
        Append::new([record.to_event()]).guard(self.alone_since(target))
    }

    /// How far the target has come. Begins, where it has not; ends at what the target holds.
    pub(super) async fn standing(&self) -> Result<Standing, MigrationError> {
        let source = self.judge_stores()?;
        let mut standing = match self.recorded(source).await? {
            Some(standing) => standing,
            None => self.begin(source).await?,
        };
        self.compare(&mut standing).await?;
        Ok(standing)
    }

    async fn begin(&self, source: StoreId) -> Result<Standing, MigrationError> {
        let standing = Standing::default();
        let begin = self.record(source, &standing).expect(record::stream(), Expected::NoStream);
        match self.to.append(begin).await {
            Ok(appended) => Ok(Standing { target: appended.last, ..standing }),
            Err(AppendError::GuardFailed { position }) => Err(MigrationError::NotEmpty { position }),
            Err(error) => Err(MigrationError::Append(error)),
        }
    }

    /// Whether a target without a record may be begun with.
    pub(super) async fn judge_empty(&self) -> Result<(), MigrationError> {
        let first = Read::log(self.chain.query()).limit(1);
        let page = self.to.read(first).await.map_err(MigrationError::Target)?;
        match page.events.first() {
            Some(event) => Err(MigrationError::NotEmpty { position: event.position }),
            None => Ok(()),
        }
    }

    /// Goes through what the target holds after this standing; all of it has to be what comes of the source.
    async fn compare(&self, standing: &mut Standing) -> Result<(), MigrationError> {
        let (mut there, mut here) = (self.target(standing.target), self.source(standing.through));
        let Some(mut found) = there.next().await? else { return Ok(()) };
        loop {
            let foreign = |position| MigrationError::Foreign { position };
            let Some(recorded) = here.next().await? else { return Err(foreign(found.position)) };
            let events = self.chain.convert(&recorded).map_err(|_| foreign(found.position))?;
            (standing.read, standing.through) = (standing.read + 1, Some(recorded.position));
            let count = events.len();
            for (n, event) in events.into_iter().enumerate() {
                let is_time = self.times.is_none() || found.recorded_at == recorded.recorded_at;
                if found.event != event || !is_time {
                    return Err(foreign(found.position));
                }
                (standing.written, standing.target) = (standing.written + 1, Some(found.position));
                found = match there.next().await? {
                    Some(next) => next,
                    None if n + 1 == count => return Ok(()),
                    None => return Err(foreign(found.position)),
                };
            }
        }
    }

    /// Compares the whole target with what comes of the source, event by event, and counts what is missing.
    ///
    /// # Errors
    ///
    /// [`MigrationError`]; [`Foreign`](MigrationError::Foreign) where they differ.
    pub async fn verify(&self) -> Result<MigrationVerified, MigrationError> {
        let source = self.judge_stores()?;
        if self.recorded(source).await?.is_none() {
            self.judge_empty().await?;
        }
        let mut standing = Standing::default();
        self.compare(&mut standing).await?;
        let mut missing = 0;
        let mut rest = self.source(standing.through);
        while let Some(recorded) = rest.next().await? {
            let events = self.chain.convert(&recorded).map_err(|reason| MigrationError::event(&recorded, reason))?;
            missing += events.len() as u64;
        }
        Ok(MigrationVerified { events: standing.written, missing })
    }
}
