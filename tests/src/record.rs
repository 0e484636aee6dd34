//! What `up` was told, kept beside the sockets so that `status`, `down` and a second `up` know it.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::installation::Plan;
use crate::layout::{Layout, LayoutFault, write_file};
use crate::ports::{Port, PortFault, Ports};
use crate::settings::JournalSource;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    ports: Vec<String>,
    pub journal_source: JournalSource,
    pub kafka_version: Option<String>,
    pub postgres_version: String,
}

impl Record {
    pub fn new(plan: &Plan) -> Self {
        let choice = |port: Port| format!("{}={}", port.name(), plan.ports.of(port));
        Self {
            ports: Port::ALL.map(choice).to_vec(),
            journal_source: plan.journal_source(),
            kafka_version: plan.kafka.as_ref().map(|jars| jars.version.clone()),
            postgres_version: plan.sources.postgres_version(),
        }
    }

    pub fn write(&self, layout: &Layout) -> Result<(), LayoutFault> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        write_file(&layout.record(), &text)
    }

    /// None when there is no installation, or none that this version understands.
    pub fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&fs::read(layout.record()).ok()?).ok()
    }

    pub fn ports(&self) -> Result<Ports, PortFault> {
        Ports::choose(self.ports.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        assert_eq!(Record::read(&layout), None);
        let ports = Ports::choose(["kafka=4"]).unwrap();
        let record = Record {
            ports: vec![format!("kafka={}", ports.of(Port::Kafka))],
            journal_source: JournalSource::Kafka,
            kafka_version: Some("4.1.1".to_owned()),
            postgres_version: "15.1".to_owned(),
        };
        record.write(&layout).unwrap();
        assert_eq!(Record::read(&layout), Some(record.clone()));
        assert_eq!(record.ports().unwrap().of(Port::Kafka), 4);
    }
}
