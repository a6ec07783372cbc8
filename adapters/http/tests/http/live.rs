//! Server-sent events.

use crate::support::Running;
use core::time::Duration;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One frame: its fields, in order.
pub(crate) type Frame = Vec<(String, String)>;

pub(crate) struct Live(BufReader<TcpStream>);

impl Live {
    pub(crate) async fn open(server: &Running, path: &str, headers: &[&str]) -> Self {
        let mut socket = server.connect().await;
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut live = Self(BufReader::new(socket));
        let head = live.lines().await.unwrap();
        assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
        assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
        live
    }

    /// The lines up to an empty one; `None` at the end.
    async fn lines(&mut self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = timeout(Duration::from_secs(10), self.0.read_line(&mut line)).await.expect("nothing in 10 s");
            match line.trim_end_matches(['\r', '\n']) {
                _ if read.unwrap_or(0) == 0 => return None,
                "" => return Some(lines),
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// The next frame, without the marks of the chunked encoding around it.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            let lines = self.lines().await?;
            let fields = lines.iter().filter_map(|line| line.split_once(':'));
            let frame: Frame = fields.map(|(name, value)| (name.to_owned(), value.trim_start().to_owned())).collect();
            if !frame.is_empty() {
                return Some(frame);
            }
        }
    }

    /// The next event, past everything else: its id, and what is in it.
    pub(crate) async fn event(&mut self) -> (String, Value) {
        loop {
            let frame = self.frame().await.expect("the stream ended");
            if let (Some(id), Some(data), None) = (field(&frame, "id"), field(&frame, "data"), field(&frame, "event")) {
                return (id.to_owned(), serde_json::from_str(data).unwrap());
            }
        }
    }
}

pub(crate) fn field<'a>(frame: &'a Frame, name: &str) -> Option<&'a str> {
    frame.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

async fn write(server: &Running, stream: &str, n: u64) -> String {
    let body = json!({ "events": [{ "type": "t", "data": { "n": n } }] }).to_string();
    server.post(&format!("/streams/{stream}"), &[], &body).await.is_ok()["position"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn history_turns_live_and_a_resume_misses_nothing() {
    let server = Running::start().await;
    let mut positions = Vec::new();
    for n in 0..3 {
        positions.push(write(&server, "s", n).await);
    }
    for path in ["/streams/s", "/events", "/events?stream=s"] {
        let mut live = Live::open(&server, path, &[]).await;
        for (n, position) in positions.iter().enumerate() {
            let (id, event) = live.event().await;
            assert_eq!((&id, &event["data"]["n"]), (position, &json!(n)));
            assert_eq!(event["position"], *position);
        }
        let caught_up = live.frame().await.unwrap();
        assert_eq!(field(&caught_up, "event"), Some("caught-up"), "{caught_up:?}");
        assert_eq!(field(&caught_up, "id"), positions.last().map(String::as_str));
        let n = positions.len() as u64;
        positions.push(write(&server, "s", n).await);
        assert_eq!(live.event().await.1["data"]["n"], n);
        drop(live);

        let resume = format!("Last-Event-ID: {}", positions[1]);
        let mut live = Live::open(&server, path, &[&resume]).await;
        for position in &positions[2..] {
            assert_eq!(live.event().await.0, *position);
        }
    }
}

#[tokio::test]
async fn where_it_starts() {
    let server = Running::start().await;
    let mut positions = Vec::new();
    for n in 0..3 {
        positions.push(write(&server, "s", n).await);
    }
    let after = Live::open(&server, "/streams/s?after=0", &[]).await.event().await;
    assert_eq!(after.0, positions[1]);
    let after = Live::open(&server, &format!("/events?after={}", positions[0]), &[]).await.event().await;
    assert_eq!(after.0, positions[1]);
    // What the client has seen last is later than where its URL begins.
    let resume = format!("Last-Event-ID: {}", positions[1]);
    let resumed = Live::open(&server, "/streams/s?after=0", &[&resume]).await.event().await;
    assert_eq!(resumed.0, positions[2]);
    let mut now = Live::open(&server, "/events?from=now", &[]).await;
    let next = write(&server, "s", 3).await;
    assert_eq!(now.event().await.0, next);
}

#[tokio::test]
async fn a_stream_that_is_yet_to_come() {
    let server = Running::start().await;
    let mut live = Live::open(&server, "/streams/later", &[]).await;
    assert_eq!(field(&live.frame().await.unwrap(), "event"), Some("caught-up"));
    let position = write(&server, "later", 0).await;
    assert_eq!(live.event().await.0, position);
}

#[tokio::test]
async fn what_does_not_match_moves_the_place_to_resume_from() {
    let server = Running::start().await;
    let mut live = Live::open(&server, "/events?stream=mine", &[]).await;
    assert_eq!(field(&live.frame().await.unwrap(), "event"), Some("caught-up"));
    let position = write(&server, "other", 0).await;
    assert_eq!(live.frame().await.unwrap(), [("id".to_owned(), position)]);
}

#[tokio::test]
async fn payloads_of_several_lines_arrive_whole() {
    let server = Running::start().await;
    let data = "{\"a\":\n1}";
    server.post("/streams/s", &[], &format!(r#"{{"events":[{{"type":"t","data":{data}}}]}}"#)).await.is_ok();
    server.post("/streams/s", &[], "{\"events\":[{\"type\":\"t\",\"data\":{\"a\":\r\n1}}]}").await.is_ok();
    let mut live = Live::open(&server, "/streams/s", &[]).await;
    let frame = live.frame().await.unwrap();
    let joined: Vec<&str> = frame.iter().filter(|(key, _)| key == "data").map(|(_, value)| value.as_str()).collect();
    assert!(joined.join("\n").contains(&format!("\"data\":{data}")), "{joined:?}");
    assert_eq!(live.event().await.1["format"], "json");
}

#[tokio::test]
async fn wrong_starts_are_answers() {
    let server = Running::start().await;
    write(&server, "s", 0).await;
    let live = async |path: &str, header: &str| {
        let headers = ["Accept: application/json, text/event-stream;q=0.9", header];
        server.send("GET", path, &headers[..if header.is_empty() { 1 } else { 2 }], "").await
    };
    for path in ["/streams/s", "/events"] {
        for id in ["x", "-1", "1.0", "99999999999999999999", "9223372036854775808"] {
            live(path, &format!("Last-Event-ID: {id}")).await.is_problem(400, "invalid-request");
        }
        live(path, "Last-Event-ID: 9223372036854775807").await.is_problem(409, "ahead-of-log");
        live(&format!("{path}?limit=1"), "").await.is_problem(422, "invalid-request");
    }
    live("/streams/s?after=7", "").await.is_problem(422, "invalid-request");
    live("/events?colour=red", "").await.is_problem(422, "invalid-request");
}

#[tokio::test]
async fn a_client_that_refuses_live_gets_a_page() {
    let server = Running::start().await;
    for accept in ["text/event-stream;q=0", "application/json, text/event-stream; Q=0.000"] {
        server.send("GET", "/events", &[&format!("Accept: {accept}")], "").await.is_ok();
    }
}

#[tokio::test]
async fn a_last_event_id_that_is_no_text() {
    let server = Running::start().await;
    let request = b"GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: \xFF\r\n\r\n";
    server.raw(request).await.is_problem(400, "invalid-request");
}

#[tokio::test]
async fn silence_is_kept_alive() {
    let server = Running::configured(|config| config.live_keep_alive = Duration::from_millis(50)).await;
    let mut live = Live::open(&server, "/events", &[]).await;
    live.frame().await.unwrap();
    let comment = live.frame().await.unwrap();
    assert_eq!(comment[0].0, "", "{comment:?}");
}

#[tokio::test]
async fn the_end_of_the_server_is_the_end_of_the_stream() {
    let mut server = Running::start().await;
    let mut live = Live::open(&server, "/events", &[]).await;
    live.frame().await.unwrap();
    server.stop();
    let stopped = server.stopped.take().unwrap();
    timeout(Duration::from_secs(5), stopped).await.expect("it does not stop").unwrap();
    assert_eq!(live.frame().await, None);
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody_and_misses_nothing() {
    let server = Running::configured(|config| config.write_timeout = Duration::from_secs(60)).await;
    let big = "x".repeat(64 << 10);
    let body =
        json!({ "events": (0..16).map(|_| json!({ "type": "t", "data": big })).collect::<Vec<_>>() }).to_string();
    let mut live = Live::open(&server, "/events", &[]).await;
    live.frame().await.unwrap();
    for _ in 0..48 {
        server.post("/streams/s", &[], &body).await.is_ok();
    }
    for revision in 0..48 * 16 {
        assert_eq!(live.event().await.1["revision"], revision);
    }
}

#[tokio::test]
async fn idle_subscribers_are_told_of_progress_now_and_then() {
    let server = Running::configured(|config| config.live_progress = Duration::from_secs(3_600)).await;
    let mut live = Live::open(&server, "/events?tag=none&type=t", &[]).await;
    assert_eq!(field(&live.frame().await.unwrap(), "event"), Some("caught-up"));
    let first = write(&server, "s", 0).await;
    assert_eq!(live.frame().await, Some(vec![("id".to_owned(), first)]), "the first is told at once");
    for n in 0..20 {
        write(&server, "s", n).await;
    }
    let tagged = json!({ "events": [{ "type": "t", "data": {}, "tags": ["none"] }] }).to_string();
    server.post("/streams/s", &[], &tagged).await.is_ok();
    let next = live.frame().await.unwrap();
    assert!(field(&next, "data").is_some(), "of the 20 that do not match, none is told: {next:?}");
}

#[tokio::test]
async fn the_last_progress_is_told_in_the_end() {
    let server = Running::configured(|config| config.live_progress = Duration::from_millis(300)).await;
    let mut live = Live::open(&server, "/events?type=none", &[]).await;
    assert_eq!(field(&live.frame().await.unwrap(), "event"), Some("caught-up"));
    let mut last = String::new();
    for n in 0..20 {
        last = write(&server, "s", n).await;
    }
    let mut frames = 0;
    loop {
        frames += 1;
        let frame = live.frame().await.unwrap();
        if field(&frame, "id") == Some(&last) {
            break;
        }
    }
    assert!(frames < 20, "each commit made a frame");
}
