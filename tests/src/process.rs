//! Starting, recognising and stopping the processes of the installation.
//!
//! A process is known by its id, the moment it began and the boot it belongs to, kept in a file, so that a later
//! `down` finds it and never takes a stranger with a reused id for ours. Processes that must not outlive this one are
//! killed by the kernel when it ends, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::procfs;
use crate::wait::{Look, WaitFault, wait_for};

/// How much of a log is looked at to say why a process ended.
const LOG_TAIL_BYTES: u64 = 4_096;
const LINE_SHOWN_CHARS: usize = 400;
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Whether a process may outlive the one that starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Killed by the kernel when this process ends.
    OfThisProcess,
    /// Stays until it is stopped: `up` leaves it behind.
    ItsOwn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Asks for an orderly end.
    Terminate,
    /// What PostgreSQL calls a fast shutdown: disconnect everybody, then an orderly end.
    Interrupt,
    /// What PostgreSQL calls an immediate shutdown: all its children go with it.
    Quit,
    Kill,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
        }
    }
}

/// What to start and where its traces go.
#[derive(Debug)]
pub struct Launch {
    pub name: &'static str,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
    /// Run as this user instead of ours; needs root.
    pub user: Option<&'static str>,
    pub lifetime: Lifetime,
    /// What the kernel sends when the lifetime is over.
    pub end: Signal,
    pub log: PathBuf,
    pub pid_file: PathBuf,
}

#[derive(Debug, Error)]
pub enum ProcessFault {
    #[error("{name} cannot be started ({program})")]
    Start {
        name: &'static str,
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("file {path} of process {name} cannot be used")]
    File {
        name: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{name} (pid {pid}) could not be stopped")]
    Stop {
        name: &'static str,
        pid: u32,
        #[source]
        source: WaitFault,
    },
}

/// One process, exactly: ids are reused, so the beginning and the boot belong to the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    began_ticks: u64,
    boot: String,
}

impl Identity {
    fn of(pid: u32) -> Option<Self> {
        let began_ticks = procfs::stat(pid)?.began_ticks;
        let boot = procfs::boot()?;
        Some(Self { pid, began_ticks, boot })
    }

    pub fn is_alive(&self) -> bool {
        let same = |stat: &procfs::Stat| stat.began_ticks == self.began_ticks && !stat.is_defunct;
        procfs::stat(self.pid).as_ref().is_some_and(same) && procfs::boot().as_deref() == Some(&self.boot)
    }
}

/// A process we know of: started by this program, or found through its file.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    identity: Identity,
    /// Present when it is our child, so that it is reaped.
    child: Option<Child>,
    pid_file: PathBuf,
    log: PathBuf,
}

impl Process {
    pub fn start(launch: &Launch) -> Result<Self, ProcessFault> {
        let name = launch.name;
        let start = |source| ProcessFault::Start {
            name,
            program: launch.program.clone(),
            source,
        };
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| ProcessFault::File { name, path, source }
        };
        let log = OpenOptions::new().create(true).append(true).open(&launch.log);
        let log = log.map_err(file(&launch.log))?;
        let child = from_lasting_thread(command(launch, log).map_err(start)?).map_err(start)?;
        let identity = Identity::of(child.id()).ok_or_else(|| start(io::ErrorKind::NotFound.into()))?;
        let written = serde_json::to_vec(&identity).map_err(io::Error::from);
        let written = written.and_then(|text| fs::write(&launch.pid_file, text));
        let process = Self {
            name,
            identity,
            child: Some(child),
            pid_file: launch.pid_file.clone(),
            log: launch.log.clone(),
        };
        match written {
            Ok(()) => Ok(process),
            Err(source) => {
                process.signal(Signal::Kill);
                Err(file(&launch.pid_file)(source))
            }
        }
    }

    /// The process a file speaks of, if it is still there. A file left behind by a kill or a reboot is removed.
    pub fn find(name: &'static str, pid_file: PathBuf, log: PathBuf) -> Option<Self> {
        let identity: Identity = serde_json::from_slice(&fs::read(&pid_file).ok()?).ok()?;
        if identity.is_alive() {
            return Some(Self {
                name,
                identity,
                child: None,
                pid_file,
                log,
            });
        }
        let _gone_already = fs::remove_file(&pid_file);
        None
    }

    pub const fn pid(&self) -> u32 {
        self.identity.pid
    }

    /// Whether this program started it.
    pub const fn is_child(&self) -> bool {
        self.child.is_some()
    }

    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// None while it runs, else how it ended and the last thing it wrote.
    pub fn ended(&mut self) -> Option<String> {
        let how = match &mut self.child {
            Some(child) => child.try_wait().ok()??.to_string(),
            None if self.identity.is_alive() => return None,
            None => "gone".to_owned(),
        };
        let last = last_line(&self.log);
        Some(format!(
            "{} ended ({how}); last line of {}: {last}",
            self.name,
            self.log.display()
        ))
    }

    /// Sends a signal; nothing happens when the process is gone.
    pub fn signal(&self, signal: Signal) {
        if self.identity.is_alive() {
            send(self.identity.pid, signal);
        }
    }

    /// Asks it to end, and kills it when it has not within the limit. True when it ended by itself.
    pub fn stop(mut self, signal: Signal, limit: Duration) -> Result<bool, ProcessFault> {
        self.signal(signal);
        let in_order = self.wait_gone(limit).is_ok();
        if !in_order {
            self.signal(Signal::Kill);
            self.wait_gone(KILL_LIMIT).map_err(|source| ProcessFault::Stop {
                name: self.name,
                pid: self.identity.pid,
                source,
            })?;
        }
        let _gone_already = fs::remove_file(&self.pid_file);
        Ok(in_order)
    }

    fn wait_gone(&mut self, limit: Duration) -> Result<(), WaitFault> {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || {
            let is_gone = match &mut self.child {
                // only the parent is told for certain, and only once
                Some(child) => matches!(child.try_wait(), Ok(Some(_)) | Err(_)),
                None => !self.identity.is_alive(),
            };
            if is_gone {
                Look::Holds(())
            } else {
                Look::NotYet("it still runs".to_owned())
            }
        })
    }
}

/// Builds the command: another user and the end with this process are `setpriv`'s work.
fn command(launch: &Launch, log: File) -> io::Result<Command> {
    let mut wrapping: Vec<String> = Vec::new();
    if let Some(user) = launch.user {
        wrapping.extend(["--reuid", user, "--regid", user, "--init-groups"].map(str::to_owned));
    }
    if launch.lifetime == Lifetime::OfThisProcess {
        wrapping.extend(["--pdeathsig", launch.end.name()].map(str::to_owned));
    }
    let mut command = if wrapping.is_empty() {
        Command::new(&launch.program)
    } else {
        let mut command = Command::new("setpriv");
        command.args(wrapping).arg("--").arg(&launch.program);
        command
    };
    command
        .args(&launch.arguments)
        .envs(launch.environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // a group of its own: an interrupt from the terminal is for this program, which then stops things in order
        .process_group(0);
    Ok(command)
}

/// The kernel ties the end of a child to the *thread* that started it, so one thread that never ends starts them all.
fn from_lasting_thread(mut command: Command) -> io::Result<Child> {
    type Job = (Command, Sender<io::Result<Child>>);
    static STARTER: OnceLock<Sender<Job>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in queue {
                let _nobody_waits = reply.send(command.spawn());
            }
        });
        jobs
    });
    command.current_dir("/");
    let (reply, outcome) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    starter.send((command, reply)).map_err(|_| gone())?;
    outcome.recv().map_err(|_| gone())?
}

fn send(pid: u32, signal: Signal) {
    // the shell's own kill: not every machine has the program
    let _gone_already = Command::new("sh")
        .args(["-c", &format!("kill -s {} {pid}", signal.name())])
        .stderr(Stdio::null())
        .status();
}

fn last_line(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let text = String::from_utf8_lossy(&tail);
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("(empty)");
        Ok(last.chars().take(LINE_SHOWN_CHARS).collect())
    };
    read().unwrap_or_else(|_| "(unreadable)".to_owned())
}
