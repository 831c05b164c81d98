use brighter::prelude::*;

#[handler]
async fn greet() {}

fn main() {}
