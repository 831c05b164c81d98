//! What is made of errors: backstops, validation, fallbacks.

use std::sync::atomic::Ordering;

use brighter::error::ActionKind;
use brighter::prelude::*;
use brighter_tests::wait::until;

use super::{Calls, SECOND, Try, handler_error, handler_with, kind, policies, times};

handler_with!(Rejected, reject_on_error(step = 1), use_policy(retry, step = 2));
handler_with!(Deferred, defer_on_error("30s", step = 1));
handler_with!(DeferredBySubscription, defer_on_error(step = 1));
handler_with!(NotAcked, dont_ack_on_error(step = 1), validate(step = 2));

#[tokio::test(start_paused = true)]
async fn a_backstop_sees_failures_of_inner_policies() {
    let handler = Rejected::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .policies(policies())
        .build()
        .unwrap();
    let error = handler_error(processor.send(times(9)).await.unwrap_err());
    assert_eq!((kind(&error), handler.0.count()), (Some(ActionKind::Reject), 3));
    assert_eq!(error.report(), "rejected: not yet");
    assert_eq!(processor.send(times(0)).await.unwrap(), 7);
}

#[tokio::test]
async fn each_backstop_asks_for_its_own() {
    async fn asked<H: brighter::pipeline::HandlerPipeline<Try>>(
        handler: H,
        request: Try,
    ) -> Option<ActionKind> {
        let processor = CommandProcessor::builder().handler(handler).build().unwrap();
        kind(&handler_error(processor.send(request).await.unwrap_err()))
    }
    assert_eq!(
        asked(Deferred::default(), times(1)).await,
        Some(ActionKind::Defer(Some(30 * SECOND)))
    );
    assert_eq!(
        asked(DeferredBySubscription::default(), times(1)).await,
        Some(ActionKind::Defer(None))
    );
    assert_eq!(
        asked(NotAcked::default(), times(1)).await,
        Some(ActionKind::DontAck)
    );
    assert_eq!(
        asked(NotAcked::default(), times(101)).await,
        Some(ActionKind::DontAck),
        "invalid too"
    );
    let invalid = || Try {
        fails: 1,
        with: || Invalid::because("no").into(),
    };
    assert_eq!(
        asked(NotAcked::default(), invalid()).await,
        Some(ActionKind::Invalid),
        "as the handler asked"
    );
}

handler_with!(
    Validated,
    use_policy([circuit_breaker, retry], step = 1),
    validate(step = 2)
);

#[tokio::test(start_paused = true)]
async fn invalid_requests_are_neither_handled_nor_retried() {
    let handler = Validated::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .policies(policies())
        .build()
        .unwrap();
    for _ in 0..3 {
        let error = handler_error(processor.send(times(101)).await.unwrap_err());
        assert!(matches!(error, HandlerError::Validation(_)), "{error}");
        assert_eq!(error.report(), "the request is not valid: 101 is too often");
    }
    assert_eq!(handler.0.count(), 0);
    assert_eq!(processor.send(times(0)).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_message_is_dead_lettered_at_once() {
    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(topic = "Parcel")]
    struct Parcel {
        weight: i32,
    }
    impl Validate for Parcel {
        type Error = &'static str;
        fn validate(&self) -> Result<(), &'static str> {
            if self.weight < 0 {
                Err("it would float away")
            } else {
                Ok(())
            }
        }
    }
    struct Carrier;
    #[handler]
    impl Handler<Parcel> for Carrier {
        #[validate(step = 1)]
        async fn handle(&self, _: &Parcel) -> Result<(), BoxError> {
            panic!("was not to be called");
        }
    }
    let broker = InMemoryBroker::new();
    let processor = CommandProcessor::builder()
        .handler(Carrier)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Parcel>::new("parcels").attempts(5))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    processor.post(Parcel { weight: -1 }).await.unwrap();
    until("the message is dead", || {
        !broker.messages("parcels.dlq").is_empty()
    })
    .await;
    let dead = broker.messages("parcels.dlq");
    let reason = dead[0].header.bag.get("rejectionMessage").unwrap();
    assert_eq!(
        reason.as_str(),
        Some("attempt 1 of 5: the request is not valid: it would float away")
    );
    dispatcher.end().await;
}

macro_rules! handler_with_fallback {
    ($name:ident, $($step:meta),+) => {
        handler_with!($name, $($step),+);
        impl $name {
            async fn later(&self, request: &Try, error: &HandlerError) -> Result<u32, BoxError> {
                match request.fails {
                    50.. => Err(format!("no, because {}", error.report()).into()),
                    _ => Ok(1),
                }
            }
        }
    };
}

handler_with_fallback!(FallsBack, fallback(later, step = 1), use_policy(retry, step = 2));
handler_with_fallback!(
    FallsBackOnBroken,
    fallback(later, on = broken_circuit, step = 1),
    use_policy(circuit_breaker, step = 2)
);

#[tokio::test(start_paused = true)]
async fn a_fallback_is_the_outcome_of_what_failed() {
    let handler = FallsBack::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .policies(policies())
        .build()
        .unwrap();
    assert_eq!(processor.send(times(40)).await.unwrap(), 1);
    assert_eq!(handler.0.count(), 3, "after the last attempt");
    let error = processor.send(times(50)).await.unwrap_err();
    assert_eq!(error.to_string(), "no, because not yet");
    assert_eq!(
        processor.send(times(0)).await.unwrap(),
        7,
        "not called after a success"
    );
}

#[tokio::test]
async fn a_fallback_sees_no_pump_action() {
    let processor = CommandProcessor::builder()
        .handler(FallsBack::default())
        .build()
        .unwrap();
    let error = processor
        .send(Try {
            fails: 1,
            with: || Reject::because("no").into(),
        })
        .await
        .unwrap_err();
    assert_eq!(kind(&handler_error(error)), Some(ActionKind::Reject));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_on_a_broken_circuit_is_for_nothing_else() {
    let handler = FallsBackOnBroken::default();
    let processor = CommandProcessor::builder()
        .handler(handler.clone())
        .policies(policies())
        .build()
        .unwrap();
    assert_eq!(
        processor.send(times(40)).await.unwrap_err().to_string(),
        "not yet"
    );
    assert_eq!(processor.send(times(40)).await.unwrap(), 1);
    assert_eq!(handler.0.count(), 1, "the circuit was open");
}

/// What a handler gets back from another one, of a command that it sends.
#[tokio::test(start_paused = true)]
async fn errors_before_a_nested_handler_are_no_failures() {
    #[derive(Clone, Command)]
    #[command(reply = u32)]
    struct Ask;
    #[derive(Clone)]
    struct Asker(Calls);
    #[handler]
    impl Handler<Ask> for Asker {
        #[use_policy(retry, step = 1)]
        async fn handle(&self, _: &Ask, cx: &Context) -> Result<u32, BoxError> {
            self.0.0.fetch_add(1, Ordering::Relaxed);
            Ok(cx.send(times(9)).await?)
        }
    }
    handler_with!(Breaks, use_policy(circuit_breaker, step = 1));
    let (asked, answers) = (Calls::default(), Breaks::default());
    let processor = CommandProcessor::builder()
        .handler(answers.clone())
        .handler(Asker(asked.clone()))
        .policies(policies())
        .build()
        .unwrap();
    let error = handler_error(processor.send(Ask).await.unwrap_err());
    assert!(
        matches!(&error, HandlerError::BrokenCircuit { policy, .. } if policy == "circuit_breaker"),
        "{error:?}"
    );
    assert_eq!(
        (asked.count(), answers.0.count()),
        (2, 1),
        "retried after the failure, and not after the open circuit"
    );
}

#[tokio::test]
async fn a_failure_that_is_passed_on_is_reported_once() {
    #[derive(Clone, Command)]
    #[command(reply = u32)]
    struct Ask;
    struct Asker;
    #[handler]
    impl Handler<Ask> for Asker {
        async fn handle(&self, _: &Ask, cx: &Context) -> Result<u32, BoxError> {
            Ok(cx.send(times(9)).await?)
        }
    }
    let processor = CommandProcessor::builder()
        .handler(Deferred::default())
        .handler(Asker)
        .build()
        .unwrap();
    let error = handler_error(processor.send(Ask).await.unwrap_err());
    assert_eq!(kind(&error), Some(ActionKind::Defer(Some(30 * SECOND))));
    assert_eq!(error.report(), "deferred for 30s: not yet");
}

/// What comes again goes before what ends the message, as on a consumer.
#[tokio::test]
async fn a_retryable_failure_of_an_event_is_passed_on() {
    #[derive(Clone, Event)]
    struct Rang;
    struct Deaf;
    #[handler]
    impl Handler<Rang> for Deaf {
        async fn handle(&self, _: &Rang) -> Result<(), BoxError> {
            Err(Reject::because("heard nothing").into())
        }
    }
    struct Busy;
    #[handler]
    impl Handler<Rang> for Busy {
        async fn handle(&self, _: &Rang) -> Result<(), BoxError> {
            Err("in a moment".into())
        }
    }
    let processor = CommandProcessor::builder()
        .handler(Deaf)
        .handler(Busy)
        .build()
        .unwrap();
    let errors = processor.publish(Rang).await.unwrap_err();
    let error = HandlerError::from(BoxError::from(errors));
    assert!(error.is_retryable(), "{error:?}");
    let report = error.report();
    assert_eq!(report.matches("in a moment").count(), 1, "{report}");
    assert_eq!(report.matches("heard nothing").count(), 1, "{report}");
}
