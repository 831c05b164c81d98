//! Connecting, receiving and ending, again and again in one process: E08.

use brighter_faults::cycles::{Held, Orders, growth};
use brighter_faults::node;
use brighter_faults::place::Place;
use brighter_faults::process::Process;
use brighter_faults::scale::{report, size};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e08_many_cycles_leak_no_memory_threads_or_descriptors() {
    let cycles = size(40, 500);
    // What is made once, and is not there at the start: the caches of this process, and of the libraries.
    let warm_up = size(15, 50);
    let between = 5;
    let node = node::shared().await;
    let place = Place::new(&node);
    let orders = Orders {
        url: place.url().to_owned(),
        name: place.id().to_owned(),
        exchange: place.exchange(),
        queue: place.queue("e08"),
        looks: cycles / between,
        between,
    };
    let mut process = Process::start(env!("CARGO_BIN_EXE_faults-cycles"), &orders, "");
    let mut held: Vec<Held> = Vec::with_capacity(orders.looks);
    for _ in 0..orders.looks {
        held.push(serde_json::from_str(&process.next("held ").await).unwrap());
    }
    assert!(process.ended().await.success());
    let flat = &held[warm_up / between - 1..];
    let (first, last) = (flat[0], flat[flat.len() - 1]);
    let growth = |of: fn(&Held) -> usize| growth(&flat.iter().map(of).collect::<Vec<_>>()) / between as f64;
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
    // What a connection needs is many times as much.
    assert!(live < 512.0, "{live} bytes are kept with each cycle: {held:#?}");
    let most = |of: fn(&Held) -> usize| flat.iter().map(of).max();
    assert_eq!(
        most(|held| held.descriptors),
        Some(first.descriptors),
        "{flat:#?}"
    );
    assert_eq!(most(|held| held.threads), Some(first.threads), "{flat:#?}");
}
