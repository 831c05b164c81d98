//! [`DeskFilter`]: chooses messages at the desk, in words such as `error~timeout and age<2h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::group::GroupKey;
use super::id::DeskId;
use super::message::{DeskRow, DeskState};
use crate::channel::RejectionKind;

/// Chooses messages at the desk: those that meet every condition. Without a condition, it chooses all.
///
/// A condition is a field, a comparison and a value. A value with spaces is put in single or double quotes. The fields
/// are `row`, `id`, `channel`, `source`, `topic`, `type`, `handler`, `error`, `error-type`, `group`, `kind` (`dead` or
/// `invalid`), `state` (`waiting`, `sending`, `sent`, `handled`, `archived`), `attempts`, `deaths`, and `age`, the time
/// since the last death (`90s`, `15m`, `2h`, `7d`). Texts are compared by `=`, `!=`, and `~` for “contains”, where case
/// matters; numbers and ages by `=`, `!=`, `<` and `>`.
///
/// ```
/// use brighter_core::desk::DeskFilter;
///
/// let filter: DeskFilter = "error~'no answer' and age<2h and channel=orders".parse()?;
/// assert_eq!(filter.to_string(), "error~'no answer' and age<7200s and channel=orders");
/// # Ok::<(), brighter_core::desk::FilterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeskFilter {
    /// The conditions. All of them must be met.
    pub conditions: Vec<FilterCondition>,
}

/// One condition of a [`DeskFilter`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterCondition {
    /// Compares a text.
    Text(DeskField, Comparison, String),
    /// Compares a number.
    Number(DeskField, Comparison, u64),
    /// Compares the time since the last death.
    Age(Comparison, Duration),
    /// Compares the state.
    State(Comparison, DeskState),
    /// Compares the kind of rejection.
    Kind(Comparison, RejectionKind),
}

/// A field of a message at the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the field of `DeskRow` of the same name")]
pub enum DeskField {
    Row,
    Id,
    Channel,
    Source,
    Topic,
    Type,
    Handler,
    Error,
    ErrorType,
    Group,
    Attempts,
    Deaths,
    Age,
    State,
    Kind,
}

/// A comparison of a field with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Comparison {
    /// Is the value.
    Is,
    /// Is not the value.
    IsNot,
    /// Contains the text.
    Contains,
    /// Is less.
    Less,
    /// Is more.
    More,
}

/// Why a filter cannot be read.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// There is no field of this name.
    #[error(
        "there is no field `{0}`: use row, id, channel, source, topic, type, handler, error, error-type, group, kind, state, attempts, deaths or age"
    )]
    Field(String),
    /// The field cannot be compared so.
    #[error("`{field}` cannot be compared by `{comparison}`: use {allowed}")]
    Comparison {
        /// The field.
        field: &'static str,
        /// The comparison.
        comparison: &'static str,
        /// The comparisons that the field allows.
        allowed: &'static str,
    },
    /// The value is none of this field.
    #[error("`{value}` is no value of `{field}`: use {allowed}")]
    Value {
        /// The field.
        field: &'static str,
        /// The value.
        value: String,
        /// The values that there are.
        allowed: &'static str,
    },
    /// A word was expected, and something else came.
    #[error("expected {expected} at `{rest}`")]
    Expected {
        /// The text that was expected.
        expected: &'static str,
        /// The rest of the text.
        rest: String,
    },
}

crate::__readable_debug!(FilterError);

impl DeskField {
    const ALL: [Self; 15] = [
        Self::Row,
        Self::Id,
        Self::Channel,
        Self::Source,
        Self::Topic,
        Self::Type,
        Self::Handler,
        Self::Error,
        Self::ErrorType,
        Self::Group,
        Self::Attempts,
        Self::Deaths,
        Self::Age,
        Self::State,
        Self::Kind,
    ];

    /// Returns the name of the field in a filter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Id => "id",
            Self::Channel => "channel",
            Self::Source => "source",
            Self::Topic => "topic",
            Self::Type => "type",
            Self::Handler => "handler",
            Self::Error => "error",
            Self::ErrorType => "error-type",
            Self::Group => "group",
            Self::Attempts => "attempts",
            Self::Deaths => "deaths",
            Self::Age => "age",
            Self::State => "state",
            Self::Kind => "kind",
        }
    }
}

impl Comparison {
    /// In the order in which a text is searched for them: the longer first.
    const ALL: [Self; 5] = [Self::IsNot, Self::Is, Self::Contains, Self::Less, Self::More];

    /// Returns the sign of the comparison.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::Contains => "~",
            Self::Less => "<",
            Self::More => ">",
        }
    }

    fn holds<T: Ord>(self, field: &T, value: &T) -> bool {
        match self {
            Self::Is | Self::Contains => field == value,
            Self::IsNot => field != value,
            Self::Less => field < value,
            Self::More => field > value,
        }
    }
}

/// The values that a condition is compared with: a row, and the time since its last death.
#[derive(Debug, Clone, Copy)]
pub struct DeskRowView<'a> {
    /// The row.
    pub row: &'a DeskRow,
    /// The time since the last death.
    pub age: Duration,
}

impl DeskFilter {
    /// Returns the filter with one more condition.
    #[must_use]
    pub fn and(mut self, condition: FilterCondition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Returns a filter for one group.
    #[must_use]
    pub fn of_group(group: GroupKey) -> Self {
        Self::default().and(FilterCondition::Text(
            DeskField::Group,
            Comparison::Is,
            group.to_string(),
        ))
    }

    /// Returns a filter for one row.
    #[must_use]
    pub fn of_row(row: DeskId) -> Self {
        Self::default().and(FilterCondition::Number(DeskField::Row, Comparison::Is, row.get()))
    }

    /// Returns whether the filter names a state. An operation without one chooses those that wait.
    #[must_use]
    pub fn names_state(&self) -> bool {
        let is_state = |condition: &FilterCondition| matches!(condition, FilterCondition::State(..));
        self.conditions.iter().any(is_state)
    }

    /// Returns the filter by which an operation chooses: messages that wait, unless it names a state.
    #[must_use]
    pub fn for_operation(&self) -> Self {
        if self.names_state() {
            return self.clone();
        }
        let waiting = FilterCondition::State(Comparison::Is, DeskState::Waiting);
        self.clone().and(waiting)
    }

    /// Returns whether a row meets every condition.
    #[must_use]
    pub fn matches(&self, view: DeskRowView<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(view))
    }
}

impl FilterCondition {
    fn holds(&self, DeskRowView { row, age }: DeskRowView<'_>) -> bool {
        match self {
            Self::Text(field, comparison, value) => {
                let text = match field {
                    DeskField::Id => row.message_id.to_string(),
                    DeskField::Channel => row.channel.as_ref().map_or("", |name| name.as_str()).to_owned(),
                    DeskField::Source => row.source.as_str().to_owned(),
                    DeskField::Topic => row.topic.clone(),
                    DeskField::Type => row.message_type.clone(),
                    DeskField::Handler => row.handler.clone().unwrap_or_default(),
                    DeskField::Error => row.error.clone(),
                    DeskField::ErrorType => row.error_type.clone().unwrap_or_default(),
                    DeskField::Group => row.group.to_string(),
                    _ => return false,
                };
                match comparison {
                    Comparison::Contains => text.contains(value.as_str()),
                    other => other.holds(&text, value),
                }
            }
            Self::Number(field, comparison, value) => {
                let number = match field {
                    DeskField::Row => row.id.get(),
                    DeskField::Attempts => u64::from(row.attempts.unwrap_or(0)),
                    DeskField::Deaths => row.deaths,
                    _ => return false,
                };
                comparison.holds(&number, value)
            }
            Self::Age(comparison, value) => comparison.holds(&age, value),
            Self::State(comparison, state) => (row.state == *state) == (*comparison == Comparison::Is),
            Self::Kind(comparison, kind) => (row.kind == *kind) == (*comparison == Comparison::Is),
        }
    }

    fn read(field: DeskField, comparison: Comparison, value: String) -> Result<Self, FilterError> {
        let (texts, numbers, words) = ("`=`, `!=` or `~`", "`=`, `!=`, `<` or `>`", "`=` or `!=`");
        let allowed = match field {
            DeskField::Row | DeskField::Attempts | DeskField::Deaths => numbers,
            DeskField::Age => "`<` or `>`",
            DeskField::State | DeskField::Kind | DeskField::Group => words,
            _ => texts,
        };
        if !allowed.contains(&format!("`{}`", comparison.as_str())) {
            return Err(FilterError::Comparison {
                field: field.as_str(),
                comparison: comparison.as_str(),
                allowed,
            });
        }
        let wrong = |allowed, value: &str| FilterError::Value {
            field: field.as_str(),
            value: value.to_owned(),
            allowed,
        };
        Ok(match field {
            DeskField::Row | DeskField::Attempts | DeskField::Deaths => {
                // A database has no larger ones.
                let number = value.parse().ok().filter(|number| *number <= i64::MAX as u64);
                Self::Number(
                    field,
                    comparison,
                    number.ok_or_else(|| wrong("a whole number", &value))?,
                )
            }
            DeskField::Age => {
                let age =
                    duration(&value).ok_or_else(|| wrong("a time such as 90s, 15m, 2h or 7d", &value))?;
                Self::Age(comparison, age)
            }
            DeskField::State => {
                let state = DeskState::parse(&value);
                let state =
                    state.ok_or_else(|| wrong("waiting, sending, sent, handled or archived", &value))?;
                Self::State(comparison, state)
            }
            DeskField::Kind => match value.as_str() {
                "dead" => Self::Kind(comparison, RejectionKind::DeadLetter),
                "invalid" => Self::Kind(comparison, RejectionKind::Invalid),
                _ => return Err(wrong("dead or invalid", &value)),
            },
            DeskField::Group => {
                let key: Result<GroupKey, _> = value.parse();
                let key = key.map_err(|_| wrong("the 16 digits that `groups` shows", &value))?;
                Self::Text(field, comparison, key.to_string())
            }
            _ => Self::Text(field, comparison, value),
        })
    }
}

/// Reads a time such as `90s`, `15m`, `2h` or `7d`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    // A database counts in milliseconds.
    (seconds <= 100 * 365 * 86_400).then_some(Duration::from_secs(seconds))
}

impl FromStr for DeskFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let (mut filter, mut rest) = (Self::default(), text.trim_start());
        if rest.is_empty() {
            return Ok(filter);
        }
        loop {
            let expected = |expected, rest: &str| FilterError::Expected {
                expected,
                rest: rest.chars().take(40).collect(),
            };
            let name = rest.len()
                - rest
                    .trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '-')
                    .len();
            let (name, after) = rest.split_at(name);
            if name.is_empty() {
                return Err(expected("a field", rest));
            }
            let field = DeskField::ALL.into_iter().find(|field| field.as_str() == name);
            let field = field.ok_or_else(|| FilterError::Field(name.to_owned()))?;
            let after = after.trim_start();
            let comparison = Comparison::ALL
                .into_iter()
                .find_map(|one| Some((one, after.strip_prefix(one.as_str())?)));
            let (comparison, after) = comparison.ok_or_else(|| expected("one of = != ~ < >", after))?;
            let after = after.trim_start();
            let (value, after) = match after.chars().next() {
                Some(quote @ ('\'' | '"')) => {
                    let quoted = &after[1..];
                    let end = quoted.find(quote);
                    let end = end.ok_or_else(|| expected("a closing quote", after))?;
                    (&quoted[..end], &quoted[end + 1..])
                }
                _ => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
            };
            if value.is_empty() && !after.is_empty() && !after.starts_with(char::is_whitespace) {
                return Err(expected("a value", after));
            }
            filter
                .conditions
                .push(FilterCondition::read(field, comparison, value.to_owned())?);
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(filter);
            }
            let and = rest
                .strip_prefix("and")
                .filter(|rest| rest.starts_with(char::is_whitespace));
            rest = and.ok_or_else(|| expected("`and`", rest))?.trim_start();
        }
    }
}

impl fmt::Display for DeskFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, condition) in self.conditions.iter().enumerate() {
            if number > 0 {
                f.write_str(" and ")?;
            }
            fmt::Display::fmt(condition, f)?;
        }
        Ok(())
    }
}

impl fmt::Display for FilterCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |kind| match kind {
            RejectionKind::Invalid => "invalid",
            RejectionKind::DeadLetter => "dead",
        };
        match self {
            Self::Text(field, comparison, value) => {
                f.write_str(field.as_str())?;
                f.write_str(comparison.as_str())?;
                let is_word = !value.is_empty()
                    && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '"');
                match is_word {
                    true => f.write_str(value),
                    false if value.contains('\'') => write!(f, "\"{value}\""),
                    false => write!(f, "'{value}'"),
                }
            }
            Self::Number(field, comparison, value) => {
                write!(f, "{}{}{value}", field.as_str(), comparison.as_str())
            }
            Self::Age(comparison, age) => write!(f, "age{}{}s", comparison.as_str(), age.as_secs()),
            Self::State(comparison, state) => {
                write!(f, "state{}{}", comparison.as_str(), state.as_str())
            }
            Self::Kind(comparison, value) => write!(f, "kind{}{}", comparison.as_str(), kind(*value)),
        }
    }
}

/// As the text that it is read from.
impl Serialize for DeskFilter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeskFilter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_comes_back_from_its_text() {
        for text in [
            "",
            "error~timeout and age<7200s",
            "error~'no answer' and channel=orders",
            "error~\"it's\" and handler!=''",
            "row=7 and attempts>3 and deaths!=1",
            "state=waiting and kind!=invalid and group=00000000000000ff",
        ] {
            let filter: DeskFilter = text.parse().unwrap();
            assert_eq!(filter.to_string(), text);
        }
        let spaced: DeskFilter = "  error ~ x  and  age > 2d ".parse().unwrap();
        assert_eq!(spaced.to_string(), "error~x and age>172800s");
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, said) in [
            ("colour=red", "no field `colour`"),
            ("error<x", "cannot be compared by `<`"),
            ("age=2h", "cannot be compared by `=`"),
            ("age<2w", "`2w` is no value"),
            ("age<999999999999999999d", "is no value"),
            ("state=lost", "`lost` is no value"),
            ("row=x", "a whole number"),
            ("row=18446744073709551615", "a whole number"),
            ("group=red", "16 digits"),
            ("error", "one of = != ~"),
            ("error~'x", "a closing quote"),
            ("error~x or error~y", "`and`"),
            ("error~x and", "`and`"),
            ("error~x and ", "a field"),
            ("=x", "a field"),
            ("error~x andage<1h", "`and`"),
        ] {
            let error = text.parse::<DeskFilter>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
