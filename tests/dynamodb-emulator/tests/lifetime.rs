//! The emulator's life: one a process, shared with the process's children, gone with it.

#![allow(clippy::print_stdout, reason = "a child tells its parent")]

use portolan_dynamodb_emulator::{ENDPOINT, Emulator, endpoint, endpoint_of_family};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set for a child process of these tests: whether it is to find DynamoDB [`ALONE`] or by its family.
const CHILD: &str = "PORTOLAN_EMULATOR_CHILD";
const ALONE: &str = "alone";

/// What DynamoDB says to somebody who only looks whether it is there.
fn health(url: &str) -> io::Result<String> {
    let address = url.strip_prefix("http://").expect("an emulator speaks HTTP");
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn is_there(url: &str) -> bool {
    health(url).is_ok_and(|answer| answer.contains("healthy: dynamodb"))
}

fn assert_gone(url: &str) {
    let began = Instant::now();
    while health(url).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(10), "{url} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// This test binary again, as the child [`tells_where_it_finds_dynamodb`], and what it says first.
fn child(how: &str, elsewhere: Option<&str>) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().expect("the test's binary"));
    command.args(["--exact", "tells_where_it_finds_dynamodb", "--nocapture"]).env(CHILD, how).env_remove(ENDPOINT);
    command.envs(elsewhere.map(|url| (ENDPOINT, url)));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the child starts");
    let mut lines = BufReader::new(child.stdout.as_mut().expect("it is piped")).lines().map_while(Result::ok);
    let told = lines.find_map(|line| Some(line.split_once("endpoint: ")?.1.to_string()));
    (child, told.expect("it tells an endpoint"))
}

/// A child tells where it finds DynamoDB, and lives until its input is closed. As a test of its own it does nothing
/// that the others do not.
#[test]
fn tells_where_it_finds_dynamodb() {
    let Some(how) = std::env::var_os(CHILD) else { return };
    let found = if how == ALONE { endpoint() } else { endpoint_of_family() };
    println!("endpoint: {}", found.expect("an endpoint"));
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn an_emulator_ends_when_it_is_dropped() {
    let emulator = Emulator::start(None).expect("it starts");
    let other = Emulator::start(None).expect("another starts beside it");
    assert_ne!(emulator.url(), other.url());
    assert!(is_there(emulator.url()) && is_there(other.url()));
    let url = emulator.url().to_string();
    drop(emulator);
    assert_gone(&url);
    assert!(is_there(other.url()));
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port();
    let refused = Emulator::start(Some(port)).expect_err("it cannot listen there").to_string();
    assert!(refused.contains("before it listened"), "{refused}");
}

#[test]
fn no_emulator_outlives_a_killed_process() {
    let (mut child, url) = child(ALONE, None);
    assert!(is_there(&url));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert_gone(&url);
}

#[test]
fn a_family_of_processes_shares_one() {
    if std::env::var_os(ENDPOINT).is_some() {
        return; // then all processes share that one anyway
    }
    let own = endpoint().expect("an emulator");
    assert_eq!(endpoint().expect("the same"), own);
    assert_eq!(endpoint_of_family().expect("the same"), own);
    let (mut child, found) = child("by its family", None);
    assert_eq!(found, own, "a child finds its parent's");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert!(is_there(&own), "and does not take it along");
}

#[test]
fn another_dynamodb_can_be_named() {
    let (mut child, found) = child("by its family", Some("http://192.0.2.1:8000"));
    assert_eq!(found, "http://192.0.2.1:8000");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
}
