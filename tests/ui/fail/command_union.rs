use brighter::prelude::*;

#[derive(Command)]
union Note {
    one: u8,
    other: i8,
}

fn main() {}
