//! Two ledger processes over one shard group on a real PostgreSQL server, which both ship to one topic.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::StreamExt as _;
use ledger_model::{Account, AccountStatus, AccountToken, NameToken};
use ledger_protocol::{LedgerClient, LoadBatch, ShardPosition, ShipState};
use operations::endpoint::Endpoint;

use crate::journal::SHARDS;
use crate::server::{FLEETING, PORT, Server, USER, Wanted};
use crate::site::{self, Site, wait_for};

const TOPIC: &str = "processes";
/// Accounts in one batch; each leaves a record.
const BATCH: u64 = 20;
/// While one of the two hangs.
const BATCHES_LEFT_ALONE: u64 = 30;

struct Ledger {
    child: Child,
    client: LedgerClient,
}

/// Tells a thread to end, also when what it is there for has failed.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What both have in common.
struct Group<'a> {
    site: &'a Site,
    server: Server,
    directory: tempfile::TempDir,
    next: AtomicU64,
}

impl Ledger {
    /// A signal by its name.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ended_already = self.child.kill();
        self.child.wait().unwrap();
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.end();
    }
}

impl<'a> Group<'a> {
    fn start(site: &'a Site) -> Self {
        let server = Server::start(Wanted {
            settings: &FLEETING,
            under: "/tmp",
            tcp_port: None,
        });
        server.database("ledger");
        Self {
            site,
            server,
            directory: tempfile::tempdir().unwrap(),
            next: AtomicU64::new(1),
        }
    }

    /// Answers when this returns.
    fn ledger(&self, name: &str) -> Ledger {
        let at = |end| self.directory.path().join(name).with_extension(end);
        let (brokers, host) = (self.site.broker.address(), self.server.host());
        let text = format!(
            "listen = \"unix:{}\"\ndirectory = \"data\"\nshards = 2\noperations = {{ address = \"127.0.0.1:0\" }}\n\
             [kafka]\nbrokers = \"{brokers}\"\ntopic = \"{TOPIC}\"\n\
             [[group]]\nname = \"a\"\nshards = [0, 1]\nhosts = [\"{host}:{PORT}\"]\nuser = \"{USER}\"\n",
            at("sock").display()
        );
        std::fs::write(at("toml"), text).unwrap();
        let child = Command::new(site::sources().unwrap().program("ledger"))
            .arg("--config")
            .arg(at("toml"))
            .arg("serve")
            .stderr(Stdio::from(log(&at("log"))))
            .spawn()
            .unwrap();
        let client = self
            .site
            .inside(|| LedgerClient::connect(&Endpoint::unix(at("sock"))).unwrap());
        let ledger = Ledger { child, client };
        wait_for("the ledger answers", || {
            self.site.wait(ledger.client.positions()).is_ok()
        });
        ledger
    }

    /// More records, in every shard, through this ledger.
    fn grow(&self, ledger: &Ledger) {
        let from = self.next.fetch_add(BATCH, Ordering::SeqCst);
        self.site.wait(load(&ledger.client, from));
    }

    fn positions(&self, ledger: &Ledger) -> Vec<ShardPosition> {
        self.site.wait(ledger.client.positions()).unwrap()
    }

    fn is_in(&self, ledger: &Ledger, state: ShipState) -> bool {
        let is_so = |position: &ShardPosition| position.shipping.as_ref().is_some_and(|report| report.state == state);
        self.positions(ledger).iter().all(is_so)
    }

    fn wait_state(&self, ledger: &Ledger, state: ShipState) {
        wait_for(state.name(), || self.is_in(ledger, state));
    }

    /// Until every account that was loaded is in the topic; then the topic is the journal that this ledger tells, wholly,
    /// in order, each record once.
    fn wait_shipped(&self, ledger: &Ledger) {
        let held = || {
            SHARDS
                .all()
                .map(|shard| self.site.broker.contents(TOPIC, shard.number().into()))
        };
        let count = usize::try_from(self.next.load(Ordering::SeqCst) - 1).unwrap();
        wait_for("the topic holds it all", || {
            held().map(|records| records.len()).sum::<usize>() >= count
        });
        for (shard, held) in SHARDS.all().zip(held()) {
            let journal = self.site.wait(journal(&ledger.client, shard.number(), held.len()));
            assert!(
                held == journal,
                "shard {shard} holds {} records of another kind",
                held.len()
            );
        }
        assert_eq!(
            held().map(|records| records.len()).sum::<usize>(),
            count,
            "each record once"
        );
    }
}

fn log(path: &Path) -> std::fs::File {
    std::fs::File::options().append(true).create(true).open(path).unwrap()
}

fn account(number: u64) -> Account {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    Account {
        token: AccountToken::new(bytes),
        name: NameToken::new(bytes),
        status: AccountStatus::Open,
        balance: "CNY10.00".parse().unwrap(),
    }
}

async fn load(client: &LedgerClient, from: u64) {
    let batch = LoadBatch {
        accounts: (from..from + BATCH).map(account).collect(),
        agreements: Vec::new(),
    };
    let replies = client.load(futures::stream::iter([batch])).await.unwrap();
    // to its end: a call that is left open is taken back, and a connection bears only so many of those
    let refused: Vec<_> = replies.map(|reply| reply.unwrap().refused).collect().await;
    assert_eq!(refused, [[]]);
}

/// The first so many records of a shard.
async fn journal(client: &LedgerClient, shard: u8, count: usize) -> Vec<Vec<u8>> {
    let mut chunks = Box::pin(client.journal(shard, 1).await.unwrap());
    let mut records = Vec::new();
    while records.len() < count {
        let chunk = tokio::time::timeout(site::WAIT, chunks.next()).await;
        records.extend(chunk.unwrap().unwrap().unwrap());
    }
    records.truncate(count);
    records
}

/// One ships and the other stands by; when the one is killed under load the other takes over, and when that one hangs and
/// wakes up again it finds itself shut out.
pub(crate) fn one_of_two_processes_ships(site: &mut Site) {
    let group = Group::start(site);
    let one = group.ledger("one");
    group.grow(&one);
    group.wait_shipped(&one);
    group.wait_state(&one, ShipState::Shipping);
    let two = group.ledger("two");
    group.wait_state(&two, ShipState::StandingBy);
    for _ in 0..10 {
        group.grow(&one);
        group.grow(&two);
    }
    group.wait_shipped(&two);
    assert!(group.is_in(&one, ShipState::Shipping) && group.is_in(&two, ShipState::StandingBy));

    // in the middle of whatever transaction it has open
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                group.grow(&two);
            }
        });
        let _at_the_end = Stops(&stop);
        let shipped = || {
            let positions = group.positions(&one);
            positions.iter().map(|position| position.shipped).sum::<u64>()
        };
        let before = shipped();
        wait_for("it ships under load", || shipped() > before + 10 * BATCH);
        one.kill();
    });
    group.grow(&two);
    group.wait_state(&two, ShipState::Shipping);
    group.wait_shipped(&two);

    let one = group.ledger("one");
    group.wait_state(&one, ShipState::StandingBy);
    two.signal("-STOP");
    for _ in 0..BATCHES_LEFT_ALONE {
        group.grow(&one);
    }
    group.wait_state(&one, ShipState::Shipping);
    two.signal("-CONT");
    // it goes on where it was, with what the other has long shipped
    wait_for("the one that hung is shut out", || {
        group.grow(&one);
        group.is_in(&two, ShipState::StandingBy)
    });
    group.wait_shipped(&one);
    assert!(group.is_in(&one, ShipState::Shipping));
}
