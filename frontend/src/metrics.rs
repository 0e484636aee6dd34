//! What is counted. Labels are short fixed words; nothing a message says becomes a label.

mod signers;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use signer_protocol::SignerClient;
use tokio::time::Instant;

use crate::admission::Class;

#[derive(Debug)]
pub struct Metrics {
    verified: Family<MessageLabel, Counter>,
    answers: Family<AnswerLabels, Counter>,
    in_flight: Family<ClassLabel, Gauge>,
    shed: Family<ClassLabel, Counter>,
    stage_seconds: Family<StageLabel, Histogram, fn() -> Histogram>,
    tls_failures: Family<CauseLabel, Counter>,
    connections: Gauge,
}

/// Shows the signers of a client among the other metrics.
pub fn show_signers(registry: &mut Registry, signers: SignerClient) {
    registry.register_collector(Box::new(signers::Signers(signers)));
}

/// Steps of a message whose time is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Read,
    Verify,
    Seal,
    Post,
    LookUp,
    Sign,
    Whole,
}

/// Why a connection did not get as far as a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsFailure {
    Handshake,
    TooSlow,
    NotAllowed,
}

/// One in flight, for as long as it lives.
#[derive(Debug)]
pub struct InFlight(Gauge);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabel {
    message: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    message: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

/// Upper bounds in seconds, around the network's expectation of well under 1 s.
const STAGE_BOUNDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

impl Metrics {
    /// The counters and the registry that shows them.
    pub fn new() -> (Self, Registry) {
        let bounded: fn() -> Histogram = || Histogram::new(STAGE_BOUNDS);
        let metrics = Self {
            verified: Family::default(),
            answers: Family::default(),
            in_flight: Family::default(),
            shed: Family::default(),
            stage_seconds: Family::new_with_constructor(bounded),
            tls_failures: Family::default(),
            connections: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("frontend");
        registry.register(
            "messages_verified",
            "messages whose signature held",
            metrics.verified.clone(),
        );
        registry.register(
            "answers",
            "answers given, by what came of the message",
            metrics.answers.clone(),
        );
        registry.register("in_flight", "messages being worked on", metrics.in_flight.clone());
        registry.register(
            "shed",
            "messages turned away before they were read",
            metrics.shed.clone(),
        );
        registry.register("stage_seconds", "time a step took", metrics.stage_seconds.clone());
        registry.register(
            "tls_failures",
            "connections that did not get to a request",
            metrics.tls_failures.clone(),
        );
        registry.register("connections", "connections open", metrics.connections.clone());
        (metrics, registry)
    }

    /// `message`: three digits of the message number, or `other`.
    pub fn verified(&self, message: &'static str) {
        self.verified.get_or_create(&MessageLabel { message }).inc();
    }

    pub fn answered(&self, message: &'static str, outcome: &'static str) {
        self.answers.get_or_create(&AnswerLabels { message, outcome }).inc();
    }

    pub fn in_flight(&self, class: Class) -> InFlight {
        InFlight::new(self.in_flight.get_or_create_owned(&ClassLabel { class: class.name() }))
    }

    pub fn connection(&self) -> InFlight {
        InFlight::new(self.connections.clone())
    }

    pub fn shed(&self, class: Class) {
        self.shed.get_or_create(&ClassLabel { class: class.name() }).inc();
    }

    pub fn took(&self, stage: Stage, time: Duration) {
        self.stage_seconds
            .get_or_create(&StageLabel { stage: stage.name() })
            .observe(time.as_secs_f64());
    }

    pub async fn timed<F: Future>(&self, stage: Stage, work: F) -> F::Output {
        let began = Instant::now();
        let output = work.await;
        self.took(stage, began.elapsed());
        output
    }

    pub fn tls_failed(&self, cause: TlsFailure) {
        self.tls_failures
            .get_or_create(&CauseLabel { cause: cause.name() })
            .inc();
    }
}

impl InFlight {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Verify => "verify",
            Self::Seal => "seal",
            Self::Post => "post",
            Self::LookUp => "look_up",
            Self::Sign => "sign",
            Self::Whole => "whole",
        }
    }
}

impl TlsFailure {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::TooSlow => "too_slow",
            Self::NotAllowed => "not_allowed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_they_are_scraped() {
        let (metrics, registry) = Metrics::new();
        metrics.verified("201");
        metrics.answered("201", "posted");
        metrics.shed(Class::Payment);
        metrics.took(Stage::Verify, Duration::from_millis(3));
        metrics.tls_failed(TlsFailure::NotAllowed);
        let held = metrics.in_flight(Class::Query);
        drop(metrics.in_flight(Class::Query));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        drop(held);
        for line in [
            "frontend_messages_verified_total{message=\"201\"} 1",
            "frontend_answers_total{message=\"201\",outcome=\"posted\"} 1",
            "frontend_shed_total{class=\"payment\"} 1",
            "frontend_in_flight{class=\"query\"} 1",
            "frontend_stage_seconds_count{stage=\"verify\"} 1",
            "frontend_tls_failures_total{cause=\"not_allowed\"} 1",
            "frontend_connections 0",
        ] {
            assert!(text.contains(line), "{line} in:\n{text}");
        }
    }
}
