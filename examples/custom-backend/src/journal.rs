//! The file: lines with checksums, one process at a time, a sync before every acknowledgement.
//!
//! A line is `<CRC-32C in hex> <JSON>`. The first names the format and the store's identity; each other is
//! one append.

use crate::record::Record;
use core::hash::{BuildHasher, Hasher};
use portolan_kernel::ports::{AppendError, Source, StoreId};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::RandomState;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The version of the file's format.
const FORMAT: u32 = 1;

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another handle, of this process or another, has it open.
    #[error("{} is in use by process {owner}; close it there, or open another file", path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
        /// The number of the process, as it wrote it into the lock file.
        owner: String,
    },
    /// It is damaged, or no journal.
    #[error("{}, line {line}: {reason}; restore the file from a copy", path.display())]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refuses to open, read or write it.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(rename = "portolan-journal")]
    format: u32,
    identity: String,
}

/// An open journal, positioned at its end.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Where the last whole line ends.
    end: u64,
    identity: StoreId,
    /// A sync has failed. What is on disk is unknown then, and only opening the file anew can tell.
    in_doubt: bool,
    /// Locked for as long as it is open, also when the process is killed.
    _lock: Lock,
}

impl Journal {
    /// Opens or makes the journal, and passes the record of each line on.
    pub(crate) fn open(path: &Path, mut each: impl FnMut(Record) -> Result<(), String>) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let corrupt = |line, reason| JournalError::Corrupt { path: path.to_owned(), line, reason };
        let lock = lock(path)?;
        if !path.try_exists().map_err(io)? {
            create(path).map_err(io)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;

        let mut identity = None;
        let mut rest = &*bytes;
        let mut number = 1;
        while let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, following) = rest.split_at(length + 1);
            let json =
                checked(&line[..length]).ok_or_else(|| corrupt(number, "it does not fit its checksum".into()))?;
            match identity {
                None => identity = Some(read_header(json).map_err(|reason| corrupt(number, reason))?),
                Some(_) => Record::from_json(json).and_then(&mut each).map_err(|reason| corrupt(number, reason))?,
            }
            rest = following;
            number += 1;
        }
        let identity = identity.ok_or_else(|| corrupt(1, "it does not begin like a journal".into()))?;
        // What is left ends without a newline: a write that was torn before anyone was told of it. But a whole
        // line and one byte more is a line whose newline was damaged later.
        if let Some((_, whole)) = rest.split_last()
            && checked(whole).is_some()
        {
            return Err(corrupt(number, "its end is damaged".into()));
        }
        let end = (bytes.len() - rest.len()) as u64;
        let mut journal = Self { path: path.to_owned(), file, end, identity, in_doubt: false, _lock: lock };
        journal.cut_off().map_err(io)?;
        Ok(journal)
    }

    pub(crate) fn identity(&self) -> StoreId {
        self.identity
    }

    /// Adds a line, and returns once it is on disk.
    pub(crate) fn write(&mut self, record: &Record) -> Result<(), AppendError> {
        if self.in_doubt {
            let path = self.path.display();
            return Err(AppendError::Other(Source::new(format!("{path} failed to sync; open it anew"))));
        }
        let json = record.to_json().map_err(|error| AppendError::Other(Source::new(error)))?;
        let line = line(&json);
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // Nobody may ever read the part that was written: not now, and not after a restart.
            self.in_doubt = self.cut_off().is_err();
            return Err(AppendError::Other(Source::new(error)));
        }
        if let Err(error) = self.file.sync_data() {
            self.in_doubt = true;
            return Err(AppendError::Unknown(Source::new(error)));
        }
        self.end += line.len() as u64;
        Ok(())
    }

    fn cut_off(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        Ok(())
    }
}

/// Makes a journal with its first line: under another name, so that there is never one without it.
fn create(path: &Path) -> io::Result<()> {
    let beside = beside(path, ".new");
    let header = Header { format: FORMAT, identity: random_identity().to_string() };
    let mut file = File::create(&beside)?;
    file.write_all(line(&serde_json::to_string(&header).map_err(io::Error::other)?).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    // A new name is there for good when its folder is on disk too.
    #[cfg(unix)]
    if let Some(folder) = std::path::absolute(path)?.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A lock that is held.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// A child that is being started has the file open too until it runs its program, and would hold the lock as long.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Takes the lock beside the journal and writes this process's number into it.
fn lock(path: &Path) -> Result<Lock, JournalError> {
    let beside = beside(path, ".lock");
    let io = |source| JournalError::Io { path: beside.clone(), source };
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&beside).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(io)?;
            Ok(Lock(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            file.read_to_string(&mut owner).map_err(io)?;
            Err(JournalError::InUse { path: path.to_owned(), owner })
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn line(json: &str) -> String {
    format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes()))
}

/// The JSON of a line without its newline, if its checksum is right.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (checksum, rest) = line.split_at_checked(8)?;
    let json = rest.strip_prefix(b" ")?;
    (checksum == format!("{:08x}", crc32c::crc32c(json)).as_bytes()).then_some(json)
}

fn read_header(json: &[u8]) -> Result<StoreId, String> {
    let header: Header = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if header.format != FORMAT {
        return Err(format!("its format is {}, and this program knows {FORMAT}", header.format));
    }
    header.identity.parse().map_err(|_| format!("{} is no identity of a store", header.identity))
}

/// 128 bits from the random keys of std's hashers: enough to tell stores apart.
fn random_identity() -> StoreId {
    let half = || RandomState::new().build_hasher().finish();
    StoreId::from_bytes(((u128::from(half()) << 64) | u128::from(half())).to_be_bytes())
}
