//! The hot paths of brighter, one by one, without a network: for counting their allocations (`cargo test`), their
//! instructions (`cargo xtask instructions`) and, where the machine is quiet, their nanoseconds
//! (`cargo bench -p brighter-micro`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what cannot be counted shall not be counted"
)]

mod paths;

pub use paths::PATHS;

/// One hot path.
#[derive(Debug)]
pub struct Path {
    /// By which it is called.
    pub name: &'static str,
    /// What is done once.
    pub summary: &'static str,
    /// Makes whatever it needs, and gives what walks the path so many times.
    prepare: fn() -> Walk,
}

/// Walks a path so many times.
pub type Walk = Box<dyn FnMut(u32)>;

impl Path {
    /// The path, ready to be walked: everything that is made once was made, and every cache is what it stays.
    #[must_use]
    pub fn prepare(&self) -> Walk {
        let mut walk = (self.prepare)();
        walk(WARM);
        walk
    }

    /// The path of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PATHS.iter().find(|path| path.name == name)
    }
}

/// Enough for what is made at first, and for tables to have grown.
const WARM: u32 = 300;

/// Walks, in a function of a name that callgrind finds.
#[inline(never)]
pub fn counted(walk: &mut Walk, times: u32) {
    walk(times);
    // So that the call above is one, and no jump out of here.
    std::hint::black_box(times);
}
