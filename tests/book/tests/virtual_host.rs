//! [`VirtualHost`]: a virtual host of a test's own, in which queues have the names of the page.

use std::process::Command;

use brighter_test_servers::variable;

/// A virtual host, and a user that may be given permissions in it. Both go when it is dropped.
pub(crate) struct VirtualHost {
    /// The URL of the server, up to the virtual host.
    server: String,
    name: String,
}

impl VirtualHost {
    pub(crate) fn create(of: &str) -> Self {
        let url = variable("BRIGHTER_TEST_RABBITMQ_URL").unwrap();
        let (server, _) = url.rsplit_once('/').unwrap();
        let host = Self {
            server: server.to_owned(),
            name: format!("{of}-{}", std::process::id()),
        };
        ctl(&["add_vhost", &host.name]);
        let user = server.split_once("//").and_then(|(_, rest)| rest.split_once(':'));
        host.grant(user.map_or("guest", |(user, _)| user), [".*"; 3]);
        host
    }

    /// Returns the URL for the user of the tests.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    /// Makes a user with these permissions, to configure, write and read, and returns the URL for it.
    pub(crate) fn user(&self, permissions: [&str; 3]) -> String {
        let (_, address) = self.server.rsplit_once('@').unwrap();
        ctl(&["add_user", &self.name, "of-a-test"]);
        self.grant(&self.name, permissions);
        format!("amqp://{0}:of-a-test@{address}/{0}", self.name)
    }

    /// Removes the user.
    pub(crate) fn remove_user(&self) {
        ctl(&["delete_user", &self.name]);
    }

    fn grant(&self, user: &str, [configure, write, read]: [&str; 3]) {
        ctl(&["set_permissions", "-p", &self.name, user, configure, write, read]);
    }
}

impl Drop for VirtualHost {
    fn drop(&mut self) {
        let _ = run(&["delete_user", &self.name]);
        let _ = run(&["delete_vhost", &self.name]);
    }
}

fn ctl(arguments: &[&str]) {
    let output = run(arguments).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rabbitmqctl {arguments:?}: {said}");
}

fn run(arguments: &[&str]) -> std::io::Result<std::process::Output> {
    let program = variable("BRIGHTER_TEST_RABBITMQ_CTL").map_err(std::io::Error::other)?;
    Command::new(program).args(arguments).output()
}
