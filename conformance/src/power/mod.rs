//! Power cuts: a child process whose files keep what was synced and nothing else.
//!
//! SIGKILL leaves the system's page cache alone, so a store that never syncs survives it. Here a small library
//! (`disk.c`) is loaded into the child before the C library, as by `LD_PRELOAD`. It copies a file's bytes whenever
//! the file is synced, and kills the process at a chosen acknowledgement. Then the files are put back to what was
//! kept, and the store is opened on them.
//!
//! Why a cut and not a diary of syncs: a diary can tell that some file was synced before an acknowledgement, and
//! not that it was the right file, nor that its bytes were written by then. What is opened after a cut decides
//! both, whatever files a store has, and needs no knowledge of them. It is also the simpler of the two: copying
//! a file at its sync asks for no record of writes, and sees what was written through a map.
//!
//! What counts as a sync: `fsync`, `fdatasync`, `msync`, `sync`, `syncfs`, and writes to a file opened with
//! `O_SYNC` or `O_DSYNC`, or with `RWF_SYNC` or `RWF_DSYNC`. `sync_file_range` does not: it is no promise of the
//! disk. Names are kept at once: a file that was synced is found under its name, a renamed one under its new name,
//! and a deleted one is gone, all without a sync of the folder. Journaling file systems of Linux do commit a new
//! file's name with its first sync, and SQLite, for one, builds on the order in which its names change; to
//! demand more would find fault with stores that are right there. What it does not see: a library that calls the
//! system without the C library. A check says so then, and is not run.

use crate::Place;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The folder whose files are watched.
const OF: &str = "PORTOLAN_DISK_OF";
/// The folder of what is kept.
const DISK: &str = "PORTOLAN_DISK";
/// At which of the child's lines the power is cut.
const CUT: &str = "PORTOLAN_DISK_CUT";

const NOT_LINUX: &str = "a power cut can be simulated on Linux alone; run the laws there too";
const NO_COMPILER: &str = "a power cut needs a C compiler named `cc`, and there is none that builds a library";
pub(crate) const NOT_LOADED: &str =
    "the library that cuts the power is not loaded: is the test binary linked statically?";
pub(crate) const NO_FILES: &str =
    "the store keeps no file in the place's folder; put them there, or say why it has none with `remote:`";
pub(crate) const UNSEEN: &str = "no write of the store's files was seen: it calls the system past the C library";

/// What becomes of the bytes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// They are lost, in every file.
    All,
    /// In each file: lost, there, or what was added at its end is there in part.
    Some,
}

/// The disk under one place.
#[derive(Debug)]
pub(crate) struct Disk {
    of: PathBuf,
    kept: TempDir,
    library: PathBuf,
}

impl Disk {
    /// A disk under the place, or why there can be none.
    pub(crate) fn under(place: &Place) -> Result<Self, &'static str> {
        if cfg!(not(target_os = "linux")) {
            return Err(NOT_LINUX);
        }
        let kept = tempfile::Builder::new().prefix("portolan-disk-").tempdir().map_err(|_| NO_COMPILER)?;
        let of = place.dir().canonicalize().map_err(|_| NO_FILES)?;
        let (source, library) = (kept.path().join("disk.c"), kept.path().join("disk.so"));
        let built = std::fs::write(&source, include_str!("disk.c")).and_then(|()| {
            // The words of a compiler that fails are for whoever reads the test's output.
            Command::new("cc")
                .args(["-shared", "-fPIC", "-pthread", "-o"])
                .arg(&library)
                .arg(&source)
                .arg("-ldl")
                .status()
        });
        match built {
            Ok(status) if status.success() => Ok(Self { of, kept, library }),
            _ => Err(NO_COMPILER),
        }
    }

    /// What a child needs in its environment to run on this disk.
    pub(crate) fn environment(&self, cut_at: Option<usize>) -> Vec<(&'static str, OsString)> {
        let mut preload = self.library.clone().into_os_string();
        if let Some(others) = std::env::var_os("LD_PRELOAD") {
            preload.push(":");
            preload.push(others);
        }
        let mut variables = vec![
            ("LD_PRELOAD", preload),
            (OF, self.of.clone().into_os_string()),
            (DISK, self.kept.path().as_os_str().to_owned()),
        ];
        variables.extend(cut_at.map(|line| (CUT, line.to_string().into())));
        variables
    }

    /// Whether a write or a sync of the store's files was seen.
    pub(crate) fn has_seen(&self) -> bool {
        self.kept.path().join("seen").exists()
    }

    /// Makes syncs fail from now on, or succeed again.
    pub(crate) fn fail(disk: &Path, failing: bool) -> std::io::Result<()> {
        let switch = disk.join("failing");
        if failing { std::fs::write(switch, "") } else { std::fs::remove_file(switch) }
    }

    /// In a child: the folder of the disk that it runs on.
    pub(crate) fn of_child() -> Option<PathBuf> {
        std::env::var_os(DISK).map(PathBuf::from)
    }

    /// The store's files, in every folder under its place.
    pub(crate) fn files(&self) -> std::io::Result<Vec<PathBuf>> {
        files_under(&self.of)
    }

    /// All that the files hold now is kept: the store was closed in peace, or this is where its next life begins.
    pub(crate) fn settle(&self) -> std::io::Result<()> {
        for file in self.files()? {
            std::fs::copy(&file, self.kept.path().join(name_of(&file)?))?;
        }
        Ok(())
    }

    /// The power goes out: puts every file back to what was kept of it.
    pub(crate) fn cut(&self, loss: Loss) -> std::io::Result<()> {
        for file in self.files()? {
            let is_there = std::fs::read(&file)?;
            let kept = match std::fs::read(self.kept.path().join(name_of(&file)?)) {
                Ok(kept) => Some(kept),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            match (after_cut(loss, kept, &is_there), fastrand::bool()) {
                (Some(bytes), _) => std::fs::write(&file, bytes)?,
                // Never synced: a name without bytes, or no name.
                (None, true) => std::fs::write(&file, [])?,
                (None, false) => std::fs::remove_file(&file)?,
            }
        }
        Ok(())
    }
}

/// What is left of a file.
fn after_cut(loss: Loss, kept: Option<Vec<u8>>, is_there: &[u8]) -> Option<Vec<u8>> {
    match if loss == Loss::All { 0 } else { fastrand::u8(..3) } {
        0 => kept,
        1 => {
            let whole = kept.as_ref().map_or(0, Vec::len);
            let grown = is_there.starts_with(kept.as_deref().unwrap_or_default());
            if grown { Some(is_there[..fastrand::usize(whole..=is_there.len())].to_vec()) } else { kept }
        }
        _ => Some(is_there.to_vec()),
    }
}

/// The name under which the disk keeps a file: its inode and its birth, as in `disk.c`.
#[cfg(target_os = "linux")]
fn name_of(file: &Path) -> std::io::Result<String> {
    use std::os::unix::fs::MetadataExt;
    let file = file.metadata()?;
    let born = file.created().ok().and_then(|born| born.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(format!("{}-{}", file.ino(), born.unwrap_or_default().as_nanos()))
}

#[cfg(not(target_os = "linux"))]
fn name_of(_: &Path) -> std::io::Result<String> {
    Err(std::io::Error::other(NOT_LINUX))
}

/// The files in a folder and the folders in it.
pub(crate) fn files_under(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => files.extend(files_under(&entry.path())?),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(files)
}
