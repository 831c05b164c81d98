//! [`GroupChanges`]: how a transaction changes the counts of groups.

use std::collections::BTreeMap;

use super::rows::{execute, kind_number};
use super::statements::DeskStatements;
use crate::database::value::{Sql, Value};
use crate::store::row;
use brighter_core::desk::{DeskError, NewDeskMessage};

const HOUR: i64 = 3_600_000;

/// How a transaction changes the counts of groups. The changes are written at its end, in the order of the groups, so that
/// two transactions do not wait for each other.
#[derive(Debug, Default)]
pub(super) struct GroupChanges<'a> {
    groups: BTreeMap<i64, GroupChange<'a>>,
    hours: BTreeMap<(i64, i64), i64>,
}

#[derive(Debug, Default)]
struct GroupChange<'a> {
    waiting: i64,
    deaths: i64,
    first: i64,
    last: i64,
    /// The message that a new group is made of.
    of: Option<&'a NewDeskMessage>,
}

impl<'a> GroupChanges<'a> {
    /// Counts a message that waits no longer, or again.
    pub(super) fn waits(&mut self, group: i64, change: i64) {
        self.groups.entry(group).or_default().waiting += change;
    }

    /// Counts a death at this time.
    pub(super) fn died(&mut self, message: &'a NewDeskMessage, at: i64) {
        let group = message.group.get() as i64;
        let change = self.groups.entry(group).or_default();
        if change.deaths == 0 {
            (change.first, change.last) = (at, at);
        }
        change.first = change.first.min(at);
        change.last = change.last.max(at);
        change.deaths += 1;
        change.of = Some(message);
        *self.hours.entry((group, at / HOUR)).or_default() += 1;
    }

    pub(super) async fn write<D: Sql>(
        self,
        connection: &mut D::Connection,
        statements: &DeskStatements,
    ) -> Result<(), DeskError> {
        for (group, change) in self.groups {
            let counts = [
                Value::Number(group),
                Value::Number(change.waiting),
                Value::Number(change.deaths),
                Value::Number(change.first),
                Value::Number(change.last),
            ];
            if execute::<D>(connection, &statements.count_group, &counts).await? > 0 {
                continue;
            }
            let Some(message) = change.of else { continue };
            let stored = |text: Option<&str>| row::stored::<D>(text.unwrap_or_default()).into_owned();
            let channel = stored(message.channel.as_ref().map(|name| name.as_str()));
            let (handler, error_type) = (
                stored(message.handler.as_deref()),
                stored(message.error_type.as_deref()),
            );
            let pattern = stored(Some(&message.pattern));
            let own = [
                Value::Text(&channel),
                Value::Number(kind_number(message.kind)),
                Value::Text(&handler),
                Value::Text(&error_type),
                Value::Text(&pattern),
            ];
            let values: Vec<_> = counts.into_iter().chain(own).collect();
            if !row::is_new::<D>(connection, &statements.insert_group, &values).await? {
                // Another process has just made it.
                execute::<D>(connection, &statements.count_group, &counts).await?;
            }
        }
        for ((group, hour), deaths) in self.hours {
            let values = [group, hour, deaths].map(Value::Number);
            if execute::<D>(connection, &statements.count_hour, &values).await? == 0
                && !row::is_new::<D>(connection, &statements.insert_hour, &values).await?
            {
                execute::<D>(connection, &statements.count_hour, &values).await?;
            }
        }
        Ok(())
    }
}
