//! [`SelectionArgs`]: which messages a command is about, and who asks.

use brighter::desk::{DeskFilter, DeskId, GroupKey};
use clap::Args;

use crate::outcome::CliError;

/// Which messages.
#[derive(Debug, Clone, Args)]
pub(crate) struct SelectionArgs {
    /// Choose by conditions, such as "error~timeout and age<2h"
    ///
    /// Fields: row, id, channel, source, topic, type, handler, error, error-type, group, kind (dead, invalid), state
    /// (waiting, sending, sent, handled, archived), attempts, deaths, and age (90s, 15m, 2h, 7d). Texts are compared by
    /// =, != and ~ (contains); numbers and ages by =, !=, < and >. Without a state, messages that wait are chosen.
    #[arg(long = "where", value_name = "CONDITIONS")]
    filter: Option<String>,
    /// Choose one group, as `groups` shows it
    #[arg(long, value_name = "KEY")]
    group: Option<String>,
    /// Choose one message, as `list` shows it
    #[arg(long, value_name = "ROW")]
    row: Option<u64>,
}

impl SelectionArgs {
    /// Returns whether nothing is chosen in particular.
    pub(crate) fn is_empty(&self) -> bool {
        self.filter.is_none() && self.group.is_none() && self.row.is_none()
    }

    /// Returns the filter. Without a state in it, messages that wait are chosen.
    pub(crate) fn filter(&self) -> Result<DeskFilter, CliError> {
        Ok(self.in_all_states()?.for_operation())
    }

    /// Returns the filter for messages in any state, unless it names one.
    pub(crate) fn in_all_states(&self) -> Result<DeskFilter, CliError> {
        let mut filter: DeskFilter = match &self.filter {
            Some(text) => text.parse()?,
            None => DeskFilter::default(),
        };
        if let Some(group) = &self.group {
            let key: GroupKey = group.parse().map_err(|_| {
                CliError::refused(format!(
                    "`{group}` is no key of a group: `brighter dead groups` shows them"
                ))
            })?;
            filter.conditions.extend(DeskFilter::of_group(key).conditions);
        }
        if let Some(row) = self.row {
            filter
                .conditions
                .extend(DeskFilter::of_row(DeskId::new(row)).conditions);
        }
        Ok(filter)
    }
}

/// Returns the name of the person who asks: as given, or of the account.
pub(crate) fn who(given: Option<&str>) -> Result<String, CliError> {
    let account = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
    let name = given.map(str::to_owned).or_else(account);
    let name = name.filter(|name| !name.trim().is_empty());
    name.ok_or_else(|| CliError::refused("the name of the person who asks is missing: give --who NAME"))
}
