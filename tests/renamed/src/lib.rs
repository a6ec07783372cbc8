//! A domain on `portolan` under another name: what the derives write finds it.

#![cfg(test)]

use sea_chart::prelude::*;
use serde::{Deserialize, Serialize};
use validator::Validate;

#[derive(Command, Serialize, Deserialize, Clone)]
#[command(stream = "account-{account_id}")]
struct Withdraw {
    account_id: String,
    amount: u64,
}

#[derive(Command, Validate, Serialize, Deserialize, Clone)]
#[command(stream = "account-{account_id}")]
struct Rename {
    account_id: String,
    #[validate(length(min = 1))]
    owner: Owner,
}

/// A type of the user's own, with names that the derives also use.
type Owner = String;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "account")]
enum AccountEvent {
    Opened {
        #[tag]
        owner: String,
    },
    Withdrawn {
        amount: u64,
    },
}

#[derive(Rejection, thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Refused {
    #[error("{missing} cents short")]
    InsufficientFunds { missing: u64 },
}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Account {
    balance: u64,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Refused;
    type Commands = (Withdraw,);

    fn evolve(&mut self, event: &AccountEvent) {
        if let AccountEvent::Withdrawn { amount } = event {
            self.balance -= amount;
        }
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, command: &Withdraw, _: &Context) -> Decision<Self> {
        match command.amount.saturating_sub(self.balance) {
            0 => Ok(vec![AccountEvent::Withdrawn { amount: command.amount }]),
            missing => Err(Refused::InsufficientFunds { missing }),
        }
    }
}

#[derive(Query, Serialize, Deserialize)]
#[query(answer = View)]
struct AccountQuery {
    account_id: String,
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct View {
    balance: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "owner")]
enum OwnerEvent {
    #[event(fields)]
    Moved(Move),
}

#[derive(EventFields, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Move {
    place: Owner,
}

#[derive(EventSet)]
enum BankEvent {
    Account(AccountEvent),
    Owner(OwnerEvent),
}

#[derive(Row, Projection, PartialEq, Debug)]
#[row(index(name = "by_owner", columns(owner), unique))]
#[projection(
    events = BankEvent,
    key = "{owner}",
    ignore(OwnerEvent::Moved, AccountEvent::Withdrawn),
    on_failure = park,
    lifecycle = live
)]
struct Balance {
    owner: String,
    #[row(json)]
    #[projection(default)]
    place: Option<Vec<Owner>>,
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct TransferMoney {
    from: Owner,
    amount: u64,
}

struct Transfers;

#[saga(name = "transfer-money", input = TransferMoney, timeout = "1m", check = no_violations)]
impl Transfers {
    #[step(1, compensate = "refund", resolve = "find_out", when = "is_large", retry(attempts = 2, first = "1s"))]
    async fn debit(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
        step.send(Withdraw { account_id: transfer.from.clone(), amount: transfer.amount }).await?;
        Ok(())
    }

    #[compensation(retry(attempts = 3), timeout = "10s")]
    async fn refund(&self, _: &TransferMoney, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    async fn find_out(&self, _: &TransferMoney, _: &StepContext) -> Result<Option<()>, StepError> {
        Ok(None)
    }

    fn is_large(transfer: &TransferMoney, _: &saga::Outcomes) -> bool {
        transfer.amount > 9
    }
}

fn no_violations(_: &TransferMoney) -> Vec<Violation> {
    Vec::new()
}

#[test]
fn derives_find_the_facade_by_its_name_here() {
    let withdraw = Withdraw { account_id: "ann".into(), amount: 5 };
    assert_eq!(
        (Withdraw::NAME, withdraw.stream().map(|stream| stream.to_string())),
        ("withdraw", Ok("account-ann".into()))
    );
    let decision = Account::default().decide(&withdraw, &Context::for_test());
    assert_eq!(decision, Err(Refused::InsufficientFunds { missing: 5 }));
    let opened = AccountEvent::Opened { owner: "Ann".into() };
    assert_eq!((opened.event_type(), opened.tags().map(|tags| tags.len())), ("account.opened", Ok(1)));
    let rename = Rename { account_id: "ann".into(), owner: Owner::new() };
    assert_eq!(Command::validate(&rename)[0].code, "length");
    assert_eq!(AccountQuery::NAME, "account-query");
    assert!(AccountQuery::answer_schema().is_some());
    assert_eq!((Balance::NAME, Balance::COLUMNS.len(), Balance::check()), ("balance", 2, Ok(())));
    assert_eq!(BankEvent::CATEGORIES, ["account", "owner"]);
    assert_eq!((Transfers::NAME, Transfers::definition().plan().is_ok()), ("transfer-money", true));
    assert!(Transfers::schema().is_some());
}
