//! The tables, and how those of an older version become those of today.

use super::backend::{Backend, Work};
use super::error::DatabaseError;
use super::value::{Sql, Value};

/// The tables of one part of brighter, of this name: what to do for version 1, for version 2, …
///
/// A step that was released is never changed; what changes is a new step.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    /// By what name the versions are noted.
    key: String,
    steps: Vec<String>,
}

impl Schema {
    /// `default` is the name of the table unless the user chose another.
    pub(crate) fn new(part: &'static str, default: &str, table: &str, steps: &[&str]) -> Self {
        Self {
            key: if table == default {
                part.into()
            } else {
                format!("{part} {table}")
            },
            steps: steps.iter().map(|step| step.replace("{table}", table)).collect(),
        }
    }

    fn newest(&self) -> i64 {
        self.steps.len() as i64
    }

    /// Brings the tables of the database up to date. Several processes may do so at once: one of them does
    /// the work, and the others wait and find it done.
    pub(crate) async fn apply<B: Backend>(&self, backend: &B) -> Result<(), DatabaseError> {
        let mut connection = super::backend::connection(backend.pool()).await?;
        // A database that is up to date is only read, so that a pool that may not write, but look, is of use.
        let is_missing = !self.missing::<B::Db>(&mut connection).await?.is_empty();
        drop(connection);
        if is_missing {
            backend.write(Apply(self)).await?;
        }
        Ok(())
    }

    async fn missing<D: Sql>(&self, connection: &mut D::Connection) -> Result<&[String], DatabaseError> {
        let found = self.found::<D>(connection).await.map_err(D::sort)?;
        let known = self.newest();
        usize::try_from(found)
            .ok()
            .and_then(|done| self.steps.get(done..))
            .ok_or(DatabaseError::NewerSchema { found, known })
    }

    async fn found<D: Sql>(&self, connection: &mut D::Connection) -> Result<i64, sqlx::Error> {
        let has_table = D::DIALECT.statement(D::DIALECT.has_table, "");
        let found = D::fetch(connection, &has_table, &[Value::Text("brighter_schema")]).await?;
        if found.is_empty() {
            return Ok(0);
        }
        let version = D::DIALECT.statement("SELECT version FROM brighter_schema WHERE name = ?1", "");
        let rows = D::fetch(connection, &version, &[Value::Text(&self.key)]).await?;
        rows.first().map_or(Ok(0), |row| D::number(row, 0))
    }

    /// Takes the steps that are missing, by whoever keeps the others out.
    async fn make<D: Sql>(&self, connection: &mut D::Connection) -> Result<(), DatabaseError> {
        for step in self.missing::<D>(connection).await? {
            D::script(connection, step).await.map_err(D::sort)?;
        }
        let versions = D::DIALECT.schema.versions;
        D::script(connection, versions).await.map_err(D::sort)?;
        let note = D::DIALECT.statement(D::DIALECT.note_version, "");
        let values = [Value::Text(&self.key), Value::Number(self.newest())];
        D::execute(connection, &note, &values)
            .await
            .map(drop)
            .map_err(D::sort)
    }

    /// All of it as text.
    pub(crate) fn ddl<D: Sql>(&self) -> String {
        let schema = D::DIALECT.schema;
        let (steps, newest, key) = (self.steps.concat(), self.newest(), &self.key);
        let note = D::DIALECT
            .note_version
            .replace("?1", &format!("'{key}'"))
            .replace("?2", &newest.to_string());
        let (begin, versions, commit) = (schema.begin, schema.versions, schema.commit);
        format!("{begin}{versions}{steps}{note};\n{commit}")
    }
}

struct Apply<'a>(&'a Schema);

impl<D: Sql> Work<D> for Apply<'_> {
    type Done = ();
    type Error = DatabaseError;

    async fn run(self, connection: &mut D::Connection) -> Result<(), DatabaseError> {
        let (schema, dialect) = (self.0, D::DIALECT.schema);
        if let Some(lock) = dialect.lock {
            let lock = D::DIALECT.statement(lock, "");
            let rows = D::fetch(connection, &lock, &[]).await.map_err(D::sort)?;
            let locked = rows.first().map_or(Ok(None), |row| D::maybe_number(row, 0));
            if locked.map_err(D::sort)? != Some(1) {
                let reason = "another process is making the tables, and has not come to an end";
                return Err(DatabaseError::Unavailable(reason.into()));
            }
        }
        let made = schema.make::<D>(connection).await;
        // Whatever came of it: the connection is used again.
        if let Some(unlock) = dialect.unlock {
            let unlock = D::DIALECT.statement(unlock, "");
            D::fetch(connection, &unlock, &[]).await.map_err(D::sort)?;
        }
        made
    }
}
