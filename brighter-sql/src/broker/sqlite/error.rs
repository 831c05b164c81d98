//! [`SqliteBrokerError`]: why the file cannot be used, and the errors of callers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::database::error::{DatabaseError, from_database_error};
use brighter_core::channel::{BrokerStatus, ChannelError, PublishError, SettleError};
use brighter_core::error::{BoxError, InvalidSetting};

/// Why a broker could not be opened.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SqliteBrokerError {
    /// A setting has an invalid value.
    #[error("invalid setting of the broker")]
    Setting(#[source] InvalidSetting),
    /// The disk is full: free space and open the broker again.
    #[error("the disk of the broker's file is full: make room")]
    Full(#[source] BoxError),
    /// The file cannot be opened, or its lock is held for too long. Opening it again may succeed.
    #[error("the broker's file cannot be opened, or others hold its lock")]
    Unavailable(#[source] BoxError),
    /// The file or its folder is read-only: the broker writes both.
    #[error(
        "the broker's file or its folder may not be written: give this user the right to, or use another path"
    )]
    ReadOnly(#[source] BoxError),
    /// The tables are from a newer version of brighter.
    #[error("the broker's tables have version {found} and this program knows {known}: use a newer brighter")]
    NewerSchema {
        /// The version of the tables.
        found: i64,
        /// The newest version that this program supports.
        known: i64,
    },
    /// The broker's thread could not be started.
    #[error("the thread of the broker did not start")]
    Thread(#[source] std::io::Error),
    /// Any other failure: the file is no database, for instance.
    #[error("the broker's file cannot be used")]
    Other(#[source] BoxError),
}

brighter_core::__private::readable_debug!(SqliteBrokerError);

from_database_error!(SqliteBrokerError);

/// Why a transaction failed, for all callers with work in it.
#[derive(Debug, Clone)]
pub(super) struct FileFailure {
    error: Arc<SqliteBrokerError>,
    is_full: bool,
    /// The channels that hold the most messages of a full file.
    holders: Option<Arc<str>>,
}

impl FileFailure {
    pub(super) fn new(error: DatabaseError) -> Self {
        Self {
            is_full: matches!(error, DatabaseError::Full(_)),
            error: Arc::new(error.into()),
            holders: None,
        }
    }

    /// Returns the failure of an engine that has panicked.
    pub(super) fn panicked() -> Self {
        let error = "the thread of the broker has panicked: open the broker again, and report this";
        Self {
            is_full: false,
            error: Arc::new(SqliteBrokerError::Other(error.into())),
            holders: None,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds the channels that hold the most messages.
    pub(super) fn with_holders(self, holders: Option<String>) -> Self {
        Self {
            holders: holders.map(Arc::from),
            ..self
        }
    }

    /// Adds the channels that were found when the file became full.
    pub(super) fn like(self, before: &Self) -> Self {
        let holders = before.holders.clone().filter(|_| self.is_full);
        Self { holders, ..self }
    }

    /// Returns the error for a publisher; `after` is how long the caller has waited.
    pub(super) fn of_publish(&self, after: Duration) -> PublishError {
        if self.is_full {
            let reason = self.to_string();
            PublishError::Blocked { reason, after }
        } else {
            PublishError::Disconnected(Box::new(self.clone()))
        }
    }

    pub(super) fn of_settle(&self) -> SettleError {
        SettleError::Other(Box::new(self.clone()))
    }

    pub(super) fn of_channel(&self) -> ChannelError {
        ChannelError::Disconnected(Box::new(self.clone()))
    }

    pub(super) fn status(&self) -> BrokerStatus {
        let reason = brighter_core::__private::report(self);
        if self.is_full {
            BrokerStatus::Blocked { reason }
        } else {
            BrokerStatus::Disconnected { reason }
        }
    }
}

impl fmt::Display for FileFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        match &self.holders {
            None => Ok(()),
            Some(holders) => write!(
                f,
                "; most messages wait {holders}: consume those channels, or remove one that nobody is to consume"
            ),
        }
    }
}

impl std::error::Error for FileFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
