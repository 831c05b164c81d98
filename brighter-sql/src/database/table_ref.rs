//! [`TableRef`]: a table by its schema and its name, for statements.

/// A table by its schema and its name, for statements: independent of the settings of the connection.
#[derive(Debug, Clone)]
pub(crate) struct TableRef {
    name: String,
    schema: Option<String>,
    /// The prefix of names within the schema.
    prefix: String,
    quote: &'static str,
    /// The schema as a value in a statement.
    schema_value: String,
}

impl TableRef {
    /// Returns a table in this schema or, for a script, in the schema in which the script runs: `current` is that
    /// schema as a value. Both names were checked, so they need no escapes.
    pub(super) fn new(name: String, schema: Option<&str>, current: &str, quote: &'static str) -> Self {
        Self {
            name,
            prefix: schema.map_or_else(String::new, |schema| format!("{quote}{schema}{quote}.")),
            schema_value: schema.map_or_else(|| current.to_owned(), |schema| format!("'{schema}'")),
            schema: schema.map(str::to_owned),
            quote,
        }
    }

    /// Returns a table in a file of brighter's own.
    #[cfg(feature = "sqlite-broker")]
    pub(crate) fn bare(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            schema: Some("main".to_owned()),
            prefix: String::new(),
            quote: "",
            schema_value: "'main'".to_owned(),
        }
    }

    /// Returns the name, as the database stores it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the schema; `None` for a script.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Returns another table in the same schema.
    pub(crate) fn sibling(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the quoted name of the table.
    pub(crate) fn quoted(&self) -> String {
        let Self {
            name, prefix, quote, ..
        } = self;
        format!("{prefix}{quote}{name}{quote}")
    }

    /// Fills in a template. `{table}` is the table, `{archive}` its archive, `{unique}` its unique keys, and `{plain}` the table without its
    /// schema. `{name}` is its name without quotes, as part of another name. `{in}` is the prefix of names in the same
    /// schema, and `{schema}` is the schema as a value.
    pub(crate) fn fill(&self, template: &str) -> String {
        let Self {
            name,
            prefix,
            quote,
            schema_value,
            ..
        } = self;
        template
            .replace("{table}", &self.quoted())
            .replace("{archive}", &self.sibling(&format!("{name}_archive")).quoted())
            .replace("{unique}", &self.sibling(&format!("{name}_unique")).quoted())
            .replace("{plain_unique}", &format!("{quote}{name}_unique{quote}"))
            .replace("{plain}", &format!("{quote}{name}{quote}"))
            .replace("{name}", name)
            .replace("{in}", prefix)
            .replace("{schema}", schema_value)
    }
}
