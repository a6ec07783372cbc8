//! The port over the plans.

use super::append::{
    Heads, checkpoint_check, checkpoint_key, head_key, idempotency_key, judge, limits, log_head_key, plan_append,
    repeated,
};
use super::read::Reader;
use super::table::{Action, Condition, Failed, Item, Table, TransactItem};
use async_trait::async_trait;
use portolan_kernel::ports::{
    AppendError, Capabilities, Capability, Clock, EventStore, ReadError, Source, StoreId, streams_of,
};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, IdempotencyKey, Name, Page, Position, Query, Read, Recalled, Token,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const ATTEMPTS: u32 = 10_000;
const POLL: Duration = Duration::from_millis(2);

pub(crate) struct DynamoShape {
    pub(crate) reader: Reader,
    clock: Arc<dyn Clock>,
    capabilities: Capabilities,
    tokens: AtomicU64,
}

/// Shows what a transaction wrote when it is answered, or when its caller goes away.
struct Answer<'a>(&'a Table, &'a [TransactItem]);

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        self.0.answered(self.1);
    }
}

impl DynamoShape {
    pub(crate) fn new(identity: StoreId, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let capabilities = Capabilities::new(identity)
            .lacking(Capability::Durability)
            .lacking(Capability::SeveralProcesses)
            .with_key_retention(Some(Duration::from_secs(3600)))
            .with_limits(limits());
        Self { reader: Reader::new(Table::seeded(seed)), clock, capabilities, tokens: AtomicU64::new(0) }
    }

    fn token(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::SeqCst)
    }

    /// The answer recorded under the key, before any other error is given. It is looked up by a condition: a plain
    /// read may see the head that an append moved before it sees the append's key.
    fn unless_recorded(&self, append: &Append, error: AppendError) -> Result<Appended, AppendError> {
        let Some(key) = &append.key else { return Err(error) };
        match self.recorded(key) {
            Some(recalled) => repeated(key, recalled),
            None => Err(error),
        }
    }

    /// That the checkpoint moved, before that it would go past the frontier.
    fn unless_moved(&self, append: &Append, error: AppendError) -> AppendError {
        let Some(checkpoint) = &append.checkpoint else { return error };
        let check = [checkpoint_check(checkpoint)];
        match self.reader.table.transact(self.token(), &check) {
            Err(Failed::Cancelled(reasons)) => judge(append, &check, reasons).and_then(Result::err).unwrap_or(error),
            _ => error,
        }
    }

    fn recorded(&self, key: &IdempotencyKey) -> Option<Recalled> {
        let condition = Condition::KeyFree(self.clock.now());
        let check = TransactItem { key: idempotency_key(key), action: Action::Check, condition };
        match self.reader.table.transact(self.token(), &[check]) {
            Err(Failed::Cancelled(reasons)) => reasons.into_iter().flatten().flatten().find_map(|item| match item {
                Item::Key { recalled, .. } => Some(recalled),
                _ => None,
            }),
            _ => None,
        }
    }

    /// What would make the guard fail, at or below `log`.
    async fn guarded(&self, append: &Append, log: u64) -> Result<(), AppendError> {
        let Some(guard) = &append.guard else { return Ok(()) };
        if guard.after.is_some_and(|after| after.get() > log) {
            return Err(AppendError::Invalid(format!("the guard's position is past the frontier {log}")));
        }
        if log == 0 {
            return Ok(());
        }
        let read = Read::log_after(guard.none_of.clone(), guard.after).limit(1).until(Position::new(log));
        let mut next = Some(read);
        while let Some(read) = next {
            let page = self.reader.page(&read).map_err(|error| AppendError::Busy(Source::new(error)))?;
            if let Some(event) = page.events.first() {
                return Err(AppendError::GuardFailed { position: event.position });
            }
            next = page.next;
        }
        Ok(())
    }

    async fn attempt(&self, append: &Append) -> Option<Result<Appended, AppendError>> {
        let (table, now) = (&self.reader.table, self.clock.now());
        let frontier = self.reader.frontier();
        let log = match table.get(&log_head_key()) {
            // A guard is judged on what can be read; anything else may follow what is not yet visible.
            Some(Item::LogHead { last }) if append.guard.is_none() => last.max(frontier),
            _ => frontier,
        };
        let revision = |item| if let Some(Item::Head(revision)) = item { Some(revision) } else { None };
        let streams = streams_of(append).into_iter().cloned();
        let heads = Heads { log, streams: streams.map(|s| (s.clone(), revision(table.get(&head_key(&s))))).collect() };
        let expires = self.capabilities.key_retention.map(|retention| now.plus(retention));
        // Expectations come before the guard; a checkpoint past the frontier would come after it.
        let plan = match plan_append(append, &heads, now, expires) {
            Err(error @ AppendError::Conflict { .. }) => return Some(self.unless_recorded(append, error)),
            plan => match self.guarded(append, log).await {
                Err(error) => return Some(self.unless_recorded(append, error)),
                Ok(()) => match plan {
                    Err(error) => return Some(self.unless_recorded(append, self.unless_moved(append, error))),
                    Ok(plan) => plan,
                },
            },
        };
        if plan.items.is_empty() {
            return Some(Ok(plan.appended));
        }
        let token = self.token();
        let mut outcome = table.transact(token, &plan.items);
        for _ in 0..3 {
            if matches!(outcome, Err(Failed::TimedOut)) {
                outcome = table.transact(token, &plan.items);
            }
        }
        match outcome {
            Ok(()) => {
                let answer = Answer(table, &plan.items);
                for _ in 0..plan.items.len() {
                    tokio::task::yield_now().await;
                }
                drop(answer);
                while plan.appended.last.is_some_and(|last| last.get() > self.reader.frontier()) {
                    tokio::task::yield_now().await;
                }
                Some(Ok(plan.appended))
            }
            Err(Failed::Cancelled(reasons)) => match judge(append, &plan.items, reasons)? {
                Ok(appended) => Some(Ok(appended)),
                Err(error) => Some(self.unless_recorded(append, error)),
            },
            Err(Failed::TimedOut) => {
                let unknown = AppendError::Unknown(Source::new("no answer to four requests under one token"));
                Some(self.unless_recorded(append, unknown))
            }
        }
    }
}

#[async_trait]
impl EventStore for DynamoShape {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.capabilities.check(&append)?;
        for _ in 0..ATTEMPTS {
            if let Some(answer) = self.attempt(&append).await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
        Err(AppendError::Busy(Source::new("others kept moving the log")))
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.capabilities.check_read(&read)?;
        self.reader.page(&read)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        Ok(self.recorded(&IdempotencyKey::new(scope, id, [0; 32])))
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        let (position, token) = match self.reader.table.get(&checkpoint_key(&name)) {
            Some(Item::Checkpoint { position, token }) => (position, token),
            _ => (None, Token::default()),
        };
        Ok(CheckpointState::new(self.capabilities.identity, position, token))
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        loop {
            let mut next = Some(Read::log_after(query.clone(), after));
            while let Some(read) = next {
                let page = self.reader.page(&read)?;
                if !page.events.is_empty() {
                    return Ok(());
                }
                next = page.next;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
}
