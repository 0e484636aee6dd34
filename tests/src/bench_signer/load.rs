//! Callers that ask, wait and ask again, and what they saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use signer_protocol::{OpenVerdict, SignerClient, SignerFault};
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bench_signer::sample::Sample;
use crate::procfs::Usage;

const CALL_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, Error)]
pub enum LoadFault {
    #[error("a call was not answered")]
    Call(#[from] SignerFault),
    #[error("message {number} was answered {seen:?} instead of {expected:?}")]
    WrongAnswer {
        number: usize,
        seen: OpenVerdict,
        expected: OpenVerdict,
    },
    #[error("a caller ended early")]
    Caller(#[from] tokio::task::JoinError),
}

pub(super) struct Load<'a> {
    pub(super) clients: &'a [SignerClient],
    pub(super) callers: usize,
    pub(super) length: Duration,
    pub(super) signer_pid: u32,
}

/// What the callers saw in one load.
pub(super) struct Played {
    /// Sorted; one for each call.
    latencies_us: Vec<u32>,
    length: Duration,
    signer_cpu_micros: u64,
    client_cpu_micros: u64,
}

impl Load<'_> {
    pub(super) async fn play(&self, sample: &Arc<Sample>) -> Result<Played, LoadFault> {
        let next = Arc::new(AtomicUsize::new(0));
        let before = Moment::now(self.signer_pid);
        let began = Instant::now();
        let until = began + self.length;
        let mut callers = JoinSet::new();
        for client in self.clients.iter().cycle().take(self.callers) {
            callers.spawn(ask(client.clone(), Arc::clone(sample), Arc::clone(&next), until));
        }
        let mut latencies_us = Vec::new();
        while let Some(ended) = callers.join_next().await {
            latencies_us.extend(ended??);
        }
        let length = began.elapsed();
        let after = Moment::now(self.signer_pid);
        latencies_us.sort_unstable();
        Ok(Played {
            latencies_us,
            length,
            signer_cpu_micros: after.signer_micros.saturating_sub(before.signer_micros),
            client_cpu_micros: after.client_micros.saturating_sub(before.client_micros),
        })
    }
}

async fn ask(
    client: SignerClient,
    sample: Arc<Sample>,
    next: Arc<AtomicUsize>,
    until: Instant,
) -> Result<Vec<u32>, LoadFault> {
    let mut latencies_us = Vec::new();
    let mut asked = Instant::now();
    while asked < until {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let (open, expected) = sample.message(number);
        let seen = client.open(open.clone(), asked + CALL_LIMIT).await?;
        let answered = Instant::now();
        if seen != *expected {
            let expected = expected.clone();
            return Err(LoadFault::WrongAnswer { number, seen, expected });
        }
        let micros = answered.saturating_duration_since(asked).as_micros();
        latencies_us.push(u32::try_from(micros).unwrap_or(u32::MAX));
        asked = answered;
    }
    Ok(latencies_us)
}

/// Processor time used so far.
struct Moment {
    signer_micros: u64,
    client_micros: u64,
}

impl Moment {
    fn now(signer_pid: u32) -> Self {
        let signer_micros = Usage::of_tree(signer_pid).cpu_micros;
        // the signer is a child of this process
        let all_micros = Usage::of_tree(std::process::id()).cpu_micros;
        Self {
            signer_micros,
            client_micros: all_micros.saturating_sub(signer_micros),
        }
    }
}

impl Played {
    pub(super) fn opens(&self) -> u64 {
        u64::try_from(self.latencies_us.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn opens_per_s(&self) -> u64 {
        let micros = u64::try_from(self.length.as_micros()).unwrap_or(u64::MAX);
        (self.opens() * 1_000_000).checked_div(micros).unwrap_or(0)
    }

    /// The latency that so many of a hundred calls did not exceed.
    pub(super) fn percentile_us(&self, percent: usize) -> u64 {
        let last = self.latencies_us.len().saturating_sub(1);
        self.latencies_us.get(last * percent / 100).copied().unwrap_or(0).into()
    }

    pub(super) fn signer_cpu_ns_per_open(&self) -> u64 {
        (self.signer_cpu_micros * 1_000).checked_div(self.opens()).unwrap_or(0)
    }

    pub(super) fn client_cpu_ns_per_open(&self) -> u64 {
        (self.client_cpu_micros * 1_000).checked_div(self.opens()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_load() {
        let played = Played {
            latencies_us: (1..=101).collect(),
            length: Duration::from_millis(500),
            signer_cpu_micros: 202,
            client_cpu_micros: 101,
        };
        assert_eq!(played.opens_per_s(), 202);
        assert_eq!((played.percentile_us(50), played.percentile_us(99)), (51, 100));
        assert_eq!(played.signer_cpu_ns_per_open(), 2_000);
        assert_eq!(played.client_cpu_ns_per_open(), 1_000);
    }
}
