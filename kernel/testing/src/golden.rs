//! Golden files: stored events of every version that there has been, kept with the code, and read by every later one.

use crate::difference::difference;
use core::fmt::Write as _;
use core::marker::PhantomData;
use portolan_kernel::Bytes;
use portolan_kernel::domain::{Event, Upcasters};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{EventType, Format};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The variable that has missing files written, as `PORTOLAN_GOLDEN=write cargo test`.
pub const GOLDEN: &str = "PORTOLAN_GOLDEN";

/// Golden files of this event type, in a folder that is kept under version control: relative to the crate's own, where
/// `cargo test` runs.
///
/// Each file is a stored event and what it has become in the current code:
///
/// ```json
/// {
///   "type": "account.opened",
///   "version": 1,
///   "payload": {"owner":"Ann"},
///   "becomes": [{"type": "account.opened", "version": 2, "payload": {"owner":"Ann","currency":"EUR"}}]
/// }
/// ```
///
/// A test gives a sample of every event that is written now, and checks:
///
/// ```no_run
/// # use portolan_kernel::{Bytes, domain::*, ports::RawEvent};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] enum AccountEvent { Deposited { amount: u64 } }
/// # impl Event for AccountEvent {
/// #     const CATEGORY: &'static str = "account";
/// #     fn event_type(&self) -> &'static str { variant::name(self) }
/// #     fn encode(&self) -> Result<Bytes, CodecError> { variant::encode(self) }
/// #     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
/// # }
/// portolan_testing::golden("tests/golden/account").sample(AccountEvent::Deposited { amount: 5 }).check();
/// ```
///
/// The first time, and after a version was raised, `PORTOLAN_GOLDEN=write cargo test` writes what is missing. Files of old
/// versions stay for ever: they are the proof that old events can be read.
pub fn golden<E: Event>(folder: impl Into<PathBuf>) -> Golden<E> {
    Golden { folder: folder.into(), samples: Vec::new(), event: PhantomData }
}

/// Golden files to be checked; made by [`golden`].
#[derive(Debug)]
#[must_use = "nothing is checked before `check`"]
pub struct Golden<E> {
    folder: PathBuf,
    samples: Vec<Stored>,
    event: PhantomData<fn() -> E>,
}

/// A stored event, as a file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(rename = "type")]
    event_type: String,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    /// Of a payload that is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    becomes: Option<Vec<Self>>,
}

impl Stored {
    fn of<E: Event>(event: &E) -> Result<Self, String> {
        let payload = event.encode().map_err(|error| error.to_string())?;
        let (event_type, version) = (event.event_type().to_owned(), event.version());
        let mut stored = Self { event_type, version, payload: None, payload_hex: None, becomes: None };
        match E::FORMAT {
            Format::Json => stored.payload = Some(serde_json::from_slice(&payload).map_err(|error| error.to_string())?),
            _ => {
                stored.payload_hex = Some(payload.iter().fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                }));
            }
        }
        Ok(stored)
    }

    fn raw(&self) -> Result<RawEvent, String> {
        let event_type = EventType::new(&*self.event_type).map_err(|error| error.to_string())?;
        let (format, payload) = match (&self.payload, &self.payload_hex) {
            (Some(json), None) => (Format::Json, Bytes::from(json.get().to_owned())),
            (None, Some(hex)) => {
                (Format::Binary, from_hex(hex).ok_or("`payload_hex` is not in pairs of digits")?.into())
            }
            _ => return Err("it needs either `payload` or `payload_hex`".to_owned()),
        };
        Ok(RawEvent::new(event_type, self.version, format, payload))
    }

    /// The same event, whatever white space stands in it.
    fn is(&self, other: &Self) -> bool {
        let value = |stored: &Self| {
            let json = stored.payload.as_ref().map(|json| serde_json::from_str::<serde_json::Value>(json.get()).ok());
            (stored.event_type.clone(), stored.version, json, stored.payload_hex.clone())
        };
        let text = |stored: &Self| stored.payload.as_ref().map(|json| json.get().to_owned());
        // Values forget digits past those of a double, so that texts are compared, but for one that a person has laid out.
        value(self) == value(other) && (text(self) == text(other) || text(self).is_some_and(|text| text.contains('\n')))
    }

    fn shown(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

impl<E: Event> Golden<E> {
    /// An event that is written now: one at least of each variant, and one for each form of its payload that matters.
    ///
    /// # Panics
    ///
    /// When the event cannot be encoded.
    pub fn sample(mut self, event: E) -> Self {
        match Stored::of(&event) {
            Ok(stored) => self.samples.push(stored),
            Err(reason) => panic!("a sample of {} cannot be encoded: {reason}", event.event_type()),
        }
        self
    }

    /// Several samples.
    ///
    /// # Panics
    ///
    /// As [`sample`](Self::sample).
    pub fn samples(self, events: impl IntoIterator<Item = E>) -> Self {
        events.into_iter().fold(self, Self::sample)
    }

    /// Checks that every sample has its file, that every version which can be read has one, and that every file is read as
    /// it was; or writes what is missing, if it is told to.
    ///
    /// # Panics
    ///
    /// When something is missing or other than it was, with what to do about it.
    #[track_caller]
    pub fn check(self) {
        let write = match std::env::var(GOLDEN) {
            Ok(wish) if wish == "write" => true,
            Ok(wish) => panic!("{GOLDEN} is `{wish}`; it can be `write`"),
            Err(_) => false,
        };
        if let Err(complaints) = self.verdict(write) {
            panic!("{complaints}");
        }
    }

    fn verdict(self, write: bool) -> Result<(), String> {
        let upcasters = Upcasters::of::<E>().map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        self.judge_samples(write, &mut found).map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let mut seen = BTreeSet::new();
        for path in files(&self.folder).map_err(|error| format!("{}: {error}", self.folder.display()))? {
            match judge_file::<E>(&path, &upcasters, write) {
                Ok(of) => {
                    seen.insert(of);
                }
                Err(reason) => found.push(format!("{}: {reason}", path.display())),
            }
        }
        for (event_type, version, is_current) in upcasters.known() {
            let path = self.path(event_type, version, 1);
            // Of a file that is wrong, and of a sample that has none, it was told above.
            let is_told = path.exists()
                || self.samples.iter().any(|sample| *event_type == *sample.event_type && version == sample.version);
            if !is_told && !seen.contains(&(event_type.to_string(), version)) {
                let mend = if is_current {
                    format!("give a sample of it, and run the test with {GOLDEN}=write")
                } else {
                    "take a payload from a store of that time, and write the file by hand: \
                     {\"type\": …, \"version\": …, \"payload\": …}; or, if there was no such version, say with which \
                     one the variant came, #[event(added = …)]"
                        .to_owned()
                };
                found.push(format!(
                    "there is no golden file of {event_type} version {version}, {}; {mend}",
                    path.display()
                ));
            }
        }
        if found.is_empty() { Ok(()) } else { Err(found.join("\n\n")) }
    }

    fn path(&self, event_type: &str, version: u32, number: u32) -> PathBuf {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        self.folder.join(format!("{event_type}.v{version}{number}.json"))
    }

    fn judge_samples(&self, write: bool, found: &mut Vec<String>) -> io::Result<()> {
        let mut numbers = BTreeMap::new();
        for sample in &self.samples {
            let number = numbers.entry((&sample.event_type, sample.version)).or_insert(0);
            *number += 1;
            let path = self.path(&sample.event_type, sample.version, *number);
            match fs::read(&path) {
                Ok(text) => match serde_json::from_slice::<Stored>(&text) {
                    Ok(stored) if stored.is(sample) => {}
                    Ok(stored) => {
                        let stored = Stored { becomes: None, ..stored };
                        found.push(format!(
                            "{}: {} version {} is written otherwise than it was, under the same version. Raise the version \
                             and say what has changed; or, if the sample is another, take that of the file; or, if no such event has been stored anywhere, delete the file and \
                             run the test with {GOLDEN}=write\n{}",
                            path.display(),
                            sample.event_type,
                            sample.version,
                            difference(&Lines(stored.shown()), &Lines(sample.shown()))
                        ));
                    }
                    // It is told when the files are read.
                    Err(_) => {}
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound && write => {
                    fs::create_dir_all(&self.folder)?;
                    fs::write(&path, sample.shown() + "\n")?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => found.push(format!(
                    "there is no golden file {}; run the test with {GOLDEN}=write, and keep the file with the code",
                    path.display()
                )),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Text that `Debug` shows as it is.
struct Lines(String);

impl core::fmt::Debug for Lines {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The files of a folder, in order; none when there is no folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

/// Reads the event of a file as the current code does, and compares. Which event it is.
fn judge_file<E: Event>(path: &Path, upcasters: &Upcasters, write: bool) -> Result<(String, u32), String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let stored: Stored = serde_json::from_slice(&text).map_err(|error| {
        format!("it is no golden file: {error}. Take it back from version control, or mend it by hand")
    })?;
    let of = (stored.event_type.clone(), stored.version);
    let fails = |error: &dyn core::fmt::Display| {
        format!(
            "{} version {} cannot be read any more: {error}. Stored events of it are lost to the application; give the event \
             type a history that leads on from it",
            of.0, of.1
        )
    };
    let current = upcasters.upcast(stored.raw()?).map_err(|error| fails(&error))?;
    let mut becomes = Vec::new();
    for raw in &current {
        let event = E::decode(raw).map_err(|error| fails(&error))?;
        if event.version() != raw.version {
            let reason = format!("it ends at version {}, and version {} is current", raw.version, event.version());
            return Err(fails(&reason));
        }
        becomes.push(Stored::of(&event)?);
    }
    let same = |was: &[Stored]| was.len() == becomes.len() && was.iter().zip(&becomes).all(|(was, is)| was.is(is));
    match &stored.becomes {
        Some(was) if same(was) => Ok(of),
        _ if write => {
            let blessed = Stored { becomes: Some(becomes), ..stored };
            fs::write(path, blessed.shown() + "\n").map_err(|error| error.to_string())?;
            Ok(of)
        }
        None => Err(format!(
            "it does not say what the event becomes; run the test with {GOLDEN}=write, and read what it says"
        )),
        Some(was) => {
            let shown = |events: &[Stored]| Lines(events.iter().map(|event| event.shown() + "\n").collect());
            Err(format!(
                "{} version {} is read otherwise than it was. If that is meant, as after a new version, run the test with \
                 {GOLDEN}=write, and look at the difference\n{}",
                of.0,
                of.1,
                difference(&shown(was), &shown(&becomes))
            ))
        }
    }
}

#[cfg(test)]
mod tests;
