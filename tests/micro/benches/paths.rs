//! How long each hot path takes, where the machine is quiet: `cargo bench -p brighter-micro [PATH]`.

use brighter_micro::{PATHS, Path};
use divan::Bencher;
use divan::counter::ItemsCount;

/// So many walks are timed together: the clock costs as much as the shortest of them.
const TOGETHER: u32 = 100;

fn main() {
    divan::main();
}

#[divan::bench(args = PATHS.iter().map(|path| path.name))]
fn path(bencher: Bencher<'_, '_>, name: &str) {
    let Some(path) = Path::named(name) else {
        return;
    };
    let mut walk = path.prepare();
    bencher
        .counter(ItemsCount::new(TOGETHER))
        .bench_local(|| walk(TOGETHER));
}
