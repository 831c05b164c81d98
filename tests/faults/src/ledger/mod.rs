//! A record of who did what with which message: an append-only file that outlives its writers, and its checker.

mod verdict;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

pub use verdict::Verdict;

/// What became of a message, or what was done to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Somebody is about to publish it.
    Attempted,
    /// The broker has confirmed it.
    Acknowledged,
    /// A handler has done what it does.
    Handled,
    /// It is in a dead-letter or invalid-message channel.
    SetAside,
    /// It is still in its channel.
    Queued,
    /// A fault begins.
    Fault,
    /// The fault is over.
    Cleared,
}

const WORDS: [(Entry, &str); 7] = [
    (Entry::Attempted, "attempted"),
    (Entry::Acknowledged, "acknowledged"),
    (Entry::Handled, "handled"),
    (Entry::SetAside, "set-aside"),
    (Entry::Queued, "queued"),
    (Entry::Fault, "fault"),
    (Entry::Cleared, "cleared"),
];

impl Entry {
    fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(entry, _)| *entry == self)
            .map_or("", |(_, word)| word)
    }

    fn of(word: &str) -> Option<Self> {
        WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(entry, _)| *entry)
    }
}

/// An append-only file of entries. Clones, and other processes that [`open`](Self::open) it, write to the same:
/// each entry is one line, written at once, and on the disk before the call returns.
#[derive(Clone)]
pub struct Ledger {
    file: Arc<File>,
    path: PathBuf,
    _folder: Option<Arc<TempDir>>,
}

impl Ledger {
    /// A new ledger, in a folder that goes with its last clone.
    ///
    /// # Panics
    /// There is no place for it.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it is a file")]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("brighter-ledger-")
            .tempdir()
            .expect("a folder can be made");
        let mut ledger = Self::open(&folder.path().join("ledger"));
        ledger._folder = Some(Arc::new(folder));
        ledger
    }

    /// The ledger in this file, which another process may write to as well.
    ///
    /// # Panics
    /// It cannot be opened.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("the ledger can be opened");
        Self {
            file: Arc::new(file),
            path: path.to_owned(),
            _folder: None,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an entry for a message, and returns once it is on the disk.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, entry: Entry, id: &str) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        // One call, so that the lines of several writers do not mix.
        let line = format!("{} {} {id}\n", now.as_micros(), entry.word());
        (&*self.file)
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .expect("the ledger can be written");
    }

    /// Notes that a fault begins.
    pub fn fault(&self) {
        self.write(Entry::Fault, "-");
    }

    /// Notes that the fault is over, from when on progress is expected.
    pub fn cleared(&self) {
        self.write(Entry::Cleared, "-");
    }

    /// How many entries of this kind there are.
    #[must_use]
    pub fn count(&self, entry: Entry) -> usize {
        self.entries().iter().filter(|line| line.entry == entry).count()
    }

    /// How many different messages have such an entry.
    #[must_use]
    pub fn distinct(&self, entry: Entry) -> usize {
        let entries = self.entries();
        let ids = entries
            .iter()
            .filter(|line| line.entry == entry)
            .map(|line| &line.id);
        ids.collect::<std::collections::HashSet<_>>().len()
    }

    /// What it all comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.entries())
    }

    fn entries(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.path).expect("the ledger can be read");
        // The last line of a process that was killed may not be whole.
        text.lines().filter_map(Line::read).collect()
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    at: Duration,
    entry: Entry,
    id: String,
}

impl Line {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        let at = Duration::from_micros(words.next()?.parse().ok()?);
        let entry = Entry::of(words.next()?)?;
        let id = words.next()?.to_owned();
        Some(Self { at, entry, id })
    }
}
