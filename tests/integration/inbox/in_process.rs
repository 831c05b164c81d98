//! `#[use_inbox]` around what is sent in this process, and what `build()` says about it.

use brighter::HandlerError;
use brighter::pipeline::WiringError;
use brighter::processor::{BuildError, CommandProcessorBuilder, SendError};
use brighter_tests::wait::until;

use super::*;
use crate::log::Log;

fn processor(handler: impl HandlerPipeline<Pay>) -> CommandProcessor {
    CommandProcessor::builder()
        .handler(handler)
        .inbox(InMemoryInbox::new())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_command_that_is_sent_twice_is_handled_once() {
    let till = Till::default();
    let processor = processor(Cashier(till.clone()));
    let payment = pay("now");
    processor.send(payment.clone()).await.unwrap();
    processor.send(payment.clone()).await.unwrap();
    assert_eq!(till.paid(), [payment.id]);
}

#[tokio::test]
async fn a_duplicate_that_is_rejected_is_a_typed_error() {
    let till = Till::default();
    let processor = processor(Strict(till.clone()));
    let payment = pay("now");
    processor.send(payment.clone()).await.unwrap();
    let again = processor.send(payment.clone()).await.unwrap_err();
    let SendError::Handler(HandlerError::Duplicate { id, context }) = &again else {
        panic!("{again}")
    };
    assert_eq!((id, context.as_str()), (&payment.id, "till"));
    assert_eq!(till.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_progress_is_not_retried_by_policies() {
    cashier!(
        Retried,
        use_policy(retry, step = 1),
        use_inbox(lease = "30s", step = 2)
    );
    let till = Till::default();
    let processor = processor(Retried(till.clone()));
    let payment = pay("wait");
    let sending = tokio::spawn({
        let (processor, payment) = (processor.clone(), payment.clone());
        async move { processor.send(payment).await }
    });
    until("it is being handled", || till.asked() == 1).await;
    let running = processor.send(payment.clone()).await.unwrap_err();
    let SendError::Handler(HandlerError::InProgress { retry_delay, .. }) = running else {
        panic!("{running}")
    };
    assert_eq!(retry_delay, 30 * SECOND);
    till.go_on.notify_one();
    sending.await.unwrap().unwrap();
    processor.send(payment).await.unwrap();
    assert_eq!(till.asked(), 1);
}

/// Nobody failed, so neither a fallback nor a backstop has anything to do.
#[tokio::test]
async fn a_request_in_progress_is_no_failure_for_steps() {
    struct Covered(Till);
    impl Covered {
        async fn instead(&self, pay: &Pay, _: &HandlerError) -> Result<(), BoxError> {
            Err(format!("no fallback for {}", pay.id).into())
        }
    }
    #[handler]
    impl Handler<Pay> for Covered {
        #[reject_on_error(step = 1)]
        #[fallback(instead, step = 2)]
        #[use_inbox(step = 3)]
        async fn handle(&self, pay: &Pay) -> Result<(), BoxError> {
            self.0.pay(pay).await
        }
    }
    let till = Till::default();
    let processor = processor(Covered(till.clone()));
    let payment = pay("wait");
    let both = async {
        until("it is being handled", || till.asked() == 1).await;
        let running = processor.send(payment.clone()).await.unwrap_err();
        assert!(
            matches!(running, SendError::Handler(HandlerError::InProgress { .. })),
            "{running}"
        );
        till.go_on.notify_one();
    };
    let (sent, ()) = tokio::join!(processor.send(payment.clone()), both);
    sent.unwrap();
}

#[tokio::test]
async fn a_failure_releases_the_claim_and_retries_share_it() {
    cashier!(
        Retries,
        use_inbox(step = 1),
        use_policy(Retry::attempts(3).fixed(Duration::ZERO), step = 2)
    );
    for (till, outside) in [(Till::default(), 3), (Till::default(), 1)] {
        let processor = if outside == 3 {
            processor(Cashier(till.clone()))
        } else {
            processor(Retries(till.clone()))
        };
        let payment = pay("fail twice");
        for attempt in 1..=outside {
            assert_eq!(processor.send(payment.clone()).await.is_ok(), attempt == outside);
        }
        processor.send(payment).await.unwrap();
        assert_eq!((till.asked(), till.paid().len()), (3, 1));
    }
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Receipt {
    number: u32,
}

#[derive(Debug, Clone, Command)]
#[command(reply = Receipt)]
struct Print {
    #[command(id)]
    key: MessageId,
}

#[derive(Debug, Clone, Command)]
struct Nameless;

#[tokio::test]
async fn duplicates_get_the_default_reply() {
    struct Printer(AtomicU32);
    #[handler]
    impl Handler<Print> for Printer {
        #[use_inbox(step = 1)]
        async fn handle(&self, _: &Print) -> Result<Receipt, BoxError> {
            Ok(Receipt {
                number: self.0.fetch_add(1, Ordering::Relaxed) + 1,
            })
        }
    }
    #[handler]
    impl Handler<Nameless> for Printer {
        #[use_inbox(step = 1)]
        async fn handle(&self, _: &Nameless) -> Result<(), BoxError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    let printer = Arc::new(Printer(AtomicU32::new(0)));
    let processor = CommandProcessor::builder()
        .handler::<Print>(Arc::clone(&printer))
        .handler::<Nameless>(Arc::clone(&printer))
        .inbox(InMemoryInbox::new())
        .build()
        .unwrap();
    let print = Print {
        key: MessageId::new(),
    };
    assert_eq!(
        processor.send(print.clone()).await.unwrap(),
        Receipt { number: 1 }
    );
    assert_eq!(processor.send(print).await.unwrap(), Receipt::default());
    let log = Log::default();
    let _here = log.here();
    for _ in 0..3 {
        processor.send(Nameless).await.unwrap();
    }
    assert_eq!(printer.0.load(Ordering::Relaxed), 4);
    let told = log.lines_with("requests come without an id");
    assert_eq!(told.len(), 1, "once is enough: {told:?}");
    assert!(told[0].contains("Nameless"), "{told:?}");
}

/// The panic itself gives up the claim, not somebody later.
#[tokio::test]
async fn a_handler_that_panics_is_tried_again_at_once() {
    let till = Till::default();
    let processor = processor(Cashier(till.clone()));
    let payment = pay("panic once");
    let panicked = processor.send(payment.clone()).await.unwrap_err();
    assert!(
        matches!(&panicked, SendError::Handler(HandlerError::Panicked { message }) if message == "lost its head"),
        "{panicked:?}"
    );
    processor.send(payment.clone()).await.unwrap();
    assert_eq!((till.asked(), till.paid()), (2, vec![payment.id]));
}

#[derive(Debug, Clone, Command)]
struct Refund {
    id: MessageId,
}

#[tokio::test]
async fn one_handler_type_handles_two_requests_with_one_id() {
    struct Clerk(Till);
    #[handler]
    impl Handler<Pay> for Clerk {
        #[use_inbox(step = 1)]
        async fn handle(&self, pay: &Pay) -> Result<(), BoxError> {
            self.0.pay(pay).await
        }
    }
    #[handler]
    impl Handler<Refund> for Clerk {
        #[use_inbox(on_duplicate = reject, step = 1)]
        async fn handle(&self, refund: &Refund) -> Result<(), BoxError> {
            self.0.paid.lock().unwrap().push(refund.id.clone());
            Ok(())
        }
    }
    let till = Till::default();
    let clerk = Arc::new(Clerk(till.clone()));
    let processor = CommandProcessor::builder()
        .handler::<Pay>(Arc::clone(&clerk))
        .handler::<Refund>(clerk)
        .inbox(InMemoryInbox::new())
        .build()
        .unwrap();
    let payment = pay("now");
    let refund = Refund {
        id: payment.id.clone(),
    };
    processor.send(payment.clone()).await.unwrap();
    processor.send(refund.clone()).await.unwrap();
    assert_eq!(till.paid(), [payment.id.clone(), payment.id]);
    let again = processor.send(refund).await.unwrap_err();
    let SendError::Handler(HandlerError::Duplicate { context, .. }) = &again else {
        panic!("{again}")
    };
    assert!(
        context.contains("Clerk for ") && context.ends_with("Refund"),
        "{context}"
    );
}

#[tokio::test]
async fn build_refuses_one_context_for_two_requests() {
    struct Refunds;
    #[handler]
    impl Handler<Refund> for Refunds {
        #[use_inbox(context = "till", step = 1)]
        async fn handle(&self, _: &Refund) -> Result<(), BoxError> {
            Ok(())
        }
    }
    let errors = CommandProcessor::builder()
        .handler(Strict(Till::default()))
        .handler(Refunds)
        .inbox(InMemoryInbox::new())
        .build()
        .unwrap_err();
    let [BuildError::Wiring(WiringError::SameInboxContext { context, .. })] =
        errors.iter().collect::<Vec<_>>()[..]
    else {
        panic!("{errors}")
    };
    assert_eq!(context, "till");
}

#[tokio::test]
async fn build_says_what_the_inbox_needs() {
    cashier!(Replays, use_inbox(on_duplicate = replay, step = 1));
    cashier!(
        Twice,
        use_inbox(context = "till", step = 1),
        use_inbox(context = "till", step = 2)
    );
    let wrong = |handler: CommandProcessorBuilder| -> Vec<String> {
        let errors = handler.build().unwrap_err();
        assert!(
            errors.iter().all(|error| matches!(error, BuildError::Wiring(_))),
            "{errors}"
        );
        errors.iter().map(ToString::to_string).collect()
    };
    let nothing = CommandProcessor::builder().handler(Replays(Till::default()));
    let errors = wrong(nothing);
    assert!(
        errors[0].contains("Replays` replays duplicates at step 1"),
        "{errors:?}"
    );
    assert!(errors[0].contains(".outbox("), "{errors:?}");
    assert!(
        errors[1].contains("Replays` uses an inbox at step 1"),
        "{errors:?}"
    );
    assert!(errors[1].contains(".inbox("), "{errors:?}");

    let twice = CommandProcessor::builder()
        .handler(Twice(Till::default()))
        .inbox(InMemoryInbox::new());
    let errors = twice.build().unwrap_err();
    let [BuildError::Wiring(WiringError::SameInboxContext { context, .. })] =
        errors.iter().collect::<Vec<_>>()[..]
    else {
        panic!("{errors}")
    };
    assert_eq!(context, "till");
}

#[tokio::test]
async fn the_step_is_described() {
    let processor = processor(Strict(Till::default()));
    let described = processor.describe().next().unwrap().steps[0].to_string();
    assert_eq!(
        described,
        "1 before use_inbox till, on duplicate: reject, lease: 300s"
    );
}
