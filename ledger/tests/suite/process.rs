//! A ledger as a process of its own, and its commands.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use futures::StreamExt;
use ledger_model::{Instruction, Transfer};
use ledger_protocol::{LedgerClient, LoadBatch, PostReply};
use operations::endpoint::Endpoint;
use operations::exit;
use tokio::time::Instant;

use crate::bank::{WAIT, account, agreement, evidence};
use crate::server::USER;

pub(crate) struct Process {
    child: Child,
    pub(crate) client: LedgerClient,
    pub(crate) config: PathBuf,
}

/// A section `[[group]]`, all shards of which are in one database.
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    pub(crate) shards: &'a [u8],
    /// `host:port`.
    pub(crate) host: &'a str,
    pub(crate) database: &'a str,
}

impl std::fmt::Display for Section<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            shards,
            host,
            database,
        } = self;
        writeln!(
            f,
            "[[group]]\nname = \"{name}\"\nshards = {shards:?}\nhosts = [\"{host}\"]\ndatabase = \"{database}\"\nuser = \"{USER}\""
        )
    }
}

impl Process {
    /// Runs under `directory`, with its stores in `directory/data`; answers when this returns.
    pub(crate) async fn start(directory: &Path) -> Self {
        Self::start_as(directory, "ledger", "").await
    }

    /// One of several under `directory`, each with a name of its own; `further` is the rest of the configuration.
    pub(crate) async fn start_as(directory: &Path, name: &str, further: &str) -> Self {
        Self::start_seeing(directory, name, further, &[]).await
    }

    /// One that can ask all shards but these.
    pub(crate) async fn start_seeing(directory: &Path, name: &str, further: &str, unseen: &[u8]) -> Self {
        let socket = directory.join(name).with_extension("sock");
        let config = directory.join(name).with_extension("toml");
        let text = format!(
            "listen = \"unix:{}\"\ndirectory = \"data\"\nkept_days = 3660\noperations = {{ address = \"127.0.0.1:0\" }}\n{further}",
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let client = LedgerClient::connect(&Endpoint::unix(&socket)).unwrap();
        let mut started = Self {
            child: serve(&config),
            client,
            config,
        };
        let deadline = Instant::now() + WAIT;
        while !matches!(started.client.seen_positions().await, Ok(seen) if seen.unseen == unseen) {
            let ended = started.child.try_wait().unwrap();
            let may_wait = Instant::now() < deadline && ended.is_none_or(|how| how.code() == Some(exit::FAILED.into()));
            assert!(may_wait, "the ledger does not start ({ended:?}): {}", started.log());
            if ended.is_some() {
                // its servers did not answer in time: whatever watches over it would start it again
                started.child = serve(&started.config);
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        started
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.config.with_extension("log")).unwrap()
    }

    pub(crate) async fn load(&self, numbers: std::ops::Range<u64>, balance: &str) {
        let batch = LoadBatch {
            accounts: numbers.clone().map(|number| account(number, balance)).collect(),
            agreements: numbers.map(agreement).collect(),
        };
        let replies = self.client.load(futures::stream::iter([batch])).await.unwrap();
        let replies: Vec<_> = replies.map(|reply| reply.unwrap().refused).collect().await;
        assert_eq!(replies, [vec![]]);
    }

    pub(crate) async fn post(&self, instruction: &Instruction) -> Transfer {
        let deadline = Instant::now() + WAIT;
        let reply = self.client.post(instruction.clone(), evidence(instruction), deadline);
        match reply.await {
            PostReply::Decided { transfer, .. } => transfer,
            other => panic!("{other:?}"),
        }
    }

    /// A command about this ledger.
    pub(crate) fn command(&self, arguments: &[&str]) -> Told {
        let config = [OsStr::new("--config"), self.config.as_os_str()];
        Told::by(config.into_iter().chain(arguments.iter().map(OsStr::new)))
    }

    /// What the journals say balances, and is what the state says.
    pub(crate) fn balances(&self) {
        let deadline = Instant::now() + WAIT;
        loop {
            let told = self.command(&["trial-balance", "--json"]);
            // a server that is busy may not answer in time
            if told.code != i32::from(exit::FAILED) {
                told.json();
                return;
            }
            assert!(Instant::now() < deadline, "{told:?}");
        }
    }

    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ended_already = self.child.kill();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(config: &Path) -> Child {
    let log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(config.with_extension("log"))
        .unwrap();
    Command::new(env!("CARGO_BIN_EXE_ledger"))
        .arg("--config")
        .arg(config)
        .arg("serve")
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap()
}

/// What a command told, and how it ended.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    pub(crate) fn by(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_ledger"))
            .args(arguments)
            .output()
            .unwrap();
        Self {
            code: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// A command over stores that nobody has open.
    pub(crate) fn at_rest(directory: &Path, command: &str, arguments: &[&str]) -> Self {
        let place = [OsStr::new(command), OsStr::new("--directory"), directory.as_os_str()];
        Self::by(place.into_iter().chain(arguments.iter().map(OsStr::new)))
    }

    pub(crate) fn succeeds(&self) {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        self.succeeds();
        serde_json::from_str(&self.out).unwrap()
    }

    /// Ended with this code, and said this on stderr.
    pub(crate) fn fails(&self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.contains(text), "{self:?}");
    }
}
