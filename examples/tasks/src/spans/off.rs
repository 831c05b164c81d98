//! Without the feature `otlp` no spans are brought anywhere, and options that ask for it are refused.

use brighter::config::Config;
use tracing_subscriber::layer::Identity;

use crate::failure::Failure;
use crate::settings::SECTION;

pub(crate) struct Spans;

impl Spans {
    pub(crate) fn begin(config: &Config, _: &str) -> Result<Self, Failure> {
        if config.secret(SECTION, "otlp").is_some() || config.text(SECTION, "spans").is_some() {
            return Err(Failure::built_without("otlp", "--otlp"));
        }
        Ok(Self)
    }

    pub(crate) fn layer(&self) -> Identity {
        Identity::new()
    }
}
