//! Behaviours of an outbox with the content of messages.

use std::time::{Duration, SystemTime};

use super::{
    LONG, SHORT, assert_read, assert_state, capability, claim_ids, claim_oldest, deposit, ids, message_of,
    some_message, some_messages,
};
use crate::eventually;
use brighter_core::id::MessageId;
use brighter_core::message::{Message, MessageBody, MessageType};
use brighter_core::outbox::{Failure, MessageState, Outbox, OutboxError};

/// Checks that a message is returned unchanged, without failures.
pub async fn what_is_deposited_comes_out(outbox: &impl Outbox) {
    let message = some_message();
    deposit(outbox, std::slice::from_ref(&message)).await;
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].message, message);
    assert_eq!(claimed[0].attempts, 0);
}

/// Checks that the same message is stored once, whether outstanding or dispatched. Another message with its id is
/// refused, together with all messages of the same call.
pub async fn an_id_is_stored_once(outbox: &impl Outbox) {
    let first = some_message();
    let id = first.header.id.clone();
    let mut second = first.clone();
    second.body = MessageBody::new("another body");
    let other = some_message();
    deposit(outbox, std::slice::from_ref(&first)).await;
    let again = [first.clone(), other.clone()];
    assert_eq!(
        outbox.deposit(&again, None).await.expect("deposit"),
        std::slice::from_ref(&id)
    );
    assert_eq!(outbox.status().await.expect("status").outstanding, 2);
    assert_eq!(claim_oldest(outbox, 10, LONG).await[0].message, first);
    deposit(outbox, std::slice::from_ref(&first)).await;
    assert!(claim_oldest(outbox, 10, LONG).await.is_empty(), "its claim stays");

    let refused = async || {
        let both = [some_message(), second.clone()];
        let error = outbox
            .deposit(&both, None)
            .await
            .expect_err("another message of that id");
        assert!(
            matches!(&error, OutboxError::IdInUse { id: used } if *used == id),
            "{error}"
        );
        assert_read(outbox, std::slice::from_ref(&both[0].header.id), &[]).await;
    };
    refused().await;
    outbox
        .mark_dispatched(std::slice::from_ref(&id))
        .await
        .expect("mark dispatched");
    refused().await;
    deposit(outbox, std::slice::from_ref(&first)).await;
    assert_state(outbox, &id, Some(MessageState::Dispatched)).await;
    assert_read(outbox, std::slice::from_ref(&id), &[first]).await;
}

/// A message of the same content is the same message, in whatever bytes: the order of members, white space, the spelling of
/// numbers and members that are null make no difference.
pub async fn the_same_content_in_other_bytes_is_stored_once(outbox: &impl Outbox) {
    let with =
        |message: &Message, body: &'static str| Message::new(message.header.clone(), MessageBody::new(body));
    let first = with(&some_message(), r#"{"a":1,"b":{"c":0.5,"d":2}}"#);
    deposit(outbox, std::slice::from_ref(&first)).await;
    for same in [
        "{ \"b\" : { \"d\": 2.0, \"c\": 5e-1 },\n\"a\": 1 }",
        r#"{"a":1,"added":null,"b":{"c":0.5,"d":2}}"#,
    ] {
        let known = outbox
            .deposit(&[with(&first, same)], None)
            .await
            .expect("deposit");
        assert_eq!(known, std::slice::from_ref(&first.header.id), "{same}");
    }
    let in_text = with(&first, "{ }");
    for other in [
        with(&first, r#"{"a":1,"b":{"c":0.5,"d":3}}"#),
        with(&first, r#"{"a":1,"b":{"c":0.5,"d":2},"added":false}"#),
        with(&first, "no JSON"),
        in_text,
    ] {
        let refused = outbox.deposit(&[other], None).await;
        assert!(matches!(refused, Err(OutboxError::IdInUse { .. })), "{refused:?}");
    }
    // Of other formats the bytes count.
    let text = |body| {
        let mut message = with(&first, body);
        message.header = message.header.with_content_type("text/plain");
        message.header.id = "of another format".into();
        message
    };
    deposit(outbox, &[text("{\"a\":1}")]).await;
    let refused = outbox.deposit(&[text("{ \"a\":1}")], None).await;
    assert!(matches!(refused, Err(OutboxError::IdInUse { .. })), "{refused:?}");
    assert_read(
        outbox,
        std::slice::from_ref(&first.header.id),
        std::slice::from_ref(&first),
    )
    .await;
}

/// Checks that `get` leaves unknown messages out, and returns dispatched ones in the order of the ids.
pub async fn get_gives_them_in_the_order_of_the_ids(outbox: &impl Outbox) {
    let inspection = capability!(outbox, inspection);
    let messages = some_messages(3);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    outbox.mark_dispatched(&all[..1]).await.expect("mark dispatched");
    let asked = [&all[2], &MessageId::new(), &all[0]].map(Clone::clone);
    let got = inspection.get(&asked).await.expect("get");
    assert_eq!(got, [messages[2].clone(), messages[0].clone()]);
}

/// Checks that claimed and failed messages count as outstanding.
pub async fn status_tells_how_many_and_how_old(outbox: &impl Outbox) {
    let status = outbox.status().await.expect("status");
    assert_eq!((status.outstanding, status.oldest), (0, None));

    let messages = some_messages(4);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    eventually("it gets older", async || {
        let oldest = outbox.status().await.expect("status").oldest;
        (oldest.expect("there are some") >= SHORT).then_some(())
    })
    .await;
    claim_oldest(outbox, 2, LONG).await;
    let failure = Failure::new(all[0].clone(), "no", LONG);
    outbox.mark_failed(&[failure]).await.expect("mark failed");
    outbox.mark_dispatched(&all[3..]).await.expect("mark dispatched");
    assert_eq!(outbox.status().await.expect("status").outstanding, 3);
}

/// Checks that no content is lost, changed or truncated.
pub async fn every_header_and_every_byte_comes_back(outbox: &impl Outbox) {
    let texts = [
        "",
        "plain",
        "'; DROP TABLE messages; --",
        "ünï 漢字 🦀",
        "a\0b\n\t\"\\\u{7f}",
        "%_?$1",
    ];
    let mut messages: Vec<Message> = texts.map(|text| message_of(MessageId::from(text))).into();
    for (text, message) in texts.iter().zip(&mut messages) {
        let header = &mut message.header;
        header.topic = format!("Topic.{text}").into();
        header.message_type = MessageType::Document;
        header.timestamp = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_700);
        header.correlation_id = Some(MessageId::from(*text));
        header.causation_id = Some(MessageId::from(*text));
        header.content_type = format!("text/{text}").into();
        header.handled_count = u32::MAX;
        header.priority = Some(u8::MAX);
        header.bag.insert(*text, *text);
        header.bag.insert("yes", true);
        header.bag.insert("smallest", i64::MIN);
        header.bag.insert("largest", i64::MAX);
        for (name, number) in [
            ("whole", 3.0),
            ("third", 1.0 / 3.0),
            ("huge", f64::MAX),
            ("tiny", 5e-324),
        ] {
            header.bag.insert(name, number);
        }
        message.body = MessageBody::new((0..=u8::MAX).chain(text.bytes()).collect::<Vec<u8>>());
    }
    let mut event = some_message();
    event.header.message_type = MessageType::Event;
    event.body = MessageBody::default();
    let mut large = some_message();
    large.body = MessageBody::new(vec![0xa5; 3 << 20]);
    messages.extend([event, large]);

    deposit(outbox, &messages).await;
    assert_read(outbox, &ids(&messages), &messages).await;
    let claimed = claim_ids(outbox, &ids(&messages), LONG).await;
    let claimed: Vec<Message> = claimed.into_iter().map(|it| it.message).collect();
    assert_eq!(claimed, messages);
    outbox
        .mark_dispatched(&ids(&messages))
        .await
        .expect("mark dispatched");
    assert_eq!(outbox.status().await.expect("status").outstanding, 0);
}

/// Checks that empty lists are accepted, and do nothing.
pub async fn nothing_asked_is_nothing_done(outbox: &impl Outbox) {
    deposit(outbox, &[some_message()]).await;
    deposit(outbox, &[]).await;
    assert!(claim_ids(outbox, &[], LONG).await.is_empty());
    assert!(claim_oldest(outbox, 0, LONG).await.is_empty());
    outbox.mark_dispatched(&[]).await.expect("mark dispatched");
    outbox.mark_failed(&[]).await.expect("mark failed");
    outbox.release(&[]).await.expect("release");
    assert_read(outbox, &[], &[]).await;
    assert_eq!(claim_oldest(outbox, 10, LONG).await.len(), 1);
}

/// Checks that the limit of a database for the parameters of a statement does not limit the number of ids.
pub async fn any_number_of_ids_goes_in_one_call(outbox: &impl Outbox) {
    let messages = some_messages(1);
    let mut asked: Vec<MessageId> = (0..70_000).map(|_| MessageId::new()).collect();
    asked.extend(ids(&messages));
    deposit(outbox, &messages).await;
    assert_read(outbox, &asked, &messages).await;
    assert_eq!(claim_ids(outbox, &asked, LONG).await.len(), 1);
    outbox.release(&asked).await.expect("release");
    outbox.mark_dispatched(&asked).await.expect("mark dispatched");
    assert_eq!(outbox.status().await.expect("status").outstanding, 0);
}
