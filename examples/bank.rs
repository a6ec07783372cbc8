//! A bank: accounts in whole cents, on one SQLite file, over HTTP, and over GraphQL and gRPC with these features.
//!
//! ```text
//! cargo run --example bank --features graphql,grpc
//! cargo run --example bank -- migrate --data bank.db --into new.db --dry-run
//! ```
//!
//! It is all here, in the order one would write it: what happens, what can be asked for, why it is refused, who
//! decides, what is kept ready to be read, what can be looked up, what goes over two accounts, and `main`, which picks the
//! storage, the transports, and who is let in. Beside it lies `bank-events`: what was stored of each event in each of its
//! versions.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

use clap::{Args, Parser, Subcommand, ValueEnum};
use core::error::Error;
use core::net::SocketAddr;
use portolan::application::{Admission, ApplicationBuilder};
use portolan::domain::inline;
use portolan::domain::validation::violations;
use portolan::drivers::{Migration, ReplayClock, Roles, StaticKey, StaticKeys};
use portolan::prelude::*;
use portolan::sqlite::Durability;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use validator::{Validate, ValidationError};

// What happens. One enum for all streams `account-…`; a stored type never changes its name again. What has changed since
// the first event is said where it has: deposits have a reference from their version 2 on, and older ones have none.

#[derive(Event, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    Opened {
        owner: String,
        currency: String,
    },
    #[event(version = 2)]
    Deposited {
        amount: u64,
        #[event(added = 2)]
        reference: Option<String>,
    },
    Withdrawn {
        amount: u64,
    },
    Closed,
}

// What can be asked for. Fields are judged before anything is read; each wrong one is listed.

/// Opens an account for good: an account that was closed is not opened again.
#[derive(Command, Validate, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "account-{account_id}")]
struct OpenAccount {
    #[validate(custom(function = not_blank))]
    account_id: String,
    #[validate(custom(function = not_blank))]
    owner: String,
    /// Three capital letters, such as EUR.
    #[validate(custom(function = three_capitals))]
    currency: String,
}

/// Pays in.
#[derive(Command, Validate, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "account-{account_id}")]
struct Deposit {
    #[validate(custom(function = not_blank))]
    account_id: String,
    /// In whole cents.
    #[validate(range(min = 1, code = "zero", message = "it must be above zero, in whole cents"))]
    amount: u64,
    /// What it is for.
    // Left out, it is the command that it was before there was any: one that is sent again is known again.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

/// Pays out what is there.
#[derive(Command, Validate, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "account-{account_id}")]
struct Withdraw {
    #[validate(custom(function = not_blank))]
    account_id: String,
    /// In whole cents.
    #[validate(range(min = 1, code = "zero", message = "it must be above zero, in whole cents"))]
    amount: u64,
}

/// Closes an account that is empty.
#[derive(Command, Validate, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "account-{account_id}")]
struct CloseAccount {
    #[validate(custom(function = not_blank))]
    account_id: String,
}

fn not_blank(text: &str) -> Result<(), ValidationError> {
    must(!text.trim().is_empty(), "blank", "it must not be blank")
}

fn three_capitals(text: &str) -> Result<(), ValidationError> {
    let holds = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    must(holds, "no-currency", "a currency is three capital letters, such as EUR")
}

fn must(hold: bool, code: &'static str, message: &'static str) -> Result<(), ValidationError> {
    if hold { Ok(()) } else { Err(ValidationError::new(code).with_message(message.into())) }
}

// Why it is refused. On every wire: the code `insufficient-funds`, the message, and the fields.

#[derive(Rejection, thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Refused {
    #[error("the account is open already")]
    AlreadyOpen,
    #[error("there is no such account; open it first")]
    NotOpen,
    #[error("the account is closed, for good")]
    Closed,
    #[error("{missing} cents are missing")]
    InsufficientFunds { missing: u64 },
    #[error("a balance cannot be that large")]
    BalanceTooLarge,
    #[error("{balance} cents are left; withdraw them before closing")]
    NotEmpty { balance: u64 },
}

// Who decides: a state folded from the events of one account, and a decision a command. No I/O, no clock.

#[derive(Serialize, Deserialize, Clone, Default, Debug, PartialEq)]
struct Account {
    status: Status,
    owner: String,
    currency: String,
    balance: u64,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Default, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Status {
    #[default]
    Missing,
    Open,
    Closed,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Refused;
    type Commands = (OpenAccount, Deposit, Withdraw, CloseAccount);

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { owner, currency } => {
                (self.status, self.owner, self.currency) = (Status::Open, owner.clone(), currency.clone());
            }
            // No decision below makes them saturate; an event that was appended raw could.
            AccountEvent::Deposited { amount, .. } => self.balance = self.balance.saturating_add(*amount),
            AccountEvent::Withdrawn { amount } => self.balance = self.balance.saturating_sub(*amount),
            AccountEvent::Closed => self.status = Status::Closed,
        }
    }

    fn snapshots() -> SnapshotPolicy {
        SnapshotPolicy::every(200)
    }
}

impl Account {
    fn is_open(&self) -> Result<(), Refused> {
        match self.status {
            Status::Missing => Err(Refused::NotOpen),
            Status::Open => Ok(()),
            Status::Closed => Err(Refused::Closed),
        }
    }
}

impl Decide<OpenAccount> for Account {
    fn decide(&self, command: &OpenAccount, _: &Context) -> Decision<Self> {
        match self.status {
            Status::Missing => {
                let OpenAccount { owner, currency, .. } = command.clone();
                Ok(vec![AccountEvent::Opened { owner, currency }])
            }
            Status::Open => Err(Refused::AlreadyOpen),
            Status::Closed => Err(Refused::Closed),
        }
    }
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: &Deposit, _: &Context) -> Decision<Self> {
        self.is_open()?;
        self.balance.checked_add(command.amount).ok_or(Refused::BalanceTooLarge)?;
        let Deposit { amount, reference, .. } = command.clone();
        Ok(vec![AccountEvent::Deposited { amount, reference }])
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, command: &Withdraw, _: &Context) -> Decision<Self> {
        self.is_open()?;
        match command.amount.saturating_sub(self.balance) {
            0 => Ok(vec![AccountEvent::Withdrawn { amount: command.amount }]),
            missing => Err(Refused::InsufficientFunds { missing }),
        }
    }
}

impl Decide<CloseAccount> for Account {
    fn decide(&self, _: &CloseAccount, _: &Context) -> Decision<Self> {
        self.is_open()?;
        match self.balance {
            0 => Ok(vec![AccountEvent::Closed]),
            balance => Err(Refused::NotEmpty { balance }),
        }
    }
}

// What is kept ready to be read: rows, folded from the events. `GET /projections/balances/rows/ann`, those of an owner
// at `…/rows/by/owner?owner=Ann`, and the largest first at `…/rows/by/balance?direction=backward`. Their versions were
// raised with that of deposits: while a bank from before still runs, which does not know these, it keeps to its own rows.

/// The accounts that are open. An event's fields go into the columns of their names. One that leads to more cents than a
/// column holds is parked, and with it the account, until an operator has looked; the others go on.
#[derive(Row, Projection, Clone, Debug, PartialEq)]
#[projection(name = "balances", version = 2, events = AccountEvent, key = stream_id, on_failure = park)]
#[projection(on(Deposited { amount } = deposited, Withdrawn { amount } = withdrawn), delete_on(Closed))]
struct Balance {
    #[row(index)]
    owner: String,
    currency: String,
    #[row(index)]
    #[projection(default)]
    balance: u64,
}

impl Balance {
    fn deposited(&mut self, amount: &u64) {
        self.balance = self.balance.saturating_add(*amount);
    }

    fn withdrawn(&mut self, amount: &u64) {
        self.balance = self.balance.saturating_sub(*amount);
    }
}

/// What moved on a day, in UTC: `GET /projections/daily-totals/rows`.
#[derive(Row, Clone, Default, Debug, PartialEq)]
struct Day {
    deposited: i64,
    withdrawn: i64,
}

/// A projection by hand: its key is no field of the events.
struct DailyTotals;

impl Projection for DailyTotals {
    const NAME: &'static str = "daily-totals";
    const VERSION: u16 = 2;
    type Event = AccountEvent;
    type Row = Day;

    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        let micros = event.recorded.recorded_at.as_micros().try_into().ok()?;
        let recorded_at = jiff::Timestamp::from_microsecond(micros).ok()?;
        Some(jiff::tz::Offset::UTC.to_datetime(recorded_at).date().to_string())
    }

    fn apply(row: &mut Option<Day>, event: &RecordedAs<AccountEvent>) {
        // Made inside of appends, a total without room in its column would refuse the deposit.
        let add = |total: &mut i64, amount| *total = total.saturating_add_unsigned(amount);
        match event.event {
            AccountEvent::Deposited { amount, .. } => add(&mut row.get_or_insert_default().deposited, amount),
            AccountEvent::Withdrawn { amount } => add(&mut row.get_or_insert_default().withdrawn, amount),
            AccountEvent::Opened { .. } | AccountEvent::Closed => {}
        }
    }

    /// Where the store can, inside of each append: never behind.
    fn lifecycle() -> Lifecycle {
        Lifecycle::InlineIfPossible
    }
}

// What can be looked up, from the events themselves: `GET /queries/account?account_id=ann`.

/// An account as it stands.
#[derive(Query, Serialize, Deserialize)]
#[query(name = "account", answer = AccountView)]
struct AccountQuery {
    account_id: String,
}

#[derive(JsonSchema, Serialize, Deserialize)]
struct AccountView {
    owner: String,
    currency: String,
    balance: u64,
    status: Status,
    revision: u64,
}

async fn look_up(query: AccountQuery, context: QueryContext) -> Result<Reply<AccountView>, QueryError> {
    let id = query.account_id;
    let stream = StreamId::new(format!("account-{id}"))
        .map_err(|error| QueryError::Invalid(vec![Violation::new("account_id", "invalid-name", error.to_string())]))?;
    let loaded = context.load::<Account>(stream).await?;
    let Some(revision) = loaded.revision else {
        return Err(QueryError::NotFound(format!("there is no account {id}")));
    };
    let Account { status, owner, currency, balance } = loaded.state;
    let view = AccountView { owner, currency, balance, status, revision: revision.get() };
    Ok(Reply::new(view).at(Some(revision)))
}

// What goes over two accounts: a saga. Wherever the bank dies, the next one goes on, and each step takes effect once, for its
// command has an id of its own. `POST /sagas/transfer-money` with an `Idempotency-Key`, which is its id, and `GET
// /sagas/transfer-money/t-1` for how it stands. In the accounts' events its id is the correlation, and deposits say it.

/// Moves money from one account to another in the same currency.
#[derive(JsonSchema, Validate, Serialize, Deserialize, Clone, Debug)]
struct TransferMoney {
    /// The account that pays.
    #[validate(custom(function = not_blank))]
    from: String,
    /// The account that is paid.
    #[validate(custom(function = not_blank))]
    to: String,
    /// In whole cents.
    #[validate(range(min = 1, code = "zero", message = "it must be above zero, in whole cents"))]
    amount: u64,
}

fn between_two(transfer: &TransferMoney) -> Vec<Violation> {
    let mut wrong = violations(transfer, &[("from", "from"), ("to", "to"), ("amount", "amount")]);
    if transfer.from == transfer.to {
        wrong.push(Violation::new("to", "same-account", "it must be another account than the one that pays"));
    }
    wrong
}

// Refusals are final. All else is tried again, often enough for a bank that dies over and over: an attempt that dies with it
// is one of the twenty.
struct Transfers;

/// Moves money from one account to another in the same currency. What cannot be paid in is paid back.
#[saga(name = "transfer-money", input = TransferMoney, check = between_two, timeout = "10m")]
impl Transfers {
    /// Currencies never change. Whether the accounts are open does; so they say it themselves, when their turn comes.
    #[step(1, harmless, retry(attempts = 20, max = "10s"), timeout = "5s")]
    async fn compare_currencies(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
        let from = step.ask(AccountQuery { account_id: transfer.from.clone() }).await?.answer.currency;
        let to = step.ask(AccountQuery { account_id: transfer.to.clone() }).await?.answer.currency;
        if from == to { Ok(()) } else { Err(StepError::refused("other-currency", format!("{from} is not {to}"))) }
    }

    #[step(2, compensate = "refund", retry(attempts = 20, max = "10s"), timeout = "5s")]
    async fn debit(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
        let TransferMoney { from, amount, .. } = transfer.clone();
        step.send(Withdraw { account_id: from, amount }).await?;
        Ok(())
    }

    #[compensation(timeout = "5s")]
    async fn refund(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
        let TransferMoney { from, amount, .. } = transfer.clone();
        let reference = Some(format!("refund of transfer {}", step.saga().id()));
        step.send(Deposit { account_id: from, amount, reference }).await?;
        Ok(())
    }

    /// Money that was paid in is not taken back: here is no way back any more.
    #[step(3, retry(attempts = 20, max = "10s"), timeout = "5s")]
    async fn credit(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
        let TransferMoney { from, to, amount } = transfer.clone();
        let reference = Some(format!("transfer {} from {from}", step.saga().id()));
        step.send(Deposit { account_id: to, amount, reference }).await?;
        Ok(())
    }
}

// Who is let in: with `--auth-keys`, those whose keys are in a file such as `examples/bank-keys.json`. They show theirs as
// `Authorization: Bearer …` on every transport, may do what their roles allow, and are the actors of their events.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthKeys {
    keys: Vec<StaticKey>,
    roles: Roles,
}

fn admission(file: &Path) -> Result<Admission, Box<dyn Error>> {
    // The error itself would quote the text that is wrong, and that may be a key.
    let malformed = |error: serde_json::Error| {
        format!("line {}, column {} is not as a file of keys and roles has it", error.line(), error.column())
    };
    let AuthKeys { keys, roles } = serde_json::from_slice(&std::fs::read(file)?).map_err(malformed)?;
    if let Some(role) = keys.iter().flat_map(|key| &key.roles).find(|role| !roles.has(role)) {
        return Err(format!("a key has the role {role}, and there is no such role").into());
    }
    Ok(Admission::by(StaticKeys::new(keys)?).with_policy(roles))
}

// The program: which storage, which transports.

/// A bank on one file, over HTTP.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Flags {
    #[command(subcommand)]
    task: Option<Task>,
    /// The file that holds everything; it is made where there is none
    #[arg(long, value_name = "PATH", default_value = "bank.db")]
    data: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to listen for gRPC; port 0 takes a free one
    #[cfg(feature = "grpc")]
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    grpc_listen: SocketAddr,
    /// A JSON file of keys and roles; without it everybody may do everything
    #[arg(long, value_name = "FILE")]
    auth_keys: Option<PathBuf>,
    /// Where to store; what is in memory is gone when the bank stops
    #[arg(long, value_enum, default_value_t = Store::Sqlite)]
    store: Store,
    /// The DynamoDB table that holds everything; it is made where there is none
    #[arg(long, value_name = "NAME", default_value = "bank")]
    table: String,
    /// Where DynamoDB is, such as an emulator; without it the environment says so
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// How many seconds a bank may be silent before another on its storage goes on with its work
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    lease: Duration,
    /// Let callers append events directly, past all decisions
    #[arg(long)]
    raw_appends: bool,
}

fn seconds(text: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

#[derive(Subcommand)]
enum Task {
    /// Copies a bank into another file, in which old events have become those of now
    Migrate(Migrate),
}

#[derive(Args)]
struct Migrate {
    /// The file of the bank; its events are only read
    #[arg(long, value_name = "PATH", default_value = "bank.db")]
    data: PathBuf,
    /// The file of the copy; where a copy was begun, it goes on
    #[arg(long, value_name = "PATH")]
    into: PathBuf,
    /// Say what would change, and write no event; a file to copy into is not made, and an empty one gets its tables
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Store {
    Memory,
    Sqlite,
    Dynamodb,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bank: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bank(storage: impl Into<Storage>, runtime: Runtime) -> ApplicationBuilder {
    let bank = Application::builder(storage, runtime).aggregate::<Account>().query(look_up).saga(Transfers);
    // What events and commands look like is kept in the store: a change without a new version does not start.
    let bank = bank.register_schemas(SchemaOptions::new());
    bank.projection::<Balance>().projection::<DailyTotals>()
}

#[cfg(feature = "dynamodb-plain")]
async fn dynamodb(flags: &Flags) -> Result<Storage, Box<dyn Error>> {
    let mut store = DynamoStore::connect(&flags.table).create_if_missing();
    if let Some(url) = &flags.endpoint {
        store = store.endpoint(url);
    }
    Ok(store.open().await?.into())
}

#[cfg(not(feature = "dynamodb-plain"))]
async fn dynamodb(Flags { table, endpoint, .. }: &Flags) -> Result<Storage, Box<dyn Error>> {
    let endpoint = endpoint.iter().map(|url| format!(" --endpoint {url}")).collect::<String>();
    Err(format!(
        "it was built without DynamoDB, which is a feature: `cargo run --example bank --features dynamodb -- --store \
         dynamodb --table {table}{endpoint}` builds it in"
    )
    .into())
}

/// Events keep their times, for daily totals are made of them, and commands their ids. Such a copy may be made while the bank
/// is open; the last run comes when it is closed.
async fn migrate(Migrate { data, into, dry_run }: Migrate) -> Result<(), Box<dyn Error>> {
    if !data.try_exists()? {
        return Err(format!("{}: there is no such bank", data.display()).into());
    }
    let clock = Arc::new(ReplayClock::new());
    let old = Arc::new(SqliteStore::builder(&data).open().await?);
    let new: Arc<dyn EventStore> = if dry_run && !into.try_exists()? {
        Arc::new(MemoryStore::new())
    } else {
        // An append a command would wait for a sync each. What a power cut takes of a copy is copied by the next run.
        let new = SqliteStore::builder(&into).durability(Durability::SurvivesProcessCrashOnly);
        Arc::new(new.clock(clock.clone()).open().await?)
    };
    // The bank that is to open there: its events, and its commands.
    let bank = bank(MemoryStore::new(), Runtime::tokio()).build().await?;
    let commands = bank.ports().commands.commands().into_iter().map(|command| command.name);
    let migration = Migration::new(old, new, bank.upcasters().clone()).keep_times(clock).keep_keys(commands);
    if dry_run {
        print!("{}", migration.dry_run().await?);
        return Ok(());
    }
    let mut said = 0;
    let copied = migration.run(|progress| {
        if progress.read >= said + 10_000 {
            said = progress.read;
            println!("{} events are read, and {} written", progress.read, progress.written);
        }
    });
    let copied = copied.await?;
    let verified = migration.verify().await?;
    // Closing the file syncs it.
    drop(migration);
    println!("{} events have become {}; {} are missing", copied.read, verified.events, verified.missing);
    if verified.missing > 0 {
        println!("They have come since: run it again, for the last time when the bank is closed.");
    }
    Ok(())
}

async fn run(mut flags: Flags) -> Result<(), Box<dyn Error>> {
    if let Some(Task::Migrate(migration)) = flags.task.take() {
        return migrate(migration).await;
    }
    let storage: Storage = match flags.store {
        Store::Memory => MemoryStore::builder().inline(inline::<DailyTotals>()?).build().into(),
        Store::Sqlite => SqliteStore::builder(&flags.data).inline(inline::<DailyTotals>()?).open().await?.into(),
        Store::Dynamodb => dynamodb(&flags).await?,
    };
    let (admission, key) = match &flags.auth_keys {
        Some(file) => {
            let admission = admission(file).map_err(|error| format!("{}: {error}", file.display()))?;
            (admission, r#" -H "authorization: Bearer $KEY""#)
        }
        None => (Admission::default(), ""),
    };
    if Migration::is_unfinished(&*storage.events).await? {
        return Err("this bank is a copy that is unfinished; run `migrate` once more".into());
    }
    let bank = bank(storage, Runtime::tokio());
    // Transfers are found by a projection, whose worker is stood in for as soon as whoever drives them.
    let bank = bank.projection_options(ProjectionOptions::default().with_lease(flags.lease));
    let bank = bank.saga_options(SagaOptions::default().with_lease(flags.lease)).build().await?;

    let http = HttpServer::new(bank.ports()).with_raw_appends(flags.raw_appends).with_admission(admission.clone());
    #[cfg(feature = "graphql")]
    let http = {
        // What operators do is on unless it is turned off over HTTP and gRPC; here it has to be turned on.
        let graphql = GraphqlServer::new(bank.ports()).with_projection_actions(true).with_saga_actions(true);
        let graphql = graphql.with_admission(admission.clone());
        http.mount("/graphql", graphql.service().await)
    };
    let http = http.bind(flags.listen).await?;
    #[cfg(feature = "grpc")]
    let grpc = {
        let grpc = GrpcServer::new(bank.ports()).with_raw_appends(flags.raw_appends).with_admission(admission);
        grpc.bind(flags.grpc_listen).await?
    };

    // Signals are listened for before anybody is told where the bank is, and the second before anybody sees that the
    // first has come.
    let url = format!("http://{}", http.local_addr());
    let (stop, stopped) = watch::channel(false);
    let first = shutdown_signal();
    let second = async {
        first.await;
        let second = shutdown_signal();
        stop.send_replace(true);
        second.await;
    };
    let stopped = move || {
        let mut stopped = stopped.clone();
        // An end of the channel is one too.
        async move { drop(stopped.wait_for(|stopped| *stopped).await) }
    };
    let http = http.serve(stopped());
    println!(
        r#"The bank listens on {url}

  curl {url}/commands/open-account{key} -H 'content-type: application/json' -d '{{"account_id":"ann","owner":"Ann","currency":"EUR"}}'
  curl {url}/commands/deposit{key} -H 'content-type: application/json' -H 'idempotency-key: k-1' -d '{{"account_id":"ann","amount":500}}'
  curl {url}/commands/open-account{key} -H 'content-type: application/json' -d '{{"account_id":"bob","owner":"Bob","currency":"EUR"}}'
  curl {url}/sagas/transfer-money{key} -H 'content-type: application/json' -H 'idempotency-key: t-1' -d '{{"from":"ann","to":"bob","amount":200}}'
  curl '{url}/projections/balances/rows/by/owner?owner=Ann'{key}
  curl {url}/events -N{key} -H 'accept: text/event-stream'"#
    );
    if cfg!(feature = "graphql") {
        println!(
            r#"
and GraphQL on {url}/graphql, which is GraphiQL for a browser

  curl {url}/graphql{key} -H 'content-type: application/json' -d '{{"query":"{{ balancesList(first: 10) {{ edges {{ node {{ key owner balance }} }} }} }}"}}'"#
        );
    }
    #[cfg(feature = "grpc")]
    let http = {
        let address = grpc.local_addr();
        let grpc = grpc.serve(stopped());
        println!(
            r#"
and gRPC on http://{address}

  grpcurl -plaintext{key} -d '{{}}' {address} portolan.v1.EventStore/Subscribe"#
        );
        async { tokio::join!(http, grpc) }
    };
    let ends = async {
        http.await;
        bank.shutdown().await;
        Ok(())
    };
    tokio::select! {
        ended = ends => ended,
        () = second => Err("stopped by a second signal; what was under way is for the next bank".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AccountEvent::{Closed, Opened, Withdrawn};
    use portolan::drivers::RowPage;

    /// What the account of these events decides.
    fn decide<C>(past: &[AccountEvent], command: C) -> Decision<Account>
    where
        C: StreamCommand,
        Account: Decide<C>,
    {
        Account::replay(past.iter().cloned()).decide(&command, &Context::for_test())
    }

    fn opened() -> AccountEvent {
        Opened { owner: "Ann".into(), currency: "EUR".into() }
    }

    fn deposited(amount: u64) -> AccountEvent {
        AccountEvent::Deposited { amount, reference: None }
    }

    fn open() -> OpenAccount {
        OpenAccount { account_id: "ann".into(), owner: "Ann".into(), currency: "EUR".into() }
    }

    fn deposit(amount: u64) -> Deposit {
        Deposit { account_id: "ann".into(), amount, reference: None }
    }

    fn withdraw(amount: u64) -> Withdraw {
        Withdraw { account_id: "ann".into(), amount }
    }

    fn close() -> CloseAccount {
        CloseAccount { account_id: "ann".into() }
    }

    #[test]
    fn an_account_opens_once() {
        assert_eq!(decide(&[], open()), Ok(vec![opened()]));
        assert_eq!(decide(&[opened()], open()), Err(Refused::AlreadyOpen));
        assert_eq!(decide(&[opened(), Closed], open()), Err(Refused::Closed));
    }

    #[test]
    fn a_balance_is_never_below_zero() {
        let past = [opened(), deposited(3), Withdrawn { amount: 1 }];
        assert_eq!(decide(&past, withdraw(2)), Ok(vec![Withdrawn { amount: 2 }]));
        assert_eq!(decide(&past, withdraw(5)), Err(Refused::InsufficientFunds { missing: 3 }));
        assert_eq!(decide(&past, withdraw(u64::MAX)), Err(Refused::InsufficientFunds { missing: u64::MAX - 2 }));
    }

    #[test]
    fn a_balance_does_not_overflow() {
        let past = [opened(), deposited(u64::MAX - 1)];
        assert_eq!(decide(&past, deposit(1)), Ok(vec![deposited(1)]));
        assert_eq!(decide(&past, deposit(2)), Err(Refused::BalanceTooLarge));
    }

    #[test]
    fn an_account_closes_at_zero_and_for_good() {
        let past = [opened(), deposited(3)];
        assert_eq!(decide(&past, close()), Err(Refused::NotEmpty { balance: 3 }));
        assert_eq!(decide(&[opened()], close()), Ok(vec![Closed]));
        assert_eq!(decide(&[opened(), Closed], deposit(1)), Err(Refused::Closed));
        assert_eq!(decide(&[opened(), Closed], close()), Err(Refused::Closed));
    }

    #[test]
    fn nothing_moves_on_an_account_that_is_not_there() {
        assert_eq!(decide(&[], deposit(1)), Err(Refused::NotOpen));
        assert_eq!(decide(&[], withdraw(1)), Err(Refused::NotOpen));
        assert_eq!(decide(&[], close()), Err(Refused::NotOpen));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let wrong = OpenAccount { account_id: " ".into(), owner: String::new(), currency: "eur".into() };
        let wrong: Vec<_> = Command::validate(&wrong).into_iter().map(|wrong| (wrong.path, wrong.code)).collect();
        let expected = [("account_id", "blank"), ("owner", "blank"), ("currency", "no-currency")];
        assert_eq!(wrong, expected.map(|(path, code)| (path.to_owned(), code.to_owned())));
        assert_eq!(Command::validate(&deposit(0)), Command::validate(&withdraw(0)));
        assert_eq!(Command::validate(&deposit(0))[0].code, "zero");
        assert_eq!(Command::validate(&open()), []);
    }

    #[test]
    fn stored_names_stay_as_they_are() {
        let events = [opened(), deposited(1), Withdrawn { amount: 1 }, Closed];
        let types = events.each_ref().map(Event::event_type);
        assert_eq!(types, ["account.opened", "account.deposited", "account.withdrawn", "account.closed"]);
        let payloads = events.each_ref().map(|event| event.encode().expect("events have a JSON form"));
        assert_eq!(payloads[0], r#"{"owner":"Ann","currency":"EUR"}"#);
        assert_eq!(payloads[1], r#"{"amount":1,"reference":null}"#);
        assert_eq!(events.each_ref().map(Event::version), [1, 2, 1, 1]);
    }

    #[test]
    fn refusals_have_stable_codes() {
        let refused = Refused::InsufficientFunds { missing: 2 };
        assert_eq!(refused.code(), "insufficient-funds");
        assert_eq!(refused.fields()["missing"], 2);
        let others = [
            Refused::AlreadyOpen,
            Refused::NotOpen,
            Refused::Closed,
            Refused::BalanceTooLarge,
            Refused::NotEmpty { balance: 1 },
        ];
        let codes = others.map(|refused| refused.code());
        assert_eq!(codes, ["already-open", "not-open", "closed", "balance-too-large", "not-empty"]);
    }

    #[cfg(not(feature = "dynamodb-plain"))]
    #[tokio::test]
    async fn without_dynamodb_it_says_how_to_get_it() {
        let flags = Flags::parse_from(["bank", "--store", "dynamodb", "--endpoint", "http://127.0.0.1:8000"]);
        let said = run(flags).await.expect_err("it is not built in").to_string();
        let command =
            "cargo run --example bank --features dynamodb -- --store dynamodb --table bank --endpoint http://";
        assert!(said.contains(command), "{said}");
    }

    #[tokio::test]
    async fn the_whole_bank_runs_on_any_storage() {
        let bank = bank(MemoryStore::new(), Runtime::tokio()).build().await.expect("it is registered rightly").ports();
        bank.commands.send(open()).await.expect("it opens");
        for _ in 0..2 {
            // A worker makes them here, as the store was not given them.
            let deposited = bank.commands.send(deposit(5)).id("k-1").wait_for(DailyTotals::NAME).await;
            deposited.expect("it deposits, once");
        }
        let days = bank.projections.get::<DailyTotals>().list().await.expect("a page");
        assert_eq!(days.rows[0].row, Day { deposited: 5, withdrawn: 0 });
        let refused = bank.commands.send(withdraw(7)).await.expect_err("5 cents are not 7");
        assert_eq!(Refused::of(&refused), Some(Refused::InsufficientFunds { missing: 2 }));
        let asked = bank.queries.query(AccountQuery { account_id: "ann".into() }).await.expect("it is there");
        assert_eq!((asked.answer.balance, asked.answer.status), (5, Status::Open));
    }

    /// A bank in memory with the accounts `ann`, `bob` and `cid` of these owners and balances.
    async fn with_accounts(accounts: [(&str, u64); 3]) -> Ports {
        let store = MemoryStore::builder().inline(inline::<DailyTotals>().expect("its names are usable")).build();
        let bank = bank(store, Runtime::tokio()).build().await.expect("it is registered rightly").ports();
        for (account_id, (owner, amount)) in ["ann", "bob", "cid"].map(str::to_owned).into_iter().zip(accounts) {
            let open = OpenAccount { account_id: account_id.clone(), owner: owner.into(), ..open() };
            bank.commands.send(open).await.expect("it opens");
            let deposit = Deposit { account_id, ..deposit(amount) };
            bank.commands.send(deposit).wait_for(Balance::NAME).await.expect("it deposits");
        }
        bank
    }

    #[tokio::test]
    async fn balances_are_found_by_account_by_owner_and_by_size() {
        let bank = with_accounts([("Ann", 5), ("Bob", 700), ("Ann", 60)]).await;
        let balances = bank.projections.get::<Balance>();
        let of = |owner: &str, balance| Balance { owner: owner.into(), currency: "EUR".into(), balance };
        assert_eq!(balances.get("ann").await.expect("a row"), Some(of("Ann", 5)));
        let rows = |page: RowPage<Balance>| page.into_iter().map(|found| found.row).collect::<Vec<_>>();
        let of_ann = balances.find("owner", "Ann").await.expect("a page");
        assert_eq!(rows(of_ann), [of("Ann", 5), of("Ann", 60)]);
        let largest = balances.find("balance", ()).backward().limit(2).await.expect("a page");
        assert_eq!(rows(largest), [of("Bob", 700), of("Ann", 60)]);
        bank.commands.send(withdraw(5)).await.expect("it withdraws");
        bank.commands.send(close()).wait_for(Balance::NAME).await.expect("it closes");
        assert_eq!(balances.get("ann").await.expect("an answer"), None);
    }

    #[test]
    fn a_transfer_is_between_two_accounts() {
        let transfer = |from: &str, to: &str, amount| TransferMoney { from: from.into(), to: to.into(), amount };
        let wrong = |transfer| between_two(&transfer).into_iter().map(|wrong| (wrong.path, wrong.code)).collect();
        let of = |expected: &[(&str, &str)]| -> Vec<_> {
            expected.iter().map(|(path, code)| ((*path).to_owned(), (*code).to_owned())).collect()
        };
        let found: [Vec<_>; 3] =
            [transfer("ann", "bob", 1), transfer("ann", "ann", 0), transfer("ann", " ", 1)].map(wrong);
        assert_eq!(found, [of(&[]), of(&[("amount", "zero"), ("to", "same-account")]), of(&[("to", "blank")])]);
    }

    #[tokio::test]
    async fn a_transfer_is_done_or_undone() {
        let bank = with_accounts([("Ann", 50), ("Bob", 700), ("Cid", 1)]).await;
        bank.commands.send(Withdraw { account_id: "cid".into(), ..withdraw(1) }).await.expect("it withdraws");
        bank.commands.send(CloseAccount { account_id: "cid".into() }).await.expect("it closes");
        let mut ends = Vec::new();
        for to in ["bob", "cid", "dan"] {
            let transfer = TransferMoney { from: "ann".into(), to: to.into(), amount: 20 };
            let started = bank.sagas.start_as::<Transfers>(to, transfer).await.expect("it starts");
            let ended = bank.sagas.wait_for_end(&started.saga, &bank.events).await.expect("it ends");
            ends.push(ended.status.phase);
        }
        assert_eq!(ends, [SagaPhase::Completed, SagaPhase::Compensated, SagaPhase::Compensated]);
        let mut moved = Vec::new();
        for account in ["ann", "bob", "cid"] {
            let asked = bank.queries.query(AccountQuery { account_id: account.into() }).await.expect("it is there");
            moved.push((asked.answer.balance, asked.answer.revision));
        }
        // Taken out twice, and once put back.
        assert_eq!(moved, [(30, 4), (720, 2), (0, 3)]);
    }

    #[tokio::test]
    async fn daily_totals_are_there_with_the_deposit() {
        let bank = with_accounts([("Ann", 5), ("Bob", 700), ("Ann", 60)]).await;
        bank.commands.send(withdraw(4)).await.expect("it withdraws, and nobody waits");
        let days = bank.projections.get::<DailyTotals>().list().await.expect("a page");
        // At midnight there are two.
        let total = days.into_iter().fold((0, 0), |(in_, out), day| (in_ + day.row.deposited, out + day.row.withdrawn));
        assert_eq!(total, (765, 4));
    }
}
