//! A ledger as a process over shard groups, clients that order of it all the time, and the commands that change its groups.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use ledger_model::Instruction;
use ledger_protocol::{LedgerClient, PostReply};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::bank::{WAIT, payment, payout, refund};
use crate::journals;
use crate::postgres::Group;
use crate::process::{Process, Section, Told};
use crate::server::{PORT, Server};
use crate::several::{ask, posted, wait_home};

pub(super) const ACCOUNTS: u64 = 24;
const CLIENTS: usize = 8;
/// Orders between two changes.
const BETWEEN: u64 = 100;
/// Servers are lost and started meanwhile, on a machine that may be busy.
const PATIENCE: std::time::Duration = WAIT.saturating_mul(6);
/// Looks often whether a group is back.
const HOPPING: &str = "[hopping]\nprobe_ms = 50\n";
/// The first half of the lock that a mover holds of a shard.
const MOVER: u32 = 0x6D6F_7665;

/// The sections of its configuration, and the ledger that was started with them.
pub(super) struct Fleet {
    directory: tempfile::TempDir,
    /// Named a, b, c, …
    pub(super) groups: Vec<Group>,
    further: String,
    ledger: Option<Process>,
}

/// Clients that each ask again until an order is posted.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    next: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<(Instruction, u64)>>>,
}

/// A command that was begun.
pub(super) struct Underway {
    child: Child,
    lines: mpsc::Receiver<String>,
    said: Vec<String>,
}

impl Fleet {
    /// A group on each server; the ledger knows those of the layout, with these shards.
    pub(super) async fn start(servers: &[Arc<Server>], layout: &[(&str, &[u8])]) -> Self {
        let mut fleet = Self {
            directory: tempfile::tempdir().unwrap(),
            groups: servers.iter().map(|server| Group::on(Arc::clone(server))).collect(),
            further: HOPPING.to_owned(),
            ledger: None,
        };
        for (name, shards) in layout {
            fleet.further += &fleet.section(name, shards);
        }
        fleet.start_again().await;
        fleet.ledger().load(0..ACCOUNTS, "CNY10000.00").await;
        fleet
    }

    fn section(&self, name: &str, shards: &[u8]) -> String {
        let group = self.group(name);
        let section = Section {
            name,
            shards,
            host: &format!("{}:{PORT}", group.server.host()),
            database: &group.settings.database,
        };
        // busy machines answer late; that is not what this is about
        format!("{section}call_limit_ms = 10000\n")
    }

    pub(super) fn group(&self, name: &str) -> &Group {
        let place = ["a", "b", "c"].iter().position(|known| *known == name);
        &self.groups[place.unwrap()]
    }

    /// A section more, in the file of the ledger that runs.
    pub(super) fn write(&mut self, name: &str) {
        let section = self.section(name, &[]);
        self.further += &section;
        let config = &self.ledger().config;
        let text = std::fs::read_to_string(config).unwrap();
        std::fs::write(config, text + &section).unwrap();
    }

    pub(super) fn ledger(&self) -> &Process {
        self.ledger.as_ref().unwrap()
    }

    /// With kill -9.
    pub(super) fn kill(&mut self) {
        self.ledger.take().unwrap().kill();
    }

    pub(super) async fn start_again(&mut self) {
        self.start_seeing(&[]).await;
    }

    /// While a server is away that has these shards.
    pub(super) async fn start_seeing(&mut self, unseen: &[u8]) {
        let started = Process::start_seeing(self.directory.path(), "ledger", &self.further, unseen);
        self.ledger = Some(started.await);
    }

    /// Another process, of whose file some sections are gone.
    pub(super) async fn another(&self, layout: &[(&str, &[u8])]) -> Process {
        let sections: String = layout.iter().map(|(name, shards)| self.section(name, shards)).collect();
        Process::start_as(self.directory.path(), "another", &sections).await
    }

    /// `ledger group add c` and the like, to its end.
    pub(super) fn change(&self, order: &[&str]) -> Told {
        self.begin(order).ended()
    }

    pub(super) fn begin(&self, order: &[&str]) -> Underway {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ledger"))
            .arg("--config")
            .arg(&self.ledger().config)
            .arg("group")
            .args(order)
            .args(["--operator", "wang.li", "--reason", "room for the new year"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || told.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Underway {
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// Until no mover is at a shard, of a process that was killed; its last statement may take a moment.
    pub(super) fn wait_for_no_mover(&self) {
        let deadline = Instant::now() + PATIENCE;
        let movers = format!(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {MOVER} \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        while self.groups.iter().any(|group| group.sql(&movers) != "0") {
            assert!(Instant::now() < deadline, "a mover is still there");
        }
    }

    /// Every order is posted once and nothing else is, as this ledger and others tell it, and the books are what the
    /// state says.
    pub(super) async fn check_books(&self, others: &[LedgerClient], ordered: &[(Instruction, u64)]) {
        let mut ledgers = vec![self.ledger().client.clone()];
        ledgers.extend_from_slice(others);
        for ledger in &ledgers {
            wait_home(ledger).await;
        }
        journals::read(&ledgers).await.check_posted_once(ordered);
        self.ledger().balances();
        let told = self.ledger().command(&["trial-balance"]);
        told.succeeds();
        assert_eq!(told.out.matches(": equal to the state\n").count(), 4, "{}", told.out);
    }

    /// Which shards each group holds, as `group list` tells: `a 0 1, b 2 3`.
    pub(super) fn listed(&self) -> String {
        let listed = self.ledger().command(&["group", "list", "--json"]).json();
        let groups = listed["groups"].as_array().unwrap().iter().map(|group| {
            let shards = group["shards"].as_array().unwrap().iter();
            let shards = shards.map(|shard| format!(" {shard}"));
            format!("{}{}", group["name"].as_str().unwrap(), shards.collect::<String>())
        });
        groups.collect::<Vec<_>>().join(", ")
    }
}

impl Load {
    pub(super) fn start(client: &LedgerClient) -> Self {
        let (stop, next) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let start = |_| tokio::spawn(send(client.clone(), Arc::clone(&next), Arc::clone(&stop)));
        let clients = (0..CLIENTS).map(start).collect();
        Self { stop, next, clients }
    }

    pub(super) async fn goes_on(&self) {
        let reached = self.next.load(Ordering::SeqCst) + BETWEEN;
        let deadline = Instant::now() + PATIENCE;
        while self.next.load(Ordering::SeqCst) < reached {
            assert!(Instant::now() < deadline, "orders do not go on");
            tokio::task::yield_now().await;
        }
    }

    /// What was ordered, all of which was told as posted, with the account it is about.
    pub(super) async fn stop(self) -> Vec<(Instruction, u64)> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        for client in self.clients {
            all.extend(client.await.unwrap());
        }
        all
    }
}

/// Payments, payouts, and refunds of its own payments.
async fn send(ledger: LedgerClient, next: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Vec<(Instruction, u64)> {
    let mut all = Vec::new();
    let mut paid = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let account = number % ACCOUNTS;
        let order = match (number % 5, paid.pop()) {
            (0, Some((original, of))) => (refund(number, original, of, 100, 60), of),
            (1, before) => {
                paid.extend(before);
                (payout(number, account, 50), account)
            }
            (_, before) => {
                paid.extend(before);
                paid.push((number, account));
                (payment(number, account, 100), account)
            }
        };
        post(&ledger, &order.0).await;
        all.push(order);
    }
    all
}

/// Asked again, whatever is away, until it is told as posted.
pub(super) async fn post(ledger: &LedgerClient, order: &Instruction) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask(ledger, order).await {
            reply @ PostReply::Decided { .. } => {
                posted(reply);
                return;
            }
            reply => assert!(Instant::now() < deadline, "{order:?}: {reply:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

impl Underway {
    /// Until it has told this.
    pub(super) fn until(&mut self, text: &str) {
        while !self.said.last().is_some_and(|line| line.contains(text)) {
            let line = self.lines.recv_timeout(PATIENCE);
            self.said
                .push(line.unwrap_or_else(|_| panic!("{text}: {:?}", self.said)));
        }
    }

    pub(super) fn ended(mut self) -> Told {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        Told {
            code: self.child.wait().unwrap().code().unwrap(),
            out: String::new(),
            err: self.said.join("\n"),
        }
    }
}
