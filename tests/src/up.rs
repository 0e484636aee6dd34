//! `up`, `status` and `down`: the installation kept running for a tester.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use thiserror::Error;

use crate::feed::{self, FeedFault};
use crate::installation::{self, Installation, InstallationFault, Plan};
use crate::kafka;
use crate::layout::{Layout, LayoutFault};
use crate::operations_port;
use crate::part::Part;
use crate::ports::{Port, PortFault, Ports};
use crate::postgres::{self, PostgresFault};
use crate::process::{Process, ProcessFault};
use crate::record::Record;
use crate::terminal::{Steps, Table, say};

#[derive(Debug, Error)]
pub enum UpFault {
    #[error(transparent)]
    Installation(#[from] InstallationFault),
    #[error(transparent)]
    Feed(#[from] FeedFault),
    #[error(transparent)]
    Layout(#[from] LayoutFault),
    #[error(transparent)]
    Port(#[from] PortFault),
    #[error(transparent)]
    Process(#[from] ProcessFault),
    #[error(transparent)]
    Postgres(#[from] PostgresFault),
    #[error("the installation is up with other ports or another journal source: ./run down first")]
    OtherwiseUp,
    #[error("not everything runs: {0}")]
    Incomplete(String),
    #[error("processes of the installation in {0} still run: stop it first")]
    StillUp(PathBuf),
}

/// Starts what does not run, with the fixtures' accounts loaded, and leaves it running.
pub fn up(plan: Plan, accounts: u64, now: Timestamp) -> Result<(), UpFault> {
    let record = Record::new(&plan);
    let before = installation::running(&plan.layout);
    if !before.is_empty() && Record::read(&plan.layout).is_some_and(|there| there != record) {
        return Err(UpFault::OtherwiseUp);
    }
    if plan.parts().iter().all(|part| before.contains_key(part)) {
        say("the installation is up already:\n");
        return status(&plan.layout);
    }
    drop(before);
    let layout = plan.layout.clone();
    let mut steps = Steps::new(2);
    let installation = steps.step("start every part", || -> Result<_, UpFault> {
        let mut installation = Installation::prepare(plan, now)?;
        record.write(&layout)?;
        installation.start_all()?;
        Ok(installation)
    })?;
    say_where_postgres_is(&installation);
    steps.step("load the fixtures' accounts and agreements", || {
        feed::load_accounts(installation.plan(), accounts)
    })?;
    say("");
    status(&layout)?;
    installation.leave_running();
    say(format!(
        "The installation runs until ./run down. Messages go to https://{}/preSvr with the client certificate\n\
         {}; fixture files with their fixed times are accepted.",
        record.ports()?.address(Port::Frontend),
        layout.tls("client.cert.pem").display(),
    ));
    Ok(())
}

/// Says so when the data are not where everything else is.
pub fn say_where_postgres_is(installation: &Installation) {
    let data = installation.postgres().data();
    if !data.starts_with(installation.plan().layout.root()) {
        say(format!(
            "        the user postgres cannot reach the installation's directory: PostgreSQL's data are in {}",
            data.display()
        ));
    }
}

/// What runs, where, and how it is. A fault when something is missing.
pub fn status(layout: &Layout) -> Result<(), UpFault> {
    let Some(record) = Record::read(layout) else {
        return Err(UpFault::Incomplete(
            "there is no installation; ./run up makes one".to_owned(),
        ));
    };
    let running = installation::running(layout);
    let ports = record.ports()?;
    let mut table = Table::new(["part", "pid", "reached at", "operations", "health", "version"]);
    let mut unwell = Vec::new();
    for part in Part::ALL {
        if part == Part::Kafka && record.kafka_version.is_none() {
            continue;
        }
        let process = running.get(&part);
        let health = process.map_or_else(|| "does not run".to_owned(), |_| health(part, &ports));
        if health != "ready" {
            unwell.push(format!("{} ({health})", part.name()));
        }
        table.row([
            part.name().to_owned(),
            process.map_or_else(String::new, |process| process.pid().to_string()),
            reached_at(part, layout, &ports),
            part.operations()
                .map_or_else(String::new, |port| ports.address(port).to_string()),
            health,
            process.map_or_else(String::new, |_| version(part, &ports, &record)),
        ]);
    }
    say(table);
    say(format!(
        "  files: {}    logs: {}\n",
        layout.root().display(),
        layout.logs().display()
    ));
    if unwell.is_empty() {
        Ok(())
    } else {
        Err(UpFault::Incomplete(unwell.join(", ")))
    }
}

fn health(part: Part, ports: &Ports) -> String {
    let looked = match part {
        Part::Kafka => kafka::records(ports)
            .map(|_| ())
            .map_err(|fault| installation::chain(&fault)),
        // asking it properly needs the password, and `batch-clearing` is ready only when it has asked
        Part::Postgres => std::net::TcpStream::connect(ports.address(Port::Postgres))
            .map(|_| ())
            .map_err(|fault| fault.to_string()),
        Part::Signer | Part::Ledger | Part::BatchClearing | Part::Frontend => part
            .operations()
            .map_or(Ok(()), |port| operations_port::readiness(ports.address(port))),
    };
    looked.map_or_else(|why| why, |()| "ready".to_owned())
}

fn reached_at(part: Part, layout: &Layout, ports: &Ports) -> String {
    match (part.service(), part) {
        (Some(service), _) => ports.address(service).to_string(),
        (None, Part::BatchClearing) => String::new(),
        (None, _) => format!("unix:{}", layout.socket(part).display()),
    }
}

fn version(part: Part, ports: &Ports, record: &Record) -> String {
    match (part.operations(), part) {
        (Some(operations), _) => {
            let answer = operations_port::ask(ports.address(operations), "/version");
            let text = answer.map(|answer| answer.body).unwrap_or_default();
            text.split_whitespace().nth(1).unwrap_or_default().to_owned()
        }
        (None, Part::Kafka) => record.kafka_version.clone().unwrap_or_default(),
        (None, _) => record.postgres_version.clone(),
    }
}

/// What becomes of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    Keep,
    Erase,
}

/// Stops what runs, in order. Fine when nothing does.
pub fn down(layout: &Layout, files: Files) -> Result<(), UpFault> {
    let mut running: BTreeMap<Part, Process> = installation::running(layout);
    if running.is_empty() {
        say("nothing runs");
    }
    for part in Part::STOPPING {
        if let Some(process) = running.remove(&part) {
            let pid = process.pid();
            let how = if process.stop(part.orderly_stop(), part.stop_limit())? {
                "stopped"
            } else {
                "killed"
            };
            say(format!("  {how} {} ({pid})", part.name()));
        }
    }
    if files == Files::Erase {
        erase(layout)?;
        say("  erased its files; the broker's jars stay");
    }
    Ok(())
}

/// Removes all files of an installation that does not run.
pub fn erase(layout: &Layout) -> Result<(), UpFault> {
    if !installation::running(layout).is_empty() {
        return Err(UpFault::StillUp(layout.root().to_owned()));
    }
    postgres::erase_data(layout)?;
    Ok(layout.erase()?)
}
