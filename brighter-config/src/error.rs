//! What is wrong with a configuration, and where.

use std::fmt;

use super::Origin;

/// One thing that is wrong, and where.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The line, the variable or the argument that is at fault.
    pub origin: Origin,
    /// What is wrong.
    pub problem: Problem,
}

impl ConfigError {
    /// Makes an error of what is wrong at this place.
    #[must_use]
    pub fn new(origin: Origin, problem: Problem) -> Self {
        Self { origin, problem }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("the file cannot be read: {reason}")]
    Unreadable {
        /// Why not.
        reason: String,
    },
    /// The file is neither TOML nor YAML, by its name.
    #[error("the file is of no known kind: call it `….toml`, `….yaml` or `….yml`")]
    UnknownKind,
    /// The file is no TOML or YAML.
    #[error("{what}")]
    Syntax {
        /// What its parser says.
        what: String,
    },
    /// There is no such section.
    #[error("there is no section `{name}`{}", hint(nearest.as_deref(), known))]
    UnknownSection {
        /// The name.
        name: String,
        /// One that there is and that looks like it.
        nearest: Option<String>,
        /// Those that there are, parted by commas.
        known: String,
    },
    /// There is no such key.
    #[error("`{section}` has no key `{key}`{}", hint(nearest.as_deref(), known))]
    UnknownKey {
        /// The section.
        section: String,
        /// The key.
        key: String,
        /// One that there is and that looks like it.
        nearest: Option<String>,
        /// Those that there are, parted by commas.
        known: String,
    },
    /// No setting has a variable of that name.
    #[error(
        "no setting has this variable{}",
        nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_else(|| "; it is made of `BRIGHTER`, the section, the name within it if there is one, and the key".to_owned())
    )]
    UnknownVariable {
        /// One that there is and that looks like it.
        nearest: Option<String>,
    },
    /// A key is there twice.
    #[error("`{key}` is there already, by {first}: keep one")]
    Twice {
        /// The key.
        key: String,
        /// Where it stands first.
        first: Box<Origin>,
    },
    /// A value is of another type.
    #[error("`{key}` is {expected}, and this is {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A value is of the right type, and cannot be.
    #[error("`{key}` cannot be {value}: {reason}")]
    Impossible {
        /// The key.
        key: String,
        /// The value; `***` for a secret.
        value: String,
        /// Why not, and what can be.
        reason: String,
    },
    /// The file that a secret is to come from gives none.
    #[error("`{key}` cannot be had from {path}: {reason}")]
    NoSecret {
        /// The key.
        key: String,
        /// The file, if it can be told from a secret that was written in place of its name.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Something must be there, and is not.
    #[error("`{key}` is missing: {what}")]
    Missing {
        /// The key.
        key: String,
        /// What it is for, and how to say it.
        what: String,
    },
    /// Two settings do not go together.
    #[error("`{key}` and `{other}` do not go together: {reason}")]
    Contradiction {
        /// One.
        key: String,
        /// The other.
        other: String,
        /// Why not.
        reason: String,
    },
    /// More is wrong than is told at once.
    #[error("{count} more things are wrong; correct those above first")]
    More {
        /// How many.
        count: usize,
    },
}

/// What to write in its place, if that is known; what there is, if not.
fn hint(nearest: Option<&str>, known: &str) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => format!("; there are: {known}"),
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::More { .. } => self.problem.fmt(f),
            _ => write!(f, "{}: {}", self.origin, self.problem),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

/// Everything that is wrong with a configuration, together.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(crate) fn check(errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self(errors))
        }
    }

    /// Each of them: those of files in the order of their lines, then those of variables.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => only.fmt(f),
            several => {
                write!(f, "{} things are wrong with the configuration:", several.len())?;
                several.iter().try_for_each(|error| write!(f, "\n  - {error}"))
            }
        }
    }
}

/// Like `Display`: a `main` that returns this error shows it by `Debug`, and where to look is what matters.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Like `Display`, as that of [`ConfigError`].
impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigErrors {}
