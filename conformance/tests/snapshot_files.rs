//! The laws of snapshots on a store of files, right and wrong: what a kill leaves.
#![allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "these are tests")]

use async_trait::async_trait;
use portolan_conformance::{Fixture, Outcome, Place, Runner, SnapshotStore, laws, snapshot_store_laws};
use portolan_kernel::ports::{Snapshot, SnapshotError, Source};
use portolan_kernel::values::{Format, Name, Revision, StreamId, Timestamp};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a store is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    None,
    /// A snapshot is written where it is read, piece by piece, and a half one is served.
    WritesInPlace,
    /// A save is acknowledged at once and done later.
    AcknowledgesBeforeWriting,
    /// A delete is acknowledged at once and done later.
    AcknowledgesBeforeDeleting,
    /// Whatever is there when it is opened is removed.
    ForgetsWhenOpened,
}

/// A folder a stream and kind, a file a snapshot.
struct Files {
    dir: PathBuf,
    flaw: Flaw,
    copies: AtomicU64,
}

fn hex(text: &str) -> String {
    // A name of 512 bytes is too long for a folder; cut into several.
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    digits.as_bytes().chunks(200).map(|part| String::from_utf8_lossy(part)).collect::<Vec<_>>().join("/")
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn other(error: io::Error) -> SnapshotError {
    SnapshotError::Other(Source::new(error))
}

impl Files {
    fn open(place: &Place, flaw: Flaw) -> io::Result<Self> {
        let dir = place.dir().join("snapshots");
        fs::create_dir_all(&dir)?;
        if flaw == Flaw::ForgetsWhenOpened {
            fs::remove_dir_all(&dir)?;
        }
        Ok(Self { dir, flaw, copies: AtomicU64::new(u64::from(std::process::id()) << 32) })
    }

    fn folder(&self, stream: &StreamId, kind: &Name) -> PathBuf {
        self.dir.join(hex(stream)).join("kinds").join(hex(kind)).join("revisions")
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(path.parent().unwrap())?;
        if self.flaw == Flaw::WritesInPlace {
            let mut file = fs::File::create(path)?;
            for part in bytes.chunks(2_000) {
                file.write_all(part)?;
                std::thread::sleep(Duration::from_micros(300));
            }
            return Ok(());
        }
        let copy = path.with_extension(format!("copy-{}", self.copies.fetch_add(1, Ordering::Relaxed)));
        let mut file = fs::File::create(&copy)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(copy, path)
    }
}

/// The snapshots in a folder, by revision.
fn revisions_in(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let (None, Some(Ok(revision))) = (path.extension(), path.file_name().map(|n| n.to_string_lossy().parse())) {
            found.push((revision, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let binary = u8::from(snapshot.format == Format::Binary);
    let mut body = format!("{} {} {}\n", snapshot.version, binary, snapshot.taken_at.as_micros()).into_bytes();
    body.extend(&*snapshot.state);
    let mut bytes = format!("{:016x}\n", sum(&body)).into_bytes();
    bytes.extend(body);
    bytes
}

fn decode(bytes: &[u8], ignore_sum: bool) -> Option<(u32, Format, Timestamp, Vec<u8>)> {
    let (expected, body) = bytes.split_at_checked(17)?;
    if !ignore_sum && expected != format!("{:016x}\n", sum(body)).as_bytes() {
        return None;
    }
    let end = body.iter().position(|byte| *byte == b'\n')?;
    let mut numbers = std::str::from_utf8(&body[..end]).ok()?.split(' ').map(str::parse::<u64>);
    let mut number = || numbers.next()?.ok();
    let (version, binary, at) = (u32::try_from(number()?).ok()?, number()?, number()?);
    let format = if binary == 1 { Format::Binary } else { Format::Json };
    Some((version, format, Timestamp::from_micros(at), body[end + 1..].to_vec()))
}

#[async_trait]
impl SnapshotStore for Files {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        loop {
            let found = revisions_in(&self.folder(&stream, &kind)).map_err(other)?;
            let wanted = found.into_iter().rev().find(|(n, _)| at_most.is_none_or(|bound| *n <= bound.get()));
            let Some((revision, path)) = wanted else { return Ok(None) };
            let bytes = match fs::read(&path) {
                // It was deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                bytes => bytes.map_err(other)?,
            };
            let Some((version, format, at, state)) = decode(&bytes, self.flaw == Flaw::WritesInPlace) else {
                return Err(SnapshotError::Corrupt { place: path.display().to_string() });
            };
            let snapshot = Snapshot::new(stream, kind, Revision::new(revision), version, state, at);
            return Ok(Some(snapshot.with_format(format)));
        }
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        let path = self.folder(&snapshot.stream, &snapshot.kind).join(snapshot.revision.get().to_string());
        if self.flaw == Flaw::AcknowledgesBeforeWriting {
            let late = Self { dir: self.dir.clone(), flaw: self.flaw, copies: AtomicU64::new(next_number()) };
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                late.write(&path, &encode(&snapshot))
            });
            return Ok(());
        }
        self.write(&path, &encode(&snapshot)).map_err(other)
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        let folder = self.folder(&stream, &kind);
        let delete = move || {
            for (revision, path) in revisions_in(&folder)? {
                if below.is_none_or(|bound| revision < bound.get()) {
                    match fs::remove_file(path) {
                        // Somebody else deletes it too.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        done => done?,
                    }
                }
            }
            Ok(())
        };
        if self.flaw == Flaw::AcknowledgesBeforeDeleting {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                delete()
            });
            return Ok(());
        }
        delete().map_err(other)
    }
}

/// A number that no other copy has.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 60);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

snapshot_store_laws! {
    open: async |place: &Place| Files::open(place, Flaw::None),
}

/// A store with this flaw breaks SN-06 in this check.
fn breaks(flaw: Flaw, test: &str, check: &str) {
    let runner = Runner::new(move || Fixture::snapshot_store(async move |place: &Place| Files::open(place, flaw)));
    let (runner, law) = (runner.quick().entry(test), laws::sn_06_durability());
    if let Some(played) = runner.played(&law) {
        return played.unwrap();
    }
    match runner.judge(&law) {
        Outcome::Broken { check: found, .. } => assert_eq!(found, check, "{flaw:?}"),
        other => panic!("{flaw:?}: {other:?}"),
    }
}

macro_rules! flaws {
    ($($test:ident: $flaw:ident in $check:ident;)+) => {
        $(#[test]
        fn $test() {
            breaks(Flaw::$flaw, stringify!($test), stringify!($check));
        })+
    };
}

flaws! {
    writing_in_place: WritesInPlace in survive_being_killed;
    acknowledging_before_writing: AcknowledgesBeforeWriting in are_there_after_reopening;
    acknowledging_before_deleting: AcknowledgesBeforeDeleting in stay_deleted_after_reopening;
    forgetting_when_opened: ForgetsWhenOpened in are_there_after_reopening;
}
