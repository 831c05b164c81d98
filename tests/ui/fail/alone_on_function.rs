use brighter::prelude::*;

#[use_policy(retry, step = 1)]
async fn handle() {}

fn main() {}
