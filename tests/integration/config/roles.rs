//! One file for several programs, and an environment that is not only ours.

use std::fs;
use std::time::{Duration, Instant};

use brighter::channel::Performers;
use brighter::config::{Config, ConfigErrors};
use brighter::prelude::*;
use brighter::processor::BuildErrors;

use super::program::{Handles, Overdue, Remind};

fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("brighter.toml");
    fs::write(&path, file).unwrap();
    let variables = variables.iter().copied();
    brighter::config::loader().file(path).variables(variables).load()
}

/// A program that consumes by these subscriptions.
fn role(config: &Config, reminders: &[&str]) -> Result<Dispatcher, BuildErrors> {
    let processor = CommandProcessor::builder()
        .handler::<Remind>(Handles)
        .handler::<Overdue>(Handles)
        .broker(InMemoryBroker::new())
        .configure(config)
        .build()?;
    let mut builder = Dispatcher::builder(processor).configure(config);
    for name in reminders {
        builder = builder.subscription(Subscription::<Remind>::new(*name));
    }
    builder.build()
}

fn told(file: &str, variables: &[(&str, &str)], own: &[&str]) -> String {
    let built = role(&load(file, variables).unwrap(), own);
    let told = built
        .err()
        .map_or_else(|| "nothing".to_owned(), |errors| errors.to_string());
    told.split_once("brighter.toml")
        .map_or(told.clone(), |(_, told)| told.to_owned())
}

const SHARED: &str = "\
[subscriptions.orders-eu]
performers = 2
[subscriptions.orders-us]
performers = 3
[subscriptions.mail]
performers = 4
[policies.mail-retry]
type = \"retry\"
";

#[tokio::test]
async fn one_file_serves_four_roles() {
    let config = load(SHARED, &[("BRIGHTER_SUBSCRIPTIONS_MAIL_BUFFER", "7")]).unwrap();
    for (own, performers) in [
        (&["orders-eu"][..], &[2][..]),
        (&["orders-us"], &[3]),
        (&["mail", "orders-eu"], &[4, 2]),
        (&["audit"], &[1]),
    ] {
        let dispatcher = role(&config, own).unwrap();
        let status = dispatcher.status();
        let scales: Vec<_> = status.iter().map(|status| status.scale).collect();
        let performers: Vec<_> = performers.iter().map(|n| Performers::from(*n)).collect();
        assert_eq!(scales, performers, "{own:?}");
    }
}

#[tokio::test]
async fn a_misspelt_name_is_an_error_with_a_suggestion() {
    let slip = "[subscriptions.order]\nperformers = 2\n";
    assert_eq!(
        told(slip, &[], &["orders"]),
        ":1: there is no subscription `order`; did you mean `orders`? If it is of another program, list \
         `[subscriptions.orders]` beside it, empty if there is nothing to say"
    );
    assert_eq!(
        told(&format!("{slip}[subscriptions.orders]\n"), &[], &["orders"]),
        "nothing"
    );
    // A variable is about a table that stands elsewhere.
    let file = "[subscriptions.orders]\n";
    let variable = [("BRIGHTER_SUBSCRIPTIONS_ODERS_PERFORMERS", "2")];
    let error = told(file, &variable, &["orders"]);
    assert!(error.contains("did you mean `orders`?"), "{error}");
    let policy = "[policies.retri]\ntype = \"retry\"\n";
    let error = told(policy, &[], &["orders"]);
    assert!(
        error.contains("no handler uses the policy `retri`; did you mean `retry`?"),
        "{error}"
    );
}

#[tokio::test]
async fn an_exact_configuration_lists_exactly_the_programs_parts() {
    let exact = format!("{SHARED}[configuration]\nstrictness = \"exact\"\n");
    let errors = role(&load(&exact, &[]).unwrap(), &["mail"])
        .unwrap_err()
        .to_string();
    assert!(
        errors.ends_with("no handler uses the policy `mail-retry`"),
        "{errors}"
    );
    let exact = exact.replace("[policies.mail-retry]\ntype = \"retry\"\n", "");
    let config = load(&exact, &[]).unwrap();
    let errors = role(&config, &["mail", "audit"]).unwrap_err().to_string();
    assert!(errors.starts_with("3 things are wrong:"), "{errors}");
    assert!(errors.contains("`audit` is not in the configuration"), "{errors}");
    assert!(
        errors.contains("there is no subscription `orders-us`"),
        "{errors}"
    );
}

/// What a Service called `brighter-subscriptions-orders`, and a plain `brighter-anything`, set in every pod.
#[tokio::test]
async fn services_of_kubernetes_stop_no_program() {
    let mut variables = vec![(
        "BRIGHTER_SUBSCRIPTIONS_ORDERS_PERFORMERS".to_owned(),
        "3".to_owned(),
    )];
    for service in [
        "BRIGHTER_ANYTHING",
        "BRIGHTER_SUBSCRIPTIONS_ORDERS",
        "BRIGHTER_RABBITMQ",
        "BRIGHTER",
    ] {
        for (ending, value) in [
            ("SERVICE_HOST", "10.96.12.34"),
            ("SERVICE_PORT", "5672"),
            ("SERVICE_PORT_AMQP", "5672"),
            ("SERVICE_PORT_RATE", "15692"),
            ("PORT", "tcp://10.96.12.34:5672"),
            ("PORT_5672_TCP", "tcp://10.96.12.34:5672"),
            ("PORT_5672_TCP_PROTO", "tcp"),
            ("PORT_5672_TCP_PORT", "5672"),
            ("PORT_5672_TCP_ADDR", "10.96.12.34"),
        ] {
            variables.push((format!("{service}_{ending}"), value.to_owned()));
        }
    }
    let config = brighter::config::loader().variables(variables).load().unwrap();
    assert_eq!(config.tables("subscriptions").count(), 1);
    let dispatcher = role(&config, &["orders"]).unwrap();
    assert_eq!(dispatcher.status()[0].scale, Performers::from(3));
}

/// Reading them and building took 15 seconds: each of them was compared with every other.
#[tokio::test]
async fn thousands_of_subscriptions_are_built() {
    let names: Vec<_> = (0..4_000).map(|n| format!("orders-{n}")).collect();
    let file: String = names
        .iter()
        .map(|name| format!("[subscriptions.{name}]\nbuffer = 7\n"))
        .collect();
    let begun = Instant::now();
    let config = load(&file, &[]).unwrap();
    let loaded = begun.elapsed();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let dispatcher = role(&config, &names).unwrap();
    println!("loaded in {loaded:?}, built in {:?}", begun.elapsed() - loaded);
    assert_eq!(dispatcher.status().len(), 4_000);
    // Far from the quarter of an hour that so many would take in the old way, and far above what a busy machine needs.
    assert!(begun.elapsed() < Duration::from_secs(60));
}
