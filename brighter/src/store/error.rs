//! What an error of a database is called by the ports of the stores.

use crate::database::error::DatabaseError;
use crate::inbox::InboxError;
use crate::outbox::OutboxError;

impl From<DatabaseError> for OutboxError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Full(source) => Self::Full(source),
            DatabaseError::Unavailable(source) => Self::Unavailable(source),
            DatabaseError::ReadOnly(source) => Self::ReadOnly(source),
            DatabaseError::NewerSchema { found, known } => Self::NewerSchema { found, known },
            DatabaseError::Other(source) => Self::Other(source),
        }
    }
}

impl From<DatabaseError> for InboxError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Full(source) => Self::Full(source),
            DatabaseError::Unavailable(source) => Self::Unavailable(source),
            DatabaseError::ReadOnly(source) => Self::ReadOnly(source),
            DatabaseError::NewerSchema { found, known } => Self::NewerSchema { found, known },
            DatabaseError::Other(source) => Self::Other(source),
        }
    }
}
