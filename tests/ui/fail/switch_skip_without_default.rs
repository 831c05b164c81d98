use brighter::prelude::*;

#[derive(Command)]
#[command(reply = std::net::TcpStream)]
struct Greet;

struct GreetHandler;

#[handler]
impl Handler<Greet> for GreetHandler {
    #[feature_switch(greetings, step = 1)]
    async fn handle(&self, _: &Greet) -> Result<std::net::TcpStream, std::io::Error> {
        Ok(std::net::TcpStream::connect("localhost:1")?)
    }
}

fn main() {}
