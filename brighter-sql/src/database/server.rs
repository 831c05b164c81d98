//! [`Server`]: a database on a server.

use std::time::Duration;

use futures_util::FutureExt;
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{Connection, Pool, SqlStr};

use super::backend::{Backend, Operation, close_idle, connection, in_time};
use super::dialect::Dialect;
use super::error::{Consequence, DatabaseError};
use super::retirement::Retirement;
use super::value::Sql;

/// The longest wait for a connection of a pool of brighter's own.
const WAIT: Duration = Duration::from_secs(5);

/// The number of attempts after transaction conflicts, and the first pause between them, which doubles.
const ATTEMPTS: usize = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// A server, which serialises concurrent writers itself.
#[derive(Debug)]
pub(crate) struct Server<D: Sql> {
    pool: Pool<D>,
    /// Whether each connection has a session of its own, which keeps settings between transactions.
    has_session: bool,
    /// Whether the pool is ours, and gives out no connection that was retired.
    is_own: bool,
    retirement: Retirement,
}

impl<D: Sql> Server<D> {
    /// Uses the application's pool.
    pub(crate) fn new(pool: Pool<D>, has_session: bool) -> Self {
        Self {
            pool,
            has_session,
            is_own: false,
            retirement: Retirement::default(),
        }
    }

    /// Uses a pool of brighter's own, which returns no retired connection.
    pub(crate) async fn connect(
        options: <D::Connection as Connection>::Options,
        has_session: bool,
    ) -> Result<Self, DatabaseError> {
        let retirement = Retirement::default();
        let retired = retirement.clone();
        let pool = PoolOptions::<D>::new()
            .acquire_timeout(WAIT)
            .before_acquire(move |_, connection| {
                let may_serve = !retired.includes(connection.age);
                async move { Ok(may_serve) }.boxed()
            })
            .connect_with(options)
            .await
            .map_err(D::sort)?;
        Ok(Self {
            pool,
            has_session,
            is_own: true,
            retirement,
        })
    }

    /// Returns whether each connection has a session of its own.
    #[cfg(feature = "postgres")]
    pub(crate) fn has_session(&self) -> bool {
        self.has_session
    }

    /// Waits until connections are retired.
    #[cfg(feature = "postgres")]
    pub(crate) fn retired(&self) -> impl Future<Output = ()> + Send + use<D> {
        self.retirement.clone().next()
    }

    async fn attempt<W: Operation<D>>(&self, operation: W, access: Access) -> Result<W::Output, W::Error> {
        if access == Access::Write {
            brighter_core::__private::fault_point!(
                "database.begin",
                super::error::DatabaseError::Unavailable
            );
        }
        let mut connection = connection(&self.pool).await?;
        let done = match access {
            Access::Read if self.has_session => operation.run(&mut connection).await,
            _ => self.run(operation, &mut connection).await,
        };
        if done.as_ref().is_err_and(Consequence::is_standby) {
            connection.close_on_drop();
            self.retire();
        }
        done
    }

    async fn run<W: Operation<D>>(
        &self,
        operation: W,
        connection: &mut PoolConnection<D>,
    ) -> Result<W::Output, W::Error> {
        // Without a session, the parts of one statement need a transaction to reach the same server.
        if operation.is_whole() && self.has_session {
            let done = operation.run(connection).await?;
            brighter_core::__private::fault_point!(
                "database.committed",
                super::error::DatabaseError::Unavailable
            );
            return Ok(done);
        }
        let begun = match operation.begin().or(D::DIALECT.begin_any) {
            Some(begin) => connection.begin_with(SqlStr::from_static(begin)).await,
            None => connection.begin().await,
        };
        let mut transaction = begun.map_err(D::sort)?;
        let done = operation.run(&mut transaction).await?;
        brighter_core::__private::fault_point!("database.commit", super::error::DatabaseError::Unavailable);
        transaction.commit().await.map_err(D::sort)?;
        brighter_core::__private::fault_point!(
            "database.committed",
            super::error::DatabaseError::Unavailable
        );
        Ok(done)
    }

    /// Tries it again while other transactions are in the way, a few times. One that only reads may be refused too: under
    /// serializable isolation, or by a standby that has to follow.
    async fn try_again<W: Operation<D>>(
        &self,
        mut operation: W,
        access: Access,
    ) -> Result<W::Output, W::Error> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            let Some(again) = operation.again() else { break };
            match self.attempt(operation, access).await {
                Err(error) if error.is_conflict() => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    operation = again;
                }
                done => return done,
            }
        }
        self.attempt(operation, access).await
    }
}

/// The use of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

impl<D: Sql> Clone for Server<D> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            retirement: self.retirement.clone(),
            ..*self
        }
    }
}

impl<D: Sql> Backend for Server<D> {
    type Db = D;

    fn pool(&self) -> &Pool<D> {
        &self.pool
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            keeps_statements: self.has_session,
            ..D::DIALECT
        }
    }

    fn retire(&self) {
        if self.retirement.begin() {
            // Of those that are in use, in a pool of our own, `before_acquire` takes care.
            close_idle(&self.pool);
        }
    }

    fn retire_in_transaction(&self) {
        self.retire();
        // In a pool of the application, its transaction gives back the connection on which the call has failed. Nothing
        // else may ever call on it, so that it would fail for as long as it lives.
        if self.is_own || !self.retirement.defer() {
            return;
        }
        let (pool, retirement) = (self.pool.clone(), self.retirement.clone());
        tokio::spawn(async move {
            retirement.deferred().await;
            close_idle(&pool);
        });
    }

    async fn write<W: Operation<D>>(&self, operation: W) -> Result<W::Output, W::Error> {
        in_time(self.try_again(operation, Access::Write)).await
    }

    async fn read<W: Operation<D>>(&self, operation: W) -> Result<W::Output, W::Error> {
        in_time(self.try_again(operation, Access::Read)).await
    }
}
