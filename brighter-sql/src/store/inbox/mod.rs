//! [`SqlInbox`]: the inbox in any supported database.

mod operations;
mod options;
mod recording;
mod statements;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

pub use options::InboxOptions;

use super::row;
use crate::database::backend::{Backend, Fetch, in_time};
use crate::database::dialect::Dialect;
use crate::database::schema::{Locate, Schema};
use crate::database::table_ref::TableRef;
use crate::database::value::{Sql, Value};
use brighter_core::id::MessageId;
use brighter_core::inbox::{Begun, ClaimId, Fingerprint, InboxError, InboxKey};
use operations::{Begin, Complete, ExecuteInbox};
use statements::{FORGOTTEN_AT_ONCE, InboxStatements, LOOKED_FOR};

/// The interval between deletions of expired keys, unless there are more of them.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// The inbox in a database.
#[derive(Debug, Clone)]
pub(crate) struct SqlInbox<B> {
    backend: B,
    statements: Arc<InboxStatements>,
    retention: Duration,
    /// The time of the next deletion of expired keys.
    forget_at: Arc<Mutex<Instant>>,
}

/// The columns that an inbox has had since version 1.
const COLUMNS: &[&str] = &["message_id", "context", "fingerprint", "claim", "done", "ends_at"];

/// Returns the tables of an inbox as SQL.
pub(crate) fn ddl<D: Sql>(options: &InboxOptions) -> Result<String, InboxError> {
    let table = options.table_in_script(&D::DIALECT)?;
    Ok(schema(&D::DIALECT, options, table).ddl::<D>())
}

fn schema(dialect: &Dialect, options: &InboxOptions, table: TableRef) -> Schema {
    let names = [options::TABLE, &options.table];
    Schema::new("inbox", names, table, COLUMNS, dialect.schema.inbox)
}

impl<B: Backend> SqlInbox<B> {
    /// Creates or upgrades the tables.
    pub(crate) async fn open(backend: B, options: &InboxOptions) -> Result<Self, InboxError> {
        let dialect = backend.dialect();
        let locate = Locate {
            dialect,
            schema: options.schema.as_deref(),
            name: &options.table,
        };
        let table = backend.read(locate).await?;
        in_time(schema(&dialect, options, table.clone()).apply(&backend)).await?;
        Ok(Self {
            statements: Arc::new(InboxStatements::new(&dialect, &table)),
            retention: options.retention,
            forget_at: Arc::new(Mutex::new(Instant::now())),
            backend,
        })
    }

    pub(crate) fn retention(&self) -> Duration {
        self.retention
    }

    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    pub(crate) async fn begin(
        &self,
        key: &InboxKey,
        fingerprint: Option<Fingerprint>,
        lease: Duration,
    ) -> Result<Begun, InboxError> {
        if self.is_time_to_forget() {
            self.forget().await;
        }
        let texts = KeyTexts::of::<B::Db>(key);
        // The same bits, because no database has unsigned numbers.
        let number = |of: fn(Fingerprint) -> u64| Value::Number(fingerprint.map_or(0, of) as i64);
        // The lower half of such a UUID is random.
        let claim = (Uuid::now_v7().as_u128() as u64) >> 1;
        let [id, context] = texts.values();
        let values = [
            id,
            context,
            number(Fingerprint::get),
            Value::Number(i64::from(fingerprint.is_some())),
            Value::Number(claim as i64),
            Value::Number(row::millis(lease)),
            number(Fingerprint::of_earlier_versions),
        ];
        self.backend
            .write(Begin {
                statements: &self.statements,
                values,
                claim: ClaimId::new(claim),
                fingerprint,
            })
            .await
    }

    pub(crate) async fn complete(&self, key: &InboxKey) -> Result<(), InboxError> {
        let (texts, statements) = (KeyTexts::of::<B::Db>(key), &*self.statements);
        let values = texts.values();
        self.backend.write(Complete { statements, values }).await
    }

    pub(crate) async fn abandon(&self, key: &InboxKey, claim: ClaimId) -> Result<(), InboxError> {
        let texts = KeyTexts::of::<B::Db>(key);
        let [id, context] = texts.values();
        let values = &[id, context, Value::Number(claim.get() as i64)];
        let statement = &self.statements.abandon;
        self.backend
            .write(ExecuteInbox { statement, values })
            .await
            .map(drop)
    }

    /// Records in a transaction of the application that a request was handled. Returns whether the claim still held the
    /// key.
    pub(crate) async fn complete_in(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        key: &InboxKey,
        claim: ClaimId,
    ) -> Result<bool, InboxError> {
        let texts = KeyTexts::of::<B::Db>(key);
        let [id, context] = texts.values();
        let values = [id, context, Value::Number(claim.get() as i64)];
        let completing = async {
            let completed = B::Db::execute(connection, &self.statements.complete_claim, &values).await;
            Ok(completed.map_err(B::Db::sort)? > 0)
        };
        self.backend.in_transaction::<_, InboxError>(completing).await
    }

    /// Returns those of these ids whose request a handler has completed.
    pub(crate) async fn handled(&self, ids: &[MessageId]) -> Result<Vec<MessageId>, InboxError> {
        let mut handled = Vec::new();
        for some in ids.chunks(LOOKED_FOR) {
            let texts: Vec<_> = some.iter().map(row::id_text::<B::Db>).collect();
            // The last one stands in for those that are missing.
            let padded = (0..LOOKED_FOR).filter_map(|at| texts.get(at).or(texts.last()));
            let values: Vec<_> = padded.map(|text| Value::Text(text)).collect();
            let (statement, values) = (&self.statements.handled, &values[..]);
            let rows = self.backend.read(Fetch { statement, values }).await?;
            for row in &rows {
                let number = B::Db::text(row, 0).map_err(B::Db::sort)?;
                let at = number
                    .parse::<usize>()
                    .ok()
                    .and_then(|number| number.checked_sub(1));
                handled.extend(at.and_then(|at| some.get(at.min(some.len() - 1))).cloned());
            }
        }
        Ok(handled)
    }

    /// Returns whether expired keys are to be deleted, which is so for one caller at intervals.
    fn is_time_to_forget(&self) -> bool {
        let now = Instant::now();
        let mut forget_at = self.forget_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = *forget_at <= now;
        if is_time {
            *forget_at = now + FORGET_EVERY;
        }
        is_time
    }

    /// Deletes some expired keys. A failure must not prevent the handling of a request.
    async fn forget(&self) {
        let values = &[Value::Number(row::millis(self.retention))];
        let statement = &self.statements.forget;
        match self.backend.write(ExecuteInbox { statement, values }).await {
            // There may be more.
            Ok(FORGOTTEN_AT_ONCE..) => {
                *self.forget_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
            Ok(_) => {}
            Err(error) => {
                let error = brighter_core::__private::report(&error);
                tracing::warn!(error, "cannot delete expired keys from the inbox");
            }
        }
    }
}

/// A key in the form that the database stores.
struct KeyTexts {
    id: String,
    context: String,
}

impl KeyTexts {
    fn of<D: Sql>(key: &InboxKey) -> Self {
        Self {
            id: row::id_text::<D>(&key.id),
            context: row::stored::<D>(&key.context).into_owned(),
        }
    }

    fn values(&self) -> [Value<'_>; 2] {
        [Value::Text(&self.id), Value::Text(&self.context)]
    }
}

/// Implements [`Inbox`](brighter_core::inbox::Inbox) for a type around a [`SqlInbox`], and completion in a transaction
/// of the application.
macro_rules! implement_inbox {
    ($inbox:ident, $database:ty) => {
        const _: () = {
            use std::time::Duration;

            use futures_util::future::BoxFuture;

            use brighter_core::inbox::{
                Begun, ClaimId, Fingerprint, Inbox, InboxError, InboxHistory, InboxKey, InboxTransaction,
            };

            type Done<'a, T> = BoxFuture<'a, Result<T, InboxError>>;

            impl Inbox for $inbox {
                fn begin<'a>(
                    &'a self,
                    key: &'a InboxKey,
                    fingerprint: Option<Fingerprint>,
                    lease: Duration,
                ) -> Done<'a, Begun> {
                    Box::pin(self.0.begin(key, fingerprint, lease))
                }

                fn complete<'a>(&'a self, key: &'a InboxKey) -> Done<'a, ()> {
                    Box::pin(self.0.complete(key))
                }

                fn abandon<'a>(&'a self, key: &'a InboxKey, claim: ClaimId) -> Done<'a, ()> {
                    Box::pin(self.0.abandon(key, claim))
                }

                fn history(&self) -> Option<&dyn InboxHistory> {
                    Some(self)
                }

                fn retention(&self) -> Option<Duration> {
                    Some(self.0.retention())
                }

                fn has_transactions(&self) -> bool {
                    true
                }
            }

            impl InboxHistory for $inbox {
                fn handled<'a>(
                    &'a self,
                    ids: &'a [brighter_core::id::MessageId],
                ) -> Done<'a, Vec<brighter_core::id::MessageId>> {
                    Box::pin(self.0.handled(ids))
                }
            }

            /// A transaction of the application, in the database that has the inbox.
            impl InboxTransaction<$inbox> for sqlx::Transaction<'_, $database> {
                fn complete<'a>(
                    &'a mut self,
                    inbox: &'a $inbox,
                    key: &'a InboxKey,
                    claim: ClaimId,
                ) -> Done<'a, bool> {
                    Box::pin(inbox.0.complete_in(self, key, claim))
                }
            }
        };
    };
}

pub(crate) use implement_inbox;
