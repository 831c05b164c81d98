//! In process: `send` and `publish`.

use std::sync::{Arc, Mutex};

use brighter::prelude::*;
use brighter::processor::{BuildError, SendError};

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
    let cx = Context::new();
    cx.insert(Mark("caller"));
    let errors = processor.publish_with(Happened, cx).await.unwrap_err();
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
    let cx = Context::new();
    cx.insert("north".to_owned());
    assert_eq!(processor.send_with(WhoAmI, cx).await.unwrap(), "north");
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
        .handler::<Open, _>(door.clone())
        .handler::<Close, _>(door.clone())
        .build()
        .unwrap();
    processor.send(Open).await.unwrap();
    assert!(*door.0.lock().unwrap());
    processor.send(Close).await.unwrap();
    assert!(!*door.0.lock().unwrap());
}
