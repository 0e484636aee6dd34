//! What a pool looks like at a moment, for metrics and readiness.

use std::time::Duration;

use super::member::{Member, Standing};

/// Every signer of a pool, in the order they were named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStatus {
    pub members: Vec<MemberStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// As it was configured.
    pub endpoint: String,
    pub standing: Standing,
    pub is_connected: bool,
    /// Calls that wait for its answer now.
    pub outstanding: u32,
    /// Calls given to it since the start, hedges and retries among them.
    pub calls: u64,
    /// Calls given to it because another was slow.
    pub hedges: u64,
    /// Calls given to it because another did not do them.
    pub retries: u64,
    /// How often it was taken out of use.
    pub ejections: u64,
    /// Of its last answers; none until there were some.
    pub p50: Option<Duration>,
    pub p95: Option<Duration>,
}

impl PoolStatus {
    /// Whether a call would find a signer.
    pub fn is_ready(&self) -> bool {
        self.members.iter().any(|member| member.is_connected)
    }
}

impl MemberStatus {
    pub(super) fn of(endpoint: String, member: &Member, is_connected: bool) -> Self {
        Self {
            endpoint,
            standing: member.standing,
            is_connected,
            outstanding: member.outstanding,
            calls: member.counts.calls,
            hedges: member.counts.hedges,
            retries: member.counts.retries,
            ejections: member.counts.ejections,
            p50: member.latency.p50(),
            p95: member.latency.p95(),
        }
    }
}
