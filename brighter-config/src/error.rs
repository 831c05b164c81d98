//! [`ConfigError`]: one mistake in a configuration, and its origin.

use std::fmt;

use super::Origin;

/// One mistake in a configuration, and its origin.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The line, the variable or the argument with the mistake.
    pub origin: Origin,
    /// The kind of mistake.
    pub problem: Problem,
}

impl ConfigError {
    /// Returns an error for a problem at this origin.
    #[must_use]
    pub fn new(origin: Origin, problem: Problem) -> Self {
        Self { origin, problem }
    }
}

/// The kind of mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("the file cannot be read: {reason}")]
    Unreadable {
        /// The reason.
        reason: String,
    },
    /// The name of the file is neither that of a TOML nor of a YAML file.
    #[error("the file is of no known kind: call it `….toml`, `….yaml` or `….yml`")]
    UnknownKind,
    /// The file is not valid TOML or YAML.
    #[error("{what}")]
    Syntax {
        /// The error of the parser.
        what: String,
    },
    /// The section does not exist.
    #[error("there is no section `{name}`{}", hint(nearest.as_deref(), known))]
    UnknownSection {
        /// The unknown name.
        name: String,
        /// The most similar section, if there is one.
        nearest: Option<String>,
        /// All sections, separated by commas.
        known: String,
    },
    /// The section has no such key.
    #[error("`{section}` has no key `{key}`{}", hint(nearest.as_deref(), known))]
    UnknownKey {
        /// The name of the section.
        section: String,
        /// The unknown key.
        key: String,
        /// The most similar key, if there is one.
        nearest: Option<String>,
        /// All keys of the section, separated by commas.
        known: String,
    },
    /// No setting has a variable with this name.
    #[error(
        "no setting has this variable{}",
        nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_else(|| "; it is made of `BRIGHTER`, the section, the name within it if there is one, and the key".to_owned())
    )]
    UnknownVariable {
        /// The most similar variable, if there is one.
        nearest: Option<String>,
    },
    /// A key is set twice in one source.
    #[error("`{key}` is there already, by {first}: keep one")]
    Twice {
        /// The name of the key.
        key: String,
        /// The origin of the first value.
        first: Box<Origin>,
    },
    /// A value has another type.
    #[error("`{key}` is {expected}, and this is {found}")]
    WrongType {
        /// The name of the key.
        key: String,
        /// The expected type.
        expected: String,
        /// The type of the value.
        found: String,
    },
    /// A value has the right type, but is not allowed.
    #[error("`{key}` cannot be {value}: {reason}")]
    Impossible {
        /// The name of the key.
        key: String,
        /// The value; `***` for a secret.
        value: String,
        /// The reason, and the allowed values.
        reason: String,
    },
    /// The file of a secret cannot be used.
    #[error("`{key}` cannot be had from {path}: {reason}")]
    NoSecret {
        /// The name of the key.
        key: String,
        /// The file, if it can be told from a secret that was written in place of its name.
        path: String,
        /// The reason.
        reason: String,
    },
    /// A required key is missing.
    #[error("`{key}` is missing: {what}")]
    Missing {
        /// The name of the key.
        key: String,
        /// The purpose of the key, and how to set it.
        what: String,
    },
    /// Two settings contradict each other.
    #[error("`{key}` and `{other}` do not go together: {reason}")]
    Contradiction {
        /// The first key.
        key: String,
        /// The second key.
        other: String,
        /// The reason.
        reason: String,
    },
    /// More is wrong than is told at once.
    #[error("{count} more things are wrong; correct those above first")]
    More {
        /// How many.
        count: usize,
    },
}

/// Returns the suggestion, if there is one, or else all known names.
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

/// All mistakes of a configuration together.
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

    /// Iterates over the mistakes: those of files in the order of their lines, then those of variables.
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

/// Prints like `Display`, because a `main` that returns this error prints it by `Debug`.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Prints like `Display`, as [`ConfigError`] does.
impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigErrors {}
