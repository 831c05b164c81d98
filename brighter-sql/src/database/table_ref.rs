//! [`TableRef`]: a table by its schema and its name, as statements name it.

/// A table by its schema and its name, as statements name it: whatever the connection's own settings are, it is this one.
#[derive(Debug, Clone)]
pub(crate) struct TableRef {
    name: String,
    schema: Option<String>,
    /// Before the name of what lies in the schema.
    prefix: String,
    quote: &'static str,
    /// The schema as a value in a statement.
    schema_value: String,
}

impl TableRef {
    /// Of a table in this schema, or, for a script, in the one in which the script is executed, which is `current` as a
    /// value. Both names were checked: no quoting is needed inside of them.
    pub(super) fn new(name: String, schema: Option<&str>, current: &str, quote: &'static str) -> Self {
        Self {
            name,
            prefix: schema.map_or_else(String::new, |schema| format!("{quote}{schema}{quote}.")),
            schema_value: schema.map_or_else(|| current.to_owned(), |schema| format!("'{schema}'")),
            schema: schema.map(str::to_owned),
            quote,
        }
    }

    /// Of a table in a file of ours, where nothing but ours is.
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

    /// The name, as the database knows it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The schema, unless it is for a script.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Another table in the same schema.
    pub(crate) fn sibling(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self.clone()
        }
    }

    /// The table as a statement names it.
    pub(crate) fn quoted(&self) -> String {
        let Self {
            name, prefix, quote, ..
        } = self;
        format!("{prefix}{quote}{name}{quote}")
    }

    /// Fills in a template: `{table}` is the table, `{archive}` that of its archive, `{plain}` the table without its
    /// schema, `{name}` its name without quotes, as part of another name; `{in}` stands before what is in the same
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
            .replace("{plain}", &format!("{quote}{name}{quote}"))
            .replace("{name}", name)
            .replace("{in}", prefix)
            .replace("{schema}", schema_value)
    }
}
