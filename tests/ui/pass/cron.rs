//! `cron!` as an expression and as a constant, where the names of the user are like those of the library.
#![deny(warnings)]
#![deny(missing_docs)]

use brighter::prelude::*;
use brighter::schedule::{Occurrence, Recurring, cron};

cron!(pub const NIGHTLY = "30 2 * * MON-FRI");

cron! {
    /// Every quarter of an hour.
    #[allow(dead_code)]
    pub(crate) const OFTEN = "*/15 * * * *";
}

#[allow(dead_code)]
struct Cron;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Report")]
struct Report;

impl From<Occurrence> for Report {
    fn from(_: Occurrence) -> Self {
        Self
    }
}

fn main() {
    const CRON: u8 = 1;
    assert_eq!(CRON, 1);
    assert_eq!(cron!("@daily").as_str(), "@daily");
    assert_eq!(cron!("@hourly", crate = brighter).words(), "At minute 0 past every hour.");
    let _ = Recurring::<Report>::new("reports", NIGHTLY);
    let _ = Recurring::from_fn("reports", cron!("0 6 * * *"), |_| Report);
}
