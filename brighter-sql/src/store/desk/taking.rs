//! [`TakeMessages`]: keeps messages.

use super::groups::GroupChanges;
use super::rows::{
    corrupt, desk_state, execute, fetch, id, item_number, kind_number, millis_of, now, number, operation,
    seq, state_number, text,
};
use super::statements::DeskStatements;
use crate::database::backend::Operation;
use crate::database::value::{Sql, Value};
use crate::store::row::{id_text, is_new, stored};
use brighter_core::desk::{
    BulkVerb, DeskError, DeskId, DeskState, ItemState, NewDeskMessage, RetryMark, Taken,
};

/// Keeps messages.
#[derive(Clone, Copy)]
pub(super) struct TakeMessages<'a> {
    pub(super) statements: &'a DeskStatements,
    pub(super) messages: &'a [NewDeskMessage],
}

impl<D: Sql> Operation<D> for TakeMessages<'_> {
    type Output = Vec<Taken>;
    type Error = DeskError;

    fn again(&self) -> Option<Self> {
        Some(*self)
    }

    async fn run(self, connection: &mut D::Connection) -> Result<Vec<Taken>, DeskError> {
        let now = now::<D>(connection, &self.statements.now).await?;
        let (mut taken, mut groups) = (Vec::with_capacity(self.messages.len()), GroupChanges::default());
        for message in self.messages {
            taken.push(self.one::<D>(connection, message, now, &mut groups).await?);
        }
        groups.write::<D>(connection, self.statements).await?;
        Ok(taken)
    }
}

impl<'a> TakeMessages<'a> {
    async fn one<D: Sql>(
        self,
        connection: &mut D::Connection,
        message: &'a NewDeskMessage,
        now: i64,
        groups: &mut GroupChanges<'a>,
    ) -> Result<Taken, DeskError> {
        let statements = self.statements;
        let died_at = message.died_at.map_or(now, millis_of);
        let attempts = message.attempts.map_or(-1, i64::from);
        let header = &message.message.header;
        let text = |text: &str| stored::<D>(text).into_owned();
        let maybe = |maybe: &Option<String>| text(maybe.as_deref().unwrap_or_default());
        let (message_id, topic) = (id_text::<D>(&header.id), text(header.topic.as_str()));
        let (source, channel) = (
            text(message.source.as_str()),
            text(message.channel.as_ref().map_or("", |name| name.as_str())),
        );
        let (handler, error_type) = (maybe(&message.handler), maybe(&message.error_type));
        let error = text(&message.error);
        let group = message.group.get() as i64;
        let values = [
            Value::Text(&message.key),
            Value::Text(&message_id),
            Value::Text(&topic),
            Value::Text(header.message_type.as_str()),
            Value::Text(&source),
            Value::Text(&channel),
            Value::Number(kind_number(message.kind)),
            Value::Text(&handler),
            Value::Text(&error_type),
            Value::Text(&error),
            Value::Number(group),
            Value::Number(attempts),
            Value::Number(died_at),
            Value::Number(i64::try_from(message.message.body.len()).unwrap_or(i64::MAX)),
        ];
        let is_first = is_new::<D>(connection, &statements.insert, &values).await?;
        let found = fetch::<D>(connection, &statements.find, &[Value::Text(&message.key)]).await?;
        let found = found.first();
        let found =
            found.ok_or_else(|| corrupt(&*message.key, "it was removed while it was being stored".into()))?;
        let row = id::<D>(found, 0)?;
        let (state, old_group) = (desk_state(number::<D>(found, 1)?, row)?, number::<D>(found, 2)?);
        let death = [
            seq(row),
            Value::Text(&message.death),
            Value::Number(died_at),
            Value::Text(&error),
            Value::Number(attempts),
        ];
        if !is_new::<D>(connection, &statements.insert_death, &death).await? {
            return Ok(Taken::Known);
        }
        groups.died(message, died_at);
        groups.waits(group, 1);
        if let Some(mark) = &message.retried {
            self.came_back::<D>(connection, mark, message, row).await?;
        }
        if is_first {
            let header = stored::<D>(&message.header);
            let contents = [
                seq(row),
                Value::Text(&header),
                Value::Bytes(message.message.body.as_bytes()),
            ];
            execute::<D>(connection, &statements.insert_contents, &contents).await?;
            return Ok(Taken::New);
        }
        if state == DeskState::Waiting {
            groups.waits(old_group, -1);
        }
        let again = [
            seq(row),
            Value::Text(&handler),
            Value::Text(&error_type),
            Value::Text(&error),
            Value::Number(group),
            Value::Number(attempts),
            Value::Number(died_at),
        ];
        execute::<D>(connection, &statements.died_again, &again).await?;
        Ok(Taken::Again)
    }

    /// Tells the operation that had sent the message. A header can be forged, so the row must be of this message, or of
    /// the one that it was edited from.
    async fn came_back<D: Sql>(
        self,
        connection: &mut D::Connection,
        mark: &RetryMark,
        message: &NewDeskMessage,
        row: DeskId,
    ) -> Result<(), DeskError> {
        let statements = self.statements;
        let operation_id = mark.operation.to_string();
        let rows = fetch::<D>(connection, &statements.operation, &[Value::Text(&operation_id)]).await?;
        let Some(found) = rows.first() else {
            return Ok(());
        };
        let (number, found) = operation::<D>(found)?;
        let is_edited =
            matches!(&found.plan.verb, BulkVerb::Edit { id, .. } if *id == message.message.header.id);
        if mark.row != row && !is_edited {
            return Ok(());
        }
        let item = [
            Value::Number(number),
            seq(mark.row),
            Value::Number(item_number(ItemState::CameBack)),
            Value::Text(&message.error),
            Value::Number(item_number(ItemState::Sending)),
            Value::Number(item_number(ItemState::Sent)),
        ];
        let changed = execute::<D>(connection, &statements.set_item, &item).await?;
        if changed > 0 && is_edited {
            // The new message waits in its own row.
            let rows = fetch::<D>(connection, &statements.state_of, &[seq(mark.row)]).await?;
            if !rows.is_empty() {
                let note = format!("edited, and died again: see row {row}");
                let archived = [
                    seq(mark.row),
                    Value::Number(state_number(DeskState::Archived)),
                    Value::Text(&operation_id),
                    Value::Text(&note),
                ];
                execute::<D>(connection, &statements.set_state, &archived).await?;
            }
        }
        Ok(())
    }
}

/// Reads the header and the body of a message, from columns `header` and `body`.
pub(super) fn contents<D: Sql>(
    row: DeskId,
    contents: &D::Row,
) -> Result<brighter_core::message::Message, DeskError> {
    let header = text::<D>(contents, 0)?;
    let header = serde_json::from_str(&header).map_err(|error| corrupt(row.to_string(), error.into()))?;
    let body = D::bytes(contents, 1).map_err(D::sort)?.to_vec();
    Ok(brighter_core::message::Message::new(
        header,
        brighter_core::message::MessageBody::new(body),
    ))
}
