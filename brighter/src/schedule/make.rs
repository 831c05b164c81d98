//! Makes the messages of occurrences, of schedules in the code and of others.

use std::any::type_name;

use brighter_core::error::BoxError;
use brighter_core::id::MessageId;
use brighter_core::mapper::{MessageMapper, Postable};
use brighter_core::message::{Bag, Message, MessageHeader};
use brighter_cron::{Calendar, Cron};

use super::occurrence::Occurrence;
use super::settings::ScheduleSettings;
use crate::publication::PublicationSettings;

/// A schedule of the code, ready to fire.
pub(super) struct CodeSchedule {
    pub(super) cron: Cron,
    pub(super) settings: ScheduleSettings,
    pub(super) calendar: Calendar,
    pub(super) make: MakeMessage,
}

/// Makes the message of an occurrence.
pub(super) type MakeMessage = Box<dyn Fn(&Occurrence) -> Result<Message, BoxError> + Send + Sync>;

/// Returns the message of a request under this id, with these headers beside those of its publication.
pub(super) fn message<R: Postable>(
    publication: &PublicationSettings,
    request: &R,
    id: &MessageId,
    headers: impl FnOnce(&mut Bag),
) -> Result<Message, BoxError> {
    if let Some(own) = request.id().filter(|own| *own != id) {
        let request = type_name::<R>();
        let reason = format!(
            "the `{request}` has the id `{own}`, and its occurrence has `{id}`; give it that of the occurrence, or none"
        );
        return Err(reason.into());
    }
    let mut header = publication.header(id.clone(), R::KIND.into());
    headers(&mut header.bag);
    let message = R::Mapper::default().to_message(request, header)?;
    message.header.validate()?;
    if message.header.id != *id {
        let found = &message.header.id;
        return Err(format!("the mapper has changed the id `{id}` of the message to `{found}`").into());
    }
    Ok(message)
}

/// Returns the message of an occurrence as a copy of this one.
pub(super) fn copied(template: &Message, occurrence: &Occurrence) -> Message {
    let header = &template.header;
    let mut copy = MessageHeader::new(occurrence.id.clone(), &header.topic, header.message_type);
    let timestamp = copy.timestamp;
    copy = header.clone();
    copy.id = occurrence.id.clone();
    copy.timestamp = timestamp;
    occurrence.write(&mut copy.bag);
    Message::new(copy, template.body.clone())
}
