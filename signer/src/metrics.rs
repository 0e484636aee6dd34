//! What the signer counts. Labels are names of ours alone: nothing a stranger sends becomes one.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use signer_protocol::{Answer, Failure, Rejection, Work};

/// Seconds from arrival to answer.
const LATENCY_BUCKETS: [f64; 13] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Open,
    Seal,
    Sign,
    Reveal,
    Tokenise,
    Health,
}

impl Operation {
    pub(crate) const fn of(work: &Work) -> Self {
        match work {
            Work::Open(_) => Self::Open,
            Work::Seal(_) => Self::Seal,
            Work::Sign(_) => Self::Sign,
            Work::Tokenise(_) => Self::Tokenise,
            Work::Reveal(_) => Self::Reveal,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Seal => "seal",
            Self::Sign => "sign",
            Self::Tokenise => "tokenise",
            Self::Reveal => "reveal",
            Self::Health => "health",
        }
    }
}

pub(crate) const DONE: &str = "done";

pub(crate) const fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Answer::Opened { .. } | Answer::Sealed(_) | Answer::Signed(_) | Answer::Tokens(_) | Answer::Revealed(_) => DONE,
        Answer::Rejected(rejection) => rejection_name(*rejection),
        Answer::Failed(failure, _) => failure_name(*failure),
    }
}

pub(crate) const fn rejection_name(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::SigningSerialUnknown => "signing_serial_unknown",
        Rejection::SerialOfAnotherInstitution => "serial_of_another_institution",
        Rejection::CertificateOutOfDate => "certificate_out_of_date",
        Rejection::CertificateRevoked => "certificate_revoked",
        Rejection::SignatureWrong => "signature_wrong",
        Rejection::EncryptionSerialUnknown => "encryption_serial_unknown",
        Rejection::FieldDoesNotOpen => "field_does_not_open",
    }
}

pub(crate) const fn failure_name(failure: Failure) -> &'static str {
    match failure {
        Failure::Expired => "expired",
        Failure::Busy => "busy",
        Failure::NoKey => "no_key",
        Failure::MalformedWork => "malformed_work",
        Failure::Internal => "internal",
        Failure::KeyUnavailable => "key_unavailable",
        Failure::NotAllowed => "not_allowed",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationOutcome {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationName {
    operation: &'static str,
}

type Histograms = Family<OperationName, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    operations: Family<OperationOutcome, Counter>,
    expired: Counter,
    queue_depth: Gauge,
    seconds: Histograms,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            operations: Family::default(),
            expired: Counter::default(),
            queue_depth: Gauge::default(),
            seconds: Histograms::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS)),
        };
        registry.register(
            "signer_operations",
            "Pieces of work by outcome",
            metrics.operations.clone(),
        );
        registry.register(
            "signer_expired",
            "Work dropped because its deadline had passed",
            metrics.expired.clone(),
        );
        registry.register(
            "signer_queue_depth",
            "Pieces of work that wait",
            metrics.queue_depth.clone(),
        );
        registry.register(
            "signer_operation_seconds",
            "From arrival to answer",
            metrics.seconds.clone(),
        );
        metrics
    }

    pub(crate) fn answered(&self, operation: Operation, outcome: &'static str, since_arrival: Duration) {
        let operation = operation.name();
        self.operations
            .get_or_create(&OperationOutcome { operation, outcome })
            .inc();
        self.seconds
            .get_or_create(&OperationName { operation })
            .observe(since_arrival.as_secs_f64());
    }

    /// Answered before it was queued: busy, or malformed and of no operation we know.
    pub(crate) fn refused(&self, operation: Option<Operation>, failure: Failure) {
        let operation = operation.map_or("unknown", Operation::name);
        self.operations
            .get_or_create(&OperationOutcome {
                operation,
                outcome: failure_name(failure),
            })
            .inc();
    }

    pub(crate) fn expired(&self, operation: Operation) {
        self.expired.inc();
        self.refused(Some(operation), Failure::Expired);
    }

    pub(crate) fn queued(&self) {
        self.queue_depth.inc();
    }

    pub(crate) fn taken(&self, count: usize) {
        self.queue_depth.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
