//! What becomes of a duplicate on a consumer.

use brighter::channel::BudgetError;
use brighter::inbox::{Begun, ClaimId, Fingerprint, InMemoryInbox, InboxError, InboxKey};
use brighter::processor::{BuildError, BuildErrors, Held, SendError};
use brighter_tests::wait::{until, until_eq};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::*;

cashier!(Timed, timeout("1s", step = 1), use_inbox(step = 2));

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_dropped_and_counts_as_handled() {
    let desk = Desk::with(InMemoryInbox::new(), Cashier, one_attempt()).await;
    let (first, other) = (pay("now"), pay("now"));
    for payment in [&first, &first, &other, &first] {
        desk.deliver(payment).await;
    }
    desk.settled().await;
    assert_eq!(desk.till.paid(), [first.id, other.id]);
    assert_eq!(desk.till.asked(), 2);
    assert!(desk.dead().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rejected_duplicate_is_dead_lettered_with_the_reason() {
    let desk = Desk::with(InMemoryInbox::new(), Strict, payments()).await;
    let payment = pay("now");
    desk.deliver(&payment).await;
    desk.deliver(&payment).await;
    desk.settled().await;
    assert_eq!(desk.till.asked(), 1);
    let id = &payment.id;
    let reason = format!("attempt 1 of 3: request `{id}` was handled before by `till`; it is a duplicate");
    assert_eq!(desk.dead(), [reason]);
}

#[tokio::test(start_paused = true)]
async fn one_of_five_simultaneous_deliveries_is_handled() {
    let desk = Desk::with(InMemoryInbox::new(), Cashier, one_attempt().performers(2)).await;
    let payment = pay("wait");
    for _ in 0..5 {
        desk.deliver(&payment).await;
    }
    until_eq("the handler asked", 1, || desk.till.asked()).await;
    // Twice as long as the others stay away.
    tokio::time::sleep(2 * MINUTE + SECOND).await;
    assert_eq!((desk.till.asked(), desk.till.paid().len()), (1, 0));
    desk.till.go_on.notify_one();
    desk.settled().await;
    assert_eq!((desk.till.asked(), desk.till.paid().len()), (1, 1));
    assert!(desk.dead().is_empty(), "{:?}", desk.dead());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_is_tried_again_and_recorded_once() {
    let desk = Desk::with(InMemoryInbox::new(), Cashier, payments()).await;
    let payment = pay("fail twice");
    desk.deliver(&payment).await;
    until_eq("the payment", 1, || desk.till.paid().len()).await;
    desk.deliver(&payment).await;
    desk.settled().await;
    assert_eq!((desk.till.asked(), desk.till.paid().len()), (3, 1));
}

/// Long before the lease ends.
#[tokio::test(start_paused = true)]
async fn a_cancelled_or_panicking_handler_releases_its_claim() {
    let inbox = InMemoryInbox::new();
    for how in ["hang once", "panic once"] {
        let desk = Desk::with(inbox.clone(), Timed, payments()).await;
        let (payment, began) = (pay(how), Instant::now());
        desk.deliver(&payment).await;
        until_eq("the payment", 1, || desk.till.paid().len()).await;
        assert_eq!(desk.till.asked(), 2);
        assert!(began.elapsed() < 10 * SECOND, "{how}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn interrupted_requests_are_handled_by_the_next_dispatcher() {
    let inbox = InMemoryInbox::new();
    let desk = Desk::with(inbox.clone(), Cashier, one_attempt()).await;
    let payment = pay("hang once");
    desk.deliver(&payment).await;
    until_eq("the handler asked", 1, || desk.till.asked()).await;
    assert_eq!(desk.dispatcher.end().await.interrupted.len(), 1);
    let till = desk.till.clone();
    let desk = Desk::again(desk.broker, till.clone(), inbox, Cashier(till), one_attempt()).await;
    until_eq("the payment", 1, || desk.till.paid().len()).await;
    desk.settled().await;
    assert!(desk.dead().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_died_is_replaced_when_its_lease_ends() {
    let (inbox, payment, began) = (InMemoryInbox::new(), pay("now"), Instant::now());
    let key = InboxKey::new(payment.id.clone(), "till");
    inbox.begin(&key, None, MINUTE + MINUTE / 2).await.unwrap();
    let desk = Desk::with(inbox, Strict, one_attempt()).await;
    desk.deliver(&payment).await;
    tokio::time::sleep(MINUTE + MINUTE / 2 - SECOND).await;
    assert_eq!(desk.till.asked(), 0);
    until_eq("the payment", 1, || desk.till.paid().len()).await;
    assert!(began.elapsed() < 2 * MINUTE, "{:?}", began.elapsed());
    assert!(desk.dead().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reused_id_is_a_collision_and_dead_lettered() {
    let desk = Desk::with(InMemoryInbox::new(), Cashier, payments()).await;
    let (first, mut second) = (pay("now"), pay("later"));
    second.id = first.id.clone();
    desk.deliver(&first).await;
    desk.deliver(&second).await;
    desk.settled().await;
    assert_eq!(desk.till.asked(), 1);
    let [reason] = &desk.dead()[..] else {
        panic!("one dead letter")
    };
    assert!(
        reason.contains("other content") && reason.contains(&first.id.to_string()),
        "{reason}"
    );
}

/// By then a duplicate would be handled as the first.
#[tokio::test]
async fn redeliveries_beyond_the_inbox_retention_fail_build() {
    cashier!(Forgetful, request_logging(step = 1, timing = before));
    fn built<H: HandlerPipeline<Pay>>(
        handler: fn(Till) -> H,
        retention: Duration,
    ) -> Result<Dispatcher, BuildErrors> {
        let processor = CommandProcessor::builder()
            .handler(handler(Till::default()))
            .broker(InMemoryBroker::new())
            .inbox(InMemoryInbox::new().retention(retention))
            .build()?;
        // Three handlings of a second, and two delays of a minute.
        let subscription = payments().timeout(SECOND).delays([MINUTE]);
        Dispatcher::builder(processor).subscription(subscription).build()
    }
    let errors = built(Cashier, 2 * MINUTE).unwrap_err();
    let errors: Vec<_> = errors.iter().collect();
    let [BuildError::Budget { source, .. }] = errors[..] else {
        panic!("{errors:?}")
    };
    let outlasts = BudgetError::Retention {
        takes: 2 * MINUTE + 3 * SECOND,
        retention: 2 * MINUTE,
    };
    assert_eq!(*source, outlasts);
    built(Cashier, 3 * MINUTE).unwrap();
    built(Forgetful, 2 * MINUTE).unwrap();
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Order.Paid", kind = "event")]
struct Paid {
    id: MessageId,
}

#[tokio::test(start_paused = true)]
async fn each_handler_of_an_event_handles_it_once() {
    #[derive(Clone, Default)]
    struct Ships(Arc<AtomicU32>);
    #[handler]
    impl Handler<Paid> for Ships {
        #[use_inbox(step = 1)]
        async fn handle(&self, _: &Paid) -> Result<(), BoxError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    #[derive(Clone, Default)]
    struct Bills(Arc<AtomicU32>);
    #[handler]
    impl Handler<Paid> for Bills {
        #[use_inbox(step = 1)]
        async fn handle(&self, _: &Paid) -> Result<(), BoxError> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err("the printer has no paper".into()),
                _ => Ok(()),
            }
        }
    }
    let (ships, bills, broker) = (Ships::default(), Bills::default(), InMemoryBroker::new());
    let processor = CommandProcessor::builder()
        .handler(ships.clone())
        .handler(Arc::new(bills.clone()))
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .inbox(InMemoryInbox::new())
        .build()
        .unwrap();
    let subscription = Subscription::<Paid>::new("paid").attempts(3).delays([SECOND]);
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let paid = Paid { id: MessageId::new() };
    processor.post(paid.clone()).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    let asked = || (ships.0.load(Ordering::Relaxed), bills.0.load(Ordering::Relaxed));
    assert_eq!(asked(), (1, 3));
    processor.outbox().repost(&paid.id).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    assert_eq!(asked(), (1, 3));
    assert!(broker.messages("paid.dlq").is_empty());
}

/// Whatever the interleaving.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_payment_is_made_twice_by_performers_that_race() {
    let desk = Desk::with(InMemoryInbox::new(), Cashier, one_attempt().performers(4)).await;
    let payments: Vec<Pay> = (0..200).map(|_| pay("now")).collect();
    for payment in &payments {
        for _ in 0..4 {
            desk.deliver(payment).await;
        }
    }
    until_eq("every payment", payments.len(), || desk.till.paid().len()).await;
    until("the channel is empty", || {
        desk.broker.messages("payments").is_empty()
    })
    .await;
    assert!(desk.dispatcher.end().await.interrupted.is_empty());
    let mut paid = desk.till.paid();
    paid.sort_unstable();
    paid.dedup();
    assert_eq!((paid.len(), desk.till.asked()), (200, 200));
    assert!(desk.dead().is_empty());
}

/// An inbox that can be away, and that can be slow to note what is done.
#[derive(Clone, Default)]
struct Flaky {
    inner: InMemoryInbox,
    /// How often it fails.
    away: Arc<AtomicU32>,
    /// How often completing takes forever.
    slow: Arc<AtomicU32>,
}

/// Whether there is one left, which is then one less.
fn take(left: &AtomicU32) -> bool {
    let less = |left: u32| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}

impl Flaky {
    fn fails(&self) -> Result<(), InboxError> {
        if take(&self.away) {
            return Err(InboxError::Unavailable("the disk is gone".into()));
        }
        Ok(())
    }
}

impl Inbox for Flaky {
    fn begin<'a>(
        &'a self,
        key: &'a InboxKey,
        fingerprint: Option<Fingerprint>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Begun, InboxError>> {
        Box::pin(async move {
            self.fails()?;
            self.inner.begin(key, fingerprint, lease).await
        })
    }

    fn complete<'a>(&'a self, key: &'a InboxKey) -> BoxFuture<'a, Result<(), InboxError>> {
        Box::pin(async move {
            self.fails()?;
            if take(&self.slow) {
                std::future::pending::<()>().await;
            }
            self.inner.complete(key).await
        })
    }

    fn abandon<'a>(&'a self, key: &'a InboxKey, claim: ClaimId) -> BoxFuture<'a, Result<(), InboxError>> {
        self.inner.abandon(key, claim)
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_inbox_uses_up_no_attempt() {
    let inbox = Flaky::default();
    inbox.away.store(3, Ordering::Relaxed);
    let desk = Desk::with(inbox, Cashier, one_attempt()).await;
    let payment = pay("now");
    desk.deliver(&payment).await;
    desk.settled().await;
    assert_eq!((desk.till.asked(), desk.till.paid()), (1, vec![payment.id]));
    assert!(desk.dead().is_empty());
}

cashier!(Rejects, reject_on_error(step = 1), use_inbox(step = 2));
cashier!(Defers, defer_on_error("1s", step = 1), use_inbox(step = 2));
cashier!(GivesBack, dont_ack_on_error(step = 1), use_inbox(step = 2));
cashier!(
    FallsBack,
    fallback(instead, step = 1),
    use_inbox(context = "till", on_duplicate = reject, step = 2)
);

impl FallsBack {
    async fn instead(&self, _: &Pay, _: &HandlerError) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_inbox_bypasses_outer_steps() {
    async fn comes_again<H: HandlerPipeline<Pay>>(handler: fn(Till) -> H) {
        let inbox = Flaky::default();
        inbox.away.store(1, Ordering::Relaxed);
        let processor = CommandProcessor::builder()
            .handler(handler(Till::default()))
            .inbox(inbox.clone())
            .build()
            .unwrap();
        let error = processor.send(pay("now")).await.unwrap_err();
        assert!(
            matches!(error, SendError::Handler(HandlerError::Inbox(_))),
            "{error:?}"
        );
        inbox.away.store(3, Ordering::Relaxed);
        let desk = Desk::with(inbox, handler, one_attempt()).await;
        let payment = pay("now");
        desk.deliver(&payment).await;
        desk.settled().await;
        assert_eq!((desk.till.asked(), desk.till.paid()), (1, vec![payment.id]));
        assert!(desk.dead().is_empty(), "{:?}", desk.dead());
    }
    comes_again(Rejects).await;
    comes_again(Defers).await;
    comes_again(GivesBack).await;
    comes_again(FallsBack).await;
}

/// A fallback would have acked them.
#[tokio::test(start_paused = true)]
async fn a_fallback_hides_neither_duplicates_nor_collisions() {
    let desk = Desk::with(InMemoryInbox::new(), FallsBack, one_attempt()).await;
    let (first, mut second) = (pay("now"), pay("later"));
    second.id = first.id.clone();
    for payment in [&first, &first, &second] {
        desk.deliver(payment).await;
    }
    desk.settled().await;
    assert_eq!(desk.till.asked(), 1);
    let [duplicate, collision] = &desk.dead()[..] else {
        panic!("two dead letters, not {:?}", desk.dead())
    };
    assert!(duplicate.contains("it is a duplicate"), "{duplicate}");
    assert!(collision.contains("other content"), "{collision}");
}

#[tokio::test(start_paused = true)]
async fn handled_requests_are_acked_when_recording_fails() {
    let inbox = Flaky::default();
    let desk = Desk::with(inbox.clone(), Cashier, one_attempt()).await;
    let payment = pay("wait");
    desk.deliver(&payment).await;
    until_eq("the handler asked", 1, || desk.till.asked()).await;
    inbox.away.store(1, Ordering::Relaxed);
    desk.till.go_on.notify_one();
    desk.settled().await;
    assert_eq!(desk.till.paid(), [payment.id]);
    assert!(desk.dead().is_empty());
}

/// What is done is done, though nobody waited for the inbox to note it.
#[tokio::test(start_paused = true)]
async fn success_before_a_cancel_keeps_the_claim() {
    let inbox = Flaky::default();
    inbox.slow.store(1, Ordering::Relaxed);
    let desk = Desk::with(inbox, Timed, payments()).await;
    let payment = pay("now");
    desk.deliver(&payment).await;
    desk.settled().await;
    assert_eq!((desk.till.asked(), desk.till.paid()), (1, vec![payment.id]));
    assert!(desk.dead().is_empty());
}

/// Notes for how long it is asked to claim.
#[derive(Clone, Default)]
struct Noting {
    inner: InMemoryInbox,
    leases: Arc<Mutex<Vec<Duration>>>,
}

impl Inbox for Noting {
    fn begin<'a>(
        &'a self,
        key: &'a InboxKey,
        fingerprint: Option<Fingerprint>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Begun, InboxError>> {
        self.leases.lock().unwrap().push(lease);
        self.inner.begin(key, fingerprint, lease)
    }

    fn complete<'a>(&'a self, key: &'a InboxKey) -> BoxFuture<'a, Result<(), InboxError>> {
        self.inner.complete(key)
    }

    fn abandon<'a>(&'a self, key: &'a InboxKey, claim: ClaimId) -> BoxFuture<'a, Result<(), InboxError>> {
        self.inner.abandon(key, claim)
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_capped_by_the_subscription_timeout() {
    for (subscription, lease) in [
        (payments(), 5 * MINUTE),
        (payments().timeout(20 * SECOND), 30 * SECOND),
        (payments().timeout(10 * MINUTE), 5 * MINUTE),
    ] {
        let (inbox, broker, till) = (Noting::default(), InMemoryBroker::new(), Till::default());
        let processor = CommandProcessor::builder()
            .handler(Cashier(till.clone()))
            .broker(broker.clone())
            .inbox(inbox.clone())
            .build()
            .unwrap();
        let dispatcher = Dispatcher::builder(processor)
            .subscription(subscription)
            .drain_timeout(15 * MINUTE)
            .build()
            .unwrap();
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
        let desk = Desk {
            broker,
            till,
            dispatcher,
        };
        desk.deliver(&pay("now")).await;
        desk.settled().await;
        assert_eq!(*inbox.leases.lock().unwrap(), [lease]);
    }
}

/// What a process held that was killed while it handled it, as another sees it.
#[tokio::test(start_paused = true)]
async fn health_shows_requests_waiting_for_a_dead_claim() {
    let inbox = InMemoryInbox::new();
    let payment = pay("now");
    let key = InboxKey::new(payment.id.clone(), "till");
    inbox.begin(&key, None, 5 * MINUTE).await.unwrap();
    let desk = Desk::with(inbox, Strict, payments()).await;
    desk.deliver(&payment).await;
    let health = || desk.dispatcher.health();
    while health().await.held.is_empty() {
        tokio::time::sleep(SECOND / 10).await;
    }
    let found = health().await;
    assert!(found.is_ready(), "{found}");
    let [
        Held::ByClaim {
            context,
            requests: 1,
            seconds_left,
            ..
        },
    ] = &found.held[..]
    else {
        panic!("{found}");
    };
    assert!(
        context == "till" && *seconds_left > 290.0 && *seconds_left <= 300.0,
        "{found}"
    );
    // It comes again every minute until the lease has ended.
    tokio::time::sleep(7 * MINUTE).await;
    assert_eq!(desk.till.paid(), [payment.id]);
    assert!(health().await.held.is_empty());
}
