//! The meaning of an error of MySQL or MariaDB.

use std::error::Error;

use sqlx::mysql::MySqlDatabaseError;

use crate::database::error::{DatabaseError, Sort, sorted};

/// Classifies an error by its number. Some numbers exist only in MariaDB. Other errors are classified by their SQLSTATE:
/// a cluster has many numbers of its own.
pub(super) fn sort(error: sqlx::Error) -> DatabaseError {
    sorted(error, |error| {
        let error = error.as_database_error();
        let error = error.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
        error.map_or(DatabaseError::Other, |error| {
            of_number(error.number(), error.code().unwrap_or_default())
        })
    })
}

/// Returns whether another transaction was in the way.
pub(super) fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    let error = match error.downcast_ref::<sqlx::Error>() {
        Some(error) => error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref()),
        None => error.downcast_ref::<MySqlDatabaseError>(),
    };
    error.is_some_and(|error| is_conflict_number(error.number(), error.code().unwrap_or_default()))
}

/// CHECKREAD (MariaDB: changed since this transaction has read it), LOCK_WAIT_TIMEOUT (only the statement is rolled
/// back), LOCK_DEADLOCK, or a state that says that the transaction was rolled back.
fn is_conflict_number(number: u16, state: &str) -> bool {
    matches!(number, 1020 | 1205 | 1213) || state.starts_with("40")
}

fn of_number(number: u16, state: &str) -> Sort {
    match number {
        // DISK_FULL, RECORD_FILE_FULL
        1021 | 1114 => DatabaseError::Full,
        // DBACCESS_DENIED, TABLEACCESS_DENIED
        1044 | 1142 => DatabaseError::ReadOnly,
        // OPTION_PREVENTS_STATEMENT (read_only), CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, READ_ONLY_MODE
        1290 | 1792 | 1836 => DatabaseError::Standby,
        // CON_COUNT, OUT_OF_RESOURCES, SERVER_SHUTDOWN, NET_READ, NET_WRITE, USER_LIMIT_REACHED,
        // QUERY_INTERRUPTED, CONNECTION_KILLED, STATEMENT_TIMEOUT
        1040 | 1041 | 1053 | 1158..=1161 | 1226 | 1317 | 1927 | 1969 | 3024 => DatabaseError::Unavailable,
        _ if is_conflict_number(number, state) => DatabaseError::Conflict,
        // The connection is of no use, or this node of a cluster is.
        _ if state.starts_with("08") => DatabaseError::Unavailable,
        // An error that a person must correct: a wrong password, a missing database, a mistake in a program.
        _ => DatabaseError::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_what_is_to_be_done() {
        for (number, state, expected) in [
            (1290, "HY000", "Standby"),
            (1792, "25006", "Standby"),
            (1836, "HY000", "Standby"),
            (1142, "42000", "ReadOnly"),
            (1020, "HY000", "Conflict"),
            (1213, "40001", "Conflict"),
            (1205, "HY000", "Conflict"),
            // Rolled back by a cluster during the commit.
            (3101, "40000", "Conflict"),
            (1053, "08S01", "Unavailable"),
            // A node that is not part of its cluster now.
            (1047, "08S01", "Unavailable"),
            (1114, "HY000", "Full"),
            (1064, "42000", "Other"),
            (1045, "28000", "Other"),
        ] {
            let error = format!("{:?}", of_number(number, state)("why".into()));
            assert!(error.starts_with(expected), "{number}: {error}");
        }
    }
}
