//! Records requests as handled in the transaction of their handler.

use super::{KeyTexts, SqlInbox};
use crate::database::backend::Backend;
use crate::database::value::{Sql, Value};
use crate::store::row::is_new;
use brighter_core::inbox::{ClaimId, Fingerprint, InboxError, InboxKey};
use brighter_core::transaction::Recorded;

/// The number of attempts for a key that others change meanwhile.
const LOOKS: usize = 10;

impl<B: Backend> SqlInbox<B> {
    /// Records these requests in a transaction, as far as they are new.
    pub(crate) async fn record(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        keys: &[(&InboxKey, Option<Fingerprint>)],
        claim: ClaimId,
    ) -> Result<Vec<Recorded>, InboxError> {
        if self.is_time_to_forget() {
            // In SQLite it has to wait for the end of this transaction.
            let inbox = self.clone();
            tokio::spawn(async move { inbox.forget().await });
        }
        let recording = async {
            let mut recorded = Vec::with_capacity(keys.len());
            for (key, fingerprint) in keys {
                recorded.push(self.record_one(connection, key, *fingerprint, claim).await?);
            }
            Ok(recorded)
        };
        self.backend.in_transaction::<_, InboxError>(recording).await
    }

    async fn record_one(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        key: &InboxKey,
        fingerprint: Option<Fingerprint>,
        claim: ClaimId,
    ) -> Result<Recorded, InboxError> {
        let (texts, statements) = (KeyTexts::of::<B::Db>(key), &*self.statements);
        // The same bits, because no database has unsigned numbers.
        let number = |of: fn(Fingerprint) -> u64| Value::Number(fingerprint.map_or(0, of) as i64);
        let [id, context] = texts.values();
        let values = [
            id,
            context,
            number(Fingerprint::get),
            Value::Number(i64::from(fingerprint.is_some())),
            Value::Number(claim.get() as i64),
            number(Fingerprint::of_earlier_versions),
        ];
        for _ in 0..LOOKS {
            if is_new::<B::Db>(connection, &statements.record, &values[..5]).await? {
                return Ok(Recorded::New);
            }
            let rows = B::Db::fetch(connection, &statements.find_latest, &values[..2]).await;
            let rows = rows.map_err(B::Db::sort)?;
            // The key was abandoned at this moment, and may now be free.
            let Some(row) = rows.first() else { continue };
            let number = |column| B::Db::number(row, column).map_err(B::Db::sort);
            let (done, left, holder) = (number(0)?, number(1)?, number(3)?);
            let kept = B::Db::maybe_number(row, 2).map_err(B::Db::sort)?;
            let kept = kept.map(|kept| Fingerprint::new(kept as u64));
            if kept
                .zip(fingerprint)
                .is_some_and(|(kept, new)| !new.is_kept_as(kept))
            {
                return Ok(Recorded::Collision);
            }
            if done != 0 {
                return Ok(Recorded::Done(ClaimId::new(holder as u64)));
            }
            if let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) {
                let left = std::time::Duration::from_millis(left);
                return Ok(Recorded::Running { left });
            }
            // Only now, because it locks the row for others that have found it.
            let ended = B::Db::execute(connection, &statements.record_ended, &values).await;
            if ended.map_err(B::Db::sort)? > 0 {
                return Ok(Recorded::New);
            }
        }
        let reason = "the key is claimed and given up all the time";
        Err(InboxError::Unavailable(reason.into()))
    }

    /// Returns whether the key is recorded under this claim, as this transaction sees it.
    pub(crate) async fn holds(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        key: &InboxKey,
        claim: ClaimId,
    ) -> Result<bool, InboxError> {
        let texts = KeyTexts::of::<B::Db>(key);
        let [id, context] = texts.values();
        let values = [id, context, Value::Number(claim.get() as i64)];
        let looking = async {
            match B::Db::fetch(connection, &self.statements.holds, &values).await {
                Err(error) if is_aborted(&error) => Ok(false),
                rows => Ok(!rows.map_err(B::Db::sort)?.is_empty()),
            }
        };
        self.backend.in_transaction::<_, InboxError>(looking).await
    }
}

/// Returns whether PostgreSQL will roll the transaction back, and refuses every statement until then:
/// in_failed_sql_transaction. Other databases have no such code.
fn is_aborted(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("25P02")
}
