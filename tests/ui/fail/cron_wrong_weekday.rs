use brighter::schedule::cron;

cron!(pub const WEEKLY = "0 6 * * MOO");

fn main() {
    let _ = WEEKLY;
}
