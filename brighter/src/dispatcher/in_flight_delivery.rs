//! [`InFlightDelivery`]: a delivery on its way through the pump, to its [`Completion`].

use tokio::time::Instant;

use super::route::DecodedRequest;
use crate::processor::Reply;
use brighter_core::__private::Op;
use brighter_core::channel::Delivery;

/// A delivery on its way through the pump.
pub(super) struct InFlightDelivery {
    pub(super) delivery: Delivery,
    /// Where it keeps its order, if it does.
    pub(super) turn: Option<KeyPosition>,
    /// Its request, if that was decoded to know the key.
    pub(super) made: Option<DecodedRequest>,
    /// How often it was handled in hand, and is to be handled again.
    pub(super) tries: u32,
    pub(super) progress: DeliveryProgress,
    /// The span of the pump that brought the delivery, and the span of its waiting.
    pub(super) pump: Op,
    pub(super) waiting: Op,
}

/// How far the handling of a delivery has come.
#[derive(Debug, Default)]
pub(super) struct DeliveryProgress {
    /// Handlers that are done with it.
    pub(super) done: Vec<usize>,
    /// The reply that the sender waits for.
    pub(super) reply: Option<Reply>,
}

/// Where a delivery keeps its order, by the key of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyPosition {
    pub(super) lane: u64,
    /// Which of the performer's consumers brought it: what another one brought comes again.
    pub(super) consumer: u64,
}

/// The end of the handling of a delivery.
pub(super) enum Completion {
    /// The delivery is settled, or the broker has it.
    Settled {
        turn: Option<KeyPosition>,
        /// Whether it was settled as it should be. If not, it comes again.
        well: bool,
    },
    /// The delivery must not lose its place, so it is kept in hand and handled again at that time.
    Kept {
        item: Box<InFlightDelivery>,
        until: Instant,
    },
}

impl InFlightDelivery {
    pub(super) fn new(delivery: Delivery, turn: Option<(KeyPosition, DecodedRequest)>, pump: Op) -> Self {
        let (turn, made) = turn.unzip();
        Self {
            delivery,
            turn,
            made,
            tries: 0,
            progress: DeliveryProgress::default(),
            pump,
            waiting: Op::none(),
        }
    }
}
