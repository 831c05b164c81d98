use brighter::prelude::*;
use brighter::testing::TestApp;

use {{crate_name}}::{Greet, Greeter, greetings};

#[tokio::test(flavor = "current_thread")]
async fn a_greeting_is_handled_once() {
    let app = TestApp::builder()
        .processor(|processor| processor.handler(Greeter))
        .dispatcher(|dispatcher| dispatcher.subscription(greetings()))
        .start()
        .await;
    let id = MessageId::new();
    let name = "Ada".into();
    app.when_posted(Greet { id, name }).await;
    app.then().handled_by::<Greeter>(1);
}
