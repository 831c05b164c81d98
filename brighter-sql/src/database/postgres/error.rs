//! What an error of PostgreSQL means.

use crate::database::error::{DatabaseError, Sort, sorted};

/// Sorts an error by its code: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn sort(error: sqlx::Error) -> DatabaseError {
    sorted(error, |error| {
        let code = error.as_database_error().and_then(|error| error.code());
        of_code(code.as_deref().unwrap_or_default())
    })
}

fn of_code(code: &str) -> Sort {
    match code {
        // disk_full
        "53100" => DatabaseError::Full,
        // read_only_sql_transaction, insufficient_privilege
        "25006" | "42501" => DatabaseError::ReadOnly,
        // lock_not_available, query_canceled (as by a statement_timeout)
        "55P03" | "57014" => DatabaseError::Unavailable,
        // connection, rollback for another's sake, resources, operator's intervention, system
        _ if ["08", "40", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            DatabaseError::Unavailable
        }
        // What a person has to mend: a wrong password, a missing database, a mistake in a program.
        _ => DatabaseError::Other,
    }
}
