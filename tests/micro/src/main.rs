//! Walks one path so many times: what `cargo xtask instructions` has valgrind count. Without arguments it lists the
//! paths.

use std::process::ExitCode;

use brighter_micro::{PATHS, Path, counted};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, times] = args.as_slice() else {
        for path in PATHS {
            println!("{}\t{}", path.name, path.summary);
        }
        return ExitCode::SUCCESS;
    };
    let (Some(path), Ok(times)) = (Path::named(name), times.parse()) else {
        eprintln!("no path `{name}`, or `{times}` is no number");
        return ExitCode::FAILURE;
    };
    counted(&mut path.prepare(), times);
    ExitCode::SUCCESS
}
