//! [`Handover`]: how a performer hands a message that would wait behind a busy one to a sibling that has nothing to do.
//!
//! A broker gives messages to consumers in advance, so a performer that is busy with a long one may have others in its memory
//! while a sibling is idle. It goes on receiving for such a sibling, and only for that:
//!
//! ```text
//! busy performer: idle sibling? ──▶ receive one from its own consumer ──▶ put it in the sibling's seat, wake it
//! idle performer: has room, its own consumer has nothing ──▶ sits down in its seat, wakes those that are busy
//! ```
//!
//! A message is in the seat of one performer at any time, or in the hands of one. What is in a seat when its performer stops
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
    seats: Mutex<Vec<Arc<Seat>>>,
}

#[derive(Default)]
struct Seat(Mutex<Occupation>);

/// What a performer does, as far as its siblings need to know.
#[derive(Default)]
enum Occupation {
    /// Something else.
    #[default]
    Other,
    /// It would take a message.
    Idle(Waker),
    /// It may have messages for a sibling that is idle.
    Busy(Waker),
    /// It was idle, and was given this.
    Given(Box<InFlightDelivery>),
}

/// A performer that consumes, among its siblings.
pub(super) struct Sibling {
    handover: Arc<Handover>,
    seat: Arc<Seat>,
    /// What it wrote in its seat last, to know without the lock.
    last: LastOccupation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastOccupation {
    Other,
    Idle,
    Busy,
}

impl Handover {
    /// Adds a performer.
    pub(super) fn join(self: &Arc<Self>) -> Sibling {
        let seat = Arc::new(Seat::default());
        lock(&self.seats).push(Arc::clone(&seat));
        Sibling {
            handover: Arc::clone(self),
            seat,
            last: LastOccupation::Other,
        }
    }

    fn wake_busy(&self) {
        let wakers = lock(&self.seats)
            .iter()
            .filter_map(|seat| match &*lock(&seat.0) {
                Occupation::Busy(waker) => Some(waker.clone()),
                _ => None,
            })
            .collect::<Vec<_>>();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Sibling {
    /// Says that this performer would take a message, which its own consumer does not have. Gives it what a sibling has for it.
    pub(super) fn poll_idle(&mut self, task: &mut Context<'_>) -> Poll<Box<InFlightDelivery>> {
        let mut occupation = lock(&self.seat.0);
        let before = match &*occupation {
            Occupation::Idle(waker) if waker.will_wake(task.waker()) => return Poll::Pending,
            Occupation::Given(_) => std::mem::take(&mut *occupation),
            _ => std::mem::replace(&mut *occupation, Occupation::Idle(task.waker().clone())),
        };
        // The counts under the lock of the seat, as whoever gives counts there.
        match before {
            Occupation::Given(item) => {
                self.last = LastOccupation::Other;
                return Poll::Ready(item);
            }
            Occupation::Idle(_) => return Poll::Pending,
            Occupation::Busy(_) => {
                self.handover.busy.fetch_sub(1, Ordering::SeqCst);
            }
            Occupation::Other => {}
        }
        self.handover.idle.fetch_add(1, Ordering::SeqCst);
        drop(occupation);
        self.last = LastOccupation::Idle;
        if self.handover.busy.load(Ordering::SeqCst) > 0 {
            self.handover.wake_busy();
        }
        Poll::Pending
    }

    /// Says that this performer takes no message for itself. Is ready with whether a sibling is idle, or with what one has
    /// given before that was said; the task is woken when one is idle.
    pub(super) fn poll_wanted(&mut self, task: &mut Context<'_>) -> Poll<Option<Box<InFlightDelivery>>> {
        if self.last == LastOccupation::Idle
            && let Some(given) = self.stand_up()
        {
            return Poll::Ready(Some(given));
        }
        if self.is_wanted() {
            if self.last == LastOccupation::Busy {
                // From now on its consumer wakes it.
                drop(self.replace(Occupation::Other));
            }
            return Poll::Ready(None);
        }
        if self.last != LastOccupation::Busy {
            drop(self.replace(Occupation::Busy(task.waker().clone())));
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
        let waker = lock(&self.handover.seats).iter().find_map(|seat| {
            let mut occupation = lock(&seat.0);
            if !matches!(&*occupation, Occupation::Idle(_)) {
                return None;
            }
            let before = std::mem::replace(&mut *occupation, Occupation::Given(item.take()?));
            self.handover.idle.fetch_sub(1, Ordering::SeqCst);
            match before {
                Occupation::Idle(waker) => Some(waker),
                _ => None,
            }
        });
        if let Some(waker) = waker {
            waker.wake();
        }
        item.map_or(Ok(()), Err)
    }

    /// Says that this performer is not idle any more; gives what it was given meanwhile.
    pub(super) fn stand_up(&mut self) -> Option<Box<InFlightDelivery>> {
        match self.last {
            LastOccupation::Idle => self.replace(Occupation::Other),
            // That a sibling wakes one that has become less busy does no harm.
            LastOccupation::Busy | LastOccupation::Other => None,
        }
    }

    fn replace(&mut self, occupation: Occupation) -> Option<Box<InFlightDelivery>> {
        self.last = match &occupation {
            Occupation::Idle(_) => LastOccupation::Idle,
            Occupation::Busy(_) => LastOccupation::Busy,
            Occupation::Other | Occupation::Given(_) => LastOccupation::Other,
        };
        let is_busy = self.last == LastOccupation::Busy;
        let mut seat = lock(&self.seat.0);
        let before = std::mem::replace(&mut *seat, occupation);
        if is_busy {
            self.handover.busy.fetch_add(1, Ordering::SeqCst);
        }
        match before {
            Occupation::Other => None,
            Occupation::Idle(_) => {
                self.handover.idle.fetch_sub(1, Ordering::SeqCst);
                None
            }
            Occupation::Busy(_) => {
                self.handover.busy.fetch_sub(1, Ordering::SeqCst);
                None
            }
            Occupation::Given(item) => Some(item),
        }
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        let seat = &self.seat;
        lock(&self.handover.seats).retain(|other| !Arc::ptr_eq(other, seat));
        // What it was given goes back to its channel.
        drop(self.replace(Occupation::Other));
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*lock(&self.0) {
            Occupation::Other => "Other",
            Occupation::Idle(_) => "Idle",
            Occupation::Busy(_) => "Busy",
            Occupation::Given(_) => "Given",
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

        fn sit_down(&mut self) -> Option<Box<InFlightDelivery>> {
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
    fn a_busy_performer_is_woken_when_a_sibling_is_idle_and_gives_it_one_message() {
        let handover = Arc::new(Handover::default());
        let (mut giver, mut idle) = (Performer::of(&handover), Performer::of(&handover));
        assert!(!giver.is_wanted());
        assert_eq!(counts(&handover), (0, 1));
        assert!(idle.sit_down().is_none());
        assert!(giver.was_woken());
        assert!(giver.is_wanted());
        assert_eq!(counts(&handover), (1, 0), "from now on its consumer wakes it");
        let (first, second) = (item().0, item().0);
        let expected = id(&first);
        assert!(giver.sibling.give(first).is_ok());
        assert!(idle.was_woken());
        assert!(giver.sibling.give(second).is_err(), "the seat is taken");
        assert!(!giver.is_wanted());
        assert_eq!(id(&idle.sit_down().unwrap()), expected);
        assert_eq!(counts(&handover), (0, 1));
        assert!(idle.sit_down().is_none());
        assert!(giver.was_woken(), "once more");
    }

    #[test]
    fn a_performer_that_finds_a_message_of_its_own_gets_what_it_was_given_meanwhile() {
        let handover = Arc::new(Handover::default());
        let (giver, mut idle) = (Performer::of(&handover), Performer::of(&handover));
        assert!(idle.sit_down().is_none());
        assert!(idle.sibling.stand_up().is_none());
        assert!(giver.sibling.give(item().0).is_err(), "it is not idle any more");
        assert!(idle.sit_down().is_none());
        assert!(giver.sibling.give(item().0).is_ok());
        assert!(idle.sibling.stand_up().is_some());
        assert_eq!(counts(&handover), (0, 0));
    }

    #[test]
    fn what_a_performer_was_given_goes_back_when_it_ends() {
        let handover = Arc::new(Handover::default());
        let (giver, mut idle) = (Performer::of(&handover), Performer::of(&handover));
        assert!(idle.sit_down().is_none());
        let (given, released) = item();
        assert!(giver.sibling.give(given).is_ok());
        assert!(!released.load(Ordering::SeqCst));
        drop(idle);
        assert!(released.load(Ordering::SeqCst));
        let mut other = Performer::of(&handover);
        assert!(other.sit_down().is_none());
        drop(other);
        let (kept, _) = item();
        assert!(giver.sibling.give(kept).is_err(), "nobody is left");
        assert_eq!(counts(&handover), (0, 0));
    }

    #[test]
    fn an_idle_performer_that_becomes_busy_says_so() {
        let handover = Arc::new(Handover::default());
        let (giver, mut other) = (Performer::of(&handover), Performer::of(&handover));
        assert!(other.sit_down().is_none());
        // It holds back, with room and without having received anything.
        assert!(!other.is_wanted());
        assert_eq!(counts(&handover), (0, 1));
        assert!(giver.sibling.give(item().0).is_err());
        assert!(other.sit_down().is_none());
        assert!(!other.was_woken(), "not by itself");
        assert_eq!(counts(&handover), (1, 0));
    }
}
