//! [`ServiceLinks`]: variables that Kubernetes and Docker set for a service whose name begins with `brighter`.
//!
//! A Service of Kubernetes that is called `brighter-mq` gives every container of its namespace `BRIGHTER_MQ_SERVICE_HOST`,
//! `BRIGHTER_MQ_SERVICE_PORT`, one `BRIGHTER_MQ_SERVICE_PORT_…` for each named port, `BRIGHTER_MQ_PORT`, and for each port
//! `BRIGHTER_MQ_PORT_5672_TCP` with `_PROTO`, `_PORT` and `_ADDR`. Docker's links have the last two, and besides
//! `BRIGHTER_MQ_NAME` and a `BRIGHTER_MQ_ENV_…` for each variable of the other container.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The variables, to tell the links among them.
pub(crate) struct ServiceLinks<'a>(BTreeMap<&'a str, &'a str>);

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

impl<'a> ServiceLinks<'a> {
    pub(crate) fn new(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// Whether this variable is one of a link, by its name and its value.
    ///
    /// One that a setting may have as well is a link only beside all that its service sets, which agree with each other.
    pub(crate) fn include(&self, variable: &str, is_of_setting: bool) -> bool {
        let value = self.value(variable);
        let mut services = services(variable);
        services.any(|(service, ending)| match is_of_setting {
            true => has_form(ending, value) && self.is_whole(service),
            false => has_form(ending, value) && (!needs_company(ending) || self.is_linked(service)),
        })
    }

    fn value(&self, variable: &str) -> &str {
        self.0.get(variable).copied().unwrap_or_default()
    }

    fn of(&self, service: &str, ending: &str) -> &str {
        self.value(&format!("{service}{ending}"))
    }

    /// Whether all is there that is set for a service, and speaks of one host and one port.
    fn is_whole(&self, service: &str) -> bool {
        let address = LinkAddress::of(self.of(service, "_PORT"));
        let Some(address) = address else { return false };
        let of_kubernetes = self.of(service, "_SERVICE_HOST") == address.host
            && self.of(service, "_SERVICE_PORT") == address.port;
        of_kubernetes || is_container(self.of(service, "_NAME"))
    }

    /// Whether something else says that there is a container of this name.
    fn is_linked(&self, service: &str) -> bool {
        let begins = format!("{service}_ENV_");
        let has_variables = self.0.range(begins.as_str()..).next();
        let is_named = is_container(self.of(service, "_NAME"));
        LinkAddress::of(self.of(service, "_PORT")).is_some()
            || is_named && has_variables.is_some_and(|(name, _)| name.starts_with(&begins))
    }
}

/// Each service that the name of a variable may be of, with the ending that makes it a variable of that.
fn services(variable: &str) -> impl Iterator<Item = (&str, &str)> {
    let ends = variable.match_indices('_').map(|(at, _)| at);
    ends.map(|at| variable.split_at(at))
}

/// Whether a service has variables that end so, with such a value.
fn has_form(ending: &str, value: &str) -> bool {
    match ending {
        "_SERVICE_HOST" => value.parse::<IpAddr>().is_ok(),
        "_SERVICE_PORT" => is_port(value),
        "_PORT" => LinkAddress::of(value).is_some(),
        "_NAME" => is_container(value),
        _ => match (
            ending.strip_prefix("_SERVICE_PORT_"),
            ending.strip_prefix("_PORT_"),
        ) {
            (Some(name), _) => !name.is_empty() && is_port(value),
            (None, Some(port)) => is_of_port(port, value),
            (None, None) => ending.len() > "_ENV_".len() && ending.starts_with("_ENV_"),
        },
    }
}

/// Whether `5672_TCP`, or what may follow it, has such a value.
fn is_of_port(text: &str, value: &str) -> bool {
    let Some((port, rest)) = text.split_once('_') else {
        return false;
    };
    let (protocol, part) = rest.split_once('_').unwrap_or((rest, ""));
    let has_value = match part {
        // Docker tells the first and the last of a range of ports in the same way.
        "" | "START" | "END" => LinkAddress::of(value).is_some(),
        "PROTO" => PROTOCOLS.contains(&value.to_ascii_uppercase().as_str()),
        "PORT" | "PORT_START" | "PORT_END" => is_port(value),
        "ADDR" => value.parse::<IpAddr>().is_ok(),
        _ => false,
    };
    is_port(port) && PROTOCOLS.contains(&protocol) && has_value
}

/// Whether the form alone could be a slip of a setting: Docker's endings are common words with common values.
fn needs_company(ending: &str) -> bool {
    ending == "_NAME" || ending.starts_with("_ENV_")
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Returns whether the text names a container and its link, as in `/web/db`.
fn is_container(text: &str) -> bool {
    let names = text.strip_prefix('/').and_then(|names| names.split_once('/'));
    names.is_some_and(|(own, other)| !own.is_empty() && !other.is_empty() && !other.contains('/'))
}

/// An address of a link, such as `tcp://10.0.0.11:5672`.
struct LinkAddress<'a> {
    host: &'a str,
    port: &'a str,
}

impl<'a> LinkAddress<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (protocol, place) = text.split_once("://")?;
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, port),
            // The old form of a link without a port.
            None => (place, "1"),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_one = PROTOCOLS.contains(&protocol.to_ascii_uppercase().as_str()) && is_port(port);
        (is_one && !host.is_empty() && !host.contains(['/', '@'])).then_some(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the variables that Kubernetes sets for a Service, as `envvars.FromServices` of its kubelet makes them.
    fn of_kubernetes(service: &str, host: &str, ports: &[(&str, &str, &str)]) -> Vec<(String, String)> {
        let place = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        let mut variables = vec![
            (format!("{service}_SERVICE_HOST"), host.to_owned()),
            (format!("{service}_SERVICE_PORT"), ports[0].1.to_owned()),
        ];
        for (index, (name, port, protocol)) in ports.iter().enumerate() {
            let url = format!("{}://{place}:{port}", protocol.to_lowercase());
            if !name.is_empty() {
                variables.push((format!("{service}_SERVICE_PORT_{name}"), (*port).to_owned()));
            }
            if index == 0 {
                variables.push((format!("{service}_PORT"), url.clone()));
            }
            let begin = format!("{service}_PORT_{port}_{protocol}");
            variables.extend([
                (begin.clone(), url),
                (format!("{begin}_PROTO"), protocol.to_lowercase()),
                (format!("{begin}_PORT"), (*port).to_owned()),
                (format!("{begin}_ADDR"), host.to_owned()),
            ]);
        }
        variables
    }

    fn told(variables: &[(String, String)], is_of_setting: bool) -> Vec<&str> {
        let pairs = || {
            variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
        };
        let links = ServiceLinks::new(pairs());
        let not_links = pairs().filter(|(name, _)| !links.include(name, is_of_setting));
        not_links.map(|(name, _)| name).collect()
    }

    #[test]
    fn service_variables_are_links_even_with_names_of_settings() {
        let mixed = [
            ("AMQP", "5672", "TCP"),
            ("RATE", "9000", "UDP"),
            ("X_Y", "1", "SCTP"),
        ];
        for (service, host, ports) in [
            ("BRIGHTER", "10.96.0.11", &[("", "80", "TCP")][..]),
            ("BRIGHTER_ANYTHING", "10.96.0.11", &mixed),
            ("BRIGHTER_SUBSCRIPTIONS_ORDERS", "fd00::11", &mixed),
            ("BRIGHTER_CONFIG_PORT_8080", "10.96.0.11", &mixed),
        ] {
            let variables = of_kubernetes(service, host, ports);
            for is_of_setting in [false, true] {
                assert_eq!(
                    told(&variables, is_of_setting),
                    [""; 0],
                    "{service} {is_of_setting}"
                );
            }
        }
    }

    #[test]
    fn links_of_docker_are_links() {
        let variables = [
            ("BRIGHTER_DB_NAME", "/web/db"),
            ("BRIGHTER_DB_ENV_POSTGRES_PASSWORD", "any thing"),
            ("BRIGHTER_DB_ENV_LANG", ""),
            ("BRIGHTER_DB_PORT", "tcp://172.17.0.5:5432"),
            ("BRIGHTER_DB_PORT_5432_TCP", "tcp://172.17.0.5:5432"),
            ("BRIGHTER_DB_PORT_5432_TCP_START", "tcp://172.17.0.5:5432"),
            ("BRIGHTER_DB_PORT_5432_TCP_PORT_END", "5440"),
            ("BRIGHTER_DB_PORT_5432_TCP_ADDR", "172.17.0.5"),
        ];
        let owned = |variables: &[(&str, &str)]| -> Vec<_> {
            let pairs = variables.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        assert_eq!(told(&owned(&variables), false), [""; 0]);
        // Without a port, its name and one of its variables bear each other out.
        assert_eq!(told(&owned(&variables[..2]), false), [""; 0]);
        assert_eq!(told(&owned(&variables[..1]), false), ["BRIGHTER_DB_NAME"]);
        assert_eq!(told(&owned(&variables[2..3]), false), ["BRIGHTER_DB_ENV_LANG"]);
    }

    #[test]
    fn variables_set_by_hand_are_not_links() {
        for (name, value) in [
            ("BRIGHTER_RABBITMQ_PORT", "5672"),
            ("BRIGHTER_RABBITMQ_PORT", "amqp://me:hunter2@10.0.0.1:5672"),
            ("BRIGHTER_RABBITMQ_HOST", "10.0.0.1"),
            ("BRIGHTER_RABBITMQ_SERVICE_HOST", "rabbit"),
            ("BRIGHTER_SHOP_SERVICE_PORT", "eighty"),
            ("BRIGHTER_SHOP_SERVICE_PORT", "80000"),
            ("BRIGHTER_SHOP_PORT_80_TCP_ADDRESS", "10.0.0.1"),
            ("BRIGHTER_SHOP_PORT_HTTP_TCP", "tcp://10.0.0.1:80"),
            ("BRIGHTER_RABBITMQ_CONECTION_NAME", "/a/b"),
            ("BRIGHTER_SWEEPER_INTERVALL", "1s"),
        ] {
            let variables = [(name.to_owned(), value.to_owned())];
            assert_eq!(told(&variables, false), [name], "{value}");
        }
        // A setting of that name is one, unless everything speaks for a service.
        let mut variables = of_kubernetes("BRIGHTER_SHOP", "10.0.0.1", &[("", "80", "TCP")]);
        variables[1].1 = "81".to_owned();
        assert_eq!(told(&variables, true).len(), variables.len());
    }
}
