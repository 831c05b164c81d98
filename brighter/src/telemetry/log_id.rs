//! The id of a request in lines of the log.

use brighter_core::context::Context;
use brighter_core::id::MessageId;

/// Returns the id of the request, unless the span of the delivery shows it already.
pub(crate) fn id_beside_span<'a>(id: Option<&'a MessageId>, cx: &Context) -> Option<&'a MessageId> {
    id.filter(|id| cx.message_id() != Some(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_that_the_span_lacks_is_shown() {
        let (id, other) = (MessageId::new(), MessageId::new());
        let delivered = Context::new().with_message_id(id.clone());
        assert_eq!(id_beside_span(Some(&id), &delivered), None);
        assert_eq!(id_beside_span(Some(&other), &delivered), Some(&other));
        assert_eq!(id_beside_span(Some(&id), &Context::new()), Some(&id));
        assert_eq!(id_beside_span(None, &delivered), None);
    }
}
