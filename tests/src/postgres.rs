//! A private PostgreSQL cluster: loopback only, a password of its own, every commit on disk (`fsync`).
//!
//! PostgreSQL refuses to run as root. Started by root it runs as the user `postgres`, and where that user cannot reach
//! the installation's directory (a clone under /root) its data go under /var/tmp.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio_postgres::NoTls;

use crate::blocking::block_on;
use crate::layout::{Layout, LayoutFault, file_fault, write_secret};
use crate::part::Part;
use crate::ports::{Port, Ports};
use crate::process::{Launch, Lifetime};
use crate::sources::Sources;

const OWNER: &str = "clearing";
const DATABASE: &str = "clearing";
pub(crate) const SYSTEM_USER: &str = "postgres";
const PASSWORD_BYTES: usize = 16;
const QUERY_LIMIT: Duration = Duration::from_secs(30);
const ELSEWHERE: &str = "/var/tmp";

#[derive(Debug, Error)]
pub enum PostgresFault {
    #[error("running as root, but there is no user {SYSTEM_USER} for PostgreSQL to run as")]
    NoUser,
    #[error("{0} belongs to somebody else: remove it")]
    NotOurs(PathBuf),
    #[error("PostgreSQL's initdb failed: {0}")]
    Initdb(String),
    #[error("PostgreSQL's initdb cannot be run")]
    RunInitdb(#[source] io::Error),
    #[error("PostgreSQL does not do what it is asked")]
    Query(#[from] tokio_postgres::Error),
    #[error("PostgreSQL did not answer in time")]
    TooLong,
    #[error(transparent)]
    File(#[from] LayoutFault),
}

/// A cluster that is prepared; whether it runs is another matter.
#[derive(Debug)]
pub struct Postgres {
    data: PathBuf,
    user: Option<&'static str>,
    password: String,
}

impl Postgres {
    /// Makes the cluster unless it is there. Half a cluster, left by an interrupted run, is made again.
    pub fn prepare(layout: &Layout, sources: &Sources) -> Result<Self, PostgresFault> {
        let user = (effective_user() == 0).then_some(SYSTEM_USER);
        let data = data_directory(layout, user)?;
        let password_file = layout.etc("postgres.password");
        let password = fs::read_to_string(&password_file).ok();
        if let Some(password) = password.filter(|_| data.join("PG_VERSION").exists()) {
            return Ok(Self { data, user, password });
        }
        erase(&data)?;
        fs::create_dir_all(&data).map_err(file_fault(&data, "made"))?;
        // a file for a moment, since a server of another user can read neither our pipe nor our directories
        let first_password = data.with_extension("password");
        let password = random_text()?;
        write_secret(&first_password, password.as_bytes())?;
        if user.is_some() {
            let (uid, gid) = system_user().ok_or(PostgresFault::NoUser)?;
            for path in [&data, &first_password] {
                chown(path, Some(uid), Some(gid)).map_err(file_fault(path, "handed over"))?;
            }
        }
        let made = initdb(&sources.postgres("initdb"), &data, user, &first_password);
        fs::remove_file(&first_password).map_err(file_fault(&first_password, "removed"))?;
        made?;
        // last: with it the cluster counts as whole
        write_secret(&password_file, password.as_bytes())?;
        Ok(Self { data, user, password })
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn launch(&self, layout: &Layout, ports: &Ports, sources: &Sources, lifetime: Lifetime) -> Launch {
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", ports.of(Port::Postgres)),
            "unix_socket_directories=".to_owned(),
            "fsync=on".to_owned(),
            "synchronous_commit=on".to_owned(),
            "full_page_writes=on".to_owned(),
            "max_connections=32".to_owned(),
            "shared_buffers=128MB".to_owned(),
            "max_wal_size=2GB".to_owned(),
            "timezone=UTC".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), self.data.display().to_string()];
        for setting in settings {
            arguments.extend(["-c".to_owned(), setting]);
        }
        Launch {
            name: Part::Postgres.name(),
            program: sources.postgres("postgres"),
            arguments,
            environment: Vec::new(),
            user: self.user,
            lifetime,
            end: Part::Postgres.end(),
            log: layout.log(Part::Postgres),
            pid_file: layout.pid_file(Part::Postgres),
        }
    }

    pub fn database(&self, ports: &Ports) -> Database {
        self.database_named(ports, DATABASE)
    }

    fn database_named(&self, ports: &Ports, name: &str) -> Database {
        let address = ports.address(Port::Postgres);
        Database {
            url: format!("postgres://{OWNER}:{}@{address}/{name}", self.password),
        }
    }

    /// Makes the database unless it is there. An error while the server is still starting.
    pub fn make_database(&self, ports: &Ports) -> Result<(), PostgresFault> {
        let server = self.database_named(ports, "postgres");
        let there = server.number(&format!(
            "SELECT count(*) FROM pg_database WHERE datname = '{DATABASE}'"
        ))?;
        if there == 0 {
            server.execute(&format!("CREATE DATABASE {DATABASE}"))?;
        }
        Ok(())
    }
}

/// Removes the data, wherever they are.
pub fn erase_data(layout: &Layout) -> Result<(), PostgresFault> {
    erase(&layout.data(Part::Postgres))?;
    erase(&elsewhere(layout))
}

/// One database, asked with a connection for each question: this is for checks, not for speed.
#[derive(Clone)]
pub struct Database {
    url: String,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The one number a query yields.
    pub fn number(&self, query: &str) -> Result<i64, PostgresFault> {
        self.with_client(async |client| client.query_one(query, &[]).await?.try_get(0))
    }

    /// Runs a statement; the number of rows it touched.
    pub fn execute(&self, statement: &str) -> Result<u64, PostgresFault> {
        self.with_client(async |client| client.execute(statement, &[]).await)
    }

    fn with_client<T>(
        &self,
        ask: impl AsyncFnOnce(&tokio_postgres::Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, PostgresFault> {
        let asked = async {
            let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
            let driver = tokio::spawn(connection);
            let answer = ask(&client).await;
            driver.abort();
            answer
        };
        let limited = block_on(async { tokio::time::timeout(QUERY_LIMIT, asked).await });
        Ok(limited.map_err(|_| PostgresFault::TooLong)??)
    }
}

pub(crate) fn effective_user() -> u32 {
    fs::metadata("/proc/self").map_or(0, |process| process.uid())
}

pub(crate) fn system_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(SYSTEM_USER))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Under the installation where the user can get there, else apart.
fn data_directory(layout: &Layout, user: Option<&str>) -> Result<PathBuf, PostgresFault> {
    let usual = layout.data(Part::Postgres);
    let Some(user) = user else {
        return Ok(usual);
    };
    let parent = usual.parent().unwrap_or(&usual);
    let mut test = as_user(user, Path::new("test"));
    let reached = test.arg("-x").arg(parent).status().map_err(PostgresFault::RunInitdb)?;
    if reached.success() {
        return Ok(usual);
    }
    let apart = elsewhere(layout);
    let uid = system_user().ok_or(PostgresFault::NoUser)?.0;
    match fs::symlink_metadata(&apart) {
        // anybody may write there: what somebody else prepared is not used
        Ok(there) if !there.is_dir() || ![0, uid].contains(&there.uid()) => Err(PostgresFault::NotOurs(apart)),
        _ => Ok(apart),
    }
}

fn elsewhere(layout: &Layout) -> PathBuf {
    let name = layout.root().display().to_string().replace('/', "-");
    Path::new(ELSEWHERE).join(format!("clearing-postgres{name}"))
}

fn erase(directory: &Path) -> Result<(), PostgresFault> {
    match fs::remove_dir_all(directory) {
        Err(left) if left.kind() != io::ErrorKind::NotFound => Err(file_fault(directory, "removed")(left).into()),
        _ => Ok(()),
    }
}

pub(crate) fn as_user(user: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", user, "--regid", user, "--init-groups", "--"])
        .arg(program);
    command
}

fn initdb(program: &Path, data: &Path, user: Option<&str>, password_file: &Path) -> Result<(), PostgresFault> {
    let mut command = user.map_or_else(|| Command::new(program), |user| as_user(user, program));
    command
        .arg("-D")
        .arg(data)
        .arg("--pwfile")
        .arg(password_file)
        .args(["--username", OWNER, "--auth", "scram-sha-256"])
        .args(["--encoding", "UTF8", "--locale", "C", "--no-instructions"])
        .current_dir("/")
        .stdin(Stdio::null());
    let output = command.output().map_err(PostgresFault::RunInitdb)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(PostgresFault::Initdb(said.trim().replace('\n', "; ")))
}

fn random_text() -> Result<String, LayoutFault> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0_u8; PASSWORD_BYTES];
    let file = fs::File::open(source);
    file.and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(file_fault(source, "read"))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
