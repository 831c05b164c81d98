use brighter::prelude::*;

#[derive(Command)]
struct Note<'a> { text: &'a str }

fn main() {}
