//! The permissions of the file: it contains the bodies of messages.

use std::path::Path;

/// Creates a file that only its user may read and write, unless it exists. SQLite creates the `-wal` and `-shm` files
/// beside it with the same permissions.
///
/// An existing file keeps its permissions, because others may need them. If any user of the machine may read it, one
/// warning for each file is logged. If the file cannot be created, SQLite reports that.
#[cfg(unix)]
pub(super) fn make(path: &Path) {
    use std::fs::OpenOptions;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    // Not a path: a database in memory, or a URI.
    let is_path = path
        .to_str()
        .is_none_or(|text| !text.is_empty() && text != ":memory:" && !text.starts_with("file:"));
    if !is_path {
        return;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    if made.is_ok() {
        return;
    }
    let Ok(found) = path.metadata() else { return };
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o004 != 0 && is_new(path) {
        tracing::warn!(
            path = %path.display(),
            mode = %format_args!("{mode:o}"),
            "every user of this machine may read the file, and the messages in it; `chmod 600` it and the files beside it"
        );
    }
}

#[cfg(not(unix))]
pub(super) fn make(_path: &Path) {}

/// Returns whether the file has not been checked before.
#[cfg(unix)]
fn is_new(path: &Path) -> bool {
    use std::collections::HashSet;
    use std::path::PathBuf;
    use std::sync::{LazyLock, Mutex, PoisonError};

    static KNOWN: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(path)
}
