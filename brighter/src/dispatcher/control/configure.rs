//! What a configuration says of control over the broker.

use super::ControlSecret;
use brighter_config::{Config, ConfigErrors, Key, Section};

const SECTION: &str = "control";

impl ControlSecret {
    /// The section `control`.
    pub(crate) fn section() -> Section {
        Section::new(
            SECTION,
            [Key::secret(
                "secret",
                "what those who may control the dispatchers share, 32 bytes or more, as `openssl rand -hex 32` makes them",
            )],
        )
    }

    /// Reads `secret` or `secret_file` of the section `control` of a configuration. Returns `None` if neither is set.
    ///
    /// ```
    /// use brighter::dispatcher::ControlSecret;
    ///
    /// # fn main() -> Result<(), brighter::config::ConfigErrors> {
    /// let config = brighter::config::loader()
    ///     .variables([("BRIGHTER_CONTROL_SECRET", "0123456789abcdef0123456789abcdef")])
    ///     .load()?;
    /// assert!(ControlSecret::from_config(&config)?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// It is so short that it can be guessed.
    pub fn from_config(config: &Config) -> Result<Option<Self>, ConfigErrors> {
        let secret = config.secret(SECTION, "secret");
        secret
            .map(|secret| Self::new(secret.expose()))
            .transpose()
            .map_err(|weak| ConfigErrors::from(config.impossible(SECTION, "secret", weak)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_config::Loader;

    #[test]
    fn too_short_a_secret_names_its_variable_and_stays_hidden() {
        let load = |secret| {
            let loader = Loader::new().section(ControlSecret::section());
            let config = loader.variables([("BRIGHTER_CONTROL_SECRET", secret)]);
            ControlSecret::from_config(&config.load().unwrap())
        };
        let long = "0123456789abcdef0123456789abcdef";
        assert_eq!(load(long).unwrap().unwrap().bytes(), long.as_bytes());
        let error = load("hunter2").unwrap_err().to_string();
        assert!(
            error.starts_with("BRIGHTER_CONTROL_SECRET: `control.secret` cannot be ***: "),
            "{error}"
        );
        assert!(
            error.contains("has 7 bytes") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
