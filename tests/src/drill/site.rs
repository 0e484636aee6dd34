//! The ledger of a drill: the program as it is shipped, over shard groups.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use operations::endpoint::Endpoint;

use super::DrillFault;
use super::server::{OWNER, PORT};
use crate::layout::{Layout, write_secret};
use crate::part::Part;
use crate::process::{Launch, Lifetime, Process, Signal};
use crate::sources::Sources;
use crate::wait::{Look, wait_for};

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Site {
    process: Process,
    endpoint: Endpoint,
}

impl Site {
    /// `hosts` are the servers of each group; shards are dealt to the groups in turn.
    pub(super) fn start(
        layout: &Layout,
        sources: &Sources,
        shards: u8,
        hosts: &[Vec<&Path>],
    ) -> Result<Self, DrillFault> {
        let config = layout.config(Part::Ledger);
        write_secret(&config, configuration(layout, shards, hosts).as_bytes())?;
        let log = layout.log(Part::Ledger);
        let mut process = Process::start(&Launch {
            name: Part::Ledger.name(),
            program: sources.program(Part::Ledger.name()),
            arguments: ["--config".to_owned(), config.display().to_string(), "serve".to_owned()].to_vec(),
            environment: Vec::new(),
            user: None,
            lifetime: Lifetime::OfThisProcess,
            end: Signal::Kill,
            log: log.clone(),
            pid_file: layout.pid_file(Part::Ledger),
        })?;
        let socket = layout.socket(Part::Ledger);
        let listens = wait_for("the ledger to listen", START_LIMIT, || match process.ended() {
            Some(how) => Look::Never(how),
            None => match std::os::unix::net::UnixStream::connect(&socket) {
                Ok(_) => Look::Holds(()),
                Err(fault) => Look::NotYet(fault.to_string()),
            },
        });
        listens.map_err(|fault| silent(&log, &fault))?;
        Ok(Self {
            process,
            endpoint: Endpoint::unix(socket),
        })
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn stop(self) -> Result<(), DrillFault> {
        self.process.stop(Signal::Terminate, STOP_LIMIT)?;
        Ok(())
    }
}

fn silent(log: &Path, fault: &crate::wait::WaitFault) -> DrillFault {
    crate::terminal::say(fault);
    DrillFault::Silent(PathBuf::from(log))
}

fn configuration(layout: &Layout, shards: u8, hosts: &[Vec<&Path>]) -> String {
    let quoted = |text: String| toml::Value::from(text).to_string();
    let mut text = format!(
        "listen = {}\ndirectory = {}\nshards = {shards}\n\
         [operations]\naddress = \"127.0.0.1:0\"\n\
         [hopping]\nfailures = 3\nwindow_ms = 2000\nprobe_ms = 200\n",
        quoted(format!("unix:{}", layout.socket(Part::Ledger).display())),
        quoted(layout.data(Part::Ledger).display().to_string()),
    );
    for (place, servers) in hosts.iter().enumerate() {
        let mine = (0..shards).filter(|shard| usize::from(*shard) % hosts.len() == place);
        let mine: Vec<String> = mine.map(|shard| shard.to_string()).collect();
        let servers: Vec<String> = servers
            .iter()
            .map(|server| quoted(format!("{}:{PORT}", server.display())))
            .collect();
        // writing to a string does not fail
        let _written = write!(
            text,
            "[[group]]\nname = \"group-{place}\"\nshards = [{}]\nhosts = [{}]\ndatabase = \"ledger\"\nuser = \"{OWNER}\"\n",
            mine.join(", "),
            servers.join(", "),
        );
    }
    text
}
