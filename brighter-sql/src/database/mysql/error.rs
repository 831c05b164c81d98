//! What an error of MySQL or MariaDB means.

use sqlx::mysql::MySqlDatabaseError;

use crate::database::error::{DatabaseError, Sort, sorted};

/// Sorts an error by its number, of which some are MariaDB's own.
pub(super) fn sort(error: sqlx::Error) -> DatabaseError {
    sorted(error, |error| {
        let error = error.as_database_error();
        let error = error.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
        error.map_or(DatabaseError::Other, |error| of_number(error.number()))
    })
}

fn of_number(number: u16) -> Sort {
    match number {
        // DISK_FULL, RECORD_FILE_FULL
        1021 | 1114 => DatabaseError::Full,
        // DBACCESS_DENIED, TABLEACCESS_DENIED, OPTION_PREVENTS_STATEMENT (read_only), read only
        1044 | 1142 | 1290 | 1792 | 1836 => DatabaseError::ReadOnly,
        // CON_COUNT, OUT_OF_RESOURCES, SERVER_SHUTDOWN, NET_READ, NET_WRITE, USER_LIMIT_REACHED,
        // LOCK_WAIT_TIMEOUT, LOCK_DEADLOCK, QUERY_INTERRUPTED, CONNECTION_KILLED, STATEMENT_TIMEOUT
        1040 | 1041 | 1053 | 1158..=1161 | 1205 | 1213 | 1226 | 1317 | 1927 | 1969 | 3024 => {
            DatabaseError::Unavailable
        }
        // What a person has to mend: a wrong password, a missing database, a mistake in a program.
        _ => DatabaseError::Other,
    }
}
