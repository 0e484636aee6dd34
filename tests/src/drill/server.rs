//! PostgreSQL servers of a drill: primaries and a standby that every commit waits for, reached by Unix sockets only.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use thiserror::Error;

use crate::layout::{Layout, LayoutFault, file_fault};
use crate::postgres::{SYSTEM_USER, as_user, effective_user, system_user};
use crate::process::{Launch, Lifetime, Process, ProcessFault, Signal};
use crate::procfs;
use crate::sources::Sources;
use crate::wait::{Look, WaitFault, wait_for};

/// Of the sockets; nothing listens there.
pub(super) const PORT: u16 = 5432;
pub(super) const OWNER: &str = "clearing";
const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const ELSEWHERE: &str = "/var/tmp";

#[derive(Debug, Error)]
pub enum ServerFault {
    #[error("running as root, but there is no user {SYSTEM_USER} for PostgreSQL to run as")]
    NoUser,
    #[error("{0} belongs to somebody else: remove it")]
    NotOurs(PathBuf),
    #[error("{program} cannot be run")]
    Run {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{program} failed: {said}")]
    Failed { program: &'static str, said: String },
    #[error(transparent)]
    File(#[from] LayoutFault),
    #[error(transparent)]
    Process(#[from] ProcessFault),
    #[error(transparent)]
    Wait(#[from] WaitFault),
}

/// Where the servers of one drill keep their data.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    logs: PathBuf,
    user: Option<&'static str>,
}

/// A server that runs.
#[derive(Debug)]
pub(super) struct Server {
    directory: PathBuf,
    sources: Sources,
    user: Option<&'static str>,
    process: Process,
}

impl Place {
    /// Made anew. Where we are root it is apart, so that PostgreSQL's user can get there.
    pub(super) fn prepare(layout: &Layout) -> Result<Self, ServerFault> {
        let user = (effective_user() == 0).then_some(SYSTEM_USER);
        let root = if user.is_some() {
            let name = layout.root().display().to_string().replace('/', "-");
            Path::new(ELSEWHERE).join(format!("clearing-drill{name}"))
        } else {
            layout.root().join("postgres")
        };
        let place = Self {
            root,
            logs: layout.logs(),
            user,
        };
        place.erase()?;
        fs::create_dir_all(&place.root).map_err(file_fault(&place.root, "made"))?;
        place.hand_over(&place.root)?;
        Ok(place)
    }

    pub(super) fn erase(&self) -> Result<(), ServerFault> {
        let uid = system_user().map_or(0, |(uid, _)| uid);
        match fs::symlink_metadata(&self.root) {
            Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(()),
            // anybody may write beside it: what somebody else prepared is not touched
            Ok(there) if self.user.is_some() && (!there.is_dir() || ![0, uid].contains(&there.uid())) => {
                return Err(ServerFault::NotOurs(self.root.clone()));
            }
            _ => {}
        }
        fs::remove_dir_all(&self.root).map_err(file_fault(&self.root, "removed"))?;
        Ok(())
    }

    fn hand_over(&self, path: &Path) -> Result<(), ServerFault> {
        if self.user.is_some() {
            let (uid, gid) = system_user().ok_or(ServerFault::NoUser)?;
            chown(path, Some(uid), Some(gid)).map_err(file_fault(path, "handed over"))?;
        }
        Ok(())
    }

    /// An empty primary.
    pub(super) fn primary(&self, name: &'static str, sources: &Sources) -> Result<Server, ServerFault> {
        let directory = self.root.join(name);
        fs::create_dir_all(&directory).map_err(file_fault(&directory, "made"))?;
        self.hand_over(&directory)?;
        let data = directory.join("data").display().to_string();
        let options = [
            "--username",
            OWNER,
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        ];
        let arguments = ["-D".to_owned(), data].into_iter().chain(options.map(str::to_owned));
        self.run("initdb", sources, arguments)?;
        let server = self.start(name, directory, sources)?;
        server.sql("postgres", "CREATE DATABASE ledger")?;
        Ok(server)
    }

    /// A copy of `primary` that follows it; no commit of the primary returns from now on before it is here as well.
    pub(super) fn standby(&self, name: &'static str, primary: &Server) -> Result<Server, ServerFault> {
        let directory = self.root.join(name);
        fs::create_dir_all(&directory).map_err(file_fault(&directory, "made"))?;
        self.hand_over(&directory)?;
        let data = directory.join("data").display().to_string();
        let from = format!("host={} port={PORT} user={OWNER}", primary.host().display());
        let arguments = ["-R", "-X", "stream", "-c", "fast", "-d", &from, "-D", &data].map(str::to_owned);
        self.run("pg_basebackup", &primary.sources, arguments)?;
        let standby = self.start(name, directory, &primary.sources)?;
        primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        primary.sql("postgres", "SELECT pg_reload_conf()")?;
        wait_for("the standby to follow", READY_LIMIT, || {
            let followed = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            match primary.sql("postgres", followed) {
                Ok(count) if count == "1" => Look::Holds(()),
                Ok(count) => Look::NotYet(format!("{count} follow")),
                Err(fault) => Look::NotYet(fault.to_string()),
            }
        })?;
        Ok(standby)
    }

    fn start(&self, name: &'static str, directory: PathBuf, sources: &Sources) -> Result<Server, ServerFault> {
        let settings = [
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", directory.display()),
            format!("port={PORT}"),
            "fsync=on".to_owned(),
            "synchronous_commit=on".to_owned(),
            "max_connections=100".to_owned(),
            "wal_keep_size=256MB".to_owned(),
            "timezone=UTC".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), directory.join("data").display().to_string()];
        for setting in settings {
            arguments.extend(["-c".to_owned(), setting]);
        }
        let process = Process::start(&Launch {
            name,
            program: sources.postgres("postgres"),
            arguments,
            environment: Vec::new(),
            user: self.user,
            lifetime: Lifetime::OfThisProcess,
            end: Signal::Quit,
            log: self.logs.join(format!("{name}.log")),
            pid_file: self.logs.join(format!("{name}.pid")),
        })?;
        let mut server = Server {
            directory,
            sources: sources.clone(),
            user: self.user,
            process,
        };
        wait_for("PostgreSQL to answer", READY_LIMIT, || match server.process.ended() {
            Some(how) => Look::Never(how),
            None => match server.sql("postgres", "SELECT 1") {
                Ok(_) => Look::Holds(()),
                Err(fault) => Look::NotYet(fault.to_string()),
            },
        })?;
        Ok(server)
    }

    fn run(
        &self,
        program: &'static str,
        sources: &Sources,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<(), ServerFault> {
        let mut command = command(self.user, &sources.postgres(program));
        output(program, command.args(arguments)).map(drop)
    }
}

impl Server {
    /// The directory of its socket.
    pub(super) fn host(&self) -> &Path {
        &self.directory
    }

    /// What a power failure would do to its processes: all of them at once, nothing is written any more.
    pub(super) fn kill(&mut self) -> Result<(), ServerFault> {
        let pids = procfs::tree(self.process.pid());
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        // one that has ended by itself meanwhile is no failure
        let _some_have_ended = Command::new("kill").arg("-KILL").args(&pids).output();
        let gone = wait_for("the end of PostgreSQL", STOP_LIMIT, || match self.process.ended() {
            Some(_) => Look::Holds(()),
            None => Look::NotYet("it runs".to_owned()),
        });
        Ok(gone?)
    }

    /// A standby becomes the primary; it waits for no other.
    pub(super) fn promote(&self) -> Result<(), ServerFault> {
        self.sql("postgres", "SELECT pg_promote(true, 30)").map(drop)
    }

    /// What a statement yields, as text.
    pub(super) fn sql(&self, database: &str, statement: &str) -> Result<String, ServerFault> {
        let mut psql = command(self.user, &self.sources.postgres("psql"));
        psql.args([
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            OWNER,
            "-d",
            database,
        ])
        .arg("-h")
        .arg(&self.directory)
        .args(["-c", statement]);
        output("psql", &mut psql)
    }

    pub(super) fn stop(self) -> Result<(), ServerFault> {
        self.process.stop(Signal::Quit, STOP_LIMIT)?;
        Ok(())
    }
}

fn command(user: Option<&'static str>, program: &Path) -> Command {
    let mut command = user.map_or_else(|| Command::new(program), |user| as_user(user, program));
    command.current_dir("/").stdin(std::process::Stdio::null());
    command
}

fn output(program: &'static str, command: &mut Command) -> Result<String, ServerFault> {
    let output = command
        .output()
        .map_err(|source| ServerFault::Run { program, source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(ServerFault::Failed { program, said })
}
