//! [`Keys`]: what tells apart the messages of a subscription that must stay in order.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;

/// Gives the lane of a request: those of one lane stay in order.
pub(crate) type LaneOf<R> = Box<dyn Fn(&R) -> u64 + Send + Sync>;

/// How the requests of a subscription are put into lanes, by their type.
#[derive(Default)]
pub struct Keys(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl Keys {
    /// Puts requests of type `R` into lanes.
    pub(super) fn insert<R: 'static>(&mut self, lane_of: LaneOf<R>) {
        self.0.insert(TypeId::of::<R>(), Box::new(lane_of));
    }

    /// Takes out what puts requests of type `R` into lanes, if their order matters.
    pub(crate) fn take<R: 'static>(&mut self) -> Option<LaneOf<R>> {
        let lane_of = self.0.remove(&TypeId::of::<R>())?;
        lane_of.downcast().ok().map(|lane_of| *lane_of)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} types)", self.0.len())
    }
}
