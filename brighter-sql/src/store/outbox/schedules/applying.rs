//! [`ApplySchedules`]: changes schedules and deposits the messages of their occurrences, in one transaction.

use std::collections::HashMap;

use super::row::{ScheduleTexts, advanced};
use super::statements::ScheduleStatements;
use crate::database::backend::Operation;
use crate::database::value::{Sql, Value};
use crate::store::outbox::operations::Deposit;
use crate::store::row::is_new;
use brighter_core::message::Message;
use brighter_core::outbox::{OutboxError, ScheduleChange};

/// Makes the changes whose schedules still have the version that was read. Returns which were made.
#[derive(Clone)]
pub(super) struct ApplySchedules<'a> {
    pub(super) statements: &'a ScheduleStatements,
    /// A deposit of no messages, in whose place those of the changes come.
    pub(super) deposit: Deposit<'a>,
    pub(super) changes: &'a [ScheduleChange],
}

impl<D: Sql> Operation<D> for ApplySchedules<'_> {
    type Output = Vec<bool>;
    type Error = OutboxError;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn begin(&self) -> Option<&'static str> {
        D::DIALECT.begin_claim
    }

    async fn run(self, connection: &mut D::Connection) -> Result<Vec<bool>, OutboxError> {
        let Self {
            statements,
            deposit,
            changes,
        } = self;
        // Another process that changes one of them has it locked, and that one is left out.
        let names: Vec<_> = changes.iter().map(|change| &change.row().name).collect();
        let names = serde_json::to_string(&names).map_err(|error| OutboxError::Other(error.into()))?;
        let rows = D::fetch(connection, &statements.lock, &[Value::Text(&names)]).await;
        let rows = rows.map_err(D::sort)?;
        let mut versions = HashMap::with_capacity(rows.len());
        for row in &rows {
            let name = D::text(row, 0).map_err(D::sort)?;
            let version = D::number(row, 1).map_err(D::sort)?;
            versions.insert(name, version.unsigned_abs());
        }
        let is_read = |change: &ScheduleChange| {
            let row = change.row();
            versions.get(row.name.as_str()) == Some(&row.version)
        };
        let mut made: Vec<bool> = changes.iter().map(is_read).collect();
        let mut advances = Vec::new();
        let mut messages: Vec<Message> = Vec::new();
        for (change, made) in changes.iter().zip(&mut made) {
            if let ScheduleChange::Add { row, .. } = change {
                let texts = ScheduleTexts::of::<D>(row)?;
                // The row of another process that adds it at this moment may not be visible, but its key is.
                *made = is_new::<D>(connection, &statements.add, &texts.values()).await?;
            }
            if !*made {
                continue;
            }
            match change {
                ScheduleChange::Advance { row, .. } => {
                    advances.push(row);
                    messages.extend_from_slice(change.messages());
                }
                ScheduleChange::Replace { row, .. } => {
                    let texts = ScheduleTexts::of::<D>(row)?;
                    D::execute(connection, &statements.replace, &texts.values())
                        .await
                        .map_err(D::sort)?;
                }
                ScheduleChange::Remove { row, .. } => {
                    D::execute(connection, &statements.remove, &[Value::Text(&row.name)])
                        .await
                        .map_err(D::sort)?;
                }
                ScheduleChange::Add { .. } => {}
                _ => return Err(OutboxError::Unsupported("this kind of change of a schedule")),
            }
        }
        if !advances.is_empty() {
            let advanced = advanced::<D>(advances.into_iter())?;
            D::execute(connection, &statements.advance, &[Value::Text(&advanced)])
                .await
                .map_err(D::sort)?;
        }
        let deposit = Deposit {
            messages: &messages,
            lease: 0,
            is_id_enough: true,
            ..deposit
        };
        Operation::<D>::run(deposit, connection).await?;
        Ok(made)
    }
}
