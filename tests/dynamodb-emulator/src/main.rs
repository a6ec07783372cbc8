//! Starts a DynamoDB emulator for a first look: `cargo run -p portolan-dynamodb-emulator -- --port 8000`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

use portolan_dynamodb_emulator::Emulator;
use std::process::ExitCode;

const USAGE: &str = "usage: portolan-dynamodb-emulator [--port PORT]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let port = match arguments[..] {
        [] => Ok(8000),
        ["--port", port] => port.parse(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let ended = port.map_err(std::io::Error::other).and_then(|port| Emulator::start(Some(port))).and_then(|emulator| {
        println!("DynamoDB, emulated in memory, listens on {}; it forgets everything when it ends.", emulator.url());
        emulator.wait()
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portolan-dynamodb-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}
