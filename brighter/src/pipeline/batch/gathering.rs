//! A [`Gathering`]: messages that will be handled in one call, and the future that handles them.
//!
//! The future has no task of its own. The members that wait for it poll it, one of them at a time: the leader. A leader
//! that has its outcome, or is dropped, leaves the future to another member. So a handler runs in the task of a performer
//! as any handler does, is seen by its watchdog, and is cancelled when the last message of its batch is let go.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll, Waker};
use std::time::Duration;

use futures_util::future::{BoxFuture, select_all};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::handler::Call;
use brighter_core::__private::{Op, clock};
use brighter_core::error::HandlerError;
use brighter_core::request::Request;

/// A message on its way into a batch.
pub(super) struct Place<R: Request> {
    call: Call<R>,
    /// The handling of this message, to which the call for all is linked.
    pub(super) op: Op,
    /// Its number in the gathering.
    pub(super) index: usize,
}

impl<R: Request> Place<R> {
    pub(super) fn new(call: Call<R>, op: Op) -> Self {
        Self { call, op, index: 0 }
    }

    pub(super) fn call(&self) -> &Call<R> {
        &self.call
    }
}

/// Messages that will be handled in one call, and are then.
pub(super) struct Gathering<R: Request> {
    max: usize,
    began: Instant,
    state: Mutex<State<R>>,
    /// Wakes when the batch is full, or when a message came whose performer may be told to stop.
    changed: Notify,
}

struct State<R: Request> {
    seats: Vec<Seat<R>>,
    /// How many members wait for their outcomes.
    waiting: usize,
    /// Whether no more messages may join.
    closed: bool,
    /// Cancelled when a performer of one of the messages stops: each once.
    stops: Vec<Arc<CancellationToken>>,
    /// The future that gathers and handles, while no member polls it.
    future: Option<BoxFuture<'static, ()>>,
    leader: Option<usize>,
}

/// The state of one member.
struct Seat<R: Request> {
    /// Until the call begins.
    place: Option<Place<R>>,
    outcome: Option<Result<(), HandlerError>>,
    waker: Option<Waker>,
    /// Its message was let go, or has its outcome.
    left: bool,
}

impl<R: Request> Gathering<R> {
    /// Begins with one message. `handle` makes the future that gathers and handles.
    pub(super) fn begin(
        first: Place<R>,
        max: usize,
        handle: impl FnOnce(Arc<Self>) -> BoxFuture<'static, ()>,
    ) -> (Arc<Self>, BatchMember<R>) {
        let gathering = Arc::new(Self {
            max,
            began: Instant::now(),
            state: Mutex::new(State {
                seats: Vec::new(),
                waiting: 0,
                closed: false,
                stops: Vec::new(),
                future: None,
                leader: None,
            }),
            changed: Notify::new(),
        });
        let future = handle(Arc::clone(&gathering));
        let mut state = gathering.lock();
        state.future = Some(future);
        let index = state.seat(first);
        drop(state);
        let member = BatchMember::new(Arc::clone(&gathering), index);
        (gathering, member)
    }

    /// Adds a message.
    ///
    /// # Errors
    /// The message: there is no room for it any more.
    pub(super) fn join(gathering: &Arc<Self>, place: Place<R>) -> Result<BatchMember<R>, Place<R>> {
        let mut state = gathering.lock();
        if state.closed || state.waiting >= gathering.max {
            return Err(place);
        }
        let stops = state.stops.len();
        let index = state.seat(place);
        let is_news = state.waiting >= gathering.max || state.stops.len() > stops;
        drop(state);
        if is_news {
            gathering.changed.notify_one();
        }
        Ok(BatchMember::new(Arc::clone(gathering), index))
    }

    /// Waits until the batch is full, its first message has waited this long, or a performer stops: then it has no time
    /// to wait, and no others come.
    pub(super) async fn full_or_over(&self, within: Duration) {
        let mut over = std::pin::pin!(tokio::time::sleep_until(clock::after(self.began, within)));
        loop {
            let stops = {
                let state = self.lock();
                if state.waiting >= self.max {
                    return;
                }
                state.stops.clone()
            };
            let stopped = async {
                if stops.is_empty() {
                    return std::future::pending().await;
                }
                let stops = stops.iter().map(|stop| Box::pin(stop.cancelled()));
                select_all(stops).await;
            };
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = stopped => return,
                () = &mut over => return,
            }
        }
    }

    /// Lets nobody join any more. Returns the messages that are still there, in the order in which they came.
    pub(super) fn close(&self) -> Vec<Place<R>> {
        let mut state = self.lock();
        state.closed = true;
        let seats = state.seats.iter_mut();
        seats.filter_map(|seat| seat.place.take()).collect()
    }

    /// Whether a message is still to be handled: its performer has not let it go.
    pub(super) fn is_waited_for(&self, index: usize) -> bool {
        let state = self.lock();
        state.seats.get(index).is_some_and(|seat| !seat.left)
    }

    /// Gives a message its outcome.
    pub(super) fn decide(&self, index: usize, outcome: Result<(), HandlerError>) {
        let mut state = self.lock();
        let Some(seat) = state.seats.get_mut(index).filter(|seat| !seat.left) else {
            return;
        };
        seat.outcome = Some(outcome);
        let waker = seat.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Request> State<R> {
    fn seat(&mut self, mut place: Place<R>) -> usize {
        let index = self.seats.len();
        place.index = index;
        if let Some(stop) = place.call.context().cancellation()
            && !self.stops.iter().any(|known| Arc::ptr_eq(known, stop))
        {
            self.stops.push(Arc::clone(stop));
        }
        self.seats.push(Seat {
            place: Some(place),
            outcome: None,
            waker: None,
            left: false,
        });
        self.waiting += 1;
        index
    }

    /// A member leaves. Returns who is to poll the future in its place, and the future itself if nobody is left.
    fn leave(&mut self, index: usize) -> (Option<Waker>, Option<BoxFuture<'static, ()>>) {
        if let Some(seat) = self.seats.get_mut(index) {
            seat.left = true;
            seat.place = None;
            seat.waker = None;
            self.waiting -= 1;
        }
        if self.waiting == 0 {
            self.closed = true;
            return (None, self.future.take());
        }
        if self.leader.is_some_and(|leader| leader != index) {
            return (None, None);
        }
        self.leader = None;
        // Also if this one was to lead and had not come to it. One that has not been polled yet finds out by itself.
        let next = self.seats.iter_mut().find_map(|seat| seat.waker.take());
        (next, None)
    }
}

/// One message in a [`Gathering`]: a future of its outcome.
pub(super) struct BatchMember<R: Request> {
    gathering: Arc<Gathering<R>>,
    index: usize,
    has_left: bool,
}

impl<R: Request> BatchMember<R> {
    fn new(gathering: Arc<Gathering<R>>, index: usize) -> Self {
        Self {
            gathering,
            index,
            has_left: false,
        }
    }

    fn leave(&mut self) {
        if std::mem::replace(&mut self.has_left, true) {
            return;
        }
        let (next, unwanted) = self.gathering.lock().leave(self.index);
        next.into_iter().for_each(Waker::wake);
        // The handler's own code, so not under the lock.
        drop(unwanted);
    }

    /// Polls the future, if no other member does.
    fn poll_outcome(&mut self, task: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        let mut is_polled = false;
        loop {
            let mut state = self.gathering.lock();
            let (leader, index) = (state.leader, self.index);
            let Some(seat) = state.seats.get_mut(index) else {
                return Poll::Ready(Err(HandlerError::Cancelled));
            };
            if let Some(outcome) = seat.outcome.take() {
                drop(state);
                self.leave();
                return Poll::Ready(outcome);
            }
            seat.waker = Some(task.waker().clone());
            if is_polled || leader.is_some_and(|leader| leader != index) {
                return Poll::Pending;
            }
            state.leader = Some(index);
            let Some(mut future) = state.future.take() else {
                // It ended, or panicked, without an outcome for this message: it comes again.
                drop(state);
                self.leave();
                return Poll::Ready(Err(HandlerError::Cancelled));
            };
            drop(state);
            if future.as_mut().poll(task).is_pending() {
                self.gathering.lock().future = Some(future);
                is_polled = true;
            }
        }
    }
}

impl<R: Request> Future for BatchMember<R> {
    type Output = Result<(), HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_outcome(task)
    }
}

impl<R: Request> Drop for BatchMember<R> {
    fn drop(&mut self) {
        self.leave();
    }
}
