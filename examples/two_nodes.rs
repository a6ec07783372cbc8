//! Two nodes: one that is asked, and one that decides. The second is killed in the middle, and nothing is lost or done
//! twice.
//!
//! ```text
//! cargo run --example two_nodes --features grpc
//! ```
//!
//! The node that decides has the domain and an SQLite file, and offers its ports over gRPC. The node that is asked has a bus
//! and nothing behind it but that node: callers send commands to it as to any other bus. When an answer does not come, the
//! same command under the same id settles what became of it.
//!
//! The first node shows a key that the second knows, and speaks for its callers; nobody else is let in.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use portolan::application::Admission;
use portolan::drivers::StaticKeys;
use portolan::grpc::{ClientConfig, ConnectError};
use portolan::prelude::*;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

// The domain, which the second node alone has.

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "jar")]
enum JarEvent {
    Added { beans: u64 },
}

/// Puts beans into a jar.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(stream = "jar-{jar}")]
struct AddBeans {
    jar: String,
    beans: u64,
}

#[derive(Rejection, thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Refused {
    #[error("there are no {beans} beans in the world")]
    TooMany { beans: u64 },
}

#[derive(Serialize, Deserialize, Clone, Default, Debug)]
struct Jar {
    beans: u64,
}

impl Aggregate for Jar {
    const CATEGORY: &'static str = "jar";
    type Event = JarEvent;
    type Rejection = Refused;
    type Commands = (AddBeans,);

    fn evolve(&mut self, JarEvent::Added { beans }: &JarEvent) {
        self.beans = self.beans.saturating_add(*beans);
    }
}

impl Decide<AddBeans> for Jar {
    fn decide(&self, command: &AddBeans, _: &Context) -> Decision<Self> {
        let beans = command.beans;
        self.beans.checked_add(beans).ok_or(Refused::TooMany { beans })?;
        Ok(vec![JarEvent::Added { beans }])
    }
}

/// How many beans are in a jar.
#[derive(Query, Serialize, Deserialize)]
#[query(name = "jar", answer = u64)]
struct BeansIn {
    jar: String,
}

async fn count(query: BeansIn, context: QueryContext) -> Result<Reply<u64>, QueryError> {
    let stream =
        StreamId::new(format!("jar-{}", query.jar)).map_err(|error| QueryError::NotFound(error.to_string()))?;
    Ok(Reply::new(context.load::<Jar>(stream).await?.state.beans))
}

// The second node: a process of its own, which tells its address on its standard output.

/// The environment's variables that make a process the second node: its file, where to listen, and the first node's key.
const FILE: &str = "TWO_NODES_FILE";
const LISTEN: &str = "TWO_NODES_LISTEN";
const KEY: &str = "TWO_NODES_KEY";
const SAYS: &str = "the second node listens on ";

async fn second_node(file: &Path, listen: SocketAddr, key: &str) -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open(file).await?;
    let application = Application::builder(store, Runtime::tokio()).aggregate::<Jar>().query(count).build().await?;
    let keys = format!(r#"[{{"key": "{key}", "actor": "first-node", "speaks_for_others": true}}]"#);
    let admission = Admission::by(StaticKeys::from_json(keys.as_bytes())?);
    let server = GrpcServer::new(application.ports()).with_admission(admission).bind(listen).await?;
    println!("{SAYS}{}", server.local_addr());
    // It is killed.
    server.serve(core::future::pending()).await;
    Ok(())
}

/// The second node, as the first sees it; it dies with this.
struct Node {
    process: Child,
    address: SocketAddr,
}

impl Node {
    fn start(file: &Path, listen: &str, key: &str) -> Result<Self, Box<dyn Error>> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        if cfg!(test) {
            command.args(["tests::is_the_second_node", "--exact", "--nocapture"]);
        }
        let mut process = command.env(FILE, file).env(LISTEN, listen).env(KEY, key).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().ok_or("it has no standard output")?;
        let said = BufReader::new(output).lines().map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once(SAYS)?;
            address.parse().ok()
        });
        match said {
            Some(address) => Ok(Self { process, address }),
            None => Err("the second node does not start".into()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // SIGKILL: it has no time for anything.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// The first node: callers send to its bus, and settle what is not answered.

/// What came of all commands.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicUsize,
    /// Sent again because nobody could be reached: nothing had happened.
    busy: AtomicUsize,
    /// Sent again because no answer came.
    unknown: AtomicUsize,
    /// Of those, had taken effect.
    had_happened: AtomicUsize,
}

/// Sends the command of this caller until it has its receipt, under one id.
async fn settled(
    bus: &dyn CommandBus,
    command: AddBeans,
    caller: &str,
    id: &str,
    tally: &Tally,
) -> Result<Receipt, CommandError> {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut was_unknown = false;
    loop {
        match bus.send(command.clone()).actor(caller).id(id).deadline(Duration::from_secs(5)).await {
            Ok(receipt) => {
                tally.answered.fetch_add(1, Ordering::Relaxed);
                tally.had_happened.fetch_add(usize::from(was_unknown && receipt.repeated), Ordering::Relaxed);
                return Ok(receipt);
            }
            Err(CommandError::Unknown(_)) => {
                was_unknown = true;
                tally.unknown.fetch_add(1, Ordering::Relaxed);
            }
            Err(CommandError::Busy(_) | CommandError::DeadlinePassed | CommandError::Conflict { .. }) => {
                tally.busy.fetch_add(1, Ordering::Relaxed);
            }
            Err(other) => return Err(other),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// `callers` send `each` commands, of one bean each, each into a jar of its own; when half are answered the second node is
/// killed, and started again. Gives what came of it, and how many beans there are.
async fn first_node(file: &Path, callers: usize, each: usize) -> Result<(Arc<Tally>, u64), Box<dyn Error>> {
    // A key for this run alone, which nobody can guess.
    let key = Runtime::tokio().ids.new_id().to_string();
    let node = Node::start(file, "127.0.0.1:0", &key)?;
    let address = node.address;
    let uri = format!("http://{address}");
    match GrpcClient::connect(&uri).await {
        Err(ConnectError::Denied { reason, .. }) => println!("without the key: {reason}"),
        other => return Err(format!("the second node lets in who has no key: {other:?}").into()),
    }
    let mut config = ClientConfig::default();
    config.authorization = Some(format!("Bearer {key}"));
    let ports = GrpcClient::connect_with(&uri, config).await?.ports();
    let tally = Arc::new(Tally::default());
    let calling: Vec<_> = (0..callers)
        .map(|caller| {
            let (bus, tally) = (ports.commands.clone(), tally.clone());
            tokio::spawn(async move {
                let actor = format!("caller-{caller}");
                for n in 0..each {
                    let command = AddBeans { jar: caller.to_string(), beans: 1 };
                    settled(&*bus, command, &actor, &format!("add-{caller}-{n}"), &tally).await?;
                }
                Ok::<_, CommandError>(())
            })
        })
        .collect();
    while tally.answered.load(Ordering::Relaxed) < callers * each / 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(node);
    println!("killed it after {} receipts", tally.answered.load(Ordering::Relaxed));
    let _node = Node::start(file, &address.to_string(), &key)?;
    for caller in calling {
        caller.await??;
    }
    let mut beans = 0;
    for caller in 0..callers {
        beans += ports.queries.query(BeansIn { jar: caller.to_string() }).await?.answer;
    }
    Ok((tally, beans))
}

/// A folder of this process alone, which goes with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, std::io::Error> {
        let path = std::env::temp_dir().join(format!("two-nodes-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    if let (Some(file), Ok(listen), Ok(key)) = (std::env::var_os(FILE), std::env::var(LISTEN), std::env::var(KEY)) {
        return second_node(Path::new(&file), listen.parse()?, &key).await;
    }
    let folder = Folder::new()?;
    let (tally, beans) = first_node(&folder.0.join("jars.db"), 16, 50).await?;
    println!("{} commands, {beans} beans", tally.answered.load(Ordering::Relaxed));
    println!("sent again because nobody could be reached: {}", tally.busy.load(Ordering::Relaxed));
    println!(
        "sent again because no answer came: {}; of those, had taken effect: {}",
        tally.unknown.load(Ordering::Relaxed),
        tally.had_happened.load(Ordering::Relaxed)
    );
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("two_nodes: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan::values::Read;

    /// Not a test but the process of the second node, when the test below starts it.
    #[tokio::test(flavor = "multi_thread")]
    async fn is_the_second_node() {
        if std::env::var_os(FILE).is_some() {
            run().await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_that_is_killed_loses_nothing_and_nothing_is_done_twice() {
        let folder = Folder::new().unwrap();
        let file = folder.0.join("jars.db");
        let (tally, beans) = first_node(&file, 16, 50).await.unwrap();
        assert_eq!((tally.answered.load(Ordering::Relaxed), beans), (800, 800));
        // It was killed while commands were under way.
        assert!(tally.unknown.load(Ordering::Relaxed) + tally.busy.load(Ordering::Relaxed) > 0, "{tally:?}");
        // The first node has spoken for its callers.
        let jar = Read::stream("jar-7".parse().unwrap());
        let page = SqliteStore::open(file).await.unwrap().read(jar).await.unwrap();
        assert_eq!(page.events.len(), 50);
        for event in &page.events {
            assert_eq!(Metadata::decode(&event.metadata).actor.as_deref(), Some("caller-7"));
        }
    }
}
