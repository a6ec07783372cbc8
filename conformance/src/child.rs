//! Child processes: the test binary starts itself again, as another process at the same place.
//!
//! A child runs the same `#[test]` function; an environment variable tells it to play a role of the law
//! instead of the checks. What a role prints with [`tell`] the parent reads with [`Child::next`].

use crate::Place;
use portolan_kernel::values::Timestamp;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

const LAW: &str = "PORTOLAN_CHILD_LAW";
const ROLE: &str = "PORTOLAN_CHILD_ROLE";
const DIR: &str = "PORTOLAN_CHILD_DIR";
const NAME: &str = "PORTOLAN_CHILD_NAME";
const NOW: &str = "PORTOLAN_CHILD_NOW";
const MARK: &str = "portolan> ";

/// A child process that plays a role. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    pub(crate) fn start(
        entry: &str,
        law: &str,
        role: &str,
        place: &Place,
        environment: Vec<(&'static str, OsString)>,
    ) -> std::io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--exact", entry, "--nocapture", "--test-threads", "1"])
            .env(LAW, law)
            .env(ROLE, role)
            .env(DIR, place.dir())
            .env(NAME, place.name())
            .env(NOW, place.clock().now().as_micros().to_string())
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take().ok_or_else(|| std::io::Error::other("the child has no output"))?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// The next line that the child told; `None` when it has ended. Blocks its thread.
    #[allow(clippy::should_implement_trait, reason = "a line may be asked for after the end")]
    pub fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line).ok()? == 0 {
                return None;
            }
            // The test harness may have begun the line with words of its own.
            if let Some((_, told)) = line.split_once(MARK) {
                return Some(told.trim_end().to_string());
            }
        }
    }

    /// Sends the child a line, for it to read with [`asked`].
    ///
    /// # Errors
    ///
    /// When the child has closed its input.
    pub fn ask(&mut self, line: &str) -> std::io::Result<()> {
        match &mut self.input {
            Some(input) => writeln!(input, "{line}").and_then(|()| input.flush()),
            None => Err(std::io::Error::other("the child's input is closed")),
        }
    }

    /// Kills the child as SIGKILL does, and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits for the child's own end; whether it went well.
    pub fn finish(&mut self) -> bool {
        self.input = None;
        while self.next().is_some() {}
        self.process.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Tells the parent a line, from within a role.
pub fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{MARK}{line}").and_then(|()| out.flush()).is_err() {
        // The parent is gone, and a child that appends until it is killed would go on for ever.
        std::process::exit(1);
    }
}

/// The next line that the parent asked, from within a role; `None` when it asks no more. Blocks its thread.
pub fn asked() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(1..) => Some(line.trim_end().to_string()),
        _ => None,
    }
}

/// The role that this process was started for, if it is a child of this law.
pub(crate) fn role_in(law: &str) -> Option<(String, Place)> {
    if std::env::var(LAW).ok()? != law {
        return None;
    }
    let now = Timestamp::from_micros(std::env::var(NOW).ok()?.parse().ok()?);
    let place = Place::of_parent(std::env::var_os(DIR)?.into(), std::env::var(NAME).ok()?, now);
    Some((std::env::var(ROLE).ok()?, place))
}
