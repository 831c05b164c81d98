use brighter::derive;

#[derive(Debug, crate = brighter)]
struct Plain;

fn main() {}
