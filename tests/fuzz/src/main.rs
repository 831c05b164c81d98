//! Writes the seeds of a target into a folder, for `cargo xtask fuzz`: `brighter-fuzz-targets TARGET FOLDER`.

use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = &arguments[..] else {
        return Err(io::Error::other("say a target and a folder"));
    };
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    for seed in (brighter_fuzz_targets::target(target).seeds)() {
        fs::write(folder.join(&seed.name), &seed.bytes)?;
    }
    Ok(())
}
