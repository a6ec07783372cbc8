//! A running emulator.

use crate::build;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running emulator with a memory of its own; it ends when this is dropped, and when the process ends.
#[derive(Debug)]
pub struct Emulator {
    // Holds the emulator's input, which nobody else inherits: when it is closed, the emulator ends.
    process: Child,
    url: String,
}

impl Emulator {
    /// Builds the emulator if need be, and starts one: on this port, or on a free one.
    ///
    /// # Errors
    ///
    /// When it cannot be built or started, or the port is taken.
    pub fn start(port: Option<u16>) -> io::Result<Self> {
        let mut process = Command::new(build::binary()?)
            .args(port.map(|port| port.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        if url.is_empty() {
            let status = process.wait()?;
            return Err(io::Error::other(format!("the DynamoDB emulator ended with {status} before it listened")));
        }
        Ok(Self { process, url: url.trim_end().to_string() })
    }

    /// Where it listens: `http://127.0.0.1:` and the port.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When the system cannot wait for it.
    pub fn wait(mut self) -> io::Result<()> {
        // `Child::wait` would close its input, and so end it.
        let input = self.process.stdin.take();
        let status = self.process.wait()?;
        drop(input);
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("the emulator ended with {status}"))) }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
