//! Law UP-06 as named checks of anything that registers schemas.

use super::stores::{Before, memory, registrations};
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use portolan::application::Runtime;
use portolan::domain::compatibility::Compatibility;
use portolan::drivers::{SchemaCatalogue, SchemaOptions, SchemaRefusal, register_schemas};
use portolan::ports::{EventStore, Schema, SchemaError, SchemaRegistry, SchemaSubject, SchemaVersions};
use portolan::tokio::TokioRuntime;
use portolan::values::Name;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an application tells of a type, and what it asks of new versions.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) schema: Schema,
    pub(crate) category: Option<Name>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) events: Compatibility,
    pub(crate) jars: Option<Compatibility>,
    pub(crate) commands: Compatibility,
}

pub(crate) type Started = Result<Arc<dyn SchemaRegistry>, SchemaRefusal>;

/// What registers, when an application starts.
#[async_trait]
pub(crate) trait Registers: Send + Sync {
    async fn start(&self, store: Arc<dyn EventStore>, told: Vec<Told>, asked: Asked) -> Started;
}

/// What an application does.
pub(crate) struct Real;

#[async_trait]
impl Registers for Real {
    async fn start(&self, store: Arc<dyn EventStore>, told: Vec<Told>, asked: Asked) -> Started {
        let mut options = SchemaOptions::new().events(asked.events).commands(asked.commands);
        if let Some(jars) = asked.jars {
            options = options.category("jar", jars);
        }
        let own =
            told.into_iter().fold(SchemaCatalogue::new(), |own, told| own.with_current(told.schema, told.category));
        let Runtime { ids, sleep, .. } = Runtime::tokio();
        Ok(Arc::new(register_schemas(own, &options, store, &*ids, &*sleep).await?))
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn filled() -> SchemaSubject {
    SchemaSubject::event(name("jar.filled"))
}

fn fill() -> SchemaSubject {
    SchemaSubject::command(name("fill"))
}

fn told(subject: SchemaSubject, version: u32, schema: impl Into<Option<Value>>) -> Told {
    Told { schema: Schema::new(subject, version, schema.into()), category: Some(name("jar")) }
}

fn object(fields: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": fields, "required": required })
}

fn coins() -> Value {
    object(json!({ "coins": { "type": "integer" } }), &["coins"])
}

fn coins_and_note() -> Value {
    object(json!({ "coins": { "type": "integer" }, "note": { "type": "string" } }), &["coins", "note"])
}

fn text() -> Value {
    object(json!({ "coins": { "type": "string" } }), &["coins"])
}

const NONE: Asked = Asked { events: Compatibility::None, jars: None, commands: Compatibility::None };

fn events(of: Compatibility) -> Asked {
    Asked { events: of, ..NONE }
}

/// A store, and what starts on it.
struct World<'a> {
    of: &'a dyn Registers,
    store: Arc<dyn EventStore>,
}

impl<'a> World<'a> {
    fn new(of: &'a dyn Registers) -> Self {
        Self { of, store: memory() }
    }

    async fn start(&self, told: Vec<Told>, asked: Asked) -> Started {
        self.of.start(self.store.clone(), told, asked).await
    }

    async fn starts(&self, told: Vec<Told>, asked: Asked) -> bool {
        self.start(told, asked).await.is_ok()
    }

    /// Of which the last start is judged: those before have to be good.
    async fn after(&self, each: Vec<Vec<Told>>) -> bool {
        for told in each {
            if !self.starts(told, NONE).await {
                return false;
            }
        }
        true
    }

    /// What somebody who has nothing of his own is told.
    async fn told(&self, subject: SchemaSubject, version: u32) -> Option<Option<Value>> {
        let registry = self.start(vec![], NONE).await.ok()?;
        registry.schema(subject, version).await.ok().map(|schema| schema.schema)
    }

    async fn registered(&self) -> usize {
        registrations(&self.store).await.len()
    }
}

fn is_changed(started: Started) -> bool {
    matches!(started, Err(SchemaRefusal::Changed { .. }))
}

fn is_incompatible(started: Started) -> bool {
    matches!(started, Err(SchemaRefusal::Incompatible { .. }))
}

pub(crate) type Check = (&'static str, for<'a> fn(&'a dyn Registers) -> BoxFuture<'a, bool>);

macro_rules! checks {
    ($($name:literal => |$world:ident| $body:block)*) => {
        pub(crate) const CHECKS: &[Check] = &[$(($name, |of| {
            async move {
                let $world = World::new(of);
                $body
            }
            .boxed()
        })),*];
    };
}

checks! {
    "what is told is kept in the store" => |world| {
        world.after(vec![vec![told(filled(), 1, coins()), told(fill(), 1, text())]]).await
            && world.told(filled(), 1).await == Some(Some(coins()))
            && world.told(fill(), 1).await == Some(Some(text()))
            && world.told(filled(), 2).await.is_none()
    }
    "a start with nothing new writes nothing" => |world| {
        let all = || vec![told(filled(), 1, coins()), told(fill(), 1, None)];
        world.after(vec![all(), all(), vec![], all()]).await && world.registered().await == 2
    }
    "a changed schema under its version is refused" => |world| {
        world.after(vec![vec![told(filled(), 1, coins())]]).await
            && is_changed(world.start(vec![told(filled(), 1, text())], NONE).await)
    }
    "a changed schema of a version that is not the newest is refused" => |world| {
        world.after(vec![vec![told(filled(), 1, coins())], vec![told(filled(), 2, text())]]).await
            && is_changed(world.start(vec![told(filled(), 1, text())], NONE).await)
    }
    "what is required belongs to the schema" => |world| {
        let optional = object(json!({ "coins": { "type": "integer" } }), &[]);
        world.after(vec![vec![told(filled(), 1, coins())]]).await
            && is_changed(world.start(vec![told(filled(), 1, optional)], NONE).await)
    }
    "what is refused leaves nothing" => |world| {
        let rest = told(SchemaSubject::event(name("jar.sealed")), 1, coins());
        world.after(vec![vec![told(filled(), 1, coins())]]).await
            && !world.starts(vec![told(filled(), 1, text()), rest], NONE).await
            && world.registered().await == 1
    }
    "annotations are no change, and what was registered first is told" => |world| {
        let mut documented = coins();
        documented["description"] = json!("How many.");
        let started = async |schema| world.start(vec![told(filled(), 1, schema)], NONE).await.ok();
        let (Some(_), Some(second)) = (started(coins()).await, started(documented).await) else { return false };
        second.schema(filled(), 1).await.unwrap().schema == Some(coins()) && world.registered().await == 1
    }
    "a version gets its schema later" => |world| {
        world.after(vec![vec![told(filled(), 1, None)], vec![told(filled(), 1, coins())]]).await
            && world.told(filled(), 1).await == Some(Some(coins()))
    }
    "a version without a schema is registered as one" => |world| {
        world.after(vec![vec![told(filled(), 1, None)]]).await && world.told(filled(), 1).await == Some(None)
    }
    "who tells no schema takes none away" => |world| {
        world.after(vec![vec![told(filled(), 1, coins())], vec![told(filled(), 1, None)]]).await
            && world.told(filled(), 1).await == Some(Some(coins()))
    }
    "a new version stands beside the old" => |world| {
        world.after(vec![vec![told(filled(), 1, coins())], vec![told(filled(), 2, text())]]).await
            && world.told(filled(), 1).await == Some(Some(coins()))
            && world.told(filled(), 2).await == Some(Some(text()))
    }
    "an old process starts again beside a new one" => |world| {
        world.after(vec![vec![told(filled(), 1, coins())], vec![told(filled(), 2, text())]]).await
            && world.starts(vec![told(filled(), 1, coins())], events(Compatibility::FullTransitive)).await
    }
    "an old version is registered late, and not judged by later ones" => |world| {
        world.after(vec![vec![told(filled(), 2, text())]]).await
            && world.starts(vec![told(filled(), 1, coins())], events(Compatibility::FullTransitive)).await
            && world.told(filled(), 1).await == Some(Some(coins()))
    }
    "a type that is gone stays" => |world| {
        let sealed = told(SchemaSubject::event(name("jar.sealed")), 1, coins());
        world.after(vec![vec![told(filled(), 1, coins())], vec![sealed]]).await
            && world.told(filled(), 1).await == Some(Some(coins()))
    }
    "backward: the new version reads what the old has written" => |world| {
        let backward = events(Compatibility::Backward);
        world.after(vec![vec![told(filled(), 1, coins())]]).await
            && is_incompatible(world.start(vec![told(filled(), 2, coins_and_note())], backward).await)
            && world.starts(vec![told(filled(), 2, object(json!({}), &[]))], backward).await
    }
    "forward: the old version reads what the new one writes" => |world| {
        let forward = events(Compatibility::Forward);
        world.after(vec![vec![told(filled(), 1, coins())]]).await
            && is_incompatible(world.start(vec![told(filled(), 2, object(json!({}), &[]))], forward).await)
            && world.starts(vec![told(filled(), 2, coins_and_note())], forward).await
    }
    "full: both" => |world| {
        let full = events(Compatibility::Full);
        let more = object(json!({ "coins": { "type": "integer" }, "note": { "type": "string" } }), &["coins"]);
        world.after(vec![vec![told(filled(), 1, coins())]]).await
            && is_incompatible(world.start(vec![told(filled(), 2, object(json!({}), &[]))], full).await)
            && is_incompatible(world.start(vec![told(filled(), 2, coins_and_note())], full).await)
            && world.starts(vec![told(filled(), 2, more)], full).await
    }
    "the version before is judged, and with transitive every one" => |world| {
        let again = || vec![told(filled(), 3, object(json!({ "coins": { "type": "string" } }), &[]))];
        world.after(vec![vec![told(filled(), 1, coins())], vec![told(filled(), 2, object(json!({}), &[]))]]).await
            && is_incompatible(world.start(again(), events(Compatibility::BackwardTransitive)).await)
            && world.starts(again(), events(Compatibility::Backward)).await
    }
    "a schema that comes later is judged" => |world| {
        let [first, second] = [told(filled(), 1, coins()), told(filled(), 2, None)];
        world.after(vec![vec![first], vec![second]]).await
            && is_incompatible(world.start(vec![told(filled(), 2, text())], events(Compatibility::Backward)).await)
    }
    "a category is judged as is asked of it, and others as of all" => |world| {
        let boxes = |schema, version| {
            let subject = SchemaSubject::event(name("box.filled"));
            Told { schema: Schema::new(subject, version, Some(schema)), category: Some(name("box")) }
        };
        let asked = Asked { jars: Some(Compatibility::None), ..events(Compatibility::Backward) };
        let jars = Asked { jars: Some(Compatibility::Backward), ..NONE };
        world.after(vec![vec![told(filled(), 1, coins()), boxes(coins(), 1)]]).await
            && is_incompatible(world.start(vec![told(filled(), 2, text()), boxes(text(), 2)], jars).await)
            && world.starts(vec![told(filled(), 2, coins()), boxes(text(), 2)], jars).await
            && is_incompatible(world.start(vec![told(filled(), 3, text()), boxes(coins(), 3)], asked).await)
            && world.starts(vec![told(filled(), 3, text()), boxes(text(), 3)], asked).await
    }
    "commands are judged as is asked of commands" => |world| {
        let asked = |events, commands| Asked { events, commands, jars: None };
        let second = || vec![told(filled(), 2, coins()), told(fill(), 2, text())];
        world.after(vec![vec![told(filled(), 1, coins()), told(fill(), 1, coins())]]).await
            && is_incompatible(world.start(second(), asked(Compatibility::None, Compatibility::Backward)).await)
            && world.starts(second(), asked(Compatibility::Backward, Compatibility::None)).await
    }
    "what others register later is told" => |world| {
        let Ok(first) = world.start(vec![told(filled(), 1, coins())], NONE).await else { return false };
        let unknown = first.schema(filled(), 2).await;
        let later = world.starts(vec![told(filled(), 2, text()), told(fill(), 1, None)], NONE).await;
        let listed: Vec<_> = first.list().await.unwrap().into_iter().map(|of| (of.subject, of.versions)).collect();
        later
            && matches!(unknown, Err(SchemaError::Unknown { version: 2, .. }))
            && first.schema(filled(), 2).await.is_ok_and(|of| of.schema == Some(text()))
            && listed == [(filled(), vec![1, 2]), (fill(), vec![1])]
    }
    "a list says what is current here, and of which category" => |world| {
        if !world.after(vec![vec![told(filled(), 1, coins())]]).await {
            return false;
        }
        let Ok(registry) = world.start(vec![told(filled(), 2, text())], NONE).await else { return false };
        let Ok(other) = world.start(vec![], NONE).await else { return false };
        let (here, there) = (registry.list().await.unwrap(), other.list().await.unwrap());
        let ([here], [there]) = (&here[..], &there[..]) else { return false };
        let is_jar = |of: &SchemaVersions| of.category.as_deref() == Some("jar");
        here.current == Some(2) && there.current.is_none() && is_jar(here) && is_jar(there)
    }
    "of several at once all start, and each version is registered once" => |world| {
        let store = Before::together(world.store.clone(), 5);
        let each = (0..5).map(|_| {
            world.of.start(store.clone(), vec![told(filled(), 1, coins()), told(fill(), 1, None)], NONE)
        });
        join_all(each).await.iter().all(Result::is_ok) && world.registered().await == 2
    }
    "of two that differ one starts" => |world| {
        let store = Before::together(world.store.clone(), 2);
        let each = [coins(), text()].map(|schema| world.of.start(store.clone(), vec![told(filled(), 1, schema)], NONE));
        let outcomes = join_all(each).await;
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(SchemaRefusal::Changed { .. }))).count();
        outcomes.iter().filter(|outcome| outcome.is_ok()).count() == 1 && refused == 1
    }
}
