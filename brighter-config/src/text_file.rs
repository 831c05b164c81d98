//! Reads a small text file.

use std::fs::Metadata;
use std::io::Read;
use std::path::Path;

/// The text of a file of at most so many bytes, or why there is none.
pub(super) fn read(path: &Path, largest: u64) -> Result<String, String> {
    // Before it is opened: to open a FIFO waits for somebody who writes into it.
    regular(&std::fs::metadata(path).map_err(|error| said(&error))?)?;
    let file = std::fs::File::open(path).map_err(|error| said(&error))?;
    regular(&file.metadata().map_err(|error| said(&error))?)?;
    let mut bytes = Vec::new();
    let read = file.take(largest + 1).read_to_end(&mut bytes);
    read.map_err(|error| said(&error))?;
    if bytes.len() as u64 > largest {
        return Err(format!("it has more than {largest} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())
}

/// Nothing else ends by itself: a FIFO, a socket, a terminal, `/dev/zero`.
fn regular(file: &Metadata) -> Result<(), String> {
    match file {
        _ if file.is_file() => Ok(()),
        _ if file.is_dir() => Err("it is a folder".to_owned()),
        _ => Err("it is no regular file but a pipe, a socket or a device, which may never end".to_owned()),
    }
}

/// What the system says, in words that are the same on every machine where that is possible.
fn said(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read by this user".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
