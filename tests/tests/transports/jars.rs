//! The domain: jars, and who puts coins into them.

use core::fmt;
use portolan::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "jar")]
pub(crate) enum JarEvent {
    Filled {
        coins: u64,
        #[tag]
        by: String,
    },
    Sealed,
}

/// Puts coins into a jar, which holds 100.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "jar-{jar}", check = wrong)]
pub(crate) struct FillJar {
    pub(crate) jar: String,
    /// At least one.
    pub(crate) coins: u64,
    pub(crate) by: String,
}

fn wrong(command: &FillJar) -> Vec<Violation> {
    let none = (command.coins == 0).then(|| Violation::new("coins", "none", "a jar is filled with at least one coin"));
    let nobody = command.by.is_empty().then(|| Violation::new("by", "blank", "somebody fills it"));
    none.into_iter().chain(nobody).collect()
}

/// Seals a jar. One that is sealed stays so.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "jar-{jar}")]
pub(crate) struct SealJar {
    pub(crate) jar: String,
}

/// Is forbidden.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "jar-{jar}")]
pub(crate) struct BreakJar {
    pub(crate) jar: String,
}

/// Takes for ever.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "jar-{jar}")]
pub(crate) struct CountJar {
    pub(crate) jar: String,
}

#[derive(Rejection, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) enum Refused {
    TooFull { over: u64, by: String },
    Sealed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFull { over, .. } => write!(f, "{over} coins too much"),
            Self::Sealed => f.write_str("it is sealed"),
        }
    }
}

impl core::error::Error for Refused {}

#[derive(Serialize, Deserialize, Clone, Default, Debug)]
pub(crate) struct Jar {
    coins: u64,
    is_sealed: bool,
}

impl Aggregate for Jar {
    const CATEGORY: &'static str = "jar";
    type Event = JarEvent;
    type Rejection = Refused;
    type Commands = (FillJar, SealJar, BreakJar, CountJar);

    fn evolve(&mut self, event: &JarEvent) {
        match event {
            JarEvent::Filled { coins, .. } => self.coins = self.coins.saturating_add(*coins),
            JarEvent::Sealed => self.is_sealed = true,
        }
    }
}

impl Decide<FillJar> for Jar {
    fn decide(&self, command: &FillJar, _: &Context) -> Decision<Self> {
        let FillJar { coins, by, .. } = command.clone();
        if self.is_sealed {
            return Err(Refused::Sealed);
        }
        match self.coins.saturating_add(coins).saturating_sub(100) {
            0 => Ok(vec![JarEvent::Filled { coins, by }]),
            over => Err(Refused::TooFull { over, by }),
        }
    }
}

impl Decide<SealJar> for Jar {
    fn decide(&self, _: &SealJar, _: &Context) -> Decision<Self> {
        Ok(if self.is_sealed { vec![] } else { vec![JarEvent::Sealed] })
    }
}

impl Decide<BreakJar> for Jar {
    fn decide(&self, _: &BreakJar, _: &Context) -> Decision<Self> {
        Ok(vec![])
    }
}

impl Decide<CountJar> for Jar {
    fn decide(&self, _: &CountJar, _: &Context) -> Decision<Self> {
        Ok(vec![])
    }
}

/// What is in a jar.
#[derive(Query, Serialize, Deserialize)]
#[query(name = "jar", answer = JarView)]
pub(crate) struct JarQuery {
    pub(crate) jar: String,
    /// In which coins.
    pub(crate) unit: Option<u64>,
}

#[derive(JsonSchema, Serialize, Deserialize)]
pub(crate) struct JarView {
    coins: u64,
    is_sealed: bool,
}

pub(crate) async fn look(query: JarQuery, context: QueryContext) -> Result<Reply<JarView>, QueryError> {
    let unit = query.unit.unwrap_or(1);
    if unit == 0 {
        return Err(QueryError::Invalid(vec![Violation::new("unit", "zero", "a coin is worth something")]));
    }
    let stream = StreamId::new(format!("jar-{}", query.jar))
        .map_err(|error| QueryError::Invalid(vec![Violation::new("jar", "invalid-name", error.to_string())]))?;
    let loaded = context.load::<Jar>(stream).await?;
    let Some(revision) = loaded.revision else {
        return Err(QueryError::NotFound(format!("there is no jar {}", query.jar)));
    };
    let Jar { coins, is_sealed } = loaded.state;
    Ok(Reply::new(JarView { coins: coins / unit, is_sealed }).at(Some(revision)))
}

#[derive(Row, Clone, Debug, PartialEq)]
pub(crate) struct JarRow {
    #[row(index)]
    owner: String,
    #[row(index)]
    coins: u64,
    share: f64,
    is_sealed: bool,
    last: Option<String>,
}

fn key(event: &RecordedAs<JarEvent>) -> Option<String> {
    Some(event.stream().id().into())
}

fn apply(row: &mut Option<JarRow>, event: &RecordedAs<JarEvent>) {
    match (&event.event, row) {
        (JarEvent::Filled { coins, by }, Some(row)) => {
            (row.coins, row.share, row.last) = (row.coins + coins, 0.5, Some(by.clone()));
        }
        (JarEvent::Filled { coins, by }, row) => {
            *row = Some(JarRow { owner: by.clone(), coins: *coins, share: 1.0, is_sealed: false, last: None });
        }
        (JarEvent::Sealed, Some(row)) => row.is_sealed = true,
        (JarEvent::Sealed, None) => {}
    }
}

/// Projections that differ in what becomes of an event they cannot read, and in when they are made.
macro_rules! projections {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $then:ident, $lifecycle:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Projection for $name {
            const NAME: &'static str = $text;
            const VERSION: u16 = 1;
            type Event = JarEvent;
            type Row = JarRow;

            fn key(event: &RecordedAs<JarEvent>) -> Option<String> {
                key(event)
            }

            fn apply(row: &mut Option<JarRow>, event: &RecordedAs<JarEvent>) {
                apply(row, event);
            }

            fn on_failure() -> FailurePolicy {
                FailurePolicy::then(OnFailure::$then).retries(0)
            }

            fn lifecycle() -> Lifecycle {
                Lifecycle::$lifecycle
            }
        }
    )*};
}
projections! {
    /// Goes on past what it cannot read.
    Jars = "jars", Park, Asynchronous;
    /// Stops there.
    Strict = "strict", Stop, Asynchronous;
    /// Somebody else has its lease, and does nothing.
    Held = "held", Park, Asynchronous;
    /// Is folded when it is read.
    Fresh = "fresh", Skip, Live;
}
