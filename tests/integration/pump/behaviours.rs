//! Behaviours of Brighter's pump, by their names there, that no other file of the tests has.

use brighter::channel::{Producer, RejectionKind};
use brighter::mapper::{MapError, MessageMapper};
use brighter::trace::TraceContext;
use brighter_tests::scripted::{Came, Consume, Scripted, Settled};
use brighter_tests::wait::{until, until_eq};

use super::*;

#[tokio::test(start_paused = true)]
async fn reading_a_message_pumps_it_to_the_processor() {
    let clerk = Clerk::new(|_, _| Ok(()));
    let sent = message(&note(7, 8));
    let broker = Scripted::new([Consume::Gives(vec![Came::Message(sent.clone())])]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until_eq("acked", vec![(sent.header.id, Settled::Ack)], || broker.settled()).await;
    assert_eq!(clerk.done(), [(7, 8)]);
}

#[tokio::test(start_paused = true)]
async fn an_unacceptable_message_is_received_and_the_pump_goes_on() {
    let clerk = Clerk::new(|_, _| Ok(()));
    let broker = Scripted::new([Consume::Gives(vec![
        Came::Nonsense("its id is no text"),
        Came::Message(message(&note(1, 1))),
    ])]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until_eq("both settled", 2, || broker.settled().len()).await;
    let (id, settled) = broker.settled().remove(0);
    assert_eq!(id, MessageId::from("nonsense"));
    let Settled::Reject(rejection) = settled else {
        panic!("{settled:?}");
    };
    assert_eq!(
        (rejection.kind, rejection.reason.as_str()),
        (RejectionKind::Invalid, "its id is no text")
    );
    assert_eq!(clerk.done(), [(1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_requeue_count_threshold_for_events_has_been_reached() {
    let clerk = Clerk::new(|_, _| Err(brighter::Defer::after(SECOND).into()));
    let broker = InMemoryBroker::new();
    let dispatcher = consuming(&broker, &clerk, notes().attempts(3)).await;
    post(&dispatcher, [note(0, 0)]).await;
    until_eq("the dead letter", 1, || broker.messages("notes.dlq").len()).await;
    assert_eq!(clerk.asked().len(), 3, "attempts are deliveries");
    assert_eq!(broker.messages("notes.dlq")[0].header.handled_count, 2);
}

#[tokio::test(start_paused = true)]
async fn one_rejecting_event_handler_does_not_stop_the_other() {
    struct Rejects;
    #[handler]
    impl Handler<Note> for Rejects {
        async fn handle(&self, _: &Note) -> Result<(), BoxError> {
            Err(brighter::Reject::because("not for us").into())
        }
    }
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::new(|_, _| Ok(())));
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .handler(Rejects)
        .handler(clerk.clone())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(notes())
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    post(&dispatcher, [note(0, 0)]).await;
    until_eq("the dead letter", 1, || broker.messages("notes.dlq").len()).await;
    assert_eq!(clerk.done(), [(0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn several_failures_with_a_dont_ack_should_not_acknowledge() {
    struct DoesNotAck;
    #[handler]
    impl Handler<Note> for DoesNotAck {
        async fn handle(&self, _: &Note) -> Result<(), BoxError> {
            Err(brighter::DontAck::because("not now").into())
        }
    }
    let sent = message(&note(0, 0));
    let broker = Scripted::new([Consume::Gives(vec![Came::Message(sent.clone())])]);
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .handler(Clerk::new(|_, _| Err("broken".into())))
        .handler(DoesNotAck)
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(notes())
        .build()
        .unwrap();
    dispatcher.receive();
    until_eq("given back", vec![(sent.header.id, Settled::Release)], || {
        broker.settled()
    })
    .await;
}

/// Reads nothing, and says so in its own way.
#[derive(Default)]
struct Picky;

#[derive(Debug, Clone, Message)]
#[message(topic = "Picked", kind = "event", mapper = Picky)]
struct Picked;

impl MessageMapper<Picked> for Picky {
    fn to_message(&self, _: &Picked, header: MessageHeader) -> Result<Message, MapError> {
        Ok(Message::new(header, MessageBody::new("picked")))
    }

    fn to_request(&self, message: &Message) -> Result<Picked, MapError> {
        match message.body.as_bytes() {
            b"panic" => panic!("out of its mind"),
            b"invalid" => Err(MapError::new(brighter::Invalid::because("not to our taste"))),
            _ => Ok(Picked),
        }
    }
}

#[derive(Clone, Default)]
struct Counts(Arc<AtomicUsize>);

#[handler]
impl Handler<Picked> for Counts {
    async fn handle(&self, _: &Picked) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_or_panicking_mapping_does_not_stop_the_pump() {
    let (broker, counts) = (InMemoryBroker::new(), Counts::default());
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .handler(counts.clone())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<Picked>::new("picked"))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    for body in ["invalid", "panic", "fine"] {
        let header = MessageHeader::new(MessageId::new(), "Picked", MessageType::Event);
        let message = Message::new(header, MessageBody::new(body));
        broker.publish(&message).await.unwrap();
    }
    until_eq("the one that is fine", 1, || counts.0.load(Ordering::Relaxed)).await;
    let reason = |message: &Message| {
        let reason = message.header.bag.get("rejectionMessage").unwrap();
        reason.as_str().unwrap().to_owned()
    };
    let reasons: Vec<_> = broker.messages("picked.invalid").iter().map(reason).collect();
    assert_eq!(
        reasons,
        [
            "invalid: not to our taste",
            "the mapper panicked: out of its mind"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_has_a_malformed_correlation_id_the_pump_continues() {
    let clerk = Clerk::new(|_, _| Ok(()));
    let mut odd = message(&note(1, 1));
    odd.header.correlation_id = Some("no uuid at all: {}\u{7f}".into());
    let broker = Scripted::new([Consume::Gives(vec![
        Came::Message(odd),
        Came::Message(message(&note(2, 2))),
    ])]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until_eq("both acked", 2, || broker.settled().len()).await;
    assert_eq!(clerk.done(), [(1, 1), (2, 2)]);
}

/// Who wants one channel for dead letters and for what is invalid names it for both.
#[tokio::test(start_paused = true)]
async fn no_imq_configured_reject_falls_back_to_dlq() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::new(|_, _| Ok(())));
    let _dispatcher = consuming(&broker, &clerk, notes().invalid_messages("notes.dlq")).await;
    let header = MessageHeader::new(MessageId::new(), "Note", MessageType::Event);
    let nonsense = Message::new(header, MessageBody::new("no note"));
    broker.publish(&nonsense).await.unwrap();
    until_eq("the dead letter", 1, || broker.messages("notes.dlq").len()).await;
    let found = &broker.messages("notes.dlq")[0];
    assert_eq!(found.body, nonsense.body);
    let reason = found.header.bag.get("rejectionReason").unwrap();
    assert_eq!(reason.as_str(), Some("Unacceptable"));
}

/// A trace is its message's: one that has none is in none, whatever was handled before it.
#[tokio::test(start_paused = true)]
async fn messages_without_traceparent_are_consumed_should_have_distinct_traces() {
    #[derive(Clone, Default)]
    struct Traces(Arc<Mutex<Vec<Option<String>>>>);
    #[handler]
    impl Handler<Note> for Traces {
        async fn handle(&self, _: &Note, cx: &Context) -> Result<(), BoxError> {
            let parent = cx.trace().traceparent().map(str::to_owned);
            self.0.lock().unwrap().push(parent);
            Ok(())
        }
    }
    let traces = Traces::default();
    let parents = [
        Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        None,
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        None,
        None,
    ];
    let came = parents.map(|parent| {
        let mut message = message(&note(0, 0));
        if let Some(parent) = parent {
            message.header.trace = TraceContext::default().with_traceparent(parent);
        }
        Came::Message(message)
    });
    let broker = Scripted::new([Consume::Gives(came.into())]);
    let _dispatcher = receiving(broker.clone(), traces.clone(), notes());
    until_eq("all settled", parents.len(), || broker.settled().len()).await;
    assert_eq!(
        *traces.0.lock().unwrap(),
        parents.map(|parent| parent.map(str::to_owned))
    );
}

#[tokio::test]
async fn a_running_pump_stops_and_disposes_its_channel() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::gated(|_, _| Ok(())));
    let dispatcher = consuming(&broker, &clerk, notes()).await;
    post(&dispatcher, (0..5).map(|number| note(0, number))).await;
    until_eq("one is at it", 1, || clerk.now()).await;
    let stopping = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.stop("notes").await }
    });
    // Its consumer goes at once, so that others get what waited in it.
    until("the others are back", || broker.messages("notes").len() == 4).await;
    clerk.open();
    assert!(stopping.await.unwrap().unwrap().interrupted.is_empty());
    assert_eq!(clerk.done().len(), 1);
    post(&dispatcher, [note(9, 9)]).await;
    assert_eq!(broker.messages("notes").len(), 5, "nobody takes it");
}
