//! A private PostgreSQL in a temporary directory, reached by its Unix socket only.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use batch_clearing::database::{self, Purpose};
use batch_clearing::schema;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::block_on;

pub(crate) struct Server {
    programs: PathBuf,
    directory: TempDir,
    databases: AtomicU32,
}

/// An empty database with up-to-date tables.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let programs = programs();
        let directory = tempfile::Builder::new().prefix("clearing-").tempdir_in("/tmp").unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(directory.path()));
        }
        let server = Self {
            programs,
            directory,
            databases: AtomicU32::new(0),
        };
        let initdb = ["-A", "trust", "-U", "clearing", "-E", "UTF8", "--locale=C", "--no-sync"];
        run(server.program("initdb").arg("-D").arg(server.data()).args(initdb));
        let options = format!(
            "-k {} -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=200",
            server.directory.path().display()
        );
        let log = server.directory.path().join("log");
        let control = server
            .program("pg_ctl")
            .arg("-D")
            .arg(server.data())
            .arg("-w")
            .arg("-l")
            .arg(log)
            .arg("-o")
            .arg(options)
            .arg("start")
            .stdout(std::process::Stdio::null())
            .status();
        assert!(control.unwrap().success(), "PostgreSQL did not start");
        server
    }

    pub(crate) fn database(&self) -> Database {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let url = |name: &str| {
            format!(
                "host={} port=5432 user=clearing dbname={name}",
                self.directory.path().display()
            )
        };
        let database = Database { url: url(&name) };
        block_on(async {
            let client = database::connect(&url("postgres"), Purpose::Command).await.unwrap();
            client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
            schema::migrate(&mut database.connect().await).await.unwrap();
        });
        database
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// PostgreSQL does not run as root.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
                .arg(path);
            command.current_dir("/");
            command
        } else {
            Command::new(path)
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        run(self
            .program("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .args(["-m", "immediate", "-w", "stop"]));
    }
}

impl Database {
    pub(crate) async fn connect(&self) -> Client {
        database::connect(&self.url, Purpose::Command).await.unwrap()
    }

    /// One more beside it, as empty as it was.
    pub(crate) async fn another(&self) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (server, own) = self.url.rsplit_once('=').unwrap();
        let name = format!("{own}_{}", MADE.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name}")).await;
        let another = Self {
            url: format!("{server}={name}"),
        };
        schema::migrate(&mut another.connect().await).await.unwrap();
        another
    }

    pub(crate) async fn text(&self, query: &str) -> String {
        self.connect().await.query_one(query, &[]).await.unwrap().get(0)
    }

    /// One number.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        self.connect().await.query_one(query, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn execute(&self, statements: &str) {
        self.connect().await.batch_execute(statements).await.unwrap();
    }
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
