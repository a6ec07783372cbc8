//! A DynamoDB for tests: an emulator that is built when it is first needed, runs on a free port of 127.0.0.1, keeps
//! everything in memory and ends with the process that started it.
//!
//! [`endpoint`] is what a test asks for: one emulator a test process, and
//! [`PORTOLAN_DYNAMODB_ENDPOINT`](ENDPOINT) puts any other DynamoDB in its place. [`endpoint_of_family`] is the same for
//! tests that start themselves again as child processes.
//!
//! This crate depends on no other of the workspace, and is a dev-dependency alone: adapters' tests and `tests/` may
//! both have it. The emulator itself, in `server/`, stands outside the workspace, because it links another SQLite than
//! the workspace does.

mod build;
mod emulator;

pub use emulator::Emulator;

use std::io;
use std::sync::{Mutex, PoisonError};

/// The environment variable that names another DynamoDB than the emulator: the URL of its endpoint.
pub const ENDPOINT: &str = "PORTOLAN_DYNAMODB_ENDPOINT";

/// Where this process's DynamoDB listens, as a URL: what [`ENDPOINT`] says, else an emulator, started the first time
/// and shared by the whole process.
///
/// # Errors
///
/// When the emulator cannot be built or started.
pub fn endpoint() -> io::Result<String> {
    // Never dropped: it ends when the system closes this process's end of its input.
    static SHARED: Mutex<Option<Emulator>> = Mutex::new(None);
    if let Ok(url) = std::env::var(ENDPOINT) {
        return Ok(url);
    }
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let emulator = match shared.take() {
        Some(emulator) => emulator,
        None => Emulator::start(None)?,
    };
    Ok(shared.insert(emulator).url().to_string())
}

/// The same for a process that a test may have started: its parent's [`endpoint`], if the parent has one, else its own.
///
/// A process writes down where its emulator listens in a file of the folder for temporary files, under its own number,
/// which a child asks for. It cannot be a file of the test's place, where a store that is kept elsewhere leaves nothing;
/// nor a variable of the environment, which a program cannot set for itself without `unsafe`.
///
/// # Errors
///
/// When the emulator cannot be built or started, or the file cannot be written.
pub fn endpoint_of_family() -> io::Result<String> {
    let of = |process: u32| std::env::temp_dir().join(format!("{FAMILY}{process}"));
    if std::env::var_os(ENDPOINT).is_some() {
        return endpoint();
    }
    // An emulator of the dead does not answer, whoever has their number now.
    let of_parent = std::fs::read_to_string(of(std::os::unix::process::parent_id())).ok();
    if let Some(url) = of_parent.filter(|url| is_up(url)) {
        return Ok(url);
    }
    let url = endpoint()?;
    if std::fs::read_to_string(of(std::process::id())).ok().as_ref() != Some(&url) {
        forget_the_dead()?;
        std::fs::write(of(std::process::id()), &url)?;
    }
    Ok(url)
}

/// What the names of such files begin with.
const FAMILY: &str = "portolan-dynamodb-endpoint-of-";

fn is_up(url: &str) -> bool {
    url.strip_prefix("http://").is_some_and(|address| std::net::TcpStream::connect(address).is_ok())
}

/// Removes the files of processes whose emulator has ended with them.
fn forget_the_dead() -> io::Result<()> {
    for entry in std::fs::read_dir(std::env::temp_dir())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(FAMILY)
            && std::fs::read_to_string(entry.path()).is_ok_and(|url| !is_up(&url))
        {
            // Another process may have done it.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
