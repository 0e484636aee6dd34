//! What the ledger says of its shipping to Kafka, in words for whoever looks after it.

use ledger_model::ChinaTime;

use crate::convert::{Malformed, text};
use crate::wire;

/// How the shipping of one shard to Kafka goes, for whoever looks after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipReport {
    pub state: ShipState,
    pub since: ChinaTime,
    /// Empty while all is well.
    pub why: String,
    /// Age of the oldest record that Kafka has not acknowledged, 0 where it has them all.
    pub lag_seconds: u64,
    /// The backlog is beyond what is configured.
    pub alarm: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShipState {
    Starting,
    Shipping,
    /// Another ledger ships the shard.
    StandingBy,
    /// Tried again by itself.
    Unreachable,
    /// The topic is not as it has to be.
    Refused,
    /// The partition holds what is not of this ledger's journal, and is not written to.
    Foreign,
    /// The journal cannot be read.
    Unreadable,
}

impl ShipState {
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Shipping,
        Self::StandingBy,
        Self::Unreachable,
        Self::Refused,
        Self::Foreign,
        Self::Unreadable,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Shipping => "shipping",
            Self::StandingBy => "fenced",
            Self::Unreachable => "broker unreachable",
            Self::Refused => "topic refused",
            Self::Foreign => "foreign partition",
            Self::Unreadable => "journal unreadable",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl From<&ShipReport> for wire::ShipReport {
    fn from(report: &ShipReport) -> Self {
        Self {
            state: report.state.name().to_owned(),
            since: report.since.to_string(),
            why: report.why.clone(),
            lag_seconds: report.lag_seconds,
            alarm: report.alarm,
        }
    }
}

impl TryFrom<wire::ShipReport> for ShipReport {
    type Error = Malformed;

    fn try_from(report: wire::ShipReport) -> Result<Self, Malformed> {
        Ok(Self {
            state: ShipState::from_name(&report.state).ok_or(Malformed { field: "state" })?,
            since: text("since", &report.since)?,
            why: report.why,
            lag_seconds: report.lag_seconds,
            alarm: report.alarm,
        })
    }
}
