//! The operations that only read.

use super::filter::FilterSql;
use super::rows::{
    counts, death, desk_row, fetch, group, id, item_state, maybe_text, now, number, operation, seq, text,
    time,
};
use super::statements::{DeskStatements, ROW};
use super::taking::contents;
use crate::database::backend::Operation;
use crate::database::value::{Sql, Value};
use crate::store::row::limit;
use brighter_core::desk::{
    BulkEvent, BulkItem, BulkOperation, DeadGroup, DeskError, DeskFilter, DeskId, DeskMessage, DeskRow,
    OperationId,
};

/// A query and the database that it is for.
#[derive(Clone, Copy)]
pub(crate) struct DeskRead<'a, Q> {
    pub(crate) statements: &'a DeskStatements,
    pub(crate) query: Q,
}

#[derive(Clone, Copy)]
pub(crate) struct Groups(pub(crate) usize);

#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) filter: &'a DeskFilter,
    pub(crate) before: Option<DeskId>,
    pub(crate) limit: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct CountRows<'a> {
    pub(crate) filter: &'a DeskFilter,
    pub(crate) at_most: u64,
}

#[derive(Clone, Copy)]
pub(crate) struct OneMessage(pub(crate) DeskId);

#[derive(Clone, Copy)]
pub(crate) struct Operations(pub(crate) usize);

#[derive(Clone, Copy)]
pub(crate) struct OneOperation(pub(crate) OperationId);

#[derive(Clone, Copy)]
pub(crate) struct Items {
    pub(crate) operation: OperationId,
    pub(crate) after: Option<DeskId>,
    pub(crate) limit: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct Audit(pub(crate) OperationId);

/// One query, in any database.
pub(crate) trait DeskQuery<D: Sql>: Copy + Send {
    type Answer: Send;

    fn ask(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> impl Future<Output = Result<Self::Answer, DeskError>> + Send;
}

impl<D: Sql, Q: DeskQuery<D>> Operation<D> for DeskRead<'_, Q> {
    type Output = Q::Answer;
    type Error = DeskError;

    fn again(&self) -> Option<Self> {
        Some(*self)
    }

    fn is_whole(&self) -> bool {
        true
    }

    async fn run(self, connection: &mut D::Connection) -> Result<Q::Answer, DeskError> {
        self.query.ask(self.statements, connection).await
    }
}

impl<D: Sql> DeskQuery<D> for Groups {
    type Answer = Vec<DeadGroup>;

    async fn ask(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<Vec<DeadGroup>, DeskError> {
        const HOUR: i64 = 3_600_000;
        let this_hour = now::<D>(connection, &statements.now).await? / HOUR;
        let rows = fetch::<D>(connection, &statements.groups, &[Value::Number(limit(self.0))]).await?;
        let mut groups = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut group = group::<D>(row)?;
            let hours = [
                Value::Number(group.key.get() as i64),
                Value::Number(this_hour - group.hours.len() as i64),
            ];
            for hour in fetch::<D>(connection, &statements.hours, &hours).await? {
                let ago = this_hour - number::<D>(&hour, 0)?;
                // A death that is later than this hour by the clock of another machine counts for this hour.
                let ago = usize::try_from(ago).unwrap_or(0);
                let place = group.hours.len().checked_sub(ago + 1);
                if let Some(count) = place.and_then(|place| group.hours.get_mut(place)) {
                    *count += u64::try_from(number::<D>(&hour, 1)?).unwrap_or(0);
                }
            }
            groups.push(group);
        }
        Ok(groups)
    }
}

impl<D: Sql> DeskQuery<D> for Rows<'_> {
    type Answer = Vec<DeskRow>;

    async fn ask(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<Vec<DeskRow>, DeskError> {
        let filter = FilterSql::of::<D>(self.filter, 3);
        let template = format!(
            "SELECT {ROW} FROM {{table}} WHERE seq < ?1{} ORDER BY seq DESC LIMIT ?2",
            filter.condition
        );
        // The values come in the order of their numbers, and the limit is the last placeholder.
        let mut statement = statements.dialect.statement(&template, &statements.table);
        statement.is_kept = false;
        let before = self.before.map_or(Value::Number(i64::MAX), seq);
        let values = filter.values(&[before, Value::Number(limit(self.limit))]);
        let rows = fetch::<D>(connection, &statement, &values).await?;
        rows.iter().map(desk_row::<D>).collect()
    }
}

impl<D: Sql> DeskQuery<D> for CountRows<'_> {
    type Answer = u64;

    async fn ask(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<u64, DeskError> {
        let filter = FilterSql::of::<D>(self.filter, 2);
        let template = format!(
            "SELECT COUNT(*) FROM (SELECT seq FROM {{table}} WHERE 1 = 1{} LIMIT ?1) AS chosen",
            filter.condition
        );
        let mut statement = statements.dialect.statement(&template, &statements.table);
        statement.is_kept = false;
        let at_most = i64::try_from(self.at_most).unwrap_or(i64::MAX);
        let values = filter.values(&[Value::Number(at_most)]);
        let rows = fetch::<D>(connection, &statement, &values).await?;
        let count = rows.first().map_or(Ok(0), |row| number::<D>(row, 0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

impl<D: Sql> DeskQuery<D> for OneMessage {
    type Answer = Option<DeskMessage>;

    async fn ask(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<Option<DeskMessage>, DeskError> {
        let key = [seq(self.0)];
        let Some(row) = fetch::<D>(connection, &statements.row, &key)
            .await?
            .into_iter()
            .next()
        else {
            return Ok(None);
        };
        let row = desk_row::<D>(&row)?;
        let message = message::<D>(connection, statements, self.0).await?;
        // It was deleted between the two.
        let Some(message) = message else { return Ok(None) };
        let deaths = fetch::<D>(connection, &statements.deaths, &key).await?;
        let deaths = deaths.iter().map(death::<D>).collect::<Result<_, _>>()?;
        Ok(Some(DeskMessage::new(row, message, deaths)))
    }
}

/// Reads the header and the body of a row.
pub(crate) async fn message<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    row: DeskId,
) -> Result<Option<brighter_core::message::Message>, DeskError> {
    let rows = fetch::<D>(connection, &statements.contents, &[seq(row)]).await?;
    rows.first().map(|found| contents::<D>(row, found)).transpose()
}

impl<D: Sql> DeskQuery<D> for Operations {
    type Answer = Vec<BulkOperation>;

    async fn ask(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<Vec<BulkOperation>, DeskError> {
        let rows = fetch::<D>(
            connection,
            &statements.operations,
            &[Value::Number(limit(self.0))],
        )
        .await?;
        let mut operations = Vec::with_capacity(rows.len());
        for row in &rows {
            let (number, mut found) = operation::<D>(row)?;
            found.counts = counts_of::<D>(connection, statements, number).await?;
            operations.push(found);
        }
        Ok(operations)
    }
}

impl<D: Sql> DeskQuery<D> for OneOperation {
    type Answer = Option<BulkOperation>;

    async fn ask(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<Option<BulkOperation>, DeskError> {
        let found = find::<D>(connection, statements, self.0).await?;
        Ok(found.map(|(_, operation)| operation))
    }
}

/// Reads an operation with its counts, and the number of its row.
pub(crate) async fn find<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    id: OperationId,
) -> Result<Option<(i64, BulkOperation)>, DeskError> {
    let id = id.to_string();
    let rows = fetch::<D>(connection, &statements.operation, &[Value::Text(&id)]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let (number, mut found) = operation::<D>(row)?;
    found.counts = counts_of::<D>(connection, statements, number).await?;
    Ok(Some((number, found)))
}

async fn counts_of<D: Sql>(
    connection: &mut D::Connection,
    statements: &DeskStatements,
    operation: i64,
) -> Result<brighter_core::desk::BulkCounts, DeskError> {
    let rows = fetch::<D>(connection, &statements.counts, &[Value::Number(operation)]).await?;
    counts::<D>(&rows)
}

impl<D: Sql> DeskQuery<D> for Items {
    type Answer = Vec<BulkItem>;

    async fn ask(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<Vec<BulkItem>, DeskError> {
        let Some((number_of_operation, _)) = find::<D>(connection, statements, self.operation).await? else {
            return Ok(Vec::new());
        };
        let values = [
            Value::Number(number_of_operation),
            self.after.map_or(Value::Number(-1), seq),
            Value::Number(limit(self.limit)),
        ];
        let rows = fetch::<D>(connection, &statements.items, &values).await?;
        let item = |row| {
            let state = item_state(number::<D>(row, 1)?)?;
            Ok(BulkItem::new(id::<D>(row, 0)?, state, maybe_text::<D>(row, 2)?))
        };
        rows.iter().map(item).collect()
    }
}

impl<D: Sql> DeskQuery<D> for Audit {
    type Answer = Vec<BulkEvent>;

    async fn ask(
        self,
        statements: &DeskStatements,
        connection: &mut D::Connection,
    ) -> Result<Vec<BulkEvent>, DeskError> {
        let Some((number_of_operation, _)) = find::<D>(connection, statements, self.0).await? else {
            return Ok(Vec::new());
        };
        let rows = fetch::<D>(
            connection,
            &statements.audit,
            &[Value::Number(number_of_operation)],
        )
        .await?;
        let event = |row| {
            let at = time(number::<D>(row, 0)?);
            Ok(BulkEvent::new(at, text::<D>(row, 1)?, text::<D>(row, 2)?))
        };
        rows.iter().map(event).collect()
    }
}
