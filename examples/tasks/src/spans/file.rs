//! [`SpanFile`]: spans in a file, as the collector of OpenTelemetry writes and reads them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// Appends each batch of spans to a file, as a line of OTLP in JSON.
#[derive(Debug)]
pub(super) struct SpanFile {
    file: Mutex<File>,
    who: ResourceAttributesWithSchema,
}

impl SpanFile {
    /// Opens the file, and makes it if it is missing.
    pub(super) fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            file: Mutex::new(file),
            who: ResourceAttributesWithSchema::default(),
        })
    }

    fn append(&self, batch: Vec<SpanData>) -> io::Result<()> {
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.who),
        };
        let mut line = serde_json::to_vec(&request)?;
        line.push(b'\n');
        // In one go: other processes may append to the same file.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)
    }
}

impl SpanExporter for SpanFile {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.append(batch)
            .map_err(|error| OTelSdkError::InternalFailure(format!("spans were not written: {error}")))
    }

    fn set_resource(&mut self, who: &Resource) {
        self.who = who.into();
    }
}
