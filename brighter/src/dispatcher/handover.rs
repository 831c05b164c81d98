//! [`Handover`]: how a performer hands a message that would wait behind a busy one to a sibling that has nothing to do.
//!
//! A broker gives messages to consumers in advance, so a performer that is busy with a long one may have others in its memory
//! while a sibling is idle. It goes on receiving for such a sibling, and only for that:
//!
//! ```text
//! busy performer: idle sibling? ──▶ receive one from its own consumer ──▶ put it in the sibling's slot, wake it
//! idle performer: has room, its own consumer has nothing ──▶ marks its slot as idle, wakes those that are busy
//! ```
//!
//! A message is in the slot of one performer at any time, or with one performer. What is in a slot when its performer stops
//! consuming is dropped, which gives it back to its channel. Nobody waits for anything here: a busy performer that finds no
//! idle sibling keeps what it received, and hands it over when there is one.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::in_flight_delivery::InFlightDelivery;

/// The performers of one subscription that consume its channel.
#[derive(Debug, Default)]
pub(super) struct Handover {
    /// How many of them are idle. Written before `busy` is read, and the other way round, so that of two that change at once
    /// one sees the other.
    idle: AtomicUsize,
    /// How many of them are to be woken when one becomes idle.
    busy: AtomicUsize,
    slots: Mutex<Vec<Arc<Slot>>>,
}

#[derive(Default)]
struct Slot(Mutex<Activity>);

/// The activity of a performer, as far as its siblings need to know.
#[derive(Default)]
enum Activity {
    /// Something else.
    #[default]
    Other,
    /// The performer would take a message.
    Idle(Waker),
    /// The performer may have messages for a sibling that is idle.
    Busy(Waker),
    /// The performer was idle, and was given this.
    Given(Box<InFlightDelivery>),
}

/// A performer that consumes, among its siblings.
pub(super) struct Sibling {
    handover: Arc<Handover>,
    slot: Arc<Slot>,
    /// The last activity in the performer's slot, to know without the lock.
    last: LastActivity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastActivity {
    Other,
    Idle,
    Busy,
}

impl Handover {
    /// Adds a performer.
    pub(super) fn join(self: &Arc<Self>) -> Sibling {
        let slot = Arc::new(Slot::default());
        lock(&self.slots).push(Arc::clone(&slot));
        Sibling {
            handover: Arc::clone(self),
            slot,
            last: LastActivity::Other,
        }
    }

    fn wake_busy(&self) {
        let wakers = lock(&self.slots)
            .iter()
            .filter_map(|slot| match &*lock(&slot.0) {
                Activity::Busy(waker) => Some(waker.clone()),
                _ => None,
            })
            .collect::<Vec<_>>();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Sibling {
    /// Marks this performer as idle: its own consumer has no message. Returns a message of a sibling.
    pub(super) fn poll_idle(&mut self, task: &mut Context<'_>) -> Poll<Box<InFlightDelivery>> {
        let mut activity = lock(&self.slot.0);
        let before = match &*activity {
            Activity::Idle(waker) if waker.will_wake(task.waker()) => return Poll::Pending,
            Activity::Given(_) => std::mem::take(&mut *activity),
            _ => std::mem::replace(&mut *activity, Activity::Idle(task.waker().clone())),
        };
        // Counted under the lock of the slot, as `give` does.
        match before {
            Activity::Given(item) => {
                self.last = LastActivity::Other;
                return Poll::Ready(item);
            }
            Activity::Idle(_) => return Poll::Pending,
            Activity::Busy(_) => {
                self.handover.busy.fetch_sub(1, Ordering::SeqCst);
            }
            Activity::Other => {}
        }
        self.handover.idle.fetch_add(1, Ordering::SeqCst);
        drop(activity);
        self.last = LastActivity::Idle;
        if self.handover.busy.load(Ordering::SeqCst) > 0 {
            self.handover.wake_busy();
        }
        Poll::Pending
    }

    /// Marks this performer as busy: it takes no message for itself. Is ready with whether a sibling is idle, or with what one has
    /// given before that was said; the task is woken when one is idle.
    pub(super) fn poll_wanted(&mut self, task: &mut Context<'_>) -> Poll<Option<Box<InFlightDelivery>>> {
        if self.last == LastActivity::Idle
            && let Some(given) = self.end_idle()
        {
            return Poll::Ready(Some(given));
        }
        if self.is_wanted() {
            if self.last == LastActivity::Busy {
                // From now on its consumer wakes it.
                drop(self.replace(Activity::Other));
            }
            return Poll::Ready(None);
        }
        if self.last != LastActivity::Busy {
            drop(self.replace(Activity::Busy(task.waker().clone())));
            if self.is_wanted() {
                return Poll::Ready(None);
            }
        }
        Poll::Pending
    }

    fn is_wanted(&self) -> bool {
        self.handover.idle.load(Ordering::SeqCst) > 0
    }

    /// Hands this to a sibling that is idle.
    ///
    /// # Errors
    /// The message: there is no such sibling any more.
    pub(super) fn give(&self, item: Box<InFlightDelivery>) -> Result<(), Box<InFlightDelivery>> {
        let mut item = Some(item);
        let waker = lock(&self.handover.slots).iter().find_map(|slot| {
            let mut activity = lock(&slot.0);
            if !matches!(&*activity, Activity::Idle(_)) {
                return None;
            }
            let before = std::mem::replace(&mut *activity, Activity::Given(item.take()?));
            self.handover.idle.fetch_sub(1, Ordering::SeqCst);
            match before {
                Activity::Idle(waker) => Some(waker),
                _ => None,
            }
        });
        if let Some(waker) = waker {
            waker.wake();
        }
        item.map_or(Ok(()), Err)
    }

    /// Ends the idle state, and returns the message that a sibling has handed over meanwhile.
    pub(super) fn end_idle(&mut self) -> Option<Box<InFlightDelivery>> {
        match self.last {
            LastActivity::Idle => self.replace(Activity::Other),
            // That a sibling wakes one that has become less busy does no harm.
            LastActivity::Busy | LastActivity::Other => None,
        }
    }

    fn replace(&mut self, activity: Activity) -> Option<Box<InFlightDelivery>> {
        self.last = match &activity {
            Activity::Idle(_) => LastActivity::Idle,
            Activity::Busy(_) => LastActivity::Busy,
            Activity::Other | Activity::Given(_) => LastActivity::Other,
        };
        let is_busy = self.last == LastActivity::Busy;
        let mut slot = lock(&self.slot.0);
        let before = std::mem::replace(&mut *slot, activity);
        if is_busy {
            self.handover.busy.fetch_add(1, Ordering::SeqCst);
        }
        match before {
            Activity::Other => None,
            Activity::Idle(_) => {
                self.handover.idle.fetch_sub(1, Ordering::SeqCst);
                None
            }
            Activity::Busy(_) => {
                self.handover.busy.fetch_sub(1, Ordering::SeqCst);
                None
            }
            Activity::Given(item) => Some(item),
        }
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        let slot = &self.slot;
        lock(&self.handover.slots).retain(|other| !Arc::ptr_eq(other, slot));
        // What it was given goes back to its channel.
        drop(self.replace(Activity::Other));
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*lock(&self.0) {
            Activity::Other => "Other",
            Activity::Idle(_) => "Idle",
            Activity::Busy(_) => "Busy",
            Activity::Given(_) => "Given",
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, ready};
    use futures_util::task::{ArcWake, waker};

    use super::*;
    use brighter_core::__private::Op;
    use brighter_core::channel::{Delivery, Rejection, Settle, SettleError};
    use brighter_core::id::MessageId;
    use brighter_core::message::{Message, MessageBody, MessageHeader, MessageType};

    /// A performer's task.
    #[derive(Default)]
    struct Task(AtomicBool);

    impl ArcWake for Task {
        fn wake_by_ref(task: &Arc<Self>) {
            task.0.store(true, Ordering::SeqCst);
        }
    }

    /// A performer, as far as its siblings see it.
    struct Performer {
        sibling: Sibling,
        task: Arc<Task>,
    }

    impl Performer {
        fn of(handover: &Arc<Handover>) -> Self {
            Self {
                sibling: handover.join(),
                task: Arc::default(),
            }
        }

        fn become_idle(&mut self) -> Option<Box<InFlightDelivery>> {
            let waker = waker(Arc::clone(&self.task));
            match self.sibling.poll_idle(&mut Context::from_waker(&waker)) {
                Poll::Ready(item) => Some(item),
                Poll::Pending => None,
            }
        }

        /// Whether it is wanted; nothing was given to it.
        fn is_wanted(&mut self) -> bool {
            let waker = waker(Arc::clone(&self.task));
            match self.sibling.poll_wanted(&mut Context::from_waker(&waker)) {
                Poll::Ready(given) => {
                    assert!(given.is_none());
                    true
                }
                Poll::Pending => false,
            }
        }

        /// Whether it was woken since this was asked last.
        fn was_woken(&self) -> bool {
            self.task.0.swap(false, Ordering::SeqCst)
        }
    }

    /// Notes that its delivery was given back.
    struct Receipt(Arc<AtomicBool>);

    impl Settle for Receipt {
        fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
            ready(Ok(())).boxed()
        }

        fn requeue(self: Box<Self>, _: Message, _: Duration) -> BoxFuture<'static, Result<(), SettleError>> {
            ready(Ok(())).boxed()
        }

        fn reject(self: Box<Self>, _: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
            ready(Ok(())).boxed()
        }

        fn release(self: Box<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn item() -> (Box<InFlightDelivery>, Arc<AtomicBool>) {
        let header = MessageHeader::new(MessageId::new(), "topic", MessageType::Event);
        let message = Message::new(header, MessageBody::new(""));
        let released = Arc::new(AtomicBool::new(false));
        let delivery = Delivery::new(message, Box::new(Receipt(Arc::clone(&released))));
        (
            Box::new(InFlightDelivery::new(delivery, None, Op::none())),
            released,
        )
    }

    fn id(item: &InFlightDelivery) -> MessageId {
        item.delivery.message().unwrap().header.id.clone()
    }

    fn counts(handover: &Handover) -> (usize, usize) {
        let (idle, busy) = (&handover.idle, &handover.busy);
        (idle.load(Ordering::SeqCst), busy.load(Ordering::SeqCst))
    }

    #[test]
    fn an_idle_sibling_gets_one_message_of_a_busy_performer() {
        let handover = Arc::new(Handover::default());
        let (mut giver, mut idle) = (Performer::of(&handover), Performer::of(&handover));
        assert!(!giver.is_wanted());
        assert_eq!(counts(&handover), (0, 1));
        assert!(idle.become_idle().is_none());
        assert!(giver.was_woken());
        assert!(giver.is_wanted());
        assert_eq!(counts(&handover), (1, 0), "from now on its consumer wakes it");
        let (first, second) = (item().0, item().0);
        let expected = id(&first);
        assert!(giver.sibling.give(first).is_ok());
        assert!(idle.was_woken());
        assert!(giver.sibling.give(second).is_err(), "the slot is taken");
        assert!(!giver.is_wanted());
        assert_eq!(id(&idle.become_idle().unwrap()), expected);
        assert_eq!(counts(&handover), (0, 1));
        assert!(idle.become_idle().is_none());
        assert!(giver.was_woken(), "once more");
    }

    #[test]
    fn a_performer_with_own_work_still_gets_handed_over_messages() {
        let handover = Arc::new(Handover::default());
        let (giver, mut idle) = (Performer::of(&handover), Performer::of(&handover));
        assert!(idle.become_idle().is_none());
        assert!(idle.sibling.end_idle().is_none());
        assert!(giver.sibling.give(item().0).is_err(), "it is not idle any more");
        assert!(idle.become_idle().is_none());
        assert!(giver.sibling.give(item().0).is_ok());
        assert!(idle.sibling.end_idle().is_some());
        assert_eq!(counts(&handover), (0, 0));
    }

    #[test]
    fn handed_over_messages_return_when_a_performer_ends() {
        let handover = Arc::new(Handover::default());
        let (giver, mut idle) = (Performer::of(&handover), Performer::of(&handover));
        assert!(idle.become_idle().is_none());
        let (given, released) = item();
        assert!(giver.sibling.give(given).is_ok());
        assert!(!released.load(Ordering::SeqCst));
        drop(idle);
        assert!(released.load(Ordering::SeqCst));
        let mut other = Performer::of(&handover);
        assert!(other.become_idle().is_none());
        drop(other);
        let (kept, _) = item();
        assert!(giver.sibling.give(kept).is_err(), "nobody is left");
        assert_eq!(counts(&handover), (0, 0));
    }

    #[test]
    fn an_idle_performer_that_becomes_busy_says_so() {
        let handover = Arc::new(Handover::default());
        let (giver, mut other) = (Performer::of(&handover), Performer::of(&handover));
        assert!(other.become_idle().is_none());
        // It holds back, with room and without having received anything.
        assert!(!other.is_wanted());
        assert_eq!(counts(&handover), (0, 1));
        assert!(giver.sibling.give(item().0).is_err());
        assert!(other.become_idle().is_none());
        assert!(!other.was_woken(), "not by itself");
        assert_eq!(counts(&handover), (1, 0));
    }
}
