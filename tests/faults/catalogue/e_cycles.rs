//! Connecting, receiving and ending, again and again in one process: E08.

use brighter_faults::cycles::{Held, Orders, growth};
use brighter_faults::node;
use brighter_faults::place::Place;
use brighter_faults::process::Process;
use brighter_faults::scale::{report, size};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e08_memory_threads_and_descriptors_are_flat_over_many_cycles_in_one_process() {
    let cycles = size(40, 500);
    // What is made once, and is not there at the start: the caches of this process, and of the libraries.
    let warm_up = size(15, 50);
    let node = node::shared().await;
    let place = Place::new(&node);
    let orders = Orders {
        url: place.url().to_owned(),
        name: place.id().to_owned(),
        exchange: place.exchange(),
        queue: place.queue("e08"),
        cycles,
    };
    let mut process = Process::start(env!("CARGO_BIN_EXE_faults-cycles"), &orders, "");
    let mut held: Vec<Held> = Vec::with_capacity(cycles);
    for _ in 0..cycles {
        held.push(serde_json::from_str(&process.next("held ").await).unwrap());
    }
    assert!(process.ended().await.success());
    let flat = &held[warm_up..];
    let (first, last) = (flat[0], flat[flat.len() - 1]);
    let growth = |of: fn(&Held) -> usize| growth(&flat.iter().map(of).collect::<Vec<_>>());
    let live = growth(|held| held.live);
    let resident = growth(|held| held.resident);
    report(
        "E08",
        format_args!(
            "{cycles} cycles: {} to {} bytes allocated, {live:.0} more with each cycle; {} to {} bytes resident, \
             {:.0} more with each are the allocator's; {} to {} descriptors, {} to {} threads",
            first.live,
            last.live,
            first.resident,
            last.resident,
            resident - live,
            first.descriptors,
            last.descriptors,
            first.threads,
            last.threads,
        ),
    );
    // What a connection needs is many times as much; over few cycles, tables that grow by doubling show.
    let kept = size(8192.0, 512.0);
    assert!(live < kept, "{live} bytes are kept with each cycle: {held:#?}");
    // The thread that the connections share outlives the last of them for a moment, so both are there now and then.
    let least = |of: fn(&Held) -> usize| {
        let half = flat.len() / 2;
        let least = |held: &[Held]| held.iter().map(of).min();
        (least(&flat[..half]), least(&flat[half..]))
    };
    let (before, after) = least(|held| held.descriptors);
    assert!(after <= before, "descriptors: {before:?}, then {after:?}");
    let (before, after) = least(|held| held.threads);
    assert!(after <= before, "threads: {before:?}, then {after:?}");
}
