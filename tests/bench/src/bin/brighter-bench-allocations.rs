//! Counts.

use std::process::ExitCode;

fn main() -> ExitCode {
    brighter_bench::count(|work| allocation_counter::measure(work).count_total)
}
