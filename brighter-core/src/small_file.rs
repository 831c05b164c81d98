//! Reads a small file of settings: a secret, a certificate, a configuration.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

/// Reads a file of at most this many bytes. The error says why there is none, in words that follow the name of the file.
///
/// # Errors
/// The file is not there, may not be read, is larger, or is none that ends by itself.
pub fn read(path: &Path, most_bytes: u64) -> Result<Vec<u8>, String> {
    // Before it is opened: to open a FIFO waits for somebody who writes into it.
    regular(&std::fs::metadata(path).map_err(|error| reason(&error))?)?;
    let file = File::open(path).map_err(|error| reason(&error))?;
    regular(&file.metadata().map_err(|error| reason(&error))?)?;
    let mut bytes = Vec::new();
    let read = file.take(most_bytes.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| reason(&error))?;
    match bytes.len() as u64 > most_bytes {
        true => Err(format!("it has more than {most_bytes} bytes")),
        false => Ok(bytes),
    }
}

/// Nothing else ends by itself: a FIFO, a socket, a terminal, `/dev/zero`.
fn regular(file: &Metadata) -> Result<(), String> {
    match file {
        _ if file.is_file() => Ok(()),
        _ if file.is_dir() => Err("it is a folder".to_owned()),
        _ => Err("it is no regular file but a pipe, a socket or a device, which may never end".to_owned()),
    }
}

/// Returns the system's reason, in words that are the same on every machine where that is possible.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read by this user".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
