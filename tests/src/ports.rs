//! Which ports of the loopback the installation listens on.
//!
//! Every port has a usual number and a name to choose another one by. Nothing ever listens on another address than
//! 127.0.0.1, so there is no way to say one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use thiserror::Error;

/// Where [`Ports::free`] looks.
const FREE_PORTS: std::ops::Range<u16> = 20_000..32_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    Frontend,
    FrontendOperations,
    SignerOperations,
    LedgerOperations,
    BatchClearingOperations,
    Kafka,
    KafkaController,
    Postgres,
}

impl Port {
    pub const ALL: [Self; 8] = [
        Self::Frontend,
        Self::FrontendOperations,
        Self::SignerOperations,
        Self::LedgerOperations,
        Self::BatchClearingOperations,
        Self::Kafka,
        Self::KafkaController,
        Self::Postgres,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::FrontendOperations => "frontend-operations",
            Self::SignerOperations => "signer-operations",
            Self::LedgerOperations => "ledger-operations",
            Self::BatchClearingOperations => "batch-clearing-operations",
            Self::Kafka => "kafka",
            Self::KafkaController => "kafka-controller",
            Self::Postgres => "postgres",
        }
    }

    const fn usual(self) -> u16 {
        match self {
            Self::Frontend => 8443,
            Self::FrontendOperations => 9101,
            Self::SignerOperations => 9102,
            Self::LedgerOperations => 9103,
            Self::BatchClearingOperations => 9104,
            Self::Kafka => 19092,
            Self::KafkaController => 19093,
            Self::Postgres => 15432,
        }
    }
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum PortFault {
    #[error("{0:?} does not choose a port: write NAME=NUMBER with a NAME of {names}", names = names())]
    Unreadable(String),
    #[error("ports {} and {} are both to be {number}", first.name(), second.name())]
    Twice { first: Port, second: Port, number: u16 },
    #[error(
        "port {number} ({name}) is taken: stop what listens there, or choose another with --port {name}=NUMBER",
        name = port.name()
    )]
    Taken { port: Port, number: u16 },
    #[error("no free port could be found")]
    NoneFree,
}

/// The numbers in use: the usual ones but for those chosen otherwise. No two are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    chosen: BTreeMap<Port, u16>,
}

impl Ports {
    /// From choices such as `frontend=9443`; a later one wins.
    pub fn choose<'a>(choices: impl IntoIterator<Item = &'a str>) -> Result<Self, PortFault> {
        let mut chosen = BTreeMap::new();
        for choice in choices {
            let (port, number) = read(choice).ok_or_else(|| PortFault::Unreadable(choice.to_owned()))?;
            chosen.insert(port, number);
        }
        let ports = Self { chosen };
        let mut owners = BTreeMap::new();
        for second in Port::ALL {
            let number = ports.of(second);
            if let Some(first) = owners.insert(number, second) {
                return Err(PortFault::Twice { first, second, number });
            }
        }
        Ok(ports)
    }

    /// Ports nothing listens on now, for tests that run beside anything else. `start` spreads those who ask at once.
    ///
    /// Below the range the system takes the near ends of connections from: a port of that range may be taken by any
    /// connection while a process that is to come back is down.
    pub fn free(start: u32) -> Result<Self, PortFault> {
        let count = FREE_PORTS.end - FREE_PORTS.start;
        let first = u16::try_from(start % u32::from(count)).unwrap_or(0);
        let mut candidates = (0..count).map(|step| FREE_PORTS.start + (first + step) % count);
        let mut listeners = Vec::new();
        let mut chosen = BTreeMap::new();
        for port in Port::ALL {
            let bound =
                candidates.find_map(|number| TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok().zip(Some(number)));
            let (listener, number) = bound.ok_or(PortFault::NoneFree)?;
            // held until all are found
            listeners.push(listener);
            chosen.insert(port, number);
        }
        Ok(Self { chosen })
    }

    pub fn of(&self, port: Port) -> u16 {
        self.chosen.get(&port).copied().unwrap_or_else(|| port.usual())
    }

    pub fn address(&self, port: Port) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.of(port)).into()
    }

    /// Whether these can be listened on now; the first that cannot be is named.
    pub fn check_free(&self, wanted: &BTreeSet<Port>) -> Result<(), PortFault> {
        for port in wanted {
            let address = self.address(*port);
            TcpListener::bind(address).map_err(|_| PortFault::Taken {
                port: *port,
                number: address.port(),
            })?;
        }
        Ok(())
    }
}

fn read(choice: &str) -> Option<(Port, u16)> {
    let (name, number) = choice.split_once('=')?;
    let port = Port::ALL.into_iter().find(|port| port.name() == name.trim())?;
    let number = number.trim().parse().ok().filter(|number| *number != 0)?;
    Some((port, number))
}

fn names() -> String {
    Port::ALL.map(Port::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices() {
        let check = |choices: &[&str], expected: Result<u16, PortFault>| {
            let seen = Ports::choose(choices.iter().copied()).map(|ports| ports.of(Port::Frontend));
            assert_eq!(seen, expected, "{choices:?}");
        };
        let unreadable = |text: &str| Err(PortFault::Unreadable(text.to_owned()));
        check(&[], Ok(8443));
        check(&["kafka=1", "frontend=9443"], Ok(9443));
        check(&["frontend=9443", "frontend=9444"], Ok(9444));
        check(&["frontend=0"], unreadable("frontend=0"));
        check(&["frontend=70000"], unreadable("frontend=70000"));
        check(&["front=1"], unreadable("front=1"));
        check(&["9443"], unreadable("9443"));
        check(
            &["frontend=9101"],
            Err(PortFault::Twice {
                first: Port::Frontend,
                second: Port::FrontendOperations,
                number: 9101,
            }),
        );
    }

    #[test]
    fn a_taken_port_is_named_with_its_flag() {
        let ports = Ports::free(7).unwrap();
        let all = BTreeSet::from(Port::ALL);
        ports.check_free(&all).unwrap();
        let _listener = TcpListener::bind(ports.address(Port::Postgres)).unwrap();
        let fault = ports.check_free(&all).unwrap_err().to_string();
        assert!(fault.contains("(postgres) is taken"), "{fault}");
        assert!(fault.contains("--port postgres=NUMBER"), "{fault}");
    }
}
