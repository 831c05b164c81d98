//! [`FilterSql`]: a filter as a condition of a statement.

use std::time::Duration;

use crate::database::dialect::Dialect;
use crate::database::value::{Sql, Value};
use crate::store::row;
use brighter_core::channel::RejectionKind;
use brighter_core::desk::{Comparison, DeskField, DeskFilter, FilterCondition, GroupKey};

use super::rows::{kind_number, state_number};

/// A filter as a condition of a statement, and its values.
#[derive(Debug, Default)]
pub(super) struct FilterSql {
    /// Begins with a space and `AND`, unless it is empty.
    pub(super) condition: String,
    values: Vec<FilterValue>,
}

#[derive(Debug)]
enum FilterValue {
    Text(String),
    Number(i64),
}

impl FilterSql {
    /// Returns the condition for a filter, whose first value has this number.
    pub(super) fn of<D: Sql>(filter: &DeskFilter, first: usize) -> Self {
        let mut sql = Self::default();
        for condition in &filter.conditions {
            let number = first + sql.values.len();
            let (condition, value) = condition_sql::<D>(condition, &D::DIALECT, number);
            sql.condition.push_str(" AND ");
            sql.condition.push_str(&condition);
            sql.values.push(value);
        }
        sql
    }

    /// Returns the values after `before`.
    pub(super) fn values<'a>(&'a self, before: &[Value<'a>]) -> Vec<Value<'a>> {
        let own = self.values.iter().map(|value| match value {
            FilterValue::Text(text) => Value::Text(text),
            FilterValue::Number(number) => Value::Number(*number),
        });
        before.iter().copied().chain(own).collect()
    }
}

fn condition_sql<D: Sql>(
    condition: &FilterCondition,
    dialect: &Dialect,
    number: usize,
) -> (String, FilterValue) {
    let compared = |column: &str, comparison: Comparison| {
        let sign = match comparison {
            Comparison::IsNot => "<>",
            Comparison::Less => "<",
            Comparison::More => ">",
            _ => "=",
        };
        format!("{column} {sign} ?{number}")
    };
    let millis = |age: Duration| FilterValue::Number(row::millis(age));
    match condition {
        FilterCondition::Text(DeskField::Group, comparison, value) => {
            let key = value.parse::<GroupKey>().map_or(0, GroupKey::get);
            (
                compared("group_key", *comparison),
                FilterValue::Number(key as i64),
            )
        }
        FilterCondition::Text(field, comparison, value) => {
            let column = match field {
                DeskField::Id => "message_id",
                DeskField::Channel => "channel",
                DeskField::Source => "source",
                DeskField::Topic => "topic",
                DeskField::Type => "message_type",
                DeskField::Handler => "handler",
                DeskField::ErrorType => "error_type",
                _ => "error",
            };
            let value = FilterValue::Text(row::stored::<D>(value).into_owned());
            let sql = match comparison {
                Comparison::Contains => dialect
                    .contains
                    .replace("{column}", column)
                    .replace("{value}", &format!("?{number}")),
                other => compared(column, *other),
            };
            (sql, value)
        }
        FilterCondition::Number(field, comparison, value) => {
            let column = match field {
                DeskField::Attempts => "COALESCE(attempts, 0)",
                DeskField::Deaths => "deaths",
                _ => "seq",
            };
            let value = i64::try_from(*value).unwrap_or(i64::MAX);
            (compared(column, *comparison), FilterValue::Number(value))
        }
        // Younger than two hours is later than two hours ago.
        FilterCondition::Age(Comparison::Less, age) => {
            (format!("died_at > {{now}} - ?{number}"), millis(*age))
        }
        FilterCondition::Age(_, age) => (format!("died_at < {{now}} - ?{number}"), millis(*age)),
        FilterCondition::State(comparison, state) => (
            compared("state", *comparison),
            FilterValue::Number(state_number(*state)),
        ),
        FilterCondition::Kind(comparison, kind) => (
            compared("kind", *comparison),
            FilterValue::Number(kind_number(*kind)),
        ),
        // A condition of a newer core: nothing is chosen, rather than too much.
        _ => {
            let _ = RejectionKind::DeadLetter;
            (format!("1 = ?{number}"), FilterValue::Number(0))
        }
    }
}
