//! What is counted of the audit log.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::record::Event;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordKind {
    kind: &'static str,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct AuditMetrics {
    records: Family<RecordKind, Counter>,
    uses: Counter,
    failures: Counter,
    failing: Gauge,
}

impl AuditMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "signer_audit_records",
            "Audit records on the disk, by kind",
            self.records.clone(),
        );
        registry.register(
            "signer_audit_key_uses",
            "Uses of private keys that are recorded on the disk",
            self.uses.clone(),
        );
        registry.register(
            "signer_audit_write_failures",
            "Attempts to write the audit log that failed",
            self.failures.clone(),
        );
        registry.register(
            "signer_audit_failing",
            "1 while the audit log cannot be written and no key is used",
            self.failing.clone(),
        );
    }

    pub(crate) fn written(&self, events: &[Event]) {
        for event in events {
            self.records.get_or_create(&RecordKind { kind: event.kind() }).inc();
            if let Event::KeyUse { count, .. } = event {
                self.uses.inc_by(*count);
            }
        }
        self.failing.set(0);
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
        self.failing.set(1);
    }
}
