//! The messages of the service, and what it does with them.

use std::io::{self, Write};

use brighter::prelude::*;

/// Greet somebody.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Greeting.Send")]
pub struct Greet {
    pub id: MessageId,
    pub name: String,
}

/// Prints greetings.
pub struct Greeter;

#[handler]
impl Handler<Greet> for Greeter {
    #[request_logging(step = 1)]
    #[use_policy(circuit_breaker, step = 2)]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, greet: &Greet) -> Result<(), io::Error> {
        writeln!(io::stdout(), "Hello, {}", greet.name)
    }
}

/// The queue that the service reads.
pub fn greetings() -> Subscription<Greet> {
    Subscription::new("greetings").performers(2)
}
