//! Reads a small text file.

use std::path::Path;

use brighter_core::__private::small_file;

/// Returns the text of a file with at most `largest` bytes, or why it cannot be read.
pub(super) fn read(path: &Path, largest: u64) -> Result<String, String> {
    let bytes = small_file::read(path, largest)?;
    String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())
}
