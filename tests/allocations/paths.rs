//! The hot paths of `brighter-micro`: how often each allocates, and that neither this nor what it keeps grows with how
//! often it is walked.

use brighter_micro::{PATHS, Path, Walk};

/// How often each path may allocate in a hundred walks: as often as it does, and what tables need to grow.
const MOST: &[(&str, u64)] = &[
    ("send", 300),
    ("send-three-steps", 300),
    ("publish-1", 300),
    ("publish-10", 3900),
    ("publish-100", 42_100),
    ("map-to-message", 100),
    ("map-to-request", 100),
    ("header-write", 300),
    ("header-read", 300),
    ("wire-write", 2300),
    ("wire-write-lean", 900),
    ("wire-read", 100),
    ("broker", 310),
    ("outbox", 220),
    ("pump", 810),
    ("pump-of-1000", 810),
    ("post-to-ack", 1430),
];

fn walk(walk: &mut Walk, times: u32) -> allocation_counter::AllocationInfo {
    allocation_counter::measure(|| walk(times))
}

#[test]
fn no_path_allocates_more_often_than_it_has_to() {
    let wrong: Vec<_> = PATHS
        .iter()
        .filter_map(|path| {
            let counted = walk(&mut path.prepare(), 100).count_total;
            let most = MOST.iter().find(|(name, _)| *name == path.name);
            match most {
                Some((_, most)) if counted <= *most => None,
                _ => Some(format!("{}: {counted} allocations in a hundred walks", path.name)),
            }
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn cost_per_message_does_not_grow_with_their_number() {
    let mut pump = Path::named("pump").unwrap().prepare();
    let (few, many) = (walk(&mut pump, 1_000), walk(&mut pump, 100_000));
    // Per thousand, with a hundredth for what timers and tables need now and then.
    assert!(
        many.count_total / 100 <= few.count_total * 101 / 100,
        "{few:?} {many:?}"
    );
    // What is held at once is the messages that are under way, however many came before.
    assert!(many.bytes_max <= few.bytes_max * 2, "{few:?} {many:?}");
    assert!(many.bytes_current <= 64 * 1024, "nothing is kept: {many:?}");
}

#[test]
fn cost_per_handler_does_not_grow_with_their_number() {
    let of = |name| walk(&mut Path::named(name).unwrap().prepare(), 100).count_total;
    assert!(of("publish-100") <= of("publish-10") * 11);
}
