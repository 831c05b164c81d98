//! [`Origin`]: the source of a setting.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The source of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
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
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable { name } | Self::Other { name } => f.write_str(name),
            Self::SecretFile { path, named_by } => write!(f, "{}, by {named_by}", path.display()),
        }
    }
}
