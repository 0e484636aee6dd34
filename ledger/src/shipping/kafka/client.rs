//! What every client of the broker has: settings, a bounded share of the log, and where its reports go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;

use super::KafkaSettings;

pub(super) fn client_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "ledger")
        .set("allow.auto.create.topics", "false")
        // a topic made anew is noticed soon
        .set("topic.metadata.refresh.interval.ms", "5000")
        .set("reconnect.backoff.max.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Info);
    config
}

/// What became of the records of one transaction.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// Offsets, in the order of the reports.
    pub(super) offsets: Vec<i64>,
    pub(super) failed: Option<KafkaError>,
}

/// Takes librdkafka's reports and log lines.
#[derive(Clone, Default)]
pub(super) struct Context {
    reports: Arc<Mutex<Reports>>,
    lines: Arc<Mutex<Lines>>,
}

/// How much was told lately: a broker that is away for hours must not fill the log with the same few lines.
#[derive(Default)]
struct Lines {
    since: Option<Instant>,
    told: u32,
    kept_back: u32,
}

const LINES_MAX: u32 = 8;
const LINES_PERIOD: Duration = Duration::from_secs(30);

impl Lines {
    fn may_tell(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= LINES_PERIOD) {
            if self.kept_back > 0 {
                tracing::info!(target: "kafka", lines = self.kept_back, "more lines of the client were kept back");
            }
            *self = Self {
                since: Some(now),
                told: 0,
                kept_back: 0,
            };
        }
        let may = self.told < LINES_MAX;
        self.told += u32::from(may);
        self.kept_back += u32::from(!may);
        may
    }
}

impl Context {
    pub(super) fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_tell(&self) -> bool {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .may_tell(Instant::now())
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if !self.may_tell() {
            return;
        }
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "kafka", facility, "{text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(target: "kafka", facility, "{text}"),
            RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, "{text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.reports().failed = Some(error);
        } else if self.may_tell() {
            tracing::warn!(target: "kafka", %error, reason, "the client reports trouble");
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut reports = self.reports();
        match result {
            Ok(message) => reports.offsets.push(message.offset()),
            // the first says why, those behind it only that they were given up with it
            Err((error, _)) => reports.failed = reports.failed.take().or_else(|| Some(error.clone())),
        }
    }
}
