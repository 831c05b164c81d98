use brighter::schedule::cron;

fn main() {
    let _ = cron!(30);
}
