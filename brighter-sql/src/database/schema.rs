//! [`Schema`]: creates tables, and upgrades those of an older version.

use super::backend::{Backend, Operation};
use super::dialect::Dialect;
use super::error::DatabaseError;
use super::names;
use super::table_error::TableError;
use super::table_ref::TableRef;
use super::value::{Sql, Value};

/// The tables of one part of brighter, with the steps to version 1, version 2, ….
///
/// A released step is never changed; a change is a new step.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    part: &'static str,
    /// The key under which the version is stored.
    key: String,
    table: TableRef,
    /// The columns that identify the table, and that it has had since version 1.
    columns: &'static [&'static str],
    steps: Vec<String>,
}

impl Schema {
    /// `name` is the user's name for the table, and `default` its default name.
    pub(crate) fn new(
        part: &'static str,
        [default, name]: [&str; 2],
        table: TableRef,
        columns: &'static [&'static str],
        steps: &[&str],
    ) -> Self {
        Self {
            part,
            key: if name == default {
                part.into()
            } else {
                format!("{part} {name}")
            },
            columns,
            steps: steps.iter().map(|step| table.fill(step)).collect(),
            table,
        }
    }

    fn newest(&self) -> i64 {
        self.steps.len() as i64
    }

    /// Creates or upgrades the tables of the database. Several processes may call this at once: one of them does the
    /// work, and the others wait.
    ///
    /// Refuses a table that does not match its name and its version.
    pub(crate) async fn apply<B: Backend>(&self, backend: &B) -> Result<(), DatabaseError> {
        let (schema, dialect) = (self, backend.dialect());
        // A current database is only read, so that a read-only pool suffices for inspection.
        if backend.read(Look { schema, dialect }).await? > 0 {
            backend.write(Apply { schema, dialect }).await?;
        }
        Ok(())
    }

    async fn missing<D: Sql>(
        &self,
        dialect: &Dialect,
        connection: &mut D::Connection,
    ) -> Result<&[String], DatabaseError> {
        let found = self.found::<D>(dialect, connection).await?;
        let known = self.newest();
        let missing = usize::try_from(found)
            .ok()
            .and_then(|done| self.steps.get(done..))
            .ok_or(DatabaseError::NewerSchema { found, known })?;
        let columns = columns::<D>(dialect, &self.table, connection).await?;
        let table = || self.table.name().to_owned();
        if columns.is_empty() && found > 0 {
            return Err(DatabaseError::Tables(TableError::Dropped {
                table: table(),
                version: found,
                key: self.key.clone(),
            }));
        }
        let lacks = |column: &&&'static str| !columns.iter().any(|there| there == **column);
        match self.columns.iter().find(lacks) {
            Some(column) if !columns.is_empty() => Err(DatabaseError::Tables(TableError::NotOurs {
                table: table(),
                part: self.part,
                column,
            })),
            _ => Ok(missing),
        }
    }

    async fn found<D: Sql>(
        &self,
        dialect: &Dialect,
        connection: &mut D::Connection,
    ) -> Result<i64, DatabaseError> {
        let versions = self.table.sibling("brighter_schema");
        if columns::<D>(dialect, &versions, connection).await?.is_empty() {
            return Ok(0);
        }
        let version = dialect.statement(
            "SELECT version FROM {in}brighter_schema WHERE name = ?1",
            &versions,
        );
        let rows = D::fetch(connection, &version, &[Value::Text(&self.key)]).await;
        let rows = rows.map_err(D::sort)?;
        let version = rows.first().map_or(Ok(0), |row| D::number(row, 0));
        version.map_err(D::sort)
    }

    /// Runs the missing steps, in the process that holds the lock.
    async fn make<D: Sql>(
        &self,
        dialect: &Dialect,
        connection: &mut D::Connection,
    ) -> Result<(), DatabaseError> {
        for step in self.missing::<D>(dialect, connection).await? {
            D::script(connection, step).await.map_err(D::sort)?;
        }
        let versions = self.table.fill(dialect.schema.versions);
        D::script(connection, &versions).await.map_err(D::sort)?;
        let note = dialect.statement(dialect.note_version, &self.table);
        let values = [Value::Text(&self.key), Value::Number(self.newest())];
        D::execute(connection, &note, &values)
            .await
            .map(drop)
            .map_err(D::sort)
    }

    /// Returns all statements as text.
    pub(crate) fn ddl<D: Sql>(&self) -> String {
        let schema = D::DIALECT.schema;
        let (steps, newest, key) = (self.steps.concat(), self.newest(), &self.key);
        let versions = self.table.fill(schema.versions);
        let note = self.table.fill(D::DIALECT.note_version);
        let note = note
            .replace("?1", &format!("'{key}'"))
            .replace("?2", &newest.to_string());
        let (begin, commit) = (schema.begin, schema.commit);
        format!("{begin}{versions}{steps}{note};\n{commit}")
    }
}

/// Returns the columns of a table; empty if there is no such table.
async fn columns<D: Sql>(
    dialect: &Dialect,
    table: &TableRef,
    connection: &mut D::Connection,
) -> Result<Vec<String>, DatabaseError> {
    let schema = table.schema().ok_or(TableError::NoCurrentSchema)?;
    let columns = dialect.plain(dialect.columns);
    let values = [Value::Text(schema), Value::Text(table.name())];
    let rows = D::fetch(connection, &columns, &values).await.map_err(D::sort)?;
    let columns = rows.iter().map(|row| D::text(row, 0).map(str::to_owned));
    columns.collect::<Result<_, _>>().map_err(D::sort)
}

/// Returns the number of missing steps.
struct Look<'a> {
    schema: &'a Schema,
    dialect: Dialect,
}

impl<D: Sql> Operation<D> for Look<'_> {
    type Output = usize;
    type Error = DatabaseError;

    fn is_whole(&self) -> bool {
        true
    }

    async fn run(self, connection: &mut D::Connection) -> Result<usize, DatabaseError> {
        let missing = self.schema.missing::<D>(&self.dialect, connection).await?;
        Ok(missing.len())
    }
}

struct Apply<'a> {
    schema: &'a Schema,
    dialect: Dialect,
}

impl<D: Sql> Operation<D> for Apply<'_> {
    type Output = ();
    type Error = DatabaseError;

    async fn run(self, connection: &mut D::Connection) -> Result<(), DatabaseError> {
        let Self { schema, dialect } = self;
        if let Some(lock) = dialect.schema.lock {
            let lock = dialect.statement(lock, &schema.table);
            let rows = D::fetch(connection, &lock, &[]).await.map_err(D::sort)?;
            let locked = rows.first().map_or(Ok(None), |row| D::maybe_number(row, 0));
            if locked.map_err(D::sort)? != Some(1) {
                let reason = "another process is making the tables, and has not come to an end";
                return Err(DatabaseError::Unavailable(reason.into()));
            }
        }
        let made = schema.make::<D>(&dialect, connection).await;
        // Released after any outcome: the connection is used again.
        if let Some(unlock) = dialect.schema.unlock {
            let unlock = dialect.statement(unlock, &schema.table);
            D::fetch(connection, &unlock, &[]).await.map_err(D::sort)?;
        }
        made
    }
}

/// Finds the schema of the tables of an outbox or an inbox: once, when it is opened.
#[derive(Clone, Copy)]
pub(crate) struct Locate<'a> {
    pub(crate) dialect: Dialect,
    /// The schema that the user set.
    pub(crate) schema: Option<&'a str>,
    pub(crate) name: &'a str,
}

impl<D: Sql> Operation<D> for Locate<'_> {
    type Output = TableRef;
    type Error = DatabaseError;

    fn is_whole(&self) -> bool {
        true
    }

    async fn run(self, connection: &mut D::Connection) -> Result<TableRef, DatabaseError> {
        let Self {
            dialect,
            schema,
            name,
        } = self;
        let name = names::checked(name)?;
        if let Some(schema) = schema {
            let schema = names::checked_schema(schema)?;
            let exists = dialect.plain(dialect.has_schema);
            let found = D::fetch(connection, &exists, &[Value::Text(schema)]).await;
            return if found.map_err(D::sort)?.is_empty() {
                let schema = schema.to_owned();
                Err(DatabaseError::Tables(if dialect.is_one_file {
                    TableError::OtherFile { schema }
                } else {
                    TableError::NoSchema { schema }
                }))
            } else {
                Ok(dialect.table(Some(schema), name))
            };
        }
        let current = format!("SELECT {}", dialect.current_schema);
        let rows = D::fetch(connection, &dialect.plain(&current), &[]).await;
        let rows = rows.map_err(D::sort)?;
        let current = rows.first().map_or(Ok(None), |row| D::maybe_text(row, 0));
        let current = current.map_err(D::sort)?.ok_or(TableError::NoCurrentSchema)?;
        let table = dialect.table(Some(names::checked_schema(current)?), name);
        if let Some(schema_of) = dialect.schema_of {
            let rows = D::fetch(
                connection,
                &dialect.plain(schema_of),
                &[Value::Text(table.name())],
            )
            .await;
            let rows = rows.map_err(D::sort)?;
            let found = rows.first().map(|row| D::text(row, 0)).transpose();
            if let Some(found) = found.map_err(D::sort)?.filter(|found| *found != current) {
                return Err(DatabaseError::Tables(TableError::Elsewhere {
                    table: table.name().to_owned(),
                    found: found.to_owned(),
                    current: current.to_owned(),
                }));
            }
        }
        Ok(table)
    }
}
