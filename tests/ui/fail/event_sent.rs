use brighter::prelude::*;

#[derive(Event)]
struct Overdue;

fn send<C: Command>(_: C) {}

fn main() {
    send(Overdue);
}
