//! Everything that `build()` may find wrong.

use std::collections::HashSet;
use std::fmt;

use crate::pipeline::WiringError;
use crate::subscription::{BatchError, BudgetError};
use brighter_core::error::InvalidSetting;
use brighter_core::message::{ChannelName, NameError, SubscriptionName};

/// One thing that is wrong with how an application was put together, and how to mend it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A command has more than one handler.
    #[error(
        "the command `{command}` has {} handlers ({}): a command has exactly one; remove all but one, or make it an event",
        handlers.len(),
        handlers.join(", ")
    )]
    SeveralHandlers {
        /// The type of the command.
        command: &'static str,
        /// The types of the handlers.
        handlers: Vec<&'static str>,
    },
    /// A routing function was given for a request without handlers.
    #[error(
        "`{request}` has a routing function but no handlers: add `.handler(…)` for each handler that it may choose"
    )]
    RouteWithoutHandlers {
        /// The type of the request.
        request: &'static str,
    },
    /// Two routes choose for one request.
    #[error("`{request}` has two routes: keep one")]
    DuplicateRoute {
        /// The type of the request.
        request: &'static str,
    },
    /// A builder was given something twice that it can have once.
    #[error("`.{method}(…)` was called twice: keep one of the two")]
    SetTwice {
        /// The method that was called twice.
        method: &'static str,
    },
    /// A setting has a value that it cannot have.
    #[error("invalid setting of {part}")]
    Setting {
        /// The owner of the setting: a policy, a subscription, the sweeper.
        part: String,
        /// The setting, its value, and the values that are allowed.
        #[source]
        source: InvalidSetting,
    },
    /// A pipeline cannot be put together.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// A request has two publications.
    #[error("`{request}` has two publications: keep one")]
    SeveralPublications {
        /// The type of the request.
        request: &'static str,
    },
    /// A request is to be posted and there is no broker.
    #[error("`{request}` has a publication but there is no broker: add `.broker(…)`")]
    NoBrokerToPublish {
        /// The type of the request.
        request: &'static str,
    },
    /// A request is to be posted and there is no outbox.
    #[error(
        "`{request}` has a publication but there is no outbox: add `.outbox(…)`, or `.outbox(InMemoryOutbox::new())` if messages may be lost with the process"
    )]
    NoOutbox {
        /// The type of the request.
        request: &'static str,
    },
    /// There is an archiver, and no outbox.
    #[error("there is an archiver but no outbox: add `.outbox(…)`, or remove `.archiver(…)`")]
    NothingToArchive,
    /// There is an archiver, and the outbox has no [`Archiving`](brighter_core::outbox::Archiving).
    #[error(
        "there is an archiver but the outbox cannot archive: use an outbox with `Outbox::archiving`, or remove `.archiver(…)`"
    )]
    OutboxCannotArchive,
    /// A configuration speaks of an archiver, and nobody says what is old.
    #[error("{origin}: `[archiver]` lacks the age at which messages are archived: add `after = \"7d\"`")]
    ArchiverWithoutAge {
        /// Where it speaks of it.
        origin: String,
    },
    /// A request's publication says what no broker takes: a topic that is no name, for instance.
    #[error("invalid publication for `{request}`")]
    Publication {
        /// The type of the request.
        request: &'static str,
        /// The reason why the name is invalid.
        #[source]
        source: NameError,
    },
    /// `build()` was called outside a tokio runtime and there is work to do in the background.
    #[error(
        "there is no tokio runtime for the sweeper or archiver: call `build()` inside a runtime, or add `.without_sweeper()` and remove `.archiver(…)`"
    )]
    NoRuntime,
    /// A dispatcher has no subscription.
    #[error(
        "the dispatcher has no subscription: add `.subscription(Subscription::<YourRequest>::new(\"a-name\"))`"
    )]
    NoSubscription,
    /// A dispatcher's processor has no broker.
    #[error("the processor has no broker to consume from: add `.broker(…)` to its builder")]
    NoBrokerToConsume,
    /// A subscription's requests have no handler.
    #[error(
        "the subscription `{subscription}` receives `{request}`, which has no handler: add `.handler(…)` to the processor's builder"
    )]
    NoHandler {
        /// The name of the subscription.
        subscription: SubscriptionName,
        /// The type of the request.
        request: &'static str,
    },
    /// Two subscriptions have one name.
    #[error("two subscriptions are named `{subscription}`: rename one of them")]
    SameName {
        /// The name.
        subscription: SubscriptionName,
    },
    /// Two subscriptions read one channel, so that each would get messages meant for the other.
    #[error(
        "the subscriptions `{first}` and `{second}` both read the channel `{channel}`, so each would get messages of the other: give one of them its own channel"
    )]
    SameChannel {
        /// The channel.
        channel: ChannelName,
        /// One subscription.
        first: SubscriptionName,
        /// The other.
        second: SubscriptionName,
    },
    /// Messages that a subscription rejects come back to its channel, through the channels of others.
    #[error(
        "messages that the subscription `{subscription}` rejects come back to its channel ({}), and would circle forever: name another channel with `.dead_letters(…)` or `.invalid_messages(…)` in one of these subscriptions",
        Way(channels)
    )]
    SetAsideInCircles {
        /// The name of the subscription.
        subscription: SubscriptionName,
        /// The channels on the way, from its own to its own.
        channels: Vec<ChannelName>,
    },
    /// Two requests of one subscription have the same type, so that their messages could not be told apart.
    #[error(
        "the subscription `{subscription}` receives `{first}` and `{second}`, which both have the type `{event_type}`: give one of them another type with `#[message(type = \"…\")]`, or its own subscription"
    )]
    SameType {
        /// The name of the subscription.
        subscription: SubscriptionName,
        /// The type, as CloudEvents has it.
        event_type: &'static str,
        /// The type of one request.
        first: &'static str,
        /// The type of the other.
        second: &'static str,
    },
    /// A subscription keeps the order of its messages, and has more than one performer.
    #[error(
        "the subscription `{subscription}` keeps order by key but has {performers} performers, and order holds within one performer: use one performer, and `.concurrency(…)` to handle several keys at once"
    )]
    OrderWithPerformers {
        /// The name of the subscription.
        subscription: SubscriptionName,
        /// How many performers it has.
        performers: usize,
    },
    /// The times and counts of a subscription do not go together with each other or with the broker's.
    #[error("the settings of the subscription `{subscription}` do not fit together")]
    Budget {
        /// The name of the subscription.
        subscription: SubscriptionName,
        /// The settings that do not fit together.
        #[source]
        source: BudgetError,
    },
    /// A subscription does not bring the batches that a handler of its messages is written for.
    #[error("the subscription `{subscription}` does not fit the batches of `{handler}`")]
    Batch {
        /// The name of the subscription.
        subscription: SubscriptionName,
        /// The type of the handler.
        handler: &'static str,
        /// The reason why it does not fit.
        #[source]
        source: BatchError,
    },
    /// The configuration has a subscription that the program does not have.
    #[error(
        "{origin}: there is no subscription `{name}`{}{}",
        nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_else(|| format!("; the program has: {known}")),
        if_of_others("subscriptions", nearest.as_deref().filter(|_| *may_be_of_others))
    )]
    UnknownSubscription {
        /// The name in the configuration.
        name: String,
        /// Where it stands.
        origin: String,
        /// One that the program has and that looks like it.
        nearest: Option<String>,
        /// The names that the program has, separated by commas.
        known: String,
        /// Whether other programs may share the configuration.
        may_be_of_others: bool,
    },
    /// The program has a subscription that its configuration does not have, although it has others.
    #[error(
        "the subscription `{subscription}` is not in the configuration, which lists others: add `[subscriptions.{subscription}]`, empty if the program has said it all"
    )]
    NotConfigured {
        /// The name of the subscription.
        subscription: SubscriptionName,
    },
    /// The configuration has a policy that no handler uses.
    #[error(
        "{origin}: no handler uses the policy `{policy}`{}{}",
        nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default(),
        if_of_others("policies", nearest.as_deref().filter(|_| *may_be_of_others))
    )]
    UnknownPolicy {
        /// The name in the configuration.
        policy: String,
        /// Where it stands.
        origin: String,
        /// One that is used, or was given by the program, and looks like it.
        nearest: Option<String>,
        /// Whether other programs may share the configuration.
        may_be_of_others: bool,
    },
    /// A schedule of recurring work cannot be used.
    #[cfg(feature = "schedule")]
    #[error("invalid schedule `{name}`")]
    Schedule {
        /// The name of the schedule.
        name: String,
        /// The fault of the schedule.
        #[source]
        source: crate::schedule::RecurringError,
    },
    /// A subscription wants no topic.
    #[error("the subscription `{subscription}` has no routing key: give it at least one")]
    NoRoutingKey {
        /// The name of the subscription.
        subscription: SubscriptionName,
    },
    /// A subscription has a name that no broker takes.
    #[error("invalid subscription `{subscription}`")]
    Name {
        /// The name of the subscription.
        subscription: SubscriptionName,
        /// The reason why the name is invalid.
        #[source]
        source: NameError,
    },
}

brighter_core::__private::readable_debug!(BuildError, BuildErrors);

/// How to say that a name which looks like this one is meant as it stands.
fn if_of_others(section: &str, name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| {
        format!(" If it is of another program, list `[{section}.{name}]` beside it, empty if there is nothing to say")
    })
}

/// The channels on a way.
struct Way<'a>(&'a [ChannelName]);

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, channel) in self.0.iter().enumerate() {
            let arrow = if index == 0 { "" } else { " → " };
            write!(f, "{arrow}{channel}")?;
        }
        Ok(())
    }
}

impl BuildError {
    /// Fills what a builder can have once, or notes that it was there already.
    pub(crate) fn set<T>(slot: &mut Option<T>, value: T, method: &'static str, errors: &mut Vec<Self>) {
        let twice = Self::SetTwice { method };
        if slot.replace(value).is_some() && !errors.contains(&twice) {
            errors.push(twice);
        }
    }

    /// Describes each invalid setting of this part.
    pub(crate) fn settings(
        part: impl fmt::Display,
        invalid: impl IntoIterator<Item = InvalidSetting>,
    ) -> impl Iterator<Item = Self> {
        let part = part.to_string();
        invalid.into_iter().map(move |source| Self::Setting {
            part: part.clone(),
            source,
        })
    }
}

/// Everything that `build()` found wrong, together.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildErrors(Vec<BuildError>);

impl BuildErrors {
    /// `Ok` if there is nothing wrong. What is wrong in the same way in several places, as in a handler that was added
    /// twice, is told once.
    pub(crate) fn check(mut errors: Vec<BuildError>) -> Result<(), Self> {
        let mut told = HashSet::new();
        errors.retain(|error| told.insert(brighter_core::__private::report(error)));
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self(errors))
        }
    }

    /// Each of them, in the order in which the parts were added.
    pub fn iter(&self) -> impl Iterator<Item = &BuildError> {
        self.0.iter()
    }
}

impl From<BuildError> for BuildErrors {
    fn from(error: BuildError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => f.write_str(&brighter_core::__private::report(only)),
            several => {
                write!(f, "{} things are wrong:", several.len())?;
                several
                    .iter()
                    .try_for_each(|error| write!(f, "\n  - {}", brighter_core::__private::report(error)))
            }
        }
    }
}

impl std::error::Error for BuildErrors {}
