//! A database that is a server.

use sqlx::{Connection, Pool, SqlStr};

use super::backend::{Backend, DEADLINE, Work, connection};
use super::error::DatabaseError;
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

    async fn write<W: Work<D>>(&self, work: W) -> Result<W::Done, W::Error> {
        let writing = async {
            brighter_core::__private::fault_point!("database.begin", DatabaseError::Unavailable);
            let mut connection = connection(&self.0).await?;
            if work.is_whole() {
                let done = work.run(&mut connection).await?;
                brighter_core::__private::fault_point!("database.committed", DatabaseError::Unavailable);
                return Ok(done);
            }
            let begun = match work.begin() {
                Some(begin) => connection.begin_with(SqlStr::from_static(begin)).await,
                None => connection.begin().await,
            };
            let mut transaction = begun.map_err(D::sort)?;
            let done = work.run(&mut transaction).await?;
            brighter_core::__private::fault_point!("database.commit", DatabaseError::Unavailable);
            transaction.commit().await.map_err(D::sort)?;
            brighter_core::__private::fault_point!("database.committed", DatabaseError::Unavailable);
            Ok(done)
        };
        match tokio::time::timeout(DEADLINE, writing).await {
            Ok(result) => result,
            Err(elapsed) => Err(DatabaseError::Unavailable(elapsed.into()).into()),
        }
    }
}
