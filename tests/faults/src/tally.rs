//! A tally of what was handled that keeps up with many thousands a second: nine bytes a message, many at once.
//!
//! It is not on the disk when a write returns, but it is with the system: it outlives the process that is killed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

const BYTES: usize = 9;

/// One handling of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handling {
    /// Which message.
    pub number: u64,
    /// Whether the broker said that it had delivered it before.
    pub again: bool,
}

/// The tally of one process.
#[derive(Debug)]
pub struct Tally(File);

impl Tally {
    /// The tally in this file, which is made or gone on with.
    ///
    /// # Panics
    /// It cannot be opened.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self(file.expect("the tally can be opened"))
    }

    /// Notes these, all at once or, if the process is killed, some of them.
    ///
    /// # Panics
    /// They cannot be written.
    pub fn note(&mut self, handled: &[Handling]) {
        let mut bytes = Vec::with_capacity(handled.len() * BYTES);
        for Handling { number, again } in handled {
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.push(u8::from(*again));
        }
        self.0.write_all(&bytes).expect("the tally can be written");
    }
}

/// How many handlings a tally holds by now.
#[must_use]
pub fn count(path: &Path) -> usize {
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    usize::try_from(bytes).unwrap_or(usize::MAX) / BYTES
}

/// What a tally holds.
///
/// # Panics
/// It cannot be read.
#[must_use]
pub fn read(path: &Path) -> Vec<Handling> {
    let bytes = std::fs::read(path).expect("the tally can be read");
    let whole = bytes.chunks_exact(BYTES);
    assert!(whole.remainder().is_empty(), "a line of the tally was cut");
    whole
        .map(|one| {
            let (number, again) = one.split_at(BYTES - 1);
            Handling {
                number: u64::from_le_bytes(number.try_into().expect("eight bytes")),
                again: again == [1],
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_progress_is_read_and_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        let handled: Vec<_> = (0..5_u64)
            .map(|number| Handling {
                number: number << 40,
                again: number == 3,
            })
            .collect();
        Tally::open(&path).note(&handled[..2]);
        Tally::open(&path).note(&handled[2..]);
        assert_eq!((count(&path), read(&path)), (5, handled));
    }
}
