//! The configuration files of our four processes, as an operator would write them.

use std::fmt::Write as _;
use std::path::Path;

use crate::certificates::NETWORK_CLIENT;
use crate::layout::{Layout, LayoutFault, write_secret};
use crate::part::Part;
use crate::ports::{Port, Ports};

pub const BANK: &str = "C1030131001234";
pub const NETWORK: &str = "G4000311000018";
pub const INSTITUTION: &str = "Z2000133000019";
pub const TOPIC: &str = "ledger.journal";
pub const SHARDS: u8 = 4;
/// The moment the fixture files were written at, China time.
pub const FIXTURE_TIME: &str = "2026-03-02T10:00:00";
const REVOKED_SERIAL: &str = "4000000106";

/// Certificates the signer knows of others, the unusable ones included: institution, use, name of the key.
const PEERS: [(&str, &str, &str); 7] = [
    (NETWORK, "verify", "network-sign-sm"),
    (NETWORK, "verify", "network-sign-rsa"),
    (NETWORK, "verify", "network-expired-sm"),
    (NETWORK, "verify", "network-revoked-sm"),
    (NETWORK, "encrypt", "network-decrypt-sm"),
    (NETWORK, "encrypt", "network-decrypt-rsa"),
    (INSTITUTION, "verify", "institution-sign-sm"),
];

/// Which times a message may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Only about now, as in production.
    Now,
    /// Those of the fixture files as well.
    AlsoFixtureTime,
}

/// Where the replicator reads the journal from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JournalSource {
    Kafka,
    Ledger,
}

impl JournalSource {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Ledger => "ledger",
        }
    }
}

#[derive(Debug)]
pub struct Settings<'a> {
    pub layout: &'a Layout,
    pub ports: &'a Ports,
    pub journal_source: JournalSource,
    pub clock: Clock,
    pub postgres_url: &'a str,
}

impl Settings<'_> {
    pub fn write(&self) -> Result<(), LayoutFault> {
        let files = [
            (Part::Signer, self.signer()),
            (Part::Ledger, self.ledger()),
            (Part::BatchClearing, self.batch_clearing()),
            (Part::Frontend, self.frontend()),
        ];
        // secrets, since one of them holds the password of the database
        files
            .into_iter()
            .try_for_each(|(part, text)| write_secret(&self.layout.config(part), text.as_bytes()))
    }

    fn signer(&self) -> String {
        let head = format!(
            "listen = {listen}\nworkers = 2\nrevoked = [\"{REVOKED_SERIAL}\"]\n{operations}\n\
             [tokens]\nkey_file = {token_key}\n[audit]\ndirectory = {audit}\n",
            listen = self.endpoint(Part::Signer),
            operations = self.operations(Port::SignerOperations),
            token_key = quoted(&self.layout.key("TEST-ONLY-token-key.hex")),
            audit = quoted(&self.layout.data(Part::Signer).join("audit")),
        );
        let file = |name: String| quoted(&self.layout.key(&name));
        let key = |usage: &str, suite: &str| {
            format!(
                "\n[[key]]\nuse = \"{usage}\"\ncertificate = {}\nprivate_key = {}\npassphrase_file = {}\n",
                file(format!("bank-{usage}-{suite}.cert.pem")),
                file(format!("bank-{usage}-{suite}.key.pem")),
                file("TEST-ONLY-passphrase.txt".to_owned()),
            )
        };
        let keys = ["sign", "decrypt"].map(|usage| ["sm", "rsa"].map(|suite| key(usage, suite)).concat());
        let peers = PEERS.map(|(institution, usage, name)| {
            let certificate = file(format!("{name}.cert.pem"));
            format!("\n[[peer]]\ninstitution = \"{institution}\"\nuse = \"{usage}\"\ncertificate = {certificate}\n")
        });
        [head, keys.concat(), peers.concat()].concat()
    }

    fn ledger(&self) -> String {
        // the days of the fixture files are those of another year
        let kept = match self.clock {
            Clock::Now => "",
            Clock::AlsoFixtureTime => "kept_days = 3660\n",
        };
        format!(
            "listen = {listen}\ndirectory = {directory}\nshards = {SHARDS}\n{kept}{operations}{kafka}",
            listen = self.endpoint(Part::Ledger),
            directory = quoted(&self.layout.data(Part::Ledger)),
            operations = self.operations(Port::LedgerOperations),
            kafka = self.kafka(),
        )
    }

    fn batch_clearing(&self) -> String {
        format!(
            "bank = \"{BANK}\"\npostgres = \"{postgres}\"\nledger = {ledger}\n{operations}{kafka}",
            postgres = self.postgres_url,
            ledger = self.endpoint(Part::Ledger),
            operations = self.operations(Port::BatchClearingOperations),
            kafka = self.kafka(),
        )
    }

    fn frontend(&self) -> String {
        let mut text = format!(
            "listen = \"{listen}\"\npath = \"/preSvr\"\nbank = \"{BANK}\"\nsigner = {signer}\nledger = {ledger}\n\
             {operations}\n\
             [tls]\ncertificate = {certificate}\nprivate_key = {private_key}\nclient_ca = {client_ca}\n\n\
             [[tls.allowed]]\nsubject = \"{NETWORK_CLIENT}\"\n",
            listen = self.ports.address(Port::Frontend),
            signer = self.endpoint(Part::Signer),
            ledger = self.endpoint(Part::Ledger),
            operations = self.operations(Port::FrontendOperations),
            certificate = quoted(&self.layout.tls("server.cert.pem")),
            private_key = quoted(&self.layout.tls("server.key.pem")),
            client_ca = quoted(&self.layout.tls("ca.cert.pem")),
        );
        if self.clock == Clock::AlsoFixtureTime {
            let _infallible = write!(
                text,
                "\n[clock]\nalso_accept_fixture_time_not_for_production = \"{FIXTURE_TIME}\"\n"
            );
        }
        text
    }

    fn endpoint(&self, part: Part) -> String {
        quoted_text(&format!("unix:{}", self.layout.socket(part).display()))
    }

    fn operations(&self, port: Port) -> String {
        format!("\n[operations]\naddress = \"{}\"\n", self.ports.address(port))
    }

    fn kafka(&self) -> String {
        match self.journal_source {
            JournalSource::Ledger => String::new(),
            JournalSource::Kafka => {
                let brokers = self.ports.address(Port::Kafka);
                format!("\n[kafka]\nbrokers = \"{brokers}\"\ntopic = \"{TOPIC}\"\n")
            }
        }
    }
}

fn quoted(path: &Path) -> String {
    quoted_text(&path.display().to_string())
}

/// As a TOML string, whatever the text holds.
fn quoted_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(journal_source: JournalSource, clock: Clock, part: Part) -> toml::Table {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(&directory.path().join("it's \"odd\"")).unwrap();
        let settings = Settings {
            layout: &layout,
            ports: &Ports::default(),
            journal_source,
            clock,
            postgres_url: "postgres://clearing:secret@127.0.0.1:15432/clearing",
        };
        settings.write().unwrap();
        std::fs::read_to_string(layout.config(part)).unwrap().parse().unwrap()
    }

    #[test]
    fn the_fixture_time_is_accepted_only_on_request() {
        let check = |clock, expected: Option<&str>| {
            let table = written(JournalSource::Kafka, clock, Part::Frontend);
            let rules = table.get("clock").and_then(|rules| rules.as_table());
            let accepted = rules.and_then(|rules| rules.get("also_accept_fixture_time_not_for_production"));
            assert_eq!(accepted.and_then(toml::Value::as_str), expected);
        };
        check(Clock::Now, None);
        check(Clock::AlsoFixtureTime, Some(FIXTURE_TIME));
    }

    #[test]
    fn the_broker_is_named_only_when_there_is_one() {
        let check = |source, part, expected| {
            assert_eq!(written(source, Clock::Now, part).contains_key("kafka"), expected);
        };
        check(JournalSource::Kafka, Part::Ledger, true);
        check(JournalSource::Kafka, Part::BatchClearing, true);
        check(JournalSource::Ledger, Part::Ledger, false);
        check(JournalSource::Ledger, Part::BatchClearing, false);
    }

    #[test]
    fn every_file_of_a_key_is_named_in_full() {
        let table = written(JournalSource::Kafka, Clock::Now, Part::Signer);
        let keys = table["key"].as_array().unwrap();
        assert_eq!(keys.len(), 4);
        for key in keys {
            for name in ["certificate", "private_key", "passphrase_file"] {
                assert!(Path::new(key[name].as_str().unwrap()).is_absolute());
            }
        }
    }
}
