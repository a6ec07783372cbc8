//! A DynamoDB for tests: an emulator that is built when it is first needed, runs on a free port of 127.0.0.1, keeps
//! everything in memory and ends with the process that started it.
//!
//! [`endpoint`] is what a test asks for: one emulator a test process, and
//! [`PORTOLAN_DYNAMODB_ENDPOINT`](ENDPOINT) puts any other DynamoDB in its place. [`endpoint_at`] is the same for
//! child processes at the place of their parent.
//!
//! This crate depends on no other of the workspace, and is a dev-dependency alone: adapters' tests and `tests/` may
//! both have it. The emulator itself, in `server/`, stands outside the workspace, because it links another SQLite than
//! the workspace does.

mod build;
mod emulator;

pub use emulator::Emulator;

use std::io;
use std::path::Path;
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

/// The same for the processes of one place: the first one's [`endpoint`], written into a file of the folder, is every
/// later one's. A child process that a test starts in the same folder so finds the test's emulator.
///
/// # Errors
///
/// When the emulator cannot be built or started, or the folder cannot be written.
pub fn endpoint_at(dir: &Path) -> io::Result<String> {
    let file = dir.join("dynamodb-endpoint");
    match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let url = endpoint()?;
            std::fs::write(file, &url)?;
            Ok(url)
        }
        url => url,
    }
}
