//! Sends the messages of an operation.

use futures_util::future::join_all;

use super::{BulkOperation, BulkVerb, DeskMessage, ItemResult, ORIGINAL_ID};
use brighter_core::channel::{Broker, PublishError};
use brighter_core::message::{ChannelName, Message, MessageBody};

/// The results of sending some messages.
pub(super) struct SendReport {
    /// The results of messages that were sent, and of messages that never can be.
    pub(super) results: Vec<ItemResult>,
    /// Why others were not sent, if there are others: the broker cannot be reached.
    pub(super) outage: Option<PublishError>,
}

/// Sends messages at once, each to its channel.
pub(super) async fn send(
    broker: &dyn Broker,
    operation: &BulkOperation,
    messages: &[DeskMessage],
) -> SendReport {
    let sent = join_all(messages.iter().map(|message| async move {
        let row = message.row.id;
        let Some((channel, message)) = outgoing(operation, message) else {
            let failure = "the channel that rejected it is unknown: redirect it to one".to_owned();
            return Ok(ItemResult {
                row,
                failure: Some(failure),
            });
        };
        match broker.send_to(&channel, &message).await {
            Ok(()) => Ok(ItemResult { row, failure: None }),
            Err(error) if error.is_outage() => Err(error),
            Err(error) => Ok(ItemResult {
                row,
                failure: Some(format!(
                    "to `{channel}`: {}",
                    brighter_core::__private::report(&error)
                )),
            }),
        }
    }))
    .await;
    let (mut results, mut outage) = (Vec::with_capacity(messages.len()), None);
    for sent in sent {
        match sent {
            Ok(result) => results.push(result),
            Err(error) => outage = Some(error),
        }
    }
    SendReport { results, outage }
}

/// Returns what is sent for a message, and where; `None` if its channel is unknown.
fn outgoing(operation: &BulkOperation, message: &DeskMessage) -> Option<(ChannelName, Message)> {
    let mut anew = message.anew(&operation.id);
    let channel = match &operation.plan.verb {
        BulkVerb::Redirect { to } => to.clone(),
        BulkVerb::Edit { id, body } => {
            let original = anew.header.id.to_string();
            anew.header.bag.insert(ORIGINAL_ID, original);
            anew.header.id = id.clone();
            anew.body = MessageBody::new(body.clone());
            message.row.channel.clone()?
        }
        _ => message.row.channel.clone()?,
    };
    Some((channel, anew))
}
