//! Reads a small text file.

use std::io::Read;
use std::path::Path;

/// Returns the text of a file with at most `largest` bytes, or why it cannot be read.
pub(super) fn read(path: &Path, largest: u64) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| said(&error))?;
    let mut bytes = Vec::new();
    let read = file.take(largest + 1).read_to_end(&mut bytes);
    read.map_err(|error| said(&error))?;
    if bytes.len() as u64 > largest {
        return Err(format!("it has more than {largest} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())
}

/// Returns the system's error, in words that are the same on every machine where possible.
fn said(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read by this user".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
