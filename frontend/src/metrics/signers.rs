//! The signers as the frontend's pool sees them, read at every scrape. Labels are endpoints as they were configured.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use signer_protocol::{MemberStatus, PoolStatus, SignerClient, Standing};

/// Where the status comes from.
pub(super) trait Source: fmt::Debug + Send + Sync + 'static {
    fn status(&self) -> PoolStatus;
}

impl Source for SignerClient {
    fn status(&self) -> PoolStatus {
        Self::status(self)
    }
}

#[derive(Debug)]
pub(super) struct Signers<S>(pub(super) S);

type Count = (&'static str, &'static str, fn(&MemberStatus) -> u64);

const COUNTERS: [Count; 4] = [
    (
        "signer_calls",
        "calls given to a signer, hedges and retries among them",
        |member| member.calls,
    ),
    (
        "signer_hedges",
        "calls given to it because another was slow",
        |member| member.hedges,
    ),
    (
        "signer_retries",
        "calls given to it because another did not do them",
        |member| member.retries,
    ),
    ("signer_ejections", "times it was taken out of use", |member| {
        member.ejections
    }),
];

const GAUGES: [Count; 3] = [
    ("signer_outstanding", "calls that wait for its answer", |member| {
        member.outstanding.into()
    }),
    ("signer_connected", "1 while it is connected", |member| {
        member.is_connected.into()
    }),
    ("signer_ejected", "1 while it gets no calls", |member| {
        u64::from(member.standing == Standing::Ejected)
    }),
];

impl<S: Source> Collector for Signers<S> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let members = self.0.status().members;
        for (name, help, count) in COUNTERS {
            family(&mut encoder, (name, help), &members, |member| {
                Some(ConstCounter::new(count(member)))
            })?;
        }
        for (name, help, count) in GAUGES {
            family(&mut encoder, (name, help), &members, |member| {
                Some(ConstGauge::new(count(member)))
            })?;
        }
        let p50 = ("signer_p50_seconds", "median of its last answers");
        family(&mut encoder, p50, &members, |member| {
            Some(ConstGauge::new(member.p50?.as_secs_f64()))
        })
    }
}

fn family<M: EncodeMetric>(
    encoder: &mut DescriptorEncoder,
    (name, help): (&str, &str),
    members: &[MemberStatus],
    metric: impl Fn(&MemberStatus) -> Option<M>,
) -> Result<(), fmt::Error> {
    let shown: Vec<(&str, M)> = members
        .iter()
        .filter_map(|member| Some((&*member.endpoint, metric(member)?)))
        .collect();
    let Some((_, first)) = shown.first() else {
        return Ok(());
    };
    let mut family = encoder.encode_descriptor(name, help, None, first.metric_type())?;
    for (endpoint, metric) in &shown {
        metric.encode(family.encode_family(&[("signer", *endpoint)])?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Metrics;

    #[derive(Debug)]
    struct Two;

    impl Source for Two {
        fn status(&self) -> PoolStatus {
            let member = |endpoint: &str, standing, p50| MemberStatus {
                endpoint: endpoint.to_owned(),
                standing,
                is_connected: standing == Standing::InUse,
                outstanding: 3,
                calls: 40,
                hedges: 2,
                retries: 1,
                ejections: 5,
                p50,
                p95: None,
            };
            let median = Some(Duration::from_millis(2));
            PoolStatus {
                members: vec![
                    member("unix:/a", Standing::InUse, median),
                    member("unix:/b", Standing::Ejected, None),
                ],
            }
        }
    }

    #[test]
    fn names_as_they_are_scraped() {
        let (_, mut registry) = Metrics::new();
        registry.register_collector(Box::new(Signers(Two)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "frontend_signer_calls_total{signer=\"unix:/a\"} 40",
            "frontend_signer_hedges_total{signer=\"unix:/b\"} 2",
            "frontend_signer_retries_total{signer=\"unix:/b\"} 1",
            "frontend_signer_ejections_total{signer=\"unix:/b\"} 5",
            "frontend_signer_outstanding{signer=\"unix:/a\"} 3",
            "frontend_signer_connected{signer=\"unix:/b\"} 0",
            "frontend_signer_ejected{signer=\"unix:/a\"} 0",
            "frontend_signer_ejected{signer=\"unix:/b\"} 1",
            "frontend_signer_p50_seconds{signer=\"unix:/a\"} 0.002",
        ] {
            assert!(text.contains(line), "{line} in:\n{text}");
        }
        assert!(!text.contains("p50_seconds{signer=\"unix:/b\"}"), "{text}");
    }
}
