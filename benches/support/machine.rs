//! What the figures were measured on, as far as Linux tells; elsewhere such cells stay empty.

use serde::Serialize;
use std::fmt;
use std::path::Path;

/// The machine, as far as it is known.
#[derive(Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: Option<String>,
    memory_mebibytes: Option<u64>,
    system: Option<String>,
    file_system: Option<String>,
    optimized: bool,
}

impl Machine {
    /// This one, with the disk that `dir` is on.
    pub(crate) fn here(dir: &Path) -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: line_of("/proc/cpuinfo", "model name"),
            memory_mebibytes: line_of("/proc/meminfo", "MemTotal")
                .and_then(|line| kibibytes(&line))
                .map(|kib| kib >> 10),
            system: std::fs::read_to_string("/proc/sys/kernel/osrelease")
                .ok()
                .map(|text| format!("Linux {}", text.trim())),
            file_system: file_system(dir),
            optimized: !cfg!(debug_assertions),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores", self.cores)?;
        let memory = self.memory_mebibytes.map(|mebi| format!("{} GiB", mebi.div_ceil(1_024)));
        for part in [&self.processor, &memory, &self.system, &self.file_system].into_iter().flatten() {
            write!(f, ", {part}")?;
        }
        if self.optimized { Ok(()) } else { write!(f, "; NOT OPTIMIZED, these figures say nothing") }
    }
}

fn line_of(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kibibytes(text: &str) -> Option<u64> {
    text.trim_end_matches("kB").trim().parse().ok()
}

/// The kind of file system that holds `dir`.
fn file_system(dir: &Path) -> Option<String> {
    let dir = std::fs::canonicalize(dir).ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let of = |line: &str| {
        let mut parts = line.split(' ').skip(1);
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    };
    let holding = mounts.lines().filter_map(of).filter(|(mounted_at, _)| dir.starts_with(mounted_at));
    holding.max_by_key(|(mounted_at, _)| mounted_at.len()).map(|(_, kind)| kind)
}

/// Sets the mark of the most memory held back to what is held now.
pub(crate) fn forget_peak() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The most memory held since, in bytes.
pub(crate) fn peak_bytes() -> Option<u64> {
    line_of("/proc/self/status", "VmHWM").and_then(|line| kibibytes(&line)).map(|kib| kib << 10)
}

/// The memory held now, in bytes.
pub(crate) fn resident_bytes() -> Option<u64> {
    line_of("/proc/self/status", "VmRSS").and_then(|line| kibibytes(&line)).map(|kib| kib << 10)
}
