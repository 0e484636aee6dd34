//! The installation: PostgreSQL, Kafka and our four processes on one machine, started in the order they need each
//! other, watched until ready, stopped the other way round.
//!
//! It knows how parts are started and stopped, nothing about what is done with them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use crate::certificates::{self, CertificateFault};
use crate::kafka::{self, Kafka, KafkaFault};
use crate::layout::{self, Layout, LayoutFault};
use crate::operations_port;
use crate::part::Part;
use crate::ports::{PortFault, Ports};
use crate::postgres::{Database, Postgres, PostgresFault};
use crate::process::{Launch, Lifetime, Process, ProcessFault, Signal};
use crate::settings::{Clock, JournalSource, Settings};
use crate::sources::{KafkaJars, Sources};
use crate::tools::{ToolFault, Tools};
use crate::wait::{Look, WaitFault, wait_for};

const READY_LIMIT: Duration = Duration::from_mins(2);

#[derive(Debug, Error)]
pub enum InstallationFault {
    #[error(transparent)]
    Port(#[from] PortFault),
    #[error(transparent)]
    Layout(#[from] LayoutFault),
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
    #[error(transparent)]
    Postgres(#[from] PostgresFault),
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    #[error(transparent)]
    Process(#[from] ProcessFault),
    #[error(transparent)]
    Tool(#[from] ToolFault),
    #[error(transparent)]
    NotReady(#[from] WaitFault),
}

/// Everything that is decided before the first process starts.
#[derive(Debug)]
pub struct Plan {
    pub layout: Layout,
    pub ports: Ports,
    pub sources: Sources,
    /// Absent: no broker, the replicator reads the ledger's journal stream.
    pub kafka: Option<KafkaJars>,
    pub clock: Clock,
    pub lifetime: Lifetime,
    pub tools: Tools,
}

impl Plan {
    pub const fn journal_source(&self) -> JournalSource {
        match self.kafka {
            Some(_) => JournalSource::Kafka,
            None => JournalSource::Ledger,
        }
    }

    /// All parts, but for a broker there is none of.
    pub fn parts(&self) -> Vec<Part> {
        let has = |part: &Part| *part != Part::Kafka || self.kafka.is_some();
        Part::ALL.into_iter().filter(has).collect()
    }
}

#[derive(Debug)]
pub struct Installation {
    plan: Plan,
    postgres: Postgres,
    kafka: Option<Kafka>,
    running: BTreeMap<Part, Process>,
}

impl Installation {
    /// Makes every file that is needed and looks for parts that run already. Starts nothing.
    pub fn prepare(plan: Plan, now: Timestamp) -> Result<Self, InstallationFault> {
        let running = running(&plan.layout);
        let missing = plan.parts().into_iter().filter(|part| !running.contains_key(part));
        let wanted: BTreeSet<_> = missing.flat_map(Part::ports).collect();
        plan.ports.check_free(&wanted)?;
        layout::copy_keys(&plan.sources.keys(), &plan.layout)?;
        certificates::prepare(&plan.layout, now)?;
        // both take seconds and know nothing of each other
        let (postgres, kafka) = std::thread::scope(|scope| {
            let kafka = plan.kafka.as_ref().map(|jars| {
                let plan = &plan;
                scope.spawn(move || Kafka::prepare(&plan.layout, &plan.ports, &plan.sources, jars))
            });
            let postgres = Postgres::prepare(&plan.layout, &plan.sources);
            let kafka = kafka.map(|made| made.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            (postgres, kafka.transpose())
        });
        let installation = Self {
            postgres: postgres?,
            kafka: kafka?,
            running,
            plan,
        };
        installation.write_settings()?;
        Ok(installation)
    }

    /// Which times the frontend accepts from its next start on.
    pub fn set_clock(&mut self, clock: Clock) -> Result<(), LayoutFault> {
        self.plan.clock = clock;
        self.write_settings()
    }

    fn write_settings(&self) -> Result<(), LayoutFault> {
        let database = self.database();
        let settings = Settings {
            layout: &self.plan.layout,
            ports: &self.plan.ports,
            journal_source: self.plan.journal_source(),
            clock: self.plan.clock,
            postgres_url: database.url(),
        };
        settings.write()
    }

    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    pub const fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    pub fn database(&self) -> Database {
        self.postgres.database(&self.plan.ports)
    }

    pub fn process(&self, part: Part) -> Option<&Process> {
        self.running.get(&part)
    }

    pub fn is_complete(&self) -> bool {
        self.plan.parts().iter().all(|part| self.running.contains_key(part))
    }

    /// Starts what does not run yet: what needs nobody at once, then each part when those before it are ready.
    pub fn start_all(&mut self) -> Result<(), InstallationFault> {
        let first = [Part::Postgres, Part::Kafka, Part::Signer];
        let parts = self.plan.parts();
        for part in parts.iter().filter(|part| first.contains(part)) {
            self.spawn(*part)?;
        }
        for part in parts {
            self.start(part)?;
        }
        Ok(())
    }

    /// Starts one part unless it runs, and waits until it is ready.
    pub fn start(&mut self, part: Part) -> Result<(), InstallationFault> {
        self.spawn(part)?;
        self.wait_ready(part)
    }

    /// Starts one part unless it runs.
    pub fn spawn(&mut self, part: Part) -> Result<(), InstallationFault> {
        if self
            .running
            .get_mut(&part)
            .is_some_and(|process| process.ended().is_none())
        {
            return Ok(());
        }
        if let Some(launch) = self.launch(part)? {
            self.running.insert(part, Process::start(&launch)?);
        }
        Ok(())
    }

    fn launch(&self, part: Part) -> Result<Option<Launch>, InstallationFault> {
        let Plan {
            layout,
            ports,
            sources,
            lifetime,
            ..
        } = &self.plan;
        let more: &[&str] = match part {
            Part::Postgres => return Ok(Some(self.postgres.launch(layout, ports, sources, *lifetime))),
            Part::Kafka => return Ok(self.kafka.as_ref().map(|kafka| kafka.launch(layout, *lifetime))),
            Part::Signer | Part::Frontend => &[],
            Part::Ledger => &["serve"],
            Part::BatchClearing => {
                self.plan.tools.configured(layout, part, &["migrate"])?;
                &["replicate", "--from", self.plan.journal_source().name()]
            }
        };
        let mut arguments = vec!["--config".to_owned(), layout.config(part).display().to_string()];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        Ok(Some(Launch {
            name: part.name(),
            program: sources.program(part.name()),
            arguments,
            environment: Vec::new(),
            user: None,
            lifetime: *lifetime,
            end: part.end(),
            log: layout.log(part),
            pid_file: layout.pid_file(part),
        }))
    }

    pub fn wait_ready(&mut self, part: Part) -> Result<(), InstallationFault> {
        let (ports, postgres) = (&self.plan.ports, &self.postgres);
        let Some(process) = self.running.get_mut(&part) else {
            return Ok(());
        };
        let look = || match part {
            Part::Postgres => postgres.make_database(ports).map_err(|fault| chain(&fault)),
            Part::Kafka => kafka::make_topic(ports).map_err(|fault| chain(&fault)),
            Part::Signer | Part::Ledger | Part::BatchClearing | Part::Frontend => part
                .operations()
                .map_or(Ok(()), |port| operations_port::readiness(ports.address(port))),
        };
        wait_for(&format!("readiness of {}", part.name()), READY_LIMIT, || {
            match (process.ended(), look()) {
                (Some(ended), _) => Look::Never(ended),
                (None, Ok(())) => Look::Holds(()),
                (None, Err(why)) => Look::NotYet(why),
            }
        })?;
        Ok(())
    }

    /// Stops one part in order. False when it had to be killed.
    pub fn stop(&mut self, part: Part) -> Result<bool, ProcessFault> {
        let Some(process) = self.running.remove(&part) else {
            return Ok(true);
        };
        process.stop(part.orderly_stop(), part.stop_limit())
    }

    /// As a power cut would: no chance to finish anything.
    pub fn kill(&mut self, part: Part) -> Result<(), ProcessFault> {
        match self.running.remove(&part) {
            Some(process) => process.stop(Signal::Kill, part.stop_limit()).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Gives up the watch over processes that have a lifetime of their own.
    pub fn leave_running(mut self) {
        self.running.clear();
    }

    /// Stops all that runs. The names of those that had to be killed.
    pub fn stop_all(&mut self) -> Result<Vec<&'static str>, ProcessFault> {
        stop_all(&mut self.running)
    }
}

impl Drop for Installation {
    /// What was started here does not stay behind a failure.
    fn drop(&mut self) {
        for part in Part::STOPPING {
            if let Some(process) = self.running.remove(&part).filter(Process::is_child) {
                let _gone_already = process.stop(part.end(), part.stop_limit());
            }
        }
    }
}

/// The parts of an installation that run now, whoever started them.
pub fn running(layout: &Layout) -> BTreeMap<Part, Process> {
    let find = |part: Part| {
        Some((
            part,
            Process::find(part.name(), layout.pid_file(part), layout.log(part))?,
        ))
    };
    Part::ALL.into_iter().filter_map(find).collect()
}

/// Stops these parts in their order. The names of those that had to be killed.
pub fn stop_all(running: &mut BTreeMap<Part, Process>) -> Result<Vec<&'static str>, ProcessFault> {
    let mut killed = Vec::new();
    let mut first_fault = None;
    for part in Part::STOPPING {
        match running
            .remove(&part)
            .map(|process| process.stop(part.orderly_stop(), part.stop_limit()))
        {
            None | Some(Ok(true)) => {}
            Some(Ok(false)) => killed.push(part.name()),
            // the others are stopped all the same
            Some(Err(fault)) => first_fault = first_fault.or(Some(fault)),
        }
    }
    first_fault.map_or(Ok(killed), Err)
}

/// A fault with all its causes, in one line.
pub fn chain(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(fault), |fault| fault.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
