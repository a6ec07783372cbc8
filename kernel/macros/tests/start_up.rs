//! What no derive can see is said when an application is put together.

use portolan_kernel::domain::{Aggregate, Command, Context, Decide, Decision, Event, Rejection};
use portolan_kernel::drivers::{CommandHandlers, RegisterError};
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(stream = "acount-{account_id}")]
struct Deposit {
    account_id: String,
}

/// Of which category its streams are is known from a command alone.
#[derive(Command, Serialize, Deserialize)]
#[command(stream = "{kind}-{id}")]
struct Close {
    kind: String,
    id: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Touched,
}

#[derive(Rejection, thiserror::Error, Serialize, Deserialize, Debug)]
enum Refused {
    #[error("no")]
    No,
}

macro_rules! aggregate {
    ($name:ident decides $($command:ident)*) => {
        #[derive(Serialize, Deserialize, Clone, Default)]
        struct $name {}

        impl Aggregate for $name {
            const CATEGORY: &'static str = "account";
            type Event = AccountEvent;
            type Rejection = Refused;
            type Commands = ($($command,)*);

            fn evolve(&mut self, _: &AccountEvent) {}
        }

        $(impl Decide<$command> for $name {
            fn decide(&self, _: &$command, _: &Context) -> Decision<Self> {
                Ok(vec![AccountEvent::Touched])
            }
        })*
    };
}
aggregate!(Misspelt decides Deposit);
aggregate!(Open decides Close);

#[test]
fn a_stream_of_another_category_than_the_aggregates() {
    let error = CommandHandlers::new().register::<Misspelt>().expect_err("the template names another category");
    assert!(matches!(error, RegisterError::OtherCategory { category: "acount", expected: "account", .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "start_up::Deposit is for streams of category acount, and start_up::Misspelt, which is to decide on it, is of \
         category account; correct the command's stream, or let another aggregate decide"
    );
    assert_eq!(CommandHandlers::new().register::<Open>(), Ok(()));
}
