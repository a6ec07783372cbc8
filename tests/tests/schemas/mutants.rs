//! Wrong registrations, each found by the checks that are named beside it and by no other.

use super::checks::{Asked, CHECKS, Real, Registers, Started, Told};
use super::stores::{Before, Way, memory, registrations};
use async_trait::async_trait;
use portolan::domain::compatibility::{Compatibility, misfits};
use portolan::drivers::SchemaRefusal;
use portolan::ports::{EventStore, Schema, SchemaError, SchemaRegistry, SchemaSubject, SchemaVersions};
use portolan::values::Append;
use serde_json::Value;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    KeepsNothing,
    AcceptsChanges,
    JudgesTheNewestAlone,
    IgnoresWhatIsRequired,
    TakesCompletionForAChange,
    ForgetsCompletion,
    RegistersSchemasAlone,
    WritesOnEachStart,
    WritesBeforeItJudges,
    RefusesOldVersions,
    JudgesOldVersionsByLaterOnes,
    ForbidsThatTypesGo,
    JudgesNoCompatibility,
    MixesDirectionsUp,
    JudgesOneDirectionOfFull,
    JudgesTheVersionBeforeAlone,
    JudgesEveryVersion,
    ForgetsWhatIsAskedOfACategory,
    AsksOfCommandsWhatIsAskedOfEvents,
    LosesRaces,
    GivesUpRaces,
    TellsItsOwn,
    ForgetsCategories,
    ReadsOnce,
}

fn refused(subject: &SchemaSubject, version: u32) -> Started {
    Err(SchemaRefusal::Changed { subject: subject.clone(), version, changes: String::new(), next: version })
}

/// What is registered already.
async fn registered(store: &Arc<dyn EventStore>) -> (Arc<dyn SchemaRegistry>, Vec<SchemaVersions>) {
    let registry = Real.start(store.clone(), vec![], Asked::default()).await.unwrap();
    let listed = registry.list().await.unwrap();
    (registry, listed)
}

fn without_required(schema: &Value) -> Value {
    let mut schema = schema.clone();
    schema["required"].take();
    schema
}

#[async_trait]
impl Registers for Wrong {
    async fn start(&self, mut store: Arc<dyn EventStore>, mut told: Vec<Told>, mut asked: Asked) -> Started {
        // Rivals meet at their first read, which has to be that of the registration.
        let is_of_races = [Self::LosesRaces, Self::GivesUpRaces].contains(self);
        let (before, listed) = registered(&if is_of_races { memory() } else { store.clone() }).await;
        let newest = |subject: &SchemaSubject| {
            listed.iter().find(|of| of.subject == *subject).and_then(|of| of.versions.last().copied())
        };
        for of in &mut told {
            let Schema { subject, version, .. } = of.schema.clone();
            let known = before.schema(subject.clone(), version).await.ok().map(|known| known.schema);
            let is_old = newest(&subject).is_some_and(|newest| newest > version);
            match (self, &known) {
                (Self::AcceptsChanges, Some(Some(_))) => of.schema.schema = None,
                (Self::JudgesTheNewestAlone, Some(Some(_))) if is_old => of.schema.schema = None,
                (Self::TakesCompletionForAChange, Some(None)) if of.schema.schema.is_some() => {
                    return refused(&subject, version);
                }
                (Self::ForgetsCompletion, Some(None)) => of.schema.schema = None,
                (Self::RefusesOldVersions, _) if is_old => return refused(&subject, version),
                (Self::JudgesOldVersionsByLaterOnes, None) if is_old && asked.events != Compatibility::None => {
                    let later = before.schema(subject.clone(), newest(&subject).unwrap()).await.unwrap().schema;
                    if !misfits(of.schema.schema.as_ref().unwrap(), &later.unwrap()).is_empty() {
                        return refused(&subject, version);
                    }
                }
                (Self::IgnoresWhatIsRequired, Some(Some(known)))
                    if of
                        .schema
                        .schema
                        .as_ref()
                        .is_some_and(|told| without_required(told) == without_required(known)) =>
                {
                    of.schema.schema = None;
                }
                (Self::ForgetsCategories, _) => of.category = None,
                _ => {}
            }
        }
        if let Some(gone) = listed.iter().find(|known| !told.iter().any(|of| of.schema.subject == known.subject))
            && *self == Self::ForbidsThatTypesGo
            && !told.is_empty()
        {
            return refused(&gone.subject, 1);
        }
        let with_all = |asked: Asked, change: fn(Compatibility) -> Compatibility| Asked {
            events: change(asked.events),
            jars: asked.jars.map(change),
            commands: change(asked.commands),
        };
        use Compatibility::{Backward, BackwardTransitive, Forward, Full};
        match self {
            Self::KeepsNothing => store = memory(),
            Self::RegistersSchemasAlone => told.retain(|of| of.schema.schema.is_some()),
            Self::JudgesNoCompatibility => asked = Asked::default(),
            Self::MixesDirectionsUp => {
                asked = with_all(asked, |of| match of {
                    Backward => Forward,
                    Forward => Backward,
                    other => other,
                });
            }
            Self::JudgesOneDirectionOfFull => asked = with_all(asked, |of| if of == Full { Backward } else { of }),
            Self::JudgesTheVersionBeforeAlone => {
                asked = with_all(asked, |of| if of == BackwardTransitive { Backward } else { of });
            }
            Self::JudgesEveryVersion => {
                asked = with_all(asked, |of| if of == Backward { BackwardTransitive } else { of });
            }
            Self::ForgetsWhatIsAskedOfACategory => asked.jars = None,
            Self::AsksOfCommandsWhatIsAskedOfEvents => asked.commands = asked.events,
            Self::LosesRaces => store = Arc::new(Before(store, Way::Unconditional)),
            Self::GivesUpRaces => store = Arc::new(Before(store, Way::NoSecondTry)),
            // A category that nothing is of would be refused.
            Self::ForgetsCategories => asked.jars = None,
            _ => {}
        }
        let own = told.clone();
        let outcome = Real.start(store.clone(), told, asked).await;
        let again = || async {
            let events = registrations(&store).await.iter().map(|of| of.event.clone()).collect::<Vec<_>>();
            store.append(Append::new(events.into_iter().take(1))).await.unwrap();
        };
        match (self, outcome) {
            (Self::WritesOnEachStart, Ok(registry)) if !own.is_empty() => {
                again().await;
                Ok(registry)
            }
            (Self::WritesBeforeItJudges, Err(refusal)) => {
                again().await;
                Err(refusal)
            }
            (Self::TellsItsOwn, Ok(registry)) => Ok(Arc::new(Own(own, registry))),
            (Self::ReadsOnce, Ok(registry)) => Ok(Arc::new(Once::of(&registry).await)),
            (_, outcome) => outcome,
        }
    }
}

/// Tells what its application has told, whatever was registered before.
struct Own(Vec<Told>, Arc<dyn SchemaRegistry>);

#[async_trait]
impl SchemaRegistry for Own {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        self.1.list().await
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        let own = self.0.iter().find(|own| own.schema.subject == subject && own.schema.version == version);
        match own.filter(|own| own.schema.schema.is_some()) {
            Some(own) => Ok(own.schema.clone()),
            None => self.1.schema(subject, version).await,
        }
    }
}

/// Tells what was registered when it started.
struct Once(Vec<SchemaVersions>, Vec<Schema>);

impl Once {
    async fn of(registry: &Arc<dyn SchemaRegistry>) -> Self {
        let listed = registry.list().await.unwrap();
        let mut schemas = Vec::new();
        for of in &listed {
            for version in &of.versions {
                schemas.push(registry.schema(of.subject.clone(), *version).await.unwrap());
            }
        }
        Self(listed, schemas)
    }
}

#[async_trait]
impl SchemaRegistry for Once {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        Ok(self.0.clone())
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        let found = self.1.iter().find(|of| of.subject == subject && of.version == version);
        found.cloned().ok_or(SchemaError::Unknown { subject, version })
    }
}

async fn failing(of: &dyn Registers) -> Vec<&'static str> {
    let mut failing = Vec::new();
    for (name, check) in CHECKS {
        if !check(of).await {
            failing.push(*name);
        }
    }
    failing
}

#[tokio::test]
async fn what_an_application_does_passes_every_check() {
    assert_eq!(failing(&Real).await, [""; 0]);
}

#[tokio::test]
async fn each_wrong_registration_is_found_by_the_checks_that_are_named() {
    let mutants: &[(Wrong, &[&str])] = &[
        (
            Wrong::KeepsNothing,
            &[
                "what is told is kept in the store",
                "a start with nothing new writes nothing",
                "a changed schema under its version is refused",
                "a changed schema of a version that is not the newest is refused",
                "what is required belongs to the schema",
                "what is refused leaves nothing",
                "annotations are no change, and what was registered first is told",
                "a version gets its schema later",
                "a version without a schema is registered as one",
                "who tells no schema takes none away",
                "a new version stands beside the old",
                "an old version is registered late, and not judged by later ones",
                "a type that is gone stays",
                "backward: the new version reads what the old has written",
                "forward: the old version reads what the new one writes",
                "full: both",
                "the version before is judged, and with transitive every one",
                "a schema that comes later is judged",
                "a category is judged as is asked of it, and others as of all",
                "commands are judged as is asked of commands",
                "what others register later is told",
                "a list says what is current here, and of which category",
                "of several at once all start, and each version is registered once",
                "of two that differ one starts",
            ],
        ),
        (
            Wrong::AcceptsChanges,
            &[
                "a changed schema under its version is refused",
                "a changed schema of a version that is not the newest is refused",
                "what is required belongs to the schema",
                "what is refused leaves nothing",
                "of two that differ one starts",
            ],
        ),
        (Wrong::JudgesTheNewestAlone, &["a changed schema of a version that is not the newest is refused"]),
        (Wrong::IgnoresWhatIsRequired, &["what is required belongs to the schema"]),
        (Wrong::TakesCompletionForAChange, &["a version gets its schema later", "a schema that comes later is judged"]),
        (Wrong::ForgetsCompletion, &["a version gets its schema later", "a schema that comes later is judged"]),
        (
            Wrong::RegistersSchemasAlone,
            &[
                "a start with nothing new writes nothing",
                "a version without a schema is registered as one",
                "what others register later is told",
                "of several at once all start, and each version is registered once",
            ],
        ),
        (
            Wrong::WritesOnEachStart,
            &[
                "a start with nothing new writes nothing",
                "what is refused leaves nothing",
                "annotations are no change, and what was registered first is told",
                "of several at once all start, and each version is registered once",
            ],
        ),
        (Wrong::WritesBeforeItJudges, &["what is refused leaves nothing"]),
        (
            Wrong::RefusesOldVersions,
            &[
                "an old process starts again beside a new one",
                "an old version is registered late, and not judged by later ones",
            ],
        ),
        (Wrong::JudgesOldVersionsByLaterOnes, &["an old version is registered late, and not judged by later ones"]),
        (Wrong::ForbidsThatTypesGo, &["a type that is gone stays"]),
        (
            Wrong::JudgesNoCompatibility,
            &[
                "backward: the new version reads what the old has written",
                "forward: the old version reads what the new one writes",
                "full: both",
                "the version before is judged, and with transitive every one",
                "a schema that comes later is judged",
                "a category is judged as is asked of it, and others as of all",
                "commands are judged as is asked of commands",
            ],
        ),
        (
            Wrong::MixesDirectionsUp,
            &[
                "backward: the new version reads what the old has written",
                "forward: the old version reads what the new one writes",
            ],
        ),
        (Wrong::JudgesOneDirectionOfFull, &["full: both"]),
        (Wrong::JudgesTheVersionBeforeAlone, &["the version before is judged, and with transitive every one"]),
        (
            Wrong::JudgesEveryVersion,
            &[
                "the version before is judged, and with transitive every one",
                "a category is judged as is asked of it, and others as of all",
            ],
        ),
        (Wrong::ForgetsWhatIsAskedOfACategory, &["a category is judged as is asked of it, and others as of all"]),
        (Wrong::AsksOfCommandsWhatIsAskedOfEvents, &["commands are judged as is asked of commands"]),
        (Wrong::LosesRaces, &["of several at once all start, and each version is registered once"]),
        (
            Wrong::GivesUpRaces,
            &["of several at once all start, and each version is registered once", "of two that differ one starts"],
        ),
        (Wrong::TellsItsOwn, &["annotations are no change, and what was registered first is told"]),
        (
            Wrong::ForgetsCategories,
            &[
                "a category is judged as is asked of it, and others as of all",
                "a list says what is current here, and of which category",
            ],
        ),
        (Wrong::ReadsOnce, &["what others register later is told"]),
    ];
    let mut wrong = Vec::new();
    for (mutant, expected) in mutants {
        let found = failing(mutant).await;
        if found != **expected || found.is_empty() {
            wrong.push(format!("{mutant:?}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
