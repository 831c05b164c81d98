//! Every line that is logged, for those that must be there and what must not be in any.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use crate::node::PASSWORD;

static LINES: Mutex<Lines> = Mutex::new(Lines {
    ours: Vec::new(),
    telling: Vec::new(),
});
static BEGUN: Once = Once::new();

struct Lines {
    /// Those of brighter.
    ours: Vec<u8>,
    /// Those of anybody that hold the password.
    telling: Vec<u8>,
}

/// Begins to keep what is logged in this process, from the most talkative level on. Once is enough.
///
/// # Panics
/// Somebody else keeps the log.
pub fn begin() {
    BEGUN.call_once(|| {
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(Kept)
            .with_filter(LevelFilter::DEBUG);
        tracing_subscriber::registry().with(layer).init();
    });
}

/// The lines of brighter so far that hold all of these words.
#[must_use]
pub fn lines(words: &[&str]) -> Vec<String> {
    let kept = kept().ours.clone();
    String::from_utf8_lossy(&kept)
        .lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .map(ToOwned::to_owned)
        .collect()
}

/// Checks that no line holds the password of the broker: I8 of the catalogue.
///
/// # Panics
/// One does.
pub fn assert_no_password() {
    let told = kept().telling.clone();
    let told = String::from_utf8_lossy(&told);
    assert!(told.is_empty(), "the log tells the password: {told}");
}

/// Writes to the lines that are kept.
struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An event is written at once.
        let holds = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
        let mut kept = kept();
        if holds(PASSWORD.as_bytes()) {
            kept.telling.extend_from_slice(bytes);
        }
        if holds(b" brighter") {
            kept.ours.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Kept {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

fn kept() -> MutexGuard<'static, Lines> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}
