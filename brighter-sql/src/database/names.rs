//! The names of tables, which become part of every statement.

/// The name, if it may be one of a table.
pub(crate) fn checked(name: &str) -> Result<&str, String> {
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit())
        && name.len() <= 40;
    if is_name {
        Ok(name)
    } else {
        Err(format!(
            "`{name}` cannot be the name of a table: use letters, digits and underscores, at most 40, and no digit \
             first"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn a_name_that_would_be_more_than_a_name_is_refused() {
        assert_eq!(checked("Orders_2"), Ok("Orders_2"));
        for name in ["", "2nd", "a b", "a;--", "a.b", "é", &"x".repeat(41)] {
            assert!(checked(name).is_err(), "{name}");
        }
    }
}
