//! [`SettingValue`]: a setting that its key accepts.

use std::time::Duration;

use brighter_core::__private::redact;

use super::key::Kind;
use super::nearest::nearest;
use super::raw::{Node, Raw};
use super::secret::quoted;
use super::{Problem, Secret, time};

/// A setting that its key accepts.
#[derive(Clone, PartialEq)]
pub(super) enum SettingValue {
    Text(String),
    Secret(Secret),
    Flag(bool),
    Count(u64),
    Share(f64),
    Time(Duration),
    /// The word that means no duration.
    NoTime(&'static str),
    Word(&'static str),
    Texts(Vec<String>),
    Times(Vec<Duration>),
    Range(usize, usize),
    Rate(u32, Duration),
}

/// Reads a value of this kind for the key of this path.
pub(super) fn read(kind: &Kind, path: &str, raw: &Raw) -> Result<SettingValue, Problem> {
    let reading = Reading { kind, path };
    match (kind, raw) {
        (Kind::Texts, Raw::List(nodes)) => {
            let texts: Result<_, _> = nodes.iter().map(|node| reading.text(&node.raw)).collect();
            Ok(SettingValue::Texts(texts?))
        }
        (Kind::Times, Raw::List(nodes)) => {
            let time = |node: &Node| reading.time(&reading.text(&node.raw)?);
            let times: Result<_, _> = nodes.iter().map(time).collect();
            Ok(SettingValue::Times(times?))
        }
        (_, Raw::List(_) | Raw::Table(_) | Raw::Date) => Err(reading.wrong_type(raw.kind())),
        // A format that distinguishes numbers from text must use the right type.
        (Kind::Count { .. } | Kind::Share { .. } | Kind::Flag, Raw::Text(text)) => {
            let found = format!("the text {}: write it without quotes", quoted(text));
            Err(reading.wrong_type(&found))
        }
        (Kind::Flag, Raw::Flag(flag)) => Ok(SettingValue::Flag(*flag)),
        (_, Raw::Flag(flag)) if !matches!(kind, Kind::OneOf(_)) => Err(reading.wrong_type(&flag.to_string())),
        (Kind::Count { .. } | Kind::Share { .. } | Kind::Range { .. }, Raw::Number(text)) => {
            reading.scalar(text)
        }
        (Kind::Secret, Raw::Number(_)) => Err(reading.wrong_type("a number: write it in quotes")),
        (_, Raw::Number(text)) => Err(reading.wrong_type(&format!("the number {text}"))),
        (_, Raw::Flag(flag)) => reading.scalar(&flag.to_string()),
        (_, Raw::Plain(text) | Raw::Text(text)) => reading.scalar(text),
    }
}

struct Reading<'a> {
    kind: &'a Kind,
    path: &'a str,
}

impl Reading<'_> {
    fn wrong_type(&self, found: &str) -> Problem {
        Problem::WrongType {
            key: self.path.to_owned(),
            expected: self.kind.expected(),
            found: found.to_owned(),
        }
    }

    /// Returns the error that this text is not allowed for the key.
    fn no_such(&self, text: &str) -> Problem {
        self.wrong_type(&quoted(text))
    }

    fn impossible(&self, text: &str, reason: impl Into<String>) -> Problem {
        Problem::Impossible {
            key: self.path.to_owned(),
            value: quoted(text),
            reason: reason.into(),
        }
    }

    fn text(&self, raw: &Raw) -> Result<String, Problem> {
        match raw {
            Raw::Plain(text) | Raw::Text(text) if !text.is_empty() => Ok(text.clone()),
            Raw::Plain(_) | Raw::Text(_) => Err(self.impossible("", "it is empty")),
            Raw::Number(text) => Err(self.wrong_type(&format!("the number {text}"))),
            other => Err(self.wrong_type(other.kind())),
        }
    }

    fn scalar(&self, text: &str) -> Result<SettingValue, Problem> {
        let text = text.trim();
        match self.kind {
            Kind::Secret if text.is_empty() => Err(Problem::Impossible {
                key: self.path.to_owned(),
                value: "***".to_owned(),
                reason: "it is empty".to_owned(),
            }),
            Kind::Secret => Ok(SettingValue::Secret(Secret::new(text))),
            _ if text.is_empty() => Err(self.impossible(text, "it is empty")),
            // A text that is read in parts: one part would not look like a URL, and would show what the URL hides.
            Kind::Times | Kind::Range { .. } | Kind::Rate if text.contains("://") => Err(self.no_such(text)),
            Kind::Text => Ok(SettingValue::Text(text.to_owned())),
            Kind::TableName => self.table(text),
            Kind::Flag => match text {
                "true" => Ok(SettingValue::Flag(true)),
                "false" => Ok(SettingValue::Flag(false)),
                _ => Err(self.no_such(text)),
            },
            Kind::Count { least, most } => self.count(text, *least, *most).map(SettingValue::Count),
            Kind::Share { least, most } => self.share(text, *least, *most),
            Kind::Time { or: Some(word), .. } if text == *word => Ok(SettingValue::NoTime(word)),
            Kind::Time { .. } => self.time(text).map(SettingValue::Time),
            Kind::OneOf(words) => match words.iter().find(|word| **word == text) {
                Some(word) => Ok(SettingValue::Word(word)),
                None => {
                    let meant = nearest(&text.to_lowercase(), words.iter().copied());
                    let meant = meant
                        .map(|meant| format!("; did you mean `{meant}`?"))
                        .unwrap_or_default();
                    Err(self.wrong_type(&format!("{}{meant}", quoted(text))))
                }
            },
            Kind::Texts => {
                let texts = parts(text).map(|part| self.text(&Raw::Plain(part.to_owned())));
                Ok(SettingValue::Texts(texts.collect::<Result<_, _>>()?))
            }
            Kind::Times => {
                let times = parts(text).map(|part| self.time(part));
                Ok(SettingValue::Times(times.collect::<Result<_, _>>()?))
            }
            Kind::Range { least, most } => self.range(text, *least, *most),
            Kind::Rate => self.rate(text),
        }
    }

    fn table(&self, text: &str) -> Result<SettingValue, Problem> {
        let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && text.starts_with(|c: char| !c.is_ascii_digit())
            && text.len() <= 40;
        if is_name {
            return Ok(SettingValue::Text(text.to_owned()));
        }
        Err(self.impossible(
            text,
            "the name of a table has letters, digits and underscores, at most 40, and no digit first",
        ))
    }

    fn count(&self, text: &str, least: u64, most: u64) -> Result<u64, Problem> {
        let digits = text.replace('_', "");
        let bare = digits.strip_prefix(['-', '+']).unwrap_or(&digits);
        if bare.is_empty() || !bare.chars().all(|c| c.is_ascii_digit()) {
            return Err(self.no_such(text));
        }
        match digits.parse::<u64>() {
            Ok(count) if (least..=most).contains(&count) => Ok(count),
            _ => Err(self.impossible(text, format!("it goes from {least} to {most}"))),
        }
    }

    fn share(&self, text: &str, least: f64, most: f64) -> Result<SettingValue, Problem> {
        let number: f64 = text.replace('_', "").parse().map_err(|_| self.no_such(text))?;
        if number >= least && number <= most {
            return Ok(SettingValue::Share(number));
        }
        Err(self.impossible(text, format!("it goes from {least} to {most}")))
    }

    fn time(&self, text: &str) -> Result<Duration, Problem> {
        let time = time::parse(text).ok_or_else(|| self.no_such(text))?;
        let (least, most) = match self.kind {
            Kind::Time { least, most, .. } => (*least, *most),
            _ => (Duration::ZERO, Duration::MAX),
        };
        if time < least {
            return Err(self.impossible(text, format!("it is {} at least", time::show(least))));
        }
        if time > most {
            return Err(self.impossible(text, format!("it is {} at most", time::show(most))));
        }
        Ok(time)
    }

    fn range(&self, text: &str, lowest: usize, highest: usize) -> Result<SettingValue, Problem> {
        let (least, most) = match text.split_once("to").or_else(|| text.split_once("..=")) {
            Some((least, most)) => (least.trim(), most.trim()),
            None => (text, text),
        };
        let number = |text| {
            let count = self.count(text, lowest as u64, highest as u64)?;
            Ok(usize::try_from(count).unwrap_or(highest))
        };
        let (least, most) = (number(least)?, number(most)?);
        if least > most {
            return Err(self.impossible(text, "the range ends before it begins"));
        }
        Ok(SettingValue::Range(least, most))
    }

    fn rate(&self, text: &str) -> Result<SettingValue, Problem> {
        let parted = text.split_once("within").or_else(|| text.split_once('/'));
        let (count, within) = parted.ok_or_else(|| self.no_such(text))?;
        let count = self.count(count.trim(), 1, u64::from(u32::MAX))?;
        let within = within.trim();
        let within = match within.starts_with(|c: char| c.is_ascii_digit()) {
            true => time::parse(within),
            false => time::parse(&format!("1{within}")),
        };
        match within {
            Some(within) if !within.is_zero() => Ok(SettingValue::Rate(
                u32::try_from(count).unwrap_or(u32::MAX),
                within,
            )),
            Some(_) => Err(self.impossible(text, "the time is none")),
            None => Err(self.no_such(text)),
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

impl std::fmt::Display for SettingValue {
    /// Prints the value as in TOML, with secrets masked.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A URL with a password may stand where nobody expected a secret.
        let text = |text: &str| format!("\"{}\"", redact::text(text).escape_debug());
        match self {
            Self::Text(value) => f.write_str(&text(value)),
            Self::Secret(secret) => write!(f, "\"{}\"", secret.shown().escape_debug()),
            Self::Flag(flag) => flag.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Share(share) => write!(f, "{share:?}"),
            Self::Time(value) => f.write_str(&text(&time::show(*value))),
            Self::NoTime(word) | Self::Word(word) => f.write_str(&text(word)),
            Self::Texts(texts) => {
                let texts: Vec<_> = texts.iter().map(|value| text(value)).collect();
                write!(f, "[{}]", texts.join(", "))
            }
            Self::Times(times) => {
                let times: Vec<_> = times.iter().map(|value| text(&time::show(*value))).collect();
                write!(f, "[{}]", times.join(", "))
            }
            Self::Range(least, most) if least == most => least.fmt(f),
            Self::Range(least, most) => f.write_str(&text(&format!("{least} to {most}"))),
            Self::Rate(count, within) => {
                f.write_str(&text(&format!("{count} within {}", time::show(*within))))
            }
        }
    }
}

/// Like `Display`, which shows no secret.
impl std::fmt::Debug for SettingValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
