//! [`Backend`]: provides connections, and makes each change one transaction.

use std::fmt;
use std::time::Duration;

use sqlx::Pool;
use sqlx::pool::PoolConnection;

use super::dialect::Dialect;
use super::error::{Consequence, DatabaseError};
use super::statement::Statement;
use super::value::{Sql, Value};

/// The deadline of every call.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A change that is applied completely or not at all.
pub(crate) trait Operation<D: Sql>: Send {
    type Output: Send;
    type Error: From<DatabaseError> + Consequence + Send;

    /// Returns a copy, if the change may be retried after a transaction conflict.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "in SQLite a writer has the whole file")
    )]
    fn again(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Returns whether the change needs no transaction: it is one statement, or its statements are independent.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "in SQLite a writer has the whole file")
    )]
    fn is_whole(&self) -> bool {
        false
    }

    /// Returns the statements that begin its transaction, if a plain one does not suffice.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "in SQLite all begin alike")
    )]
    fn begin(&self) -> Option<&'static str> {
        None
    }

    fn run(
        self,
        connection: &mut D::Connection,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// A database, with its connection pool.
pub(crate) trait Backend: fmt::Debug + Clone + Send + Sync + 'static {
    type Db: Sql;

    fn pool(&self) -> &Pool<Self::Db>;

    /// Returns the dialect of the statements for these connections.
    fn dialect(&self) -> Dialect {
        Self::Db::DIALECT
    }

    /// Retires the current connections of the pool, because they lead to a server that cannot be written.
    fn retire(&self) {}

    /// Retires the connections after a call in a transaction of the application, whose connection returns to the pool later.
    fn retire_in_transaction(&self) {
        self.retire();
    }

    /// Runs a call in a transaction of the application, with the deadline.
    fn in_transaction<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send,
        E: From<DatabaseError> + Consequence + Send,
    {
        async {
            let done = in_time(call).await;
            if done.as_ref().is_err_and(Consequence::is_standby) {
                self.retire_in_transaction();
            }
            done
        }
    }

    /// Makes a change in a transaction of its own.
    fn write<W: Operation<Self::Db>>(
        &self,
        operation: W,
    ) -> impl Future<Output = Result<W::Output, W::Error>> + Send;

    /// Runs an operation that only reads.
    fn read<W: Operation<Self::Db>>(
        &self,
        operation: W,
    ) -> impl Future<Output = Result<W::Output, W::Error>> + Send;
}

/// Reads rows by one statement.
#[derive(Clone, Copy)]
pub(crate) struct Fetch<'a> {
    pub(crate) statement: &'a Statement,
    pub(crate) values: &'a [Value<'a>],
}

impl<D: Sql> Operation<D> for Fetch<'_> {
    type Output = Vec<D::Row>;
    type Error = DatabaseError;

    fn again(&self) -> Option<Self> {
        Some(*self)
    }

    fn is_whole(&self) -> bool {
        true
    }

    async fn run(self, connection: &mut D::Connection) -> Result<Vec<D::Row>, DatabaseError> {
        D::fetch(connection, self.statement, self.values)
            .await
            .map_err(D::sort)
    }
}

/// Acquires a connection from the pool.
pub(crate) async fn connection<D: Sql>(pool: &Pool<D>) -> Result<PoolConnection<D>, DatabaseError> {
    pool.acquire().await.map_err(D::sort)
}

/// Closes the connections that nobody uses now.
pub(crate) fn close_idle<D: Sql>(pool: &Pool<D>) {
    for _ in 0..pool.num_idle() {
        let Some(mut idle) = pool.try_acquire() else {
            break;
        };
        idle.close_on_drop();
    }
}

/// Awaits a call, up to the deadline.
pub(crate) async fn in_time<T, E: From<DatabaseError>>(
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(result) => result,
        Err(elapsed) => Err(DatabaseError::Unavailable(elapsed.into()).into()),
    }
}
