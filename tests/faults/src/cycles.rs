//! What a process is told that connects, receives and ends, again and again.

use serde::{Deserialize, Serialize};

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// Of the node.
    pub url: String,
    /// The name of its connections.
    pub name: String,
    /// Of the test.
    pub exchange: String,
    /// What it reads.
    pub queue: String,
    /// How often it does it.
    pub cycles: usize,
}

/// What the process holds between two cycles.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Held {
    /// Bytes that were allocated and not freed.
    pub live: usize,
    /// Bytes that the system has given the process; what they are above `live` is the allocator's.
    pub resident: usize,
    /// Open files and sockets.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

/// How much a figure grows with each cycle: the slope of the straight line that fits best.
#[must_use]
pub fn growth(figures: impl IntoIterator<Item = usize>) -> f64 {
    let figures: Vec<f64> = figures.into_iter().map(|figure| figure as f64).collect();
    let count = figures.len() as f64;
    let (middle, mean) = ((count - 1.0) / 2.0, figures.iter().sum::<f64>() / count);
    let mut along = 0.0;
    let mut around = 0.0;
    for (at, figure) in figures.iter().enumerate() {
        let from_middle = at as f64 - middle;
        along += from_middle * (figure - mean);
        around += from_middle * from_middle;
    }
    along / around
}
