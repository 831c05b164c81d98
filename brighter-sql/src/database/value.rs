//! Executes statements and reads rows, with one interface for every database.

use std::error::Error;

use futures_util::future::BoxFuture;
use sqlx::Database;

use super::dialect::Dialect;
use super::error::DatabaseError;
use super::statement::Statement;

/// A value of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Bytes(&'a [u8]),
    Number(i64),
    MaybeNumber(Option<i64>),
}

/// A database of sqlx. The implementations differ only in their types, so a macro writes them.
pub(crate) trait Sql: Database {
    const DIALECT: Dialect;

    /// Classifies an error, by its code and never by its text.
    fn sort(error: sqlx::Error) -> DatabaseError;

    /// Returns whether an error of an application, without its causes, says that another transaction was in the way.
    fn is_conflict(error: &(dyn Error + 'static)) -> bool;

    /// Executes a statement, and returns the number of rows that it affected.
    fn execute<'a>(
        connection: &'a mut Self::Connection,
        statement: &'a Statement,
        values: &'a [Value<'a>],
    ) -> BoxFuture<'a, Result<u64, sqlx::Error>>;

    /// Executes a statement, and returns its rows.
    fn fetch<'a>(
        connection: &'a mut Self::Connection,
        statement: &'a Statement,
        values: &'a [Value<'a>],
    ) -> BoxFuture<'a, Result<Vec<Self::Row>, sqlx::Error>>;

    /// Executes several statements without values.
    fn script<'a>(
        connection: &'a mut Self::Connection,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;

    fn text(row: &Self::Row, column: usize) -> Result<&str, sqlx::Error>;
    fn maybe_text(row: &Self::Row, column: usize) -> Result<Option<&str>, sqlx::Error>;
    fn bytes(row: &Self::Row, column: usize) -> Result<&[u8], sqlx::Error>;
    fn number(row: &Self::Row, column: usize) -> Result<i64, sqlx::Error>;
    fn maybe_number(row: &Self::Row, column: usize) -> Result<Option<i64>, sqlx::Error>;
}

/// Implements [`Sql`] for a database of sqlx.
macro_rules! implement_sql {
    ($database:ty, $dialect:expr, $errors:ident) => {
        impl $crate::database::value::Sql for $database {
            const DIALECT: $crate::database::dialect::Dialect = $dialect;

            fn sort(error: sqlx::Error) -> $crate::database::error::DatabaseError {
                $errors::sort(error)
            }

            fn is_conflict(error: &(dyn std::error::Error + 'static)) -> bool {
                $errors::is_conflict(error)
            }

            fn execute<'a>(
                connection: &'a mut Self::Connection,
                statement: &'a $crate::database::statement::Statement,
                values: &'a [$crate::database::value::Value<'a>],
            ) -> futures_util::future::BoxFuture<'a, Result<u64, sqlx::Error>> {
                Box::pin(async move {
                    let done = bound(statement, values).execute(connection).await?;
                    Ok(done.rows_affected())
                })
            }

            fn fetch<'a>(
                connection: &'a mut Self::Connection,
                statement: &'a $crate::database::statement::Statement,
                values: &'a [$crate::database::value::Value<'a>],
            ) -> futures_util::future::BoxFuture<'a, Result<Vec<Self::Row>, sqlx::Error>> {
                Box::pin(async move { bound(statement, values).fetch_all(connection).await })
            }

            fn script<'a>(
                connection: &'a mut Self::Connection,
                text: &'a str,
            ) -> futures_util::future::BoxFuture<'a, Result<(), sqlx::Error>> {
                Box::pin(async move {
                    sqlx::raw_sql(sqlx::AssertSqlSafe(text))
                        .execute(connection)
                        .await
                        .map(drop)
                })
            }

            fn text(row: &Self::Row, column: usize) -> Result<&str, sqlx::Error> {
                sqlx::Row::try_get(row, column)
            }

            fn maybe_text(row: &Self::Row, column: usize) -> Result<Option<&str>, sqlx::Error> {
                sqlx::Row::try_get(row, column)
            }

            fn bytes(row: &Self::Row, column: usize) -> Result<&[u8], sqlx::Error> {
                sqlx::Row::try_get(row, column)
            }

            fn number(row: &Self::Row, column: usize) -> Result<i64, sqlx::Error> {
                sqlx::Row::try_get(row, column)
            }

            fn maybe_number(row: &Self::Row, column: usize) -> Result<Option<i64>, sqlx::Error> {
                sqlx::Row::try_get(row, column)
            }
        }

        /// Returns a query with the values bound in the order of the statement.
        fn bound<'q>(
            statement: &$crate::database::statement::Statement,
            values: &[$crate::database::value::Value<'_>],
        ) -> sqlx::query::Query<'q, $database, <$database as sqlx::Database>::Arguments> {
            use $crate::database::value::Value;

            let mut query = sqlx::query(sqlx::AssertSqlSafe(std::sync::Arc::clone(&statement.text)))
                .persistent(statement.is_kept);
            // A statement never refers to a missing value: the templates are tested.
            for value in statement.order.iter().filter_map(|at| values.get(*at)) {
                query = match *value {
                    Value::Text(text) => query.bind(text),
                    Value::MaybeText(text) => query.bind(text),
                    Value::Bytes(bytes) => query.bind(bytes),
                    Value::Number(number) => query.bind(number),
                    Value::MaybeNumber(number) => query.bind(number),
                };
            }
            query
        }
    };
}

pub(crate) use implement_sql;
