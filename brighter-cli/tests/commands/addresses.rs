//! Where addresses come from, and that none is shown.

use super::{Place, program, ran};

const SECRET: &str = "hunter2";

#[tokio::test]
async fn an_address_comes_from_a_variable_or_a_file() {
    let place = Place::new().await;
    let url = format!("sqlite:{}\n", place.path("desk.db").display());
    std::fs::write(place.path("address"), url).unwrap();
    let address = place.path("address");
    let mut by_variable = program();
    by_variable
        .env("DATABASE_URL_FILE", &address)
        .args(["dead", "groups"]);
    ran(by_variable, "").expect(0);
    let mut by_argument = program();
    by_argument
        .args(["dead", "groups", "--database-file"])
        .arg(&address);
    ran(by_argument, "").expect(0);
    let mut without = program();
    without.args(["dead", "groups"]);
    let ran = ran(without, "").expect(2);
    assert!(
        ran.err.contains("set DATABASE_URL, or give --database-file"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn no_address_is_shown() {
    let place = Place::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // It is free again, and nothing listens there.
    let at = port.local_addr().unwrap();
    drop(port);
    let check = |url: String, code: i32| {
        let mut command = program();
        command
            .env("DATABASE_URL", url)
            .args(["--json", "dead", "groups"]);
        let ran = ran(command, "").expect(code);
        assert!(!ran.err.contains(SECRET) && ran.out.is_empty(), "{ran:?}");
        let error: serde_json::Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
        let kind = if code == 1 { "failed" } else { "refused" };
        assert_eq!(error["error"]["kind"], kind, "{error}");
    };
    let mut retry = program();
    retry
        .env(
            "DATABASE_URL",
            format!("sqlite:{}", place.path("desk.db").display()),
        )
        .env("BROKER_URL", format!("amqp://ann:{SECRET}@{at}/shop"))
        .args(["dead", "retry", "--all"]);
    // Each of them tries for some seconds.
    std::thread::scope(|scope| {
        for (scheme, code) in [("postgres", 1), ("mysql", 1), ("oracle", 2)] {
            scope.spawn(move || check(format!("{scheme}://ann:{SECRET}@{at}/shop"), code));
        }
        let ran = ran(retry, "").expect(1);
        assert!(!ran.err.contains(SECRET), "{ran:?}");
    });
    let operations = place.run(&["--json", "dead", "operations"]).expect(0).json();
    assert_eq!(
        operations["operations"],
        serde_json::json!([]),
        "nothing was begun"
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made() {
    let place = Place::new().await;
    let missing = place.path("mistyped.db");
    let mut command = program();
    command
        .env("DATABASE_URL", format!("sqlite:{}", missing.display()))
        .args(["dead", "groups"]);
    let ran = ran(command, "").expect(1);
    assert!(ran.err.contains("there is no file"), "{ran:?}");
    assert!(!missing.exists());
}
