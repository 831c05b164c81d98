//! A database that is a server.

use sqlx::{Connection, Pool, SqlStr};

use super::backend::{Backend, Operation, connection, in_time};
use super::value::Sql;

/// A server, which sees to it itself that those who write at the same time do not disturb each other.
#[derive(Debug)]
pub(crate) struct Server<D: Sql>(Pool<D>);

impl<D: Sql> Server<D> {
    pub(crate) fn new(pool: Pool<D>) -> Self {
        Self(pool)
    }
}

impl<D: Sql> Clone for Server<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: Sql> Backend for Server<D> {
    type Db = D;

    fn pool(&self) -> &Pool<D> {
        &self.0
    }

    async fn write<W: Operation<D>>(&self, operation: W) -> Result<W::Output, W::Error> {
        in_time(self.attempt(operation)).await
    }

    async fn read<W: Operation<D>>(&self, operation: W) -> Result<W::Output, W::Error> {
        in_time(async {
            let mut connection = connection(&self.0).await?;
            operation.run(&mut connection).await
        })
        .await
    }
}

impl<D: Sql> Server<D> {
    async fn attempt<W: Operation<D>>(&self, operation: W) -> Result<W::Output, W::Error> {
        brighter_core::__private::fault_point!("database.begin", super::error::DatabaseError::Unavailable);
        let mut connection = connection(&self.0).await?;
        if operation.is_whole() {
            let done = operation.run(&mut connection).await?;
            brighter_core::__private::fault_point!("database.committed", super::error::DatabaseError::Unavailable);
            return Ok(done);
        }
        let begun = match operation.begin() {
            Some(begin) => connection.begin_with(SqlStr::from_static(begin)).await,
            None => connection.begin().await,
        };
        let mut transaction = begun.map_err(D::sort)?;
        let done = operation.run(&mut transaction).await?;
        brighter_core::__private::fault_point!("database.commit", super::error::DatabaseError::Unavailable);
        transaction.commit().await.map_err(D::sort)?;
        brighter_core::__private::fault_point!("database.committed", super::error::DatabaseError::Unavailable);
        Ok(done)
    }
}
