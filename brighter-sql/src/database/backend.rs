//! Who gives out connections, and how a change becomes one transaction.

use std::fmt;
use std::time::Duration;

use sqlx::Pool;
use sqlx::pool::PoolConnection;

use super::error::DatabaseError;
use super::value::Sql;

/// No call takes longer, whatever becomes of the database.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A change, made whole or not at all.
pub(crate) trait Work<D: Sql>: Send {
    type Done: Send;
    type Error: From<DatabaseError> + Send;

    /// Whether it is whole without a transaction: it is one statement, or its statements need not stand together.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "in SQLite whoever writes has the whole file")
    )]
    fn is_whole(&self) -> bool {
        false
    }

    /// What begins a transaction for it, where a plain one would not do.
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
    ) -> impl Future<Output = Result<Self::Done, Self::Error>> + Send;
}

/// A database with those who share its connections.
pub(crate) trait Backend: fmt::Debug + Clone + Send + Sync + 'static {
    type Db: Sql;

    fn pool(&self) -> &Pool<Self::Db>;

    /// Makes a change in a transaction of its own.
    fn write<W: Work<Self::Db>>(&self, work: W) -> impl Future<Output = Result<W::Done, W::Error>> + Send;
}

/// A connection to read with.
pub(crate) async fn connection<D: Sql>(pool: &Pool<D>) -> Result<PoolConnection<D>, DatabaseError> {
    pool.acquire().await.map_err(D::sort)
}

/// Reads, for as long as a call may take.
pub(crate) async fn reading<T, E: From<DatabaseError>>(
    read: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(DEADLINE, read).await {
        Ok(result) => result,
        Err(elapsed) => Err(DatabaseError::Unavailable(elapsed.into()).into()),
    }
}
