//! [`Origin`]: the source of a setting.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brighter_core::__private::redact;

/// The source of a setting.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// No source sets the value: it is brighter's own default.
    Default,
    /// The program sets the value.
    Code,
    /// A line of a file.
    #[non_exhaustive]
    File {
        /// The path of the file.
        path: Arc<Path>,
        /// The line, counted from 1; 0 for the whole file.
        line: usize,
    },
    /// An environment variable.
    #[non_exhaustive]
    Variable {
        /// The name of the variable.
        name: Arc<str>,
    },
    /// Another source that the program named, such as an argument of its command line.
    #[non_exhaustive]
    Other {
        /// The name of the source.
        name: Arc<str>,
    },
    /// A separate file, as for a secret.
    #[non_exhaustive]
    SecretFile {
        /// The path of the file.
        path: PathBuf,
        /// The source that named the file.
        named_by: Box<Origin>,
    },
}

impl Origin {
    /// Returns the origin of a line of this file.
    pub(super) fn file(path: &Arc<Path>, line: usize) -> Self {
        Self::File {
            path: Arc::clone(path),
            line,
        }
    }

    /// Returns whether it is a line of a file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// Returns the folder to which relative paths are relative.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => path.parent(),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Code => f.write_str("the program"),
            Self::File { path, line: 0 } => f.write_str(&shown(path)),
            Self::File { path, line } => write!(f, "{}:{line}", shown(path)),
            Self::Variable { name } | Self::Other { name } => f.write_str(name),
            Self::SecretFile { path, named_by } => write!(f, "{}, by {named_by}", shown(path)),
        }
    }
}

/// The path, unless it is a URL that somebody wrote in its place.
fn shown(path: &Path) -> String {
    redact::text(&path.display().to_string()).into_owned()
}

/// Like `Display`, which shows no secret.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
