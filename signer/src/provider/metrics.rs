//! What is counted of providers, read from their pools when somebody asks. Labels are names from the configuration.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::key_set::KeySet;

/// One device provider at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProviderState {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    /// As configured.
    pub(crate) sessions: usize,
    pub(crate) sessions_open: usize,
    pub(crate) sessions_stuck: usize,
    /// Callers are refused at once.
    pub(crate) is_left_alone: bool,
    pub(crate) counters: Counters,
}

/// Since the provider was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    /// Operations that a session was asked for.
    pub(crate) operations: u64,
    /// Of these, those that failed for the device's fault.
    pub(crate) failed: u64,
    /// Operations that were not asked for: the device is left alone, or the queue is full.
    pub(crate) refused: u64,
    /// Operations that nobody waited for any more.
    pub(crate) dropped: u64,
    /// Sessions opened.
    pub(crate) opened: u64,
    /// Sessions lost.
    pub(crate) lost: u64,
    /// Calls that lasted longer than `call_ms`.
    pub(crate) stalled: u64,
}

/// Registers the metrics of the providers of whichever keys are in use when somebody asks.
pub(crate) fn register(registry: &mut Registry, in_use: impl Fn() -> Arc<KeySet> + Send + Sync + 'static) {
    registry.register_collector(Box::new(InUse(Box::new(in_use))));
}

struct InUse(Box<dyn Fn() -> Arc<KeySet> + Send + Sync>);

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InUse")
    }
}

#[derive(Debug, Clone, EncodeLabelSet)]
struct Labels {
    provider: String,
    kind: &'static str,
}

type Reading<T> = (&'static str, &'static str, fn(&ProviderState) -> T);

const COUNTERS: [Reading<u64>; 7] = [
    ("operations", "Operations that a session was asked for", |state| {
        state.counters.operations
    }),
    ("failures", "Operations that failed for the device's fault", |state| {
        state.counters.failed
    }),
    (
        "refusals",
        "Operations not asked for: device left alone or queue full",
        |state| state.counters.refused,
    ),
    ("dropped", "Operations that nobody waited for any more", |state| {
        state.counters.dropped
    }),
    ("sessions_opened", "Sessions opened", |state| state.counters.opened),
    ("sessions_lost", "Sessions lost", |state| state.counters.lost),
    ("stalls", "Calls that lasted too long", |state| state.counters.stalled),
];

const GAUGES: [Reading<usize>; 4] = [
    ("sessions_configured", "Sessions that should be open", |state| {
        state.sessions
    }),
    ("sessions_open", "Sessions that are open and answer", |state| {
        state.sessions_open
    }),
    ("sessions_stuck", "Sessions in a call that lasts too long", |state| {
        state.sessions_stuck
    }),
    (
        "left_alone",
        "1 while callers are refused at once after failures",
        |state| usize::from(state.is_left_alone),
    ),
];

impl Collector for InUse {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let keys = (self.0)();
        let providers = &keys.providers;
        let states = providers.states();
        let labels = |state: &ProviderState| Labels {
            provider: state.name.clone(),
            kind: state.kind,
        };
        for (name, help, read) in COUNTERS {
            let name = format!("signer_provider_{name}");
            let counter = ConstCounter::new(0u64);
            let mut family = encoder.encode_descriptor(&name, help, None, counter.metric_type())?;
            for state in &states {
                let counter = ConstCounter::new(read(state));
                counter.encode(family.encode_family(&labels(state))?)?;
            }
        }
        let keys = ConstGauge::new(0i64);
        let help = "Keys of the bank's by what holds them";
        let mut family = encoder.encode_descriptor("signer_provider_keys", help, None, keys.metric_type())?;
        for (provider, kind, count) in providers.keys() {
            let provider = provider.to_owned();
            let keys = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            keys.encode(family.encode_family(&Labels { provider, kind })?)?;
        }
        for (name, help, read) in GAUGES {
            let name = format!("signer_provider_{name}");
            let gauge = ConstGauge::new(0i64);
            let mut family = encoder.encode_descriptor(&name, help, None, gauge.metric_type())?;
            for state in &states {
                let gauge = ConstGauge::new(i64::try_from(read(state)).unwrap_or(i64::MAX));
                gauge.encode(family.encode_family(&labels(state))?)?;
            }
        }
        Ok(())
    }
}
