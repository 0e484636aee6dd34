//! What the signer counts. Labels are names of our own configuration: nothing a stranger sends becomes one, and a key
//! that is no longer loaded takes its labels with it.
//!
//! What workers report comes a batch at a time, and is counted up before a family of metrics is looked into.

use std::collections::BTreeSet;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use signer_protocol::{Answer, Failure, Rejection, Work};

use crate::duties::Subject;
use crate::key_set::KeySet;

/// Seconds from arrival to answer.
const LATENCY_BUCKETS: [f64; 13] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0,
];

/// Pieces of work of one batch.
const BATCH_BUCKETS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

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
    const ALL: [Self; 6] = [
        Self::Open,
        Self::Seal,
        Self::Sign,
        Self::Reveal,
        Self::Tokenise,
        Self::Health,
    ];

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
    serial: String,
    institution: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationName {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyName {
    serial: String,
    institution: String,
    usage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListName {
    file: String,
}

type Histograms = Family<OperationName, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    operations: Family<OperationOutcome, Counter>,
    expired: Counter,
    busy: Counter,
    queue_items: Gauge,
    queue_bytes: Gauge,
    seconds: Histograms,
    wait_seconds: Histogram,
    batch_items: Histograms,
    reloads: Family<ReloadOutcome, Counter>,
    generation: Gauge,
    days_left: Family<KeyName, Gauge>,
    list_seconds_left: Family<ListName, Gauge>,
}

/// Outcomes of one batch, counted up.
#[derive(Debug)]
pub(crate) struct Tally<'k> {
    operation: Operation,
    counts: Vec<(Subject<'k>, &'static str, u64)>,
}

impl<'k> Tally<'k> {
    pub(crate) const fn of(operation: Operation) -> Self {
        Self {
            operation,
            counts: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, subject: Subject<'k>, outcome: &'static str) {
        let same = |(of, what, _): &&mut (Subject<'k>, &'static str, u64)| *of == subject && *what == outcome;
        match self.counts.iter_mut().find(same) {
            Some((_, _, count)) => *count += 1,
            None => self.counts.push((subject, outcome, 1)),
        }
    }
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            operations: Family::default(),
            expired: Counter::default(),
            busy: Counter::default(),
            queue_items: Gauge::default(),
            queue_bytes: Gauge::default(),
            seconds: Histograms::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS)),
            wait_seconds: Histogram::new(LATENCY_BUCKETS),
            batch_items: Histograms::new_with_constructor(|| Histogram::new(BATCH_BUCKETS)),
            reloads: Family::default(),
            generation: Gauge::default(),
            days_left: Family::default(),
            list_seconds_left: Family::default(),
        };
        metrics.register_work(registry);
        metrics.register_keys(registry);
        metrics
    }

    fn register_work(&self, registry: &mut Registry) {
        let operations = self.operations.clone();
        registry.register("signer_operations", "Pieces of work by key and outcome", operations);
        let expired = self.expired.clone();
        registry.register(
            "signer_expired",
            "Work dropped because its deadline had passed",
            expired,
        );
        let busy = self.busy.clone();
        registry.register("signer_busy", "Work refused because the queue was full", busy);
        registry.register(
            "signer_queue_depth",
            "Pieces of work that wait",
            self.queue_items.clone(),
        );
        registry.register(
            "signer_queue_bytes",
            "Bytes of work that wait",
            self.queue_bytes.clone(),
        );
        let seconds = self.seconds.clone();
        registry.register("signer_operation_seconds", "From arrival to answer", seconds);
        let wait = self.wait_seconds.clone();
        registry.register("signer_queue_seconds", "From arrival to a worker", wait);
        let batches = self.batch_items.clone();
        registry.register("signer_batch_items", "Pieces of work done together", batches);
    }

    fn register_keys(&self, registry: &mut Registry) {
        registry.register("signer_reload", "Reloads by outcome", self.reloads.clone());
        let generation = self.generation.clone();
        registry.register(
            "signer_key_generation",
            "Sets of keys this process has used",
            generation,
        );
        let days_left = self.days_left.clone();
        registry.register("signer_key_days_left", "Days to the end of a certificate", days_left);
        let lists = self.list_seconds_left.clone();
        let help = "Seconds to the next update of a revocation list";
        registry.register("signer_revocation_list_seconds_left", help, lists);
    }

    /// One batch of one operation, with the time each item took since it arrived.
    pub(crate) fn answered(&self, tally: &Tally<'_>, since_arrival: impl Iterator<Item = Duration>) {
        let name = OperationName {
            operation: tally.operation.name(),
        };
        let seconds = self.seconds.get_or_create(&name);
        for taken in since_arrival {
            seconds.observe(taken.as_secs_f64());
        }
        drop(seconds);
        for (subject, outcome, count) in &tally.counts {
            self.counter(tally.operation.name(), *subject, outcome).inc_by(*count);
        }
    }

    fn counter(&self, operation: &'static str, subject: Subject<'_>, outcome: &'static str) -> Counter {
        self.operations.get_or_create_owned(&OperationOutcome {
            operation,
            serial: subject.serial.to_owned(),
            institution: subject.institution.to_owned(),
            outcome,
        })
    }

    /// So many pieces of work are done together.
    pub(crate) fn batch(&self, operation: Operation, items: usize) {
        let name = OperationName {
            operation: operation.name(),
        };
        self.batch_items.get_or_create(&name).observe(lossy(items));
    }

    pub(crate) fn waited(&self, waits: impl Iterator<Item = Duration>) {
        for wait in waits {
            self.wait_seconds.observe(wait.as_secs_f64());
        }
    }

    /// Answered before it was queued: busy, or malformed and of no operation we know.
    pub(crate) fn refused(&self, operation: Option<Operation>, failure: Failure) {
        if failure == Failure::Busy {
            self.busy.inc();
        }
        let operation = operation.map_or("unknown", Operation::name);
        self.counter(operation, Subject::NONE, failure_name(failure)).inc();
    }

    pub(crate) fn expired(&self, operation: Operation) {
        self.expired.inc();
        self.refused(Some(operation), Failure::Expired);
    }

    /// Items and bytes that wait.
    pub(crate) fn queue(&self, (items, bytes): (usize, usize)) {
        self.queue_items.set(i64::try_from(items).unwrap_or(i64::MAX));
        self.queue_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&ReloadOutcome { outcome }).inc();
    }

    /// What a set of keys shows of itself; `before` is the one it replaced.
    pub(crate) fn keys(&self, keys: &KeySet, before: Option<&KeySet>, now: i64) {
        const DAY_SECONDS: i64 = 24 * 60 * 60;
        self.generation.set(i64::try_from(keys.generation).unwrap_or(i64::MAX));
        let loaded: BTreeSet<_> = keys
            .ring
            .certificates()
            .map(|(usage, subject, _)| (usage, subject))
            .collect();
        for (usage, subject, certificate) in keys.ring.certificates() {
            let days = (certificate.not_after() - now).div_euclid(DAY_SECONDS);
            self.days_left.get_or_create(&key_name(usage, subject)).set(days);
        }
        for (usage, subject, _) in before.into_iter().flat_map(|before| before.ring.certificates()) {
            if !loaded.contains(&(usage, subject)) {
                self.days_left.remove(&key_name(usage, subject));
                self.forget(subject);
            }
        }
        self.list_seconds_left.clear();
        for list in &keys.lists {
            if let Some(next_update) = list.next_update {
                let file = list.file.clone();
                self.list_seconds_left
                    .get_or_create(&ListName { file })
                    .set(next_update - now);
            }
        }
    }

    fn forget(&self, subject: Subject<'_>) {
        for operation in Operation::ALL {
            for outcome in outcome_names() {
                self.operations.remove(&OperationOutcome {
                    operation: operation.name(),
                    serial: subject.serial.to_owned(),
                    institution: subject.institution.to_owned(),
                    outcome,
                });
            }
        }
    }
}

fn key_name(usage: &'static str, subject: Subject<'_>) -> KeyName {
    KeyName {
        serial: subject.serial.to_owned(),
        institution: subject.institution.to_owned(),
        usage,
    }
}

const FAILURES: [Failure; 7] = [
    Failure::Expired,
    Failure::Busy,
    Failure::NoKey,
    Failure::MalformedWork,
    Failure::Internal,
    Failure::KeyUnavailable,
    Failure::NotAllowed,
];

/// Every outcome that a series can have.
fn outcome_names() -> impl Iterator<Item = &'static str> {
    let rejections = Rejection::ALL.into_iter().map(rejection_name);
    let failures = FAILURES.into_iter().map(failure_name);
    std::iter::once(DONE).chain(rejections).chain(failures)
}

/// A histogram takes a float; what is observed here is small.
fn lossy(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
