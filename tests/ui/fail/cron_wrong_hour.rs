use brighter::schedule::{Cron, cron};

const NIGHTLY: Cron = cron!("30 25 * * *");

fn main() {
    let _ = NIGHTLY;
}
