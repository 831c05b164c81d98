//! The meaning of an error of PostgreSQL.

use std::error::Error;

use sqlx::postgres::PgDatabaseError;

use crate::database::error::{Advised, DatabaseError, Sort, sorted};

/// Classifies an error by its code: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn sort(error: sqlx::Error) -> DatabaseError {
    sorted(error, |error| {
        let code = error.as_database_error().and_then(|error| error.code());
        of_code(code.as_deref().unwrap_or_default())
    })
}

/// Returns whether another transaction was in the way.
pub(super) fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    let error = match error.downcast_ref::<sqlx::Error>() {
        Some(error) => error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref()),
        None => error.downcast_ref::<PgDatabaseError>(),
    };
    error.is_some_and(|error| is_conflict_code(error.code()))
}

/// transaction_rollback, serialization_failure, deadlock_detected, lock_not_available (as by a lock_timeout)
fn is_conflict_code(code: &str) -> bool {
    matches!(code, "40000" | "40001" | "40P01" | "55P03")
}

fn of_code(code: &str) -> Sort {
    match code {
        // disk_full
        "53100" => DatabaseError::Full,
        // insufficient_privilege
        "42501" => DatabaseError::ReadOnly,
        // read_only_sql_transaction: a standby, or a server that was set to read-only
        "25006" => DatabaseError::Standby,
        _ if is_conflict_code(code) => DatabaseError::Conflict,
        // duplicate_prepared_statement, invalid_sql_statement_name
        "42P05" | "26000" => |source| {
            DatabaseError::Other(Advised::boxed(
                "the connection is not a session of its own, as behind PgBouncer in transaction mode: say \
                 `without_session` in the options",
                source,
            ))
        },
        // query_canceled (as by a statement_timeout), idle_in_transaction_session_timeout, transaction_timeout
        "57014" | "25P03" | "25P04" => DatabaseError::Unavailable,
        // connection, transaction_integrity and completion, resources, operator's intervention, system
        _ if ["08", "40", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            DatabaseError::Unavailable
        }
        // An error that a person must correct: a wrong password, a missing database, a mistake in a program.
        _ => DatabaseError::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str) -> String {
        let error = format!("{:?}", of_code(code)("why".into()));
        error.split('(').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_code_says_what_is_to_be_done() {
        for (code, expected) in [
            ("25006", "Standby"),
            ("42501", "ReadOnly"),
            ("40001", "Conflict"),
            ("40P01", "Conflict"),
            ("55P03", "Conflict"),
            // What was committed nobody can tell: not to be done again unasked.
            ("40003", "Unavailable"),
            ("57014", "Unavailable"),
            ("57P01", "Unavailable"),
            ("57P02", "Unavailable"),
            ("57P03", "Unavailable"),
            ("53300", "Unavailable"),
            ("53100", "Full"),
            ("42P05", "Other"),
            ("42601", "Other"),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }
}
