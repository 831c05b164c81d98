//! In process: `send` and `publish`.

use std::sync::{Arc, Mutex};

use brighter::prelude::*;
use brighter::processor::{BuildError, HandlerChoice, NoSuchHandler, SendError};
use brighter_tests::wait::until_eq;
use tokio::sync::Notify;

#[derive(Debug, Command)]
#[command(reply = u32)]
struct Double(u32);

struct Doubler;

#[handler]
impl Handler<Double> for Doubler {
    async fn handle(&self, double: &Double) -> Result<u32, std::num::TryFromIntError> {
        u32::try_from(u64::from(double.0) * 2)
    }
}

#[derive(Debug, Event)]
struct Happened;

type Log = Arc<Mutex<Vec<&'static str>>>;

struct Noter(Log);

#[handler]
impl Handler<Happened> for Noter {
    async fn handle(&self, _: &Happened, cx: &Context) -> Result<(), BoxError> {
        assert!(
            cx.get::<Mark>().is_none_or(|mark| mark.0 == "caller"),
            "another subscriber's bag"
        );
        cx.insert(Mark("noter"));
        self.0.lock().unwrap().push("noted");
        Ok(())
    }
}

struct Mark(&'static str);

struct Failer;

#[handler]
impl Handler<Happened> for Failer {
    async fn handle(&self, _: &Happened, cx: &Context) -> Result<(), BoxError> {
        assert!(
            cx.get::<Mark>().is_none_or(|mark| mark.0 == "caller"),
            "another subscriber's bag"
        );
        cx.insert(Mark("failer"));
        Err("fell over".into())
    }
}

struct Panicker;

#[handler]
impl Handler<Happened> for Panicker {
    async fn handle(&self, _: &Happened) -> Result<(), BoxError> {
        panic!("lost its head")
    }
}

#[tokio::test]
async fn sending_a_command_to_the_processor() {
    let processor = CommandProcessor::builder().handler(Doubler).build().unwrap();
    assert_eq!(processor.send(Double(21)).await.unwrap(), 42);
}

#[tokio::test]
async fn a_handlers_own_error_comes_back() {
    let processor = CommandProcessor::builder().handler(Doubler).build().unwrap();
    let error = processor.send(Double(u32::MAX)).await.unwrap_err();
    assert!(
        error.downcast_ref::<std::num::TryFromIntError>().is_some(),
        "{error}"
    );
}

#[tokio::test]
async fn there_are_no_command_handlers() {
    let processor = CommandProcessor::builder().build().unwrap();
    let error = processor.send(Double(1)).await.unwrap_err();
    assert!(matches!(error, SendError::NoHandler { command } if command.ends_with("Double")));
    assert!(error.to_string().contains(".handler("), "{error}");
}

#[tokio::test]
async fn there_are_multiple_possible_command_handlers() {
    let errors = CommandProcessor::builder()
        .handler(Doubler)
        .handler(Doubler)
        .build()
        .unwrap_err();
    let errors: Vec<_> = errors.iter().collect();
    assert!(matches!(errors[..], [BuildError::SeveralHandlers { handlers, .. }] if handlers.len() == 2));
}

#[tokio::test]
async fn there_are_no_subscribers() {
    CommandProcessor::builder()
        .build()
        .unwrap()
        .publish(Happened)
        .await
        .unwrap();
}

#[tokio::test]
async fn there_are_multiple_subscribers() {
    let log = Log::default();
    let processor = CommandProcessor::builder()
        .handler(Noter(log.clone()))
        .handler(Noter(log.clone()))
        .build()
        .unwrap();
    processor.publish(Happened).await.unwrap();
    assert_eq!(*log.lock().unwrap(), ["noted", "noted"]);
}

#[tokio::test]
async fn publishing_to_multiple_subscribers_should_aggregate_errors() {
    let log = Log::default();
    let processor = CommandProcessor::builder()
        .handler(Failer)
        .handler(Noter(log.clone()))
        .handler(Panicker)
        .handler(Failer)
        .build()
        .unwrap();
    let errors = processor.publish(Happened).await.unwrap_err();
    let shown: Vec<_> = errors
        .failures
        .iter()
        .map(|failure| failure.error.to_string())
        .collect();
    assert_eq!(shown, ["fell over", "panicked: lost its head", "fell over"]);
    assert_eq!(*log.lock().unwrap(), ["noted"], "the others were not disturbed");
}

#[tokio::test]
async fn every_subscriber_has_a_context_of_its_own() {
    let log = Log::default();
    let processor = CommandProcessor::builder()
        .handler(Noter(log.clone()))
        .handler(Failer)
        .build()
        .unwrap();
    let cx = processor.context();
    cx.insert(Mark("caller"));
    let errors = cx.publish(Happened).await.unwrap_err();
    assert_eq!(errors.failures.len(), 1, "{errors}");
    assert_eq!(errors.failures[0].error.to_string(), "fell over");
}

#[tokio::test]
async fn a_variable_in_the_bag_is_seen_by_the_handler() {
    #[derive(Debug, Command)]
    #[command(reply = String)]
    struct WhoAmI;
    struct Tells;
    #[handler]
    impl Handler<WhoAmI> for Tells {
        async fn handle(&self, _: &WhoAmI, cx: &Context) -> Result<String, BoxError> {
            Ok(cx.get::<String>().ok_or("nobody")?.to_string())
        }
    }
    let processor = CommandProcessor::builder().handler(Tells).build().unwrap();
    let cx = processor.context();
    cx.insert("north".to_owned());
    assert_eq!(cx.send(WhoAmI).await.unwrap(), "north");
    assert_eq!(processor.send(WhoAmI).await.unwrap_err().to_string(), "nobody");
}

#[tokio::test]
async fn one_handler_of_several_requests() {
    #[derive(Debug, Command)]
    struct Open;
    #[derive(Debug, Command)]
    struct Close;
    struct Door(Mutex<bool>);
    #[handler]
    impl Handler<Open> for Door {
        async fn handle(&self, _: &Open) -> Result<(), BoxError> {
            *self.0.lock().unwrap() = true;
            Ok(())
        }
    }
    #[handler]
    impl Handler<Close> for Door {
        async fn handle(&self, _: &Close) -> Result<(), BoxError> {
            *self.0.lock().unwrap() = false;
            Ok(())
        }
    }
    let door = Arc::new(Door(Mutex::default()));
    let processor = CommandProcessor::builder()
        .handler::<Open>(door.clone())
        .handler::<Close>(door.clone())
        .build()
        .unwrap();
    processor.send(Open).await.unwrap();
    assert!(*door.0.lock().unwrap());
    processor.send(Close).await.unwrap();
    assert!(!*door.0.lock().unwrap());
}

/// A handler that looks whether it is to go on.
struct Patient {
    begun: Arc<Notify>,
}

#[derive(Debug, Command)]
#[command(reply = bool)]
struct WaitForTheEnd;

#[handler]
impl Handler<WaitForTheEnd> for Patient {
    async fn handle(&self, _: &WaitForTheEnd, cx: &Context) -> Result<bool, BoxError> {
        assert!(!cx.is_cancelled());
        self.begun.notify_one();
        cx.cancelled().await;
        Ok(cx.is_cancelled())
    }
}

#[tokio::test]
async fn cancelling_a_command() {
    let begun = Arc::new(Notify::new());
    let handler = Patient { begun: begun.clone() };
    let processor = CommandProcessor::builder().handler(handler).build().unwrap();
    let sent = tokio::spawn({
        let processor = processor.clone();
        async move { processor.send(WaitForTheEnd).await }
    });
    begun.notified().await;
    processor.close().await;
    assert!(
        sent.await.unwrap().unwrap(),
        "the handler was told, and ended by itself"
    );
}

#[tokio::test]
async fn dropping_a_send_cancels_its_handler() {
    struct Guard(Arc<Mutex<bool>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = true;
        }
    }
    struct Forever {
        begun: Arc<Notify>,
        dropped: Arc<Mutex<bool>>,
    }
    #[handler]
    impl Handler<WaitForTheEnd> for Forever {
        async fn handle(&self, _: &WaitForTheEnd) -> Result<bool, BoxError> {
            let _guard = Guard(self.dropped.clone());
            self.begun.notify_one();
            std::future::pending().await
        }
    }
    let (begun, dropped) = (Arc::new(Notify::new()), Arc::new(Mutex::new(false)));
    let handler = Forever {
        begun: begun.clone(),
        dropped: dropped.clone(),
    };
    let processor = CommandProcessor::builder().handler(handler).build().unwrap();
    tokio::select! {
        _ = processor.send(WaitForTheEnd) => panic!("it never ends"),
        () = begun.notified() => {}
    }
    assert!(*dropped.lock().unwrap());
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Ship")]
struct Ship {
    weight: u32,
}

struct Letter(Log);
struct Parcel(Log);
struct Pallet;

#[handler]
impl Handler<Ship> for Letter {
    async fn handle(&self, _: &Ship) -> Result<(), BoxError> {
        self.0.lock().unwrap().push("letter");
        Ok(())
    }
}

#[handler]
impl Handler<Ship> for Parcel {
    async fn handle(&self, _: &Ship) -> Result<(), BoxError> {
        self.0.lock().unwrap().push("parcel");
        Ok(())
    }
}

fn by_weight(ship: &Ship, cx: &Context) -> HandlerChoice {
    match ship.weight {
        _ if cx.get::<Mark>().is_some() => HandlerChoice::of::<Parcel>(),
        0..1000 => HandlerChoice::of::<Letter>(),
        1000..30_000 => HandlerChoice::of::<Parcel>(),
        30_000..100_000 => HandlerChoice::of::<Pallet>(),
        _ => panic!("too heavy"),
    }
}

#[tokio::test]
async fn sending_a_command_to_the_processor_via_agreement() {
    let log = Log::default();
    let processor = CommandProcessor::builder()
        .handler(Letter(log.clone()))
        .handler(Parcel(log.clone()))
        .route_by(by_weight)
        .build()
        .unwrap();
    processor.send(Ship { weight: 2000 }).await.unwrap();
    processor.send(Ship { weight: 20 }).await.unwrap();
    let cx = processor.context();
    cx.insert(Mark("express"));
    cx.send(Ship { weight: 20 }).await.unwrap();
    assert_eq!(*log.lock().unwrap(), ["parcel", "letter", "parcel"]);
    let error = processor.send(Ship { weight: 50_000 }).await.unwrap_err();
    let chosen = error.downcast_ref::<NoSuchHandler>().unwrap();
    assert!(chosen.chosen.ends_with("Pallet"), "{error}");
    let error = processor.send(Ship { weight: 1_000_000 }).await.unwrap_err();
    assert!(
        error.to_string().starts_with("panicked: the routing function"),
        "{error}"
    );
}

#[tokio::test]
async fn received_messages_use_the_routing_function() {
    let (log, broker) = (Log::default(), InMemoryBroker::new());
    let processor = CommandProcessor::builder()
        .handler(Letter(log.clone()))
        .handler(Parcel(log.clone()))
        .route_by(by_weight)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Ship>::new("ships").attempts(1))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    processor.post(Ship { weight: 2000 }).await.unwrap();
    processor.post(Ship { weight: 50_000 }).await.unwrap();
    until_eq("dead letters", 1, || broker.messages("ships.dlq").len()).await;
    assert_eq!(*log.lock().unwrap(), ["parcel"]);
    let dead = broker.messages("ships.dlq").remove(0);
    let reason = format!("{:?}", dead.header.bag.get("rejectionMessage"));
    assert!(reason.contains("Pallet"), "{reason}");
}

#[tokio::test]
async fn build_finds_what_is_wrong_with_an_agreement() {
    let errors = CommandProcessor::builder()
        .route_by(by_weight)
        .route_by(by_weight)
        .build()
        .unwrap_err();
    let errors: Vec<_> = errors.iter().collect();
    assert!(
        matches!(
            errors[..],
            [
                BuildError::RouteWithoutHandlers { .. },
                BuildError::DuplicateRoute { .. },
            ]
        ),
        "{errors:?}"
    );
}

/// Says what its context is.
struct Tells;

#[derive(Debug, Command)]
#[command(reply = (Option<MessageId>, u32, bool))]
struct WhatContext;

#[handler]
impl Handler<WhatContext> for Tells {
    async fn handle(
        &self,
        _: &WhatContext,
        cx: &Context,
    ) -> Result<(Option<MessageId>, u32, bool), BoxError> {
        Ok((cx.message_id().cloned(), cx.attempt(), cx.get::<Mark>().is_some()))
    }
}

#[tokio::test]
async fn a_context_is_provided() {
    let processor = CommandProcessor::builder().handler(Tells).build().unwrap();
    let id = MessageId::new();
    let cx = processor
        .context()
        .with_message_id(id.clone())
        .with_handled_count(2);
    cx.insert(Mark("caller"));
    let seen = cx.send(WhatContext).await.unwrap();
    assert_eq!(seen, (Some(id), 3, true));
}

#[tokio::test]
async fn no_context_is_provided() {
    let processor = CommandProcessor::builder().handler(Tells).build().unwrap();
    let seen = processor.send(WhatContext).await.unwrap();
    assert_eq!(seen, (None, 1, false));
}

#[tokio::test]
async fn publishing_an_event_to_the_processor() {
    let log = Log::default();
    let processor = CommandProcessor::builder()
        .handler(Noter(log.clone()))
        .build()
        .unwrap();
    processor.publish(Happened).await.unwrap();
    assert_eq!(*log.lock().unwrap(), ["noted"]);
}
