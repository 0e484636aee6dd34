//! The parts an installation is made of, and how each is stopped.

use std::time::Duration;

use crate::ports::Port;
use crate::process::Signal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Postgres,
    Kafka,
    Signer,
    Ledger,
    BatchClearing,
    Frontend,
}

impl Part {
    /// In the order of the path a payment takes backwards: each needs only parts before it.
    pub const ALL: [Self; 6] = [
        Self::Postgres,
        Self::Kafka,
        Self::Signer,
        Self::Ledger,
        Self::BatchClearing,
        Self::Frontend,
    ];

    /// The frontend first, so that no new work comes; then each as soon as nothing before it can need it.
    pub const STOPPING: [Self; 6] = [
        Self::Frontend,
        Self::Ledger,
        Self::BatchClearing,
        Self::Signer,
        Self::Kafka,
        Self::Postgres,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::Signer => "signer",
            Self::Ledger => "ledger",
            Self::BatchClearing => "batch-clearing",
            Self::Frontend => "frontend",
        }
    }

    /// The port its health is asked at; the bought parts have none.
    pub const fn operations(self) -> Option<Port> {
        match self {
            Self::Postgres | Self::Kafka => None,
            Self::Signer => Some(Port::SignerOperations),
            Self::Ledger => Some(Port::LedgerOperations),
            Self::BatchClearing => Some(Port::BatchClearingOperations),
            Self::Frontend => Some(Port::FrontendOperations),
        }
    }

    /// The port others reach it at; signer and ledger have a socket instead.
    pub const fn service(self) -> Option<Port> {
        match self {
            Self::Postgres => Some(Port::Postgres),
            Self::Kafka => Some(Port::Kafka),
            Self::Frontend => Some(Port::Frontend),
            Self::Signer | Self::Ledger | Self::BatchClearing => None,
        }
    }

    /// Every port it listens on.
    pub fn ports(self) -> impl Iterator<Item = Port> {
        let controller = (self == Self::Kafka).then_some(Port::KafkaController);
        [self.service(), self.operations(), controller].into_iter().flatten()
    }

    pub const fn orderly_stop(self) -> Signal {
        match self {
            Self::Postgres => Signal::Interrupt,
            _ => Signal::Terminate,
        }
    }

    /// What the kernel sends when the process that started it is gone.
    pub const fn end(self) -> Signal {
        match self {
            Self::Postgres => Signal::Quit,
            _ => Signal::Kill,
        }
    }

    /// How long an orderly stop may take before it is killed.
    pub const fn stop_limit(self) -> Duration {
        Duration::from_secs(15)
    }
}
