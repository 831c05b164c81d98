//! Measures.

use std::process::ExitCode;

fn main() -> ExitCode {
    brighter_bench::main()
}
