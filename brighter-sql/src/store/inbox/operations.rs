//! The changes of the inbox that need more than one statement. Each statement is valid on its own.

use super::statements::InboxStatements;
use crate::database::backend::Operation;
use crate::database::statement::Statement;
use crate::database::value::{Sql, Value};
use crate::store::row::is_new;
use brighter_core::inbox::{Begun, ClaimId, Fingerprint, InboxError};

/// The number of attempts for a key that others change meanwhile.
const LOOKS: usize = 10;

/// Claims a key, or returns why not.
#[derive(Clone)]
pub(super) struct Begin<'a> {
    pub(super) statements: &'a InboxStatements,
    pub(super) values: [Value<'a>; 7],
    pub(super) claim: ClaimId,
    pub(super) fingerprint: Option<Fingerprint>,
}

impl<D: Sql> Operation<D> for Begin<'_> {
    type Output = Begun;
    type Error = InboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is_whole(&self) -> bool {
        true
    }

    async fn run(self, connection: &mut D::Connection) -> Result<Begun, InboxError> {
        for _ in 0..LOOKS {
            if is_new::<D>(connection, &self.statements.begin, &self.values).await?
                || execute::<D>(connection, &self.statements.take_over, &self.values).await? > 0
            {
                return Ok(Begun::First(self.claim));
            }
            let rows = D::fetch(connection, &self.statements.find, &self.values).await;
            let rows = rows.map_err(D::sort)?;
            // The key was abandoned at this moment, and may now be free.
            let Some(row) = rows.first() else { continue };
            let (done, left) = (number::<D>(row, 0)?, number::<D>(row, 1)?);
            let kept = D::maybe_number(row, 2).map_err(D::sort)?;
            let kept = kept.map(|kept| Fingerprint::new(kept as u64));
            if kept
                .zip(self.fingerprint)
                .is_some_and(|(kept, new)| !new.is_kept_as(kept))
            {
                return Ok(Begun::Collision);
            }
            if done != 0 {
                return Ok(Begun::Done);
            }
            // A claim that ended at this moment may be taken over.
            if let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) {
                let left = std::time::Duration::from_millis(left);
                return Ok(Begun::Running { left });
            }
        }
        let reason = "the key is claimed and given up all the time";
        Err(InboxError::Unavailable(reason.into()))
    }
}

/// Records that a request was handled, whichever claim holds its key.
#[derive(Clone)]
pub(super) struct Complete<'a> {
    pub(super) statements: &'a InboxStatements,
    pub(super) values: [Value<'a>; 2],
}

impl<D: Sql> Operation<D> for Complete<'_> {
    type Output = ();
    type Error = InboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is_whole(&self) -> bool {
        true
    }

    async fn run(self, connection: &mut D::Connection) -> Result<(), InboxError> {
        let Self { statements, values } = self;
        if execute::<D>(connection, &statements.complete, &values).await? == 0
            && !is_new::<D>(connection, &statements.complete_unknown, &values).await?
        {
            // The key is completed already, or was begun again meanwhile.
            execute::<D>(connection, &statements.complete, &values).await?;
        }
        Ok(())
    }
}

/// Executes one statement, and returns the number of rows that it affected.
#[derive(Clone)]
pub(super) struct ExecuteInbox<'a> {
    pub(super) statement: &'a Statement,
    pub(super) values: &'a [Value<'a>],
}

impl<D: Sql> Operation<D> for ExecuteInbox<'_> {
    type Output = u64;
    type Error = InboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is_whole(&self) -> bool {
        true
    }

    async fn run(self, connection: &mut D::Connection) -> Result<u64, InboxError> {
        execute::<D>(connection, self.statement, self.values).await
    }
}

async fn execute<D: Sql>(
    connection: &mut D::Connection,
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<u64, InboxError> {
    Ok(D::execute(connection, statement, values).await.map_err(D::sort)?)
}

fn number<D: Sql>(row: &D::Row, column: usize) -> Result<i64, InboxError> {
    Ok(D::number(row, column).map_err(D::sort)?)
}
