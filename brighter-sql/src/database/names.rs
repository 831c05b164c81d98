//! Checks the names of tables and schemas, which become part of every statement.

use super::table_error::TableError;

/// The suffixes of a table's name for its archive, schedules, indexes and trigger: in some databases all of these share one
/// namespace.
const ENDINGS: &[&str] = &[
    "_archive",
    "_arrival",
    "_causation",
    "_dead",
    "_dispatched",
    "_due",
    "_ends_at",
    "_key",
    "_message_id",
    "_outstanding",
    "_pkey",
    "_scheduled",
    "_schedules",
    "_topic",
];

/// The prefixes of brighter's other tables, and of the database's own.
const BEGINNINGS: &[&str] = &["brighter_schema", "brighter_broker", "sqlite_"];

/// Returns the name, if it is valid for a table.
pub(crate) fn checked(name: &str) -> Result<&str, TableError> {
    let refused = |reason: String| {
        Err(TableError::Name {
            name: name.to_owned(),
            reason,
        })
    };
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit())
        && name.len() <= 40;
    if !is_name {
        return refused("use letters, digits and underscores, at most 40, and no digit first".into());
    }
    let small = name.to_ascii_lowercase();
    if let Some(ending) = ENDINGS.iter().find(|ending| small.ends_with(**ending)) {
        return refused(format!(
            "what ends in `{ending}` belongs to the table called like what is before it; use another ending"
        ));
    }
    // Its indexes are called like it, with an underscore after it: a table `sqlite` would have some of the database's names.
    let of_indexes = format!("{small}_");
    if let Some(beginning) = BEGINNINGS.iter().find(|begin| of_indexes.starts_with(**begin)) {
        return refused(format!(
            "`{beginning}…` is the name of other tables; use another one"
        ));
    }
    Ok(name)
}

/// Returns the name, if it is valid for a schema of PostgreSQL or a database of MySQL.
pub(crate) fn checked_schema(name: &str) -> Result<&str, TableError> {
    let is_name = !name.is_empty()
        && name.len() <= 64
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, '"' | '\'' | '`' | '\\' | '{' | '}'));
    if is_name {
        return Ok(name);
    }
    Err(TableError::Name {
        name: name.to_owned(),
        reason:
            "the name of a schema has 1 to 64 bytes, and no quotes, braces, backslashes or control characters"
                .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_name_with_sql_is_refused() {
        assert_eq!(checked("Orders_2").unwrap(), "Orders_2");
        assert_eq!(checked("order").unwrap(), "order");
        for name in ["", "2nd", "a b", "a;--", "a.b", "é", &"x".repeat(41)] {
            assert!(checked(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_taken_by_table_or_index_is_refused() {
        for name in [
            "x_archive",
            "X_Archive",
            "x_topic",
            "brighter_schema",
            "brighter_broker_channels",
            "sqlite_x",
            "sqlite",
            "SQLite",
        ] {
            let error = checked(name).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(checked("archive").is_ok());
    }

    #[test]
    fn a_schema_may_have_any_name_that_needs_no_escape() {
        for name in ["app", "Tenant-1", "$user", "é", "order"] {
            assert!(checked_schema(name).is_ok(), "{name}");
        }
        for name in ["", "a\"b", "a'b", "a`b", "{in}", "a\0", &"x".repeat(65)] {
            assert!(checked_schema(name).is_err(), "{name}");
        }
    }
}
