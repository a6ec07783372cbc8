//! Building the emulator, once for all test processes.

use serde_json::Value;
use std::env::consts::EXE_SUFFIX;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The emulator's binary, never a stale one: cargo is asked each time, and has nothing to do but the first time.
pub(crate) fn binary() -> io::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("server").join("Cargo.toml");
    let target = target_dir()?.join("dynamodb-emulator");
    std::fs::create_dir_all(&target)?;
    // Of several test processes one builds, and the others wait here and not with cargo, which would say so each time.
    let lock = File::create(target.join(".portolan-lock"))?;
    lock.lock()?;
    if !target.join(format!("debug/portolan-dynamodb-server{EXE_SUFFIX}")).exists() {
        say(&format!(
            "Building the DynamoDB emulator for tests into {}, the first time only; it takes about a minute.",
            target.display()
        ));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let built = Command::new(&cargo)
        .args(["build", "--quiet", "--locked", "--message-format", "json", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        // Where the emulator runs is here, whatever the workspace is built for.
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(&format!("{} cannot be run: {error}", cargo.display())))?;
    if !built.status.success() {
        return Err(failed(&format!("cargo ended with {}; its own words are above", built.status)));
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.ok_or_else(|| failed("cargo names no binary"))
}

fn failed(why: &str) -> io::Error {
    io::Error::other(format!(
        "the DynamoDB emulator does not build: {why}. Build tests/dynamodb-emulator/server by hand to see more, or set {} \
         to the URL of a DynamoDB that runs",
        crate::ENDPOINT
    ))
}

/// The target folder that this process was built into, whatever named it; cargo marks it with a file.
fn target_dir() -> io::Result<PathBuf> {
    let running = std::env::current_exe()?;
    let marked = running.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    Ok(match marked {
        Some(folder) => folder.to_path_buf(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
    })
}

/// A line past the test harness, which would keep it to itself.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
