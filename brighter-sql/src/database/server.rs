//! [`Server`]: a database on a server.

use std::time::Duration;

use futures_util::FutureExt;
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{Connection, Pool, SqlStr};

use super::backend::{Backend, Operation, connection, in_time};
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
    retirement: Retirement,
}

impl<D: Sql> Server<D> {
    /// Uses the application's pool.
    pub(crate) fn new(pool: Pool<D>, has_session: bool) -> Self {
        Self {
            pool,
            has_session,
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

    async fn attempt<W: Operation<D>>(&self, operation: W) -> Result<W::Output, W::Error> {
        brighter_core::__private::fault_point!("database.begin", super::error::DatabaseError::Unavailable);
        let mut connection = connection(&self.pool).await?;
        let done = self.run(operation, &mut connection).await;
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

    /// Retries the operation after transaction conflicts, a few times.
    async fn try_again<W: Operation<D>>(&self, mut operation: W) -> Result<W::Output, W::Error> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            let Some(again) = operation.again() else { break };
            match self.attempt(operation).await {
                Err(error) if error.is_conflict() => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    operation = again;
                }
                done => return done,
            }
        }
        self.attempt(operation).await
    }
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
        if !self.retirement.begin() {
            return;
        }
        // Connections in use are closed when they fail, or by `before_acquire` in a pool of brighter's own.
        for _ in 0..self.pool.num_idle() {
            let Some(mut idle) = self.pool.try_acquire() else {
                break;
            };
            idle.close_on_drop();
        }
    }

    async fn write<W: Operation<D>>(&self, operation: W) -> Result<W::Output, W::Error> {
        in_time(self.try_again(operation)).await
    }

    async fn read<W: Operation<D>>(&self, operation: W) -> Result<W::Output, W::Error> {
        in_time(async {
            if !self.has_session {
                return self.try_again(operation).await;
            }
            let mut connection = connection(&self.pool).await?;
            operation.run(&mut connection).await
        })
        .await
    }
}
