//! Lean headers: what is written, and that a reader gets the same message.

use super::*;

fn lean(message: &Message) -> BasicProperties {
    super::super::properties(message, Headers::Lean).unwrap()
}

/// Returns the message that a reader gets: the topic is the routing key.
fn read(properties: BasicProperties, sent: &Message) -> Message {
    message(&Original {
        routing_key: sent.header.topic.as_str().into(),
        properties,
        body: sent.body.to_bytes(),
    })
    .unwrap()
}

#[test]
fn a_plain_event_has_no_header() {
    let header = MessageHeader::new(MessageId::new(), "Task.Done", MessageType::Event);
    let sent = Message::new(header, MessageBody::new("{}"));
    let written = lean(&sent);
    assert_eq!(*written.headers(), None);
    assert_eq!(*written.kind(), None);
    let id = sent.header.id.to_string();
    assert_eq!(written.message_id().as_ref().unwrap().as_str(), id);
    assert_eq!(*written.delivery_mode(), Some(PERSISTENT));
    assert!(written.timestamp().is_some() && written.content_type().is_some());
}

#[test]
fn a_command_has_its_type_alone_as_a_header() {
    let header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command)
        .with_correlation_id("conversation".into());
    let sent = Message::new(header, MessageBody::new("{}"));
    let written = lean(&sent);
    let table = written.headers().clone().unwrap();
    assert_eq!(table.inner().len(), 1);
    assert_eq!(header_text(&written, "MessageType"), "MT_COMMAND");
    assert_eq!(
        written.correlation_id().as_ref().unwrap().as_str(),
        "conversation"
    );
}

#[test]
fn every_value_that_differs_from_its_default_is_written() {
    let mut sent = a_message();
    sent.header.priority = Some(4);
    let written = lean(&sent);
    let full = properties(&sent).unwrap();
    assert!(header_bytes(&written) < header_bytes(&full));
    sent.header.timestamp = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    assert_eq!(read(written, &sent), sent);
}

#[test]
fn a_long_correlation_id_becomes_a_header() {
    let mut sent = a_message();
    sent.header.correlation_id = Some("c".repeat(256).into());
    let written = lean(&sent);
    assert_eq!(*written.correlation_id(), None);
    assert_eq!(
        read(written, &sent).header.correlation_id,
        sent.header.correlation_id
    );
}

#[test]
fn a_time_before_1970_becomes_a_header() {
    let mut sent = a_message();
    sent.header.timestamp = UNIX_EPOCH - Duration::from_millis(1);
    let written = lean(&sent);
    assert_eq!(*written.timestamp(), None);
    assert_eq!(read(written, &sent).header.timestamp, sent.header.timestamp);
}

#[test]
fn copies_for_retry_and_rejection_name_the_topic() {
    let sent = a_message();
    let published = Original {
        routing_key: "Task.Reminder".into(),
        properties: lean(&sent),
        body: sent.body.to_bytes(),
    };
    let read = message(&published).unwrap();
    let mut copies = vec![for_retry(&published, &read).unwrap(), counted(&published, 1)];
    copies.push(for_another(&published, &read).unwrap());
    for copy in copies {
        assert_eq!(header_text(&copy, "Topic"), "Task.Reminder");
    }
    let rejection = Rejection::new(RejectionKind::DeadLetter, "no");
    let aside = set_aside(&published, &rejection, UNIX_EPOCH, usize::MAX);
    assert_eq!(header_text(&aside, "originalTopic"), "Task.Reminder");
    assert_eq!(header_text(&aside, "Topic"), "Task.Reminder");
}

/// Builds the header that the broker writes when it moves a message, with the latest move first.
fn moves(routing_keys: &[&str]) -> AMQPValue {
    let entries: Vec<_> = routing_keys
        .iter()
        .map(|key| {
            let mut entry = FieldTable::default();
            entry.insert("queue".into(), text("some.queue"));
            let keys = AMQPValue::FieldArray(vec![text(*key)].into());
            entry.insert("routing-keys".into(), keys);
            AMQPValue::FieldTable(entry)
        })
        .collect();
    AMQPValue::FieldArray(entries.into())
}

#[test]
fn the_topic_survives_a_move_by_the_broker() {
    let moved = |written: AMQPValue| {
        let mut headers = FieldTable::default();
        headers.insert("x-death".into(), written);
        let properties = BasicProperties::default().with_headers(headers);
        let there = Original {
            routing_key: "tasks.dlq".into(),
            ..original(properties)
        };
        message(&there).map(|message| message.header.topic.as_str().to_owned())
    };
    assert_eq!(
        moved(moves(&["tasks.dlq", "Task.Reminder"])).unwrap(),
        "Task.Reminder"
    );
    assert_eq!(moved(moves(&["Task.Reminder"])).unwrap(), "Task.Reminder");
    // Anyone may have written the header: in any other form it says nothing.
    for other in [
        moves(&[]),
        moves(&[""]),
        text("Task.Reminder"),
        AMQPValue::FieldArray(vec![text("Task.Reminder")].into()),
        AMQPValue::FieldArray(vec![AMQPValue::FieldTable(FieldTable::default())].into()),
    ] {
        assert_eq!(moved(other).unwrap(), "tasks.dlq");
    }
    assert!(moved(moves(&["a\nb"])).unwrap_err().contains("control"));
}

fn header_text(properties: &BasicProperties, name: &str) -> String {
    match header(properties, name) {
        Some(AMQPValue::LongString(text)) => String::from_utf8(text.as_bytes().to_vec()).unwrap(),
        other => panic!("{name}: {other:?}"),
    }
}
