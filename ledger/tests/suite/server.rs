//! Real PostgreSQL servers, private ones: started in a temporary directory, reached by their Unix sockets (TLS by a port of
//! loopback), stopped when they are dropped. With standbys that replicate from them, and every way to lose one.
//!
//! Needs nothing but the standard library and `tempfile`, so that other tests and benches can take it in as it is.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

use tempfile::TempDir;

pub(crate) const USER: &str = "clearing";
/// Of the Unix socket; nothing listens there.
pub(crate) const PORT: u16 = 5432;
/// For what nothing on the disk outlives.
pub(crate) const FLEETING: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// How a server is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// `name=value`.
    pub(crate) settings: &'a [&'a str],
    /// Where its directory is made.
    pub(crate) under: &'a str,
    /// Of loopback, where it listens there.
    pub(crate) tcp_port: Option<u16>,
}

#[derive(Debug)]
pub(crate) struct Server {
    programs: PathBuf,
    directory: TempDir,
    settings: Vec<String>,
    port: u16,
}

impl Server {
    pub(crate) fn start(wanted: Wanted<'_>) -> Self {
        let server = Self::empty(wanted);
        let initdb = ["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync"];
        run(server.program("initdb").arg("-D").arg(server.data()).args(initdb));
        server.start_again();
        server
    }

    fn empty(wanted: Wanted<'_>) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("postgres-")
            .tempdir_in(wanted.under)
            .unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(directory.path()));
        }
        let port = wanted.tcp_port.unwrap_or(PORT);
        let always = [
            format!("unix_socket_directories={}", directory.path().display()),
            format!("listen_addresses={}", wanted.tcp_port.map_or("", |_| "127.0.0.1")),
            format!("port={port}"),
            "max_connections=100".to_owned(),
        ];
        let further = wanted.settings.iter().map(|setting| (*setting).to_owned());
        Self {
            programs: programs(),
            directory,
            settings: always.into_iter().chain(further).collect(),
            port,
        }
    }

    /// A standby that replicates from this server, and without which no commit of this server returns.
    pub(crate) fn standby(&self, wanted: Wanted<'_>) -> Self {
        let standby = Self::empty(wanted);
        let from = format!("host={} port={} user={USER}", self.host(), self.port);
        run(standby
            .program("pg_basebackup")
            .args(["-R", "-X", "stream", "-c", "fast", "-d", &from, "-D"])
            .arg(standby.data()));
        standby.start_again();
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("postgres", "SELECT pg_reload_conf()");
        while self.sql(
            "postgres",
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'",
        ) != "1"
        {
            std::thread::yield_now();
        }
        standby
    }

    /// The directory of its socket.
    pub(crate) fn host(&self) -> String {
        self.directory.path().display().to_string()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// After `stop` or `kill`. Returns when it takes connections.
    pub(crate) fn start_again(&self) {
        let mut control = self.control();
        control.arg("-l").arg(self.directory.path().join("log")).arg("-o");
        let options: Vec<String> = self.settings.iter().map(|setting| format!("-c '{setting}'")).collect();
        // its own output would keep a pipe of ours open
        let started = control
            .arg(options.join(" "))
            .arg("start")
            .stdout(Stdio::null())
            .status();
        let log = || std::fs::read_to_string(self.directory.path().join("log")).unwrap();
        assert!(started.unwrap().success(), "PostgreSQL did not start: {}", log());
    }

    /// Sessions are ended, what is not committed is rolled back.
    pub(crate) fn stop(&self) {
        run(self.control().args(["-m", "fast", "stop"]));
    }

    /// What a power failure would do to its processes, at once and all of them.
    pub(crate) fn kill(&self) {
        // one that is stopped makes no more children, which would outlive it for a moment
        signal("-STOP", &[self.pid()]);
        let pids = self.pids();
        signal("-KILL", &pids);
        while pids.iter().any(|pid| is_running(*pid)) {
            std::thread::yield_now();
        }
        // they name a process that nobody may have asked for yet, and that PostgreSQL would take for a living one
        let socket = format!(".s.PGSQL.{}.lock", self.port);
        for lock in [self.data().join("postmaster.pid"), self.directory.path().join(socket)] {
            std::fs::remove_file(lock).unwrap();
        }
    }

    /// Answers nobody and takes in nothing, and keeps its connections.
    pub(crate) fn freeze(&self) {
        signal("-STOP", &self.pids());
    }

    /// Goes on where it was frozen.
    pub(crate) fn thaw(&self) {
        signal("-CONT", &self.pids());
    }

    /// A standby becomes a primary of its own; it waits for no other standby.
    pub(crate) fn promote(&self) {
        run(self.control().arg("promote"));
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = ''");
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// A file in its directory that nobody else may read.
    pub(crate) fn keep(&self, name: &str, text: &str) {
        let file = self.data().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&file));
        }
    }

    /// An empty database of that name.
    pub(crate) fn database(&self, name: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
    }

    /// What a statement yields, as text.
    pub(crate) fn sql(&self, database: &str, statement: &str) -> String {
        let output = self
            .client("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                database,
                "-c",
                statement,
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{statement}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A program that connects to it.
    pub(crate) fn client(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.args(["-h", &self.host(), "-p", &self.port.to_string(), "-U", USER]);
        command
    }

    /// Of its first process.
    pub(crate) fn pid(&self) -> u32 {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    /// Of all its processes now.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let main = self.pid();
        std::iter::once(main).chain(children_of(main)).collect()
    }

    fn control(&self) -> Command {
        let mut control = self.program("pg_ctl");
        control.arg("-w").arg("-D").arg(self.data());
        control
    }

    /// PostgreSQL does not run as root.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
                .arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir("/");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // one that was killed does not run any more
        let _may_not_run = self
            .control()
            .args(["-m", "immediate", "stop"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// One server for all tests that run at the same time and do it no harm; each uses databases of its own.
pub(crate) fn for_everybody() -> Arc<Server> {
    static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap();
    if let Some(server) = running.upgrade() {
        return server;
    }
    let server = Arc::new(Server::start(Wanted {
        settings: &FLEETING,
        under: "/tmp",
        tcp_port: None,
    }));
    *running = Arc::downgrade(&server);
    server
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let after_name = status.rsplit_once(')')?.1;
        let its_parent: u32 = after_name.split_whitespace().nth(1)?.parse().ok()?;
        (its_parent == parent).then_some(pid)
    });
    processes.collect()
}

/// One that has ended by itself meanwhile is no failure.
fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    let _some_have_ended = Command::new("kill").arg(name).args(pids).stderr(Stdio::null()).status();
}

/// A process that has ended and that nobody has asked for does not run.
fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit_once(')').map_or("", |(_, after)| after.trim_start());
    !state.is_empty() && !state.starts_with('Z')
}

fn is_root() -> bool {
    Path::new("/proc/self").metadata().unwrap().uid() == 0
}

fn programs() -> PathBuf {
    let versions = Path::new("/usr/lib/postgresql")
        .read_dir()
        .expect("PostgreSQL is installed");
    let newest = versions.map(|entry| entry.unwrap().path()).max_by_key(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse::<u32>().ok())
    });
    newest.expect("PostgreSQL is installed").join("bin")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
