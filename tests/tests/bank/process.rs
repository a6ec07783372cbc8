//! The bank as a person runs it: the example's binary, talked to over HTTP.

use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Which bank.
#[derive(Debug, Clone, Copy)]
enum Build {
    /// The example.
    Now,
    /// What it was, `tests/examples/bank_before.rs`.
    Before,
}

/// Builds the banks, once a test run, and gives the path of one: never a stale binary. With all stores and transports,
/// and as part of the whole workspace, so that it shares the build of `cargo test --workspace`.
fn binary(build: Build) -> &'static Path {
    static PATHS: OnceLock<[PathBuf; 2]> = OnceLock::new();
    let [now, before] = PATHS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--example", "bank", "--example", "bank_before"])
            .args(["--features", "portolan/dynamodb-plain,portolan/graphql,portolan/grpc"])
            .args(["--message-format", "json"])
            .current_dir(root)
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo runs");
        assert!(built.status.success(), "the bank does not build");
        let messages = String::from_utf8(built.stdout).expect("cargo speaks UTF-8");
        let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        ["bank", "bank_before"].map(|name| {
            let mut of_name = messages.iter().filter(|message| message["target"]["name"] == name);
            let executable = of_name.find_map(|message| message["executable"].as_str().map(PathBuf::from));
            executable.expect("cargo names the bank's binary")
        })
    });
    match build {
        Build::Now => now,
        Build::Before => before,
    }
}

/// An answer: status, `ETag`, body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) body: Value,
}

/// Where a bank keeps everything; the same place again is the same bank.
pub(crate) struct Place {
    arguments: Vec<OsString>,
    dir: TempDir,
}

impl Place {
    fn new(arguments: impl FnOnce(&Path) -> Vec<OsString>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { arguments: arguments(dir.path()), dir }
    }

    /// An SQLite file.
    pub(crate) fn sqlite() -> Self {
        Self::new(|dir| vec!["--data".into(), dir.join("bank.db").into()])
    }

    /// A table in the DynamoDB of this test process.
    pub(crate) fn dynamodb() -> Self {
        let endpoint = portolan_dynamodb_emulator::endpoint().expect("a DynamoDB for tests");
        Self::new(|dir| {
            // A table name knows no leading dot.
            let table = format!("bank{}", dir.file_name().expect("it has a name").display());
            ["--store", "dynamodb", "--endpoint", &endpoint, "--table", &table].map(OsString::from).into()
        })
    }

    /// Nothing that lasts.
    pub(crate) fn memory() -> Self {
        Self::new(|_| ["--store", "memory"].map(OsString::from).into())
    }

    /// A folder of its own; the bank runs in it.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Starts a copy of one file at this place into another.
pub(crate) fn migrate_files(place: &Place, data: &str, into: &str, more: &[&str]) -> Child {
    Command::new(binary(Build::Now))
        .args(["migrate", "--data", data, "--into", into])
        .args(more)
        .current_dir(place.dir())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the bank starts")
}

/// A running bank; killed when dropped.
pub(crate) struct Bank {
    child: Child,
    pub(crate) address: String,
    /// Where it speaks gRPC, if it does.
    pub(crate) grpc_address: String,
    /// What it wrote to its error output.
    pub(crate) complaints: Arc<Mutex<String>>,
}

impl Bank {
    /// Starts a bank at this place and waits until it listens.
    pub(crate) fn start(place: &Place, more: &[&str]) -> Self {
        Self::launch(Build::Now, place, &[&["--grpc-listen", "127.0.0.1:0"], more].concat())
    }

    /// Starts the bank of before at this place.
    pub(crate) fn start_before(place: &Place) -> Self {
        Self::launch(Build::Before, place, &[])
    }

    fn launch(build: Build, place: &Place, more: &[&str]) -> Self {
        let mut child = Command::new(binary(build))
            .args(&place.arguments)
            .args(["--listen", "127.0.0.1:0"])
            .args(more)
            .current_dir(place.dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the bank starts");
        let complaints = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().expect("its error output is piped")).lines();
        let heard = complaints.clone();
        std::thread::spawn(move || {
            for line in stderr.map_while(Result::ok) {
                // Past the test harness, as the bank itself would have said it.
                let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
                heard.lock().expect("no one panicked").extend([line.as_str(), "\n"]);
            }
        });
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let mut next_address = |said_before: &str| loop {
            let line = lines.next().expect("the bank says where it listens").expect("in UTF-8");
            if let Some((_, rest)) = line.split_once(&format!("{said_before} http://")) {
                let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
                break rest[..end].to_owned();
            }
        };
        let address = next_address("listens on");
        let grpc_address = match build {
            Build::Now => next_address("gRPC on"),
            Build::Before => String::new(),
        };
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, grpc_address, complaints }
    }

    /// What a bank says that does not start with these arguments.
    pub(crate) fn refused(arguments: &[&str]) -> String {
        let ended = Command::new(binary(Build::Now)).args(arguments).output().expect("the bank starts");
        assert!(!ended.status.success(), "it ends with an error");
        String::from_utf8(ended.stderr).expect("in UTF-8")
    }

    /// SIGKILL, and the end of it.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM; its exit status.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().expect("it ends")
    }

    /// Any other signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill runs").success());
    }

    /// A caller with connections of its own.
    pub(crate) fn client(&self) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Client { agent: config.into(), base: format!("http://{}", self.address) }
    }

    /// The server-sent events of a path, as they come; ends with the connection.
    pub(crate) fn live(&self, path: &str, last: Option<&str>) -> impl Iterator<Item = String> + use<> {
        use std::io::Write;
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out can be set");
        let resume = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: bank\r\nAccept: text/event-stream\r\n{resume}\r\n").expect("sent");
        BufReader::new(stream).lines().map_while(Result::ok)
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Speaks to a bank. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// Sends a command; `None` when there was no answer.
    pub(crate) fn command(&self, name: &str, key: Option<&str>, body: &Value) -> Option<Answer> {
        let key = key.map(|key| ("Idempotency-Key", key));
        self.post(&format!("/commands/{name}"), key.as_slice(), body)
    }

    /// Sends a body with headers; `None` when there was no answer.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Option<Answer> {
        let request = self.agent.post(format!("{}{path}", self.base));
        answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send_json(body))
    }

    /// What an operator does.
    pub(crate) fn act(&self, path: &str) {
        let answer = answer(self.agent.post(format!("{}{path}", self.base)).send_empty()).expect("an answer");
        assert_eq!(answer.status, 204, "{path}: {answer:?}");
    }

    /// Asks; `None` when there was no answer.
    pub(crate) fn get(&self, path: &str) -> Option<Answer> {
        self.get_with(path, &[])
    }

    /// Asks with headers; `None` when there was no answer.
    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
        let request = self.agent.get(format!("{}{path}", self.base));
        answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call())
    }

    /// A command that must succeed.
    pub(crate) fn done(&self, name: &str, key: Option<&str>, body: &Value) -> Answer {
        let answer = self.command(name, key, body).expect("an answer");
        assert!(matches!(answer.status, 200 | 201), "{name} {body}: {answer:?}");
        answer
    }

    pub(crate) fn open(&self, account: &str) -> Answer {
        self.open_for(account, "Ann")
    }

    pub(crate) fn open_for(&self, account: &str, owner: &str) -> Answer {
        self.done("open-account", None, &json!({"account_id": account, "owner": owner, "currency": "EUR"}))
    }

    pub(crate) fn account(&self, account: &str) -> Value {
        let answer = self.get(&format!("/queries/account?account_id={account}")).expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Every event of a stream, page by page.
    pub(crate) fn events(&self, stream: &str) -> Vec<Value> {
        self.events_in("stored", stream)
    }

    /// The same, in this form.
    pub(crate) fn events_in(&self, form: &str, stream: &str) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        loop {
            let after = events.last().map(|event| format!("&after={}", event["revision"])).unwrap_or_default();
            let page = self.get(&format!("/streams/{stream}?limit=100&form={form}{after}")).expect("an answer");
            assert_eq!(page.status, 200, "{page:?}");
            let more = page.body["events"].as_array().expect("a page has events");
            if more.is_empty() {
                return events;
            }
            events.extend(more.iter().cloned());
        }
    }
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Option<Answer> {
    let mut response = result.ok()?;
    let status = response.status().as_u16();
    let etag = response.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let mut text = String::new();
    response.body_mut().as_reader().read_to_string(&mut text).ok()?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("a JSON body") };
    Some(Answer { status, etag, body })
}

/// Tries until it holds, for at most ten seconds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}: still not after ten seconds");
        std::thread::sleep(Duration::from_millis(20));
    }
}
