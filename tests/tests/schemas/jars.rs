//! Jars, as they were written over the years.

use portolan::application::{Application, ApplicationBuilder, Runtime, Storage};
use portolan::tokio::TokioRuntime;

/// An application of its time: its events and its one command.
macro_rules! jars {
    ($time:ident, $event:item, $command:item, $filled:expr) => {
        pub(crate) mod $time {
            use portolan::prelude::*;
            use serde::{Deserialize, Serialize};

            $event
            $command

            #[derive(Serialize, Deserialize, Clone, Default)]
            pub(crate) struct Jar {}

            #[derive(Rejection, thiserror::Error, Serialize, Deserialize, Debug)]
            pub(crate) enum Refused {
                #[error("never")]
                #[allow(dead_code)]
                Never,
            }

            impl Aggregate for Jar {
                const CATEGORY: &'static str = "jar";
                type Event = JarEvent;
                type Rejection = Refused;
                type Commands = (Fill,);
                fn evolve(&mut self, _: &JarEvent) {}
            }

            impl Decide<Fill> for Jar {
                fn decide(&self, command: &Fill, _: &Context) -> Decision<Self> {
                    let filled: fn(&Fill) -> JarEvent = $filled;
                    Ok(vec![filled(command)])
                }
            }
        }
    };
}

jars!(
    first,
    #[derive(Event, JsonSchema, Serialize, Deserialize, Debug)]
    #[event(category = "jar")]
    pub(crate) enum JarEvent {
        Filled { coins: u32 },
    },
    #[derive(Command, Serialize, Deserialize)]
    #[command(stream = "jar-{jar}")]
    pub(crate) struct Fill {
        pub(crate) jar: String,
        coins: u32,
    },
    |fill| JarEvent::Filled { coins: fill.coins }
);

// Changed without a new version.
jars!(
    careless,
    #[derive(Event, JsonSchema, Serialize, Deserialize, Debug)]
    #[event(category = "jar")]
    pub(crate) enum JarEvent {
        Filled { coins: i64, note: String },
    },
    #[derive(Command, Serialize, Deserialize)]
    #[command(stream = "jar-{jar}")]
    pub(crate) struct Fill {
        pub(crate) jar: String,
        coins: u32,
    },
    |fill| JarEvent::Filled { coins: fill.coins.into(), note: String::new() }
);

// The events are those of before; what can be asked for has changed without a new version.
jars!(
    careless_of_commands,
    #[derive(Event, JsonSchema, Serialize, Deserialize, Debug)]
    #[event(category = "jar")]
    pub(crate) enum JarEvent {
        /// They are documented since.
        Filled { coins: u32 },
    },
    #[derive(Command, Serialize, Deserialize)]
    #[command(stream = "jar-{jar}")]
    pub(crate) struct Fill {
        pub(crate) jar: String,
        coins: u32,
        by: String,
    },
    |fill| JarEvent::Filled { coins: fill.coins + u32::from(fill.by.is_empty()) }
);

jars!(
    second,
    #[derive(Event, JsonSchema, Serialize, Deserialize, Debug)]
    #[event(category = "jar", version = 2)]
    pub(crate) enum JarEvent {
        Filled {
            coins: u32,
            #[event(added = 2, default = "")]
            note: String,
        },
    },
    #[derive(Command, Serialize, Deserialize)]
    #[command(stream = "jar-{jar}", version = 2)]
    pub(crate) struct Fill {
        pub(crate) jar: String,
        coins: u32,
        by: Option<String>,
    },
    |fill| JarEvent::Filled { coins: fill.coins, note: fill.by.clone().unwrap_or_default() }
);

pub(crate) fn builder(storage: impl Into<Storage>) -> ApplicationBuilder {
    Application::builder(storage, Runtime::tokio())
}
