//! The meaning of an error of MySQL or MariaDB.

use sqlx::mysql::MySqlDatabaseError;

use crate::database::error::{DatabaseError, Sort, sorted};

/// Classifies an error by its number. Some numbers exist only in MariaDB.
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
        // DBACCESS_DENIED, TABLEACCESS_DENIED
        1044 | 1142 => DatabaseError::ReadOnly,
        // OPTION_PREVENTS_STATEMENT (read_only), CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, READ_ONLY_MODE
        1290 | 1792 | 1836 => DatabaseError::Standby,
        // CHECKREAD (MariaDB: changed since this transaction has read it), LOCK_DEADLOCK
        1020 | 1213 => DatabaseError::Conflict,
        // CON_COUNT, OUT_OF_RESOURCES, SERVER_SHUTDOWN, NET_READ, NET_WRITE, USER_LIMIT_REACHED,
        // LOCK_WAIT_TIMEOUT, QUERY_INTERRUPTED, CONNECTION_KILLED, STATEMENT_TIMEOUT
        1040 | 1041 | 1053 | 1158..=1161 | 1205 | 1226 | 1317 | 1927 | 1969 | 3024 => {
            DatabaseError::Unavailable
        }
        // An error that a person must correct: a wrong password, a missing database, a mistake in a program.
        _ => DatabaseError::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_what_is_to_be_done() {
        for (number, expected) in [
            (1290, "Standby"),
            (1792, "Standby"),
            (1836, "Standby"),
            (1142, "ReadOnly"),
            (1020, "Conflict"),
            (1213, "Conflict"),
            (1205, "Unavailable"),
            (1053, "Unavailable"),
            (1114, "Full"),
            (1064, "Other"),
        ] {
            let error = format!("{:?}", of_number(number)("why".into()));
            assert!(error.starts_with(expected), "{number}: {error}");
        }
    }
}
