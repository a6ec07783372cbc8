//! Sixteen processes append to one log at once, and a reader checks what it is shown.

#![allow(clippy::print_stdout, reason = "a child tells its parent")]

use super::support::Network;
use super::support::log::{all, event, fresh_log, key, name, number};
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::{Append, Appended, Expected, Position, Query, Read, Recorded, Revision, StreamId};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const WRITERS: u64 = 16;
const APPENDS: u64 = 12;

/// What makes this test binary a writer: endpoint, log and number, in one line.
const WRITER: &str = "PORTOLAN_TEST_WRITER";

fn own(writer: u64) -> StreamId {
    name(&format!("writer-{writer}"))
}

/// The `n`th append of a writer: two events of its own around one in a stream of all.
fn append(writer: u64, n: u64) -> Append {
    let number = writer * 1_000_000 + n * 10;
    let own_name = own(writer).to_string();
    let events = [event(&own_name, number), event("all-1", number + 1), event(&own_name, number + 2)];
    let last = n.checked_sub(1).map(|before| Revision::new(2 * before + 1));
    Append::new(events).expect(own(writer), Expected::unchanged_since(last)).key(key(&format!("{writer}-{n}")))
}

/// The role of a child. As a test of its own it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_as_one_of_sixteen() {
    let Ok(role) = std::env::var(WRITER) else { return };
    let [endpoint, log, writer] = role.split(' ').collect::<Vec<_>>()[..] else { panic!("no role: {role}") };
    let (store, writer) = (Network::to(endpoint).store(log).await, writer.parse().unwrap());
    println!("writer: ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    for n in 0..APPENDS {
        let done = settled(&store, append(writer, n)).await;
        println!("writer: {}", done.last.unwrap().get());
        std::io::stdout().flush().unwrap();
    }
}

/// Appends, again and again under the same key while the outcome is open.
async fn settled(store: &dyn EventStore, append: Append) -> Appended {
    for turn in 0.. {
        match store.append(append.clone()).await {
            Ok(done) => return done,
            Err(AppendError::Busy(_) | AppendError::Unknown(_)) if turn < 100 => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(other) => panic!("nothing forbids it: {other:?}"),
        }
    }
    unreachable!("it settles or panics")
}

fn start(endpoint: &str, log: &str, writer: u64) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::appends_as_one_of_sixteen", "--nocapture"])
        .env(WRITER, format!("{endpoint} {log} {writer}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(next(&mut told).as_deref(), Some("ready"), "writer {writer}");
    (child, told)
}

/// What a writer tells next.
fn next(told: &mut impl BufRead) -> Option<String> {
    told.lines().map_while(Result::ok).find_map(|line| Some(line.split_once("writer: ")?.1.to_string()))
}

/// What a reader was shown, by position, and up to where.
#[derive(Default)]
struct Shown {
    events: BTreeMap<Position, Arc<Recorded>>,
    frontier: Option<Position>,
}

impl Shown {
    /// Reads the log from here on, and checks it against all that was shown before.
    async fn look(&mut self, store: &dyn EventStore, from_start: bool, acknowledged: u64) {
        let after = self.frontier.filter(|_| !from_start);
        let (mut next, mut frontier, mut events) =
            (Some(Read::log_after(Query::all(), after).limit(50)), None, Vec::new());
        while let Some(read) = next {
            let page = store.read(read).await.expect("a page");
            if let Some(first) = frontier {
                assert_eq!(page.frontier, first, "all pages of a read see one frontier");
            }
            frontier = Some(page.frontier);
            events.extend(page.events);
            next = page.next;
        }
        let frontier = frontier.flatten();
        assert!(frontier >= self.frontier, "the frontier goes back: {frontier:?} after {:?}", self.frontier);
        assert!(frontier.map_or(0, Position::get) >= acknowledged, "{acknowledged} was acknowledged: {frontier:?}");
        assert!(events.is_sorted_by_key(|event| event.position), "positions rise");
        for event in &events {
            assert!(Some(event.position) <= frontier, "{:?} lies past the frontier {frontier:?}", event.position);
            match self.events.insert(event.position, event.clone()) {
                Some(before) => assert_eq!(before, *event, "what was shown stays as it was"),
                None => assert!(
                    Some(event.position) > self.frontier,
                    "{:?} appears below the frontier {:?}",
                    event.position,
                    self.frontier
                ),
            }
        }
        if from_start {
            assert_eq!(events.len(), self.events.len(), "nothing disappears");
        }
        // Whole appends: three events each, next to each other.
        for three in self.events.values().collect::<Vec<_>>().chunks(3) {
            let numbers: Vec<_> = three.iter().map(|event| number(event)).collect();
            assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2], "an append, whole");
        }
        self.frontier = frontier;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_processes_append_at_once_and_no_frontier_is_broken() {
    let (endpoint, log) = (portolan_dynamodb_emulator::endpoint().unwrap(), fresh_log());
    let network = Network::to(&endpoint);
    let store = network.store(&log).await;
    let mut writers: Vec<_> = (0..WRITERS).map(|writer| start(&endpoint, &log, writer)).collect();
    for (child, _) in &mut writers {
        writeln!(child.stdin.as_mut().unwrap(), "go").unwrap();
    }
    let (acknowledged, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let listening: Vec<_> = (0..)
        .zip(writers)
        .map(|(writer, (mut child, mut told))| {
            let acknowledged = acknowledged.clone();
            std::thread::spawn(move || {
                let mut positions = Vec::new();
                while let Some(position) = next(&mut told) {
                    let position: u64 = position.parse().unwrap();
                    acknowledged.fetch_max(position, Ordering::SeqCst);
                    positions.push(position);
                }
                assert!(child.wait().unwrap().success(), "writer {writer} failed; its own words are above");
                assert_eq!(positions.len() as u64, APPENDS, "writer {writer}");
                positions
            })
        })
        .collect();

    let reader = tokio::spawn({
        let (store, acknowledged, over) = (network.store(&log).await, acknowledged.clone(), over.clone());
        async move {
            let (mut shown, mut looks) = (Shown::default(), 0);
            while !over.load(Ordering::SeqCst) {
                shown.look(&store, looks % 5 == 4, acknowledged.load(Ordering::SeqCst)).await;
                looks += 1;
            }
            (shown, looks)
        }
    });
    let told =
        tokio::task::spawn_blocking(|| listening.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>());
    let told = told.await.unwrap();
    over.store(true, Ordering::SeqCst);
    let (mut shown, looks) = reader.await.unwrap();
    assert!(looks > 5, "the reader looked {looks} times");
    shown.look(&store, true, acknowledged.load(Ordering::SeqCst)).await;

    assert_eq!(shown.events.len() as u64, WRITERS * APPENDS * 3, "each append once");
    for (writer, told) in (0..).zip(told) {
        let stream = all(&store, Read::stream(own(writer))).await;
        let numbers: Vec<_> = stream.iter().map(|event| number(event)).collect();
        let expected: Vec<_> = (0..APPENDS).flat_map(|n| [0, 2].map(|m| writer * 1_000_000 + n * 10 + m)).collect();
        assert_eq!(numbers, expected, "writer {writer}, in its order");
        let lasts: Vec<_> = stream.iter().skip(1).step_by(2).map(|event| event.position.get()).collect();
        assert_eq!(lasts, told, "where writer {writer} was told that its appends are");
    }
    let all_of = all(&store, Read::stream(name("all-1"))).await;
    for (revision, event) in (0..).zip(&all_of) {
        assert_eq!(event.revision, Revision::new(revision), "revisions are dense");
    }
}
