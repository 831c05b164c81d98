use brighter::schedule::cron;

fn main() {
    let _ = cron!("0 0 31 2 *");
}
