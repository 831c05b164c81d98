//! `show`: one message with its header, body and deaths.

use brighter::desk::{DeskId, DeskMessage, DeskStore};
use clap::Args;
use serde_json::{Value, json};

use super::reading::{or_dash, row_json};
use crate::outcome::{CliError, CommandResult};
use crate::times::{ago, stamp};
use crate::view::{Style, View};

/// How much of a body and how many headers are shown.
const SHOWN_BYTES: usize = 16 << 10;
const SHOWN_HEADERS: usize = 200;

/// Which message to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The row, as `list` shows it
    row: u64,
    /// Show the whole body and all headers, however long
    #[arg(long)]
    full: bool,
    /// Leave the body out
    #[arg(long)]
    no_body: bool,
}

/// Shows one message.
pub(crate) async fn show(desk: &dyn DeskStore, args: &ShowArgs) -> Result<CommandResult, CliError> {
    let message = read(desk, args.row).await?;
    let header =
        serde_json::to_value(&message.message.header).map_err(|error| CliError::Failed(error.into()))?;
    let mut json = row_json(&message.row);
    let deaths = message
        .deaths
        .iter()
        .map(|death| json!({ "at": stamp(death.at), "error": death.error, "attempts": death.attempts }));
    let deaths: Value = deaths.collect();
    if let Some(fields) = json.as_object_mut() {
        fields.insert("deaths_each".to_owned(), deaths);
        fields.insert("header".to_owned(), header.clone());
        if !args.no_body {
            // An export has the bytes of a body that is no text.
            let text = std::str::from_utf8(message.message.body.as_bytes()).ok();
            fields.insert("body".to_owned(), json!(text));
        }
    }
    Ok(CommandResult::new(
        view(&message, &header, args),
        json!({ "message": json }),
    ))
}

/// Reads a message that must be there.
pub(crate) async fn read(desk: &dyn DeskStore, row: u64) -> Result<DeskMessage, CliError> {
    let message = desk.read(DeskId::new(row)).await?;
    message.ok_or_else(|| CliError::failed(format!("there is no message in row {row}")))
}

fn view(message: &DeskMessage, header: &Value, args: &ShowArgs) -> View {
    let row = &message.row;
    let mut view = View::default();
    let title = format!("Message {} ({})", row.id, row.state.as_str());
    view.styled(Style::Bold, title);
    view.field("id", row.message_id.to_string());
    view.field("topic", &row.topic);
    view.field("channel", or_dash(row.channel.as_ref().map(|name| name.as_str())));
    view.field("taken from", row.source.as_str());
    view.field("kind", row.kind.as_str());
    view.field("handler", or_dash(row.handler.as_deref()));
    view.field("error type", or_dash(row.error_type.as_deref()));
    view.field("group", row.group.to_string());
    if let Some(comment) = &row.comment {
        view.field("comment", comment);
    }
    if let Some(operation) = row.operation {
        view.field("operation", operation.to_string());
    }
    view.styled(Style::Bold, format!("Deaths ({})", row.deaths));
    for death in &message.deaths {
        let attempts = death.attempts.map_or(String::new(), |n| format!(", attempt {n}"));
        view.styled(
            Style::Bad,
            format!("  {} ({}{attempts})", death.error, ago(death.at)),
        );
    }
    view.styled(Style::Bold, "Header");
    let fields = header
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    let mut lines = Vec::new();
    for (name, value) in fields {
        match value.as_object() {
            Some(inner) if name == "bag" => {
                lines.extend(
                    inner
                        .iter()
                        .map(|(name, value)| format!("  {name}: {}", plain(value))),
                );
            }
            _ => lines.push(format!("  {name}: {}", plain(value))),
        }
    }
    let all = lines.len();
    let most = if args.full { all } else { SHOWN_HEADERS };
    for line in lines.into_iter().take(most) {
        view.plain(line);
    }
    if all > most {
        view.styled(Style::Dim, format!("  … {} more: add --full", all - most));
    }
    if !args.no_body {
        body(&mut view, message.message.body.as_bytes(), args.full);
    }
    view
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn body(view: &mut View, bytes: &[u8], full: bool) {
    view.styled(Style::Bold, format!("Body ({} bytes)", bytes.len()));
    let most = if full { usize::MAX } else { SHOWN_BYTES };
    let text = pretty(bytes);
    let mut left = most;
    for line in text.lines() {
        let end = line.floor_char_boundary(left.min(line.len()));
        view.plain(format!("  {}", &line[..end]));
        left = left.saturating_sub(line.len() + 1);
        if left == 0 {
            view.styled(Style::Dim, "  … more: add --full");
            return;
        }
    }
}

/// Returns a body to read: JSON with a line for each value, and any other as it is. Numbers and texts stay as they were
/// written.
pub(crate) fn pretty(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if serde_json::from_slice::<Value>(bytes).is_err() {
        return text.into_owned();
    }
    let mut pretty = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    let mut chars = text.chars().filter(|c| !c.is_control()).peekable();
    let line = |pretty: &mut String, depth: usize| {
        pretty.push('\n');
        pretty.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = chars.next() {
        if in_text {
            pretty.push(c);
            in_text = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            ' ' => {}
            '{' | '[' => {
                pretty.push(c);
                while chars.peek() == Some(&' ') {
                    chars.next();
                }
                match chars.peek() {
                    Some('}' | ']') => pretty.extend(chars.next()),
                    _ => {
                        depth += 1;
                        line(&mut pretty, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut pretty, depth);
                pretty.push(c);
            }
            ',' => {
                pretty.push(c);
                line(&mut pretty, depth);
            }
            ':' => pretty.push_str(": "),
            c => {
                in_text = c == '"';
                pretty.push(c);
            }
        }
    }
    pretty
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn json_has_a_line_for_each_value() {
        let text = "{ \"a\\\"{,\":123456789012345678901.10 ,\r\n\"b\":[ ],\"c\":[true,{}]}";
        let lines = "{\n  \"a\\\"{,\": 123456789012345678901.10,\n  \"b\": [],\n  \"c\": [\n    true,\n    {}\n  ]\n}";
        assert_eq!(pretty(text.as_bytes()), lines);
        assert_eq!(pretty(b"{a: 1}"), "{a: 1}");
        assert_eq!(pretty(b"\xff"), "\u{fffd}");
    }
}
