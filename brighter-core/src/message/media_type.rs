//! Content types: the one place where they are read.

use mediatype::{MediaType, ReadParams, names};

/// The content type of a message whose mapper says nothing else.
pub const DEFAULT_CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// Why a text is no content type that every consumer can read.
///
/// It is as strict as .NET's `System.Net.Mime.ContentType`, whose consumers stop for good at one that they cannot read.
pub fn check(text: &str) -> Result<(), &'static str> {
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("it is not plain ASCII");
    }
    let media_type = MediaType::parse(text).map_err(|error| match error {
        mediatype::MediaTypeError::InvalidTypeName => "it does not begin with a type and a slash",
        mediatype::MediaTypeError::InvalidSubtypeName => "there is no subtype behind the slash",
        mediatype::MediaTypeError::InvalidSuffix => "its suffix is not plain",
        mediatype::MediaTypeError::InvalidParamName => "the name of a parameter is not plain",
        mediatype::MediaTypeError::InvalidParamValue => "a quote is not closed",
        _ => "a parameter is not of the form `name=value`",
    })?;
    let params: Vec<_> = media_type.params().collect();
    for (index, (name, value)) in params.iter().enumerate() {
        if value.as_str().is_empty() {
            return Err("a parameter has no value");
        }
        if params[..index].iter().any(|(other, _)| other == name) {
            return Err("a parameter is there twice");
        }
    }
    Ok(())
}

/// Whether every consumer can read a content type.
pub fn is_valid(text: &str) -> bool {
    text == DEFAULT_CONTENT_TYPE || check(text).is_ok()
}

/// The kind of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Json,
    /// JSON in an envelope.
    CloudEvents,
    Other,
}

/// Returns the kind of body that a content type names.
pub(crate) fn kind(text: &str) -> MediaKind {
    if text == DEFAULT_CONTENT_TYPE {
        return MediaKind::Json;
    }
    let Ok(media_type) = MediaType::parse(text) else {
        return MediaKind::Other;
    };
    if media_type.subty == "cloudevents" && media_type.suffix == Some(names::JSON) {
        MediaKind::CloudEvents
    } else if media_type.subty == names::JSON || media_type.suffix == Some(names::JSON) {
        MediaKind::Json
    } else {
        MediaKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_told_from_other_words() {
        for right in [
            "a/b",
            DEFAULT_CONTENT_TYPE,
            "application/cloudevents+json",
            "application/vnd.shop.order.v2+json",
            "text/plain ; a=b;c=\"d e\"",
            "text/plain;",
            "text/plain;charset=\"utf-8\"",
            "application/x;v=1.0;w=2",
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for (wrong, why) in [
            ("", "type and a slash"),
            ("nonsense", "type and a slash"),
            ("json", "type and a slash"),
            ("/", "type and a slash"),
            ("/b", "type and a slash"),
            (" text/plain", "type and a slash"),
            ("text /plain", "type and a slash"),
            ("a/", "no subtype"),
            ("a/ b", "no subtype"),
            ("a/b/c", "name=value"),
            ("a/b c", "name=value"),
            ("a/é", "ASCII"),
            ("a/b; c", "name=value"),
            ("text/plain;charset=", "no value"),
            ("text/plain;;a=b", "name of a parameter"),
            ("text/plain;charset=\"utf-8", "not closed"),
            ("a/b;c=d\n", "ASCII"),
            ("a/b\r\nX: y", "ASCII"),
            ("a/b;c=d;C=e", "twice"),
            ("a/b;c=d;c=\"d\"", "twice"),
            ("a/b; c =d", "name of a parameter"),
            ("text/plain;a=\"ü\"", "ASCII"),
        ] {
            let said = check(wrong).unwrap_err();
            assert!(said.contains(why), "{wrong}: {said}");
        }
    }

    #[test]
    fn json_is_known_in_each_of_its_types() {
        for (text, expected) in [
            ("application/json", MediaKind::Json),
            ("APPLICATION/JSON; charset=utf-8", MediaKind::Json),
            ("text/json", MediaKind::Json),
            ("application/problem+json", MediaKind::Json),
            ("application/CloudEvents+JSON", MediaKind::CloudEvents),
            ("application/cloudevents+avro", MediaKind::Other),
            ("text/plain", MediaKind::Other),
            ("nonsense", MediaKind::Other),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
