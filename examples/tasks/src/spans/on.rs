//! The spans with the feature `otlp`.

use brighter::config::Config;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use super::file::SpanFile;
use crate::failure::Failure;
use crate::settings::SECTION;

/// Who takes the spans. Dropped at the end it brings away those that are left.
pub(crate) struct Spans(Option<SdkTracerProvider>);

impl Spans {
    /// Begins to take spans, if the settings say where to.
    pub(crate) fn begin(config: &Config, role: &str) -> Result<Self, Failure> {
        let (url, file) = (config.secret(SECTION, "otlp"), config.text(SECTION, "spans"));
        if url.is_none() && file.is_none() {
            return Ok(Self(None));
        }
        let who = Resource::builder().with_service_name(format!("tasks-{role}"));
        let mut provider = SdkTracerProvider::builder().with_resource(who.build());
        if let Some(url) = url {
            let url = sound(url.expose())?;
            let exporter = SpanExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(url)
                .build()
                .map_err(|error| Failure::because("spans cannot be sent", &error))?;
            provider = provider.with_batch_exporter(exporter);
        }
        if let Some(path) = file {
            let file = SpanFile::open(path)
                .map_err(|error| Failure::because(&format!("cannot write spans to {path}"), &error))?;
            provider = provider.with_batch_exporter(file);
        }
        Ok(Self(Some(provider.build())))
    }

    /// What brings the spans of brighter and of this program there, whatever the log leaves out.
    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let tracer = self.0.as_ref()?.tracer("tasks");
        let ours = Targets::new()
            .with_target("brighter", LevelFilter::INFO)
            .with_target("tasks", LevelFilter::INFO);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false);
        Some(layer.with_filter(ours))
    }
}

/// Credentials in it would not be sent, and stand in the log when a collector is away.
fn sound(url: &str) -> Result<&str, Failure> {
    match url.strip_prefix("http://") {
        Some(rest) if !rest.is_empty() && !rest.contains('@') => Ok(url),
        _ => Err(Failure::usage(
            "the URL for OTLP must look like `http://localhost:4318/v1/traces`; credentials go into OTEL_EXPORTER_OTLP_HEADERS",
        )),
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        let Some(provider) = self.0.take() else {
            return;
        };
        if let Err(error) = provider.shutdown() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the last spans were not brought away"
            );
        }
    }
}
