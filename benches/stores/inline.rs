//! Single appends with a projection that is written in their transactions.

use crate::Run;
use crate::appends::singles;
use crate::support::Outcome;
use crate::support::fixture::{Kind, remove};
use portolan::memory::MemoryStore;
use portolan::ports::{EventStore, Inline, InlineRows};
use portolan::sqlite::SqliteStore;
use portolan::values::{Cell, Collection, ColumnType, Index, Name, Query, Recorded, RowKey};
use std::sync::Arc;

pub(crate) async fn rows(run: &mut Run, kind: &Kind) -> Outcome<()> {
    for (with, unique) in [("an inline projection", false), ("an inline projection with a unique index", true)] {
        let name = format!("single appends, 64 in flight, {with}");
        if !run.options.wants(&name) {
            continue;
        }
        let beside = run.disk.beside(kind)?;
        let counts = Counts::inline("counts", unique)?;
        let file = run.options.dir.join(format!("inline-{}.db", std::process::id()));
        let store: Arc<dyn EventStore> = match kind {
            Kind::Memory => Arc::new(MemoryStore::builder().inline(counts).build()),
            Kind::Sqlite(_) => Arc::new(SqliteStore::builder(&file).inline(counts).open().await?),
        };
        let sample = singles(&store, 64, run.options.time()).await?;
        drop(store);
        remove(&file);
        run.row(kind, &name, &sample, &beside);
    }
    Ok(())
}

/// Counts the events of each stream, in rows with an index.
struct Counts {
    collection: Collection,
}

impl Counts {
    fn inline(name: &str, unique: bool) -> Outcome<Arc<dyn Inline>> {
        let index = Index::new(Name::new("n")?, [Name::new("n")?]);
        let by_stream = Index::new(Name::new("stream")?, [Name::new("stream")?]);
        let columns = Collection::new(Name::new(name)?, 1).column(Name::new("n")?, ColumnType::Integer);
        let columns = columns.column(Name::new("stream")?, ColumnType::Text).index(index);
        let collection = if unique { columns.index(by_stream.unique()) } else { columns };
        Ok(Arc::new(Self { collection }))
    }
}

impl Inline for Counts {
    fn collection(&self) -> Collection {
        self.collection.clone()
    }

    fn wants(&self) -> Query {
        Query::all()
    }

    fn apply(&self, event: &Arc<Recorded>, rows: &mut dyn InlineRows) -> Result<(), String> {
        let key = RowKey::new(event.stream.as_str()).map_err(|error| error.to_string())?;
        let n = match rows.get(&key)?.as_deref() {
            Some([Cell::Integer(n), _]) => *n,
            _ => 0,
        };
        rows.set(key, Some(vec![Cell::Integer(n + 1), Cell::Text(event.stream.to_string())]));
        Ok(())
    }
}
