//! Over a shard group: ledgers are killed, and the server as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use ledger_protocol::LedgerClient;

use super::books::Books;
use super::orders::{Load, Ordered};
use super::{ACCOUNTS, LIFE_MS, Seeded, open_books, pieces};
use crate::journals;
use crate::postgres::Group;
use crate::process::{Process, Section};
use crate::server::{PORT, Server, Wanted};

const KILLS: u32 = 25;
const KILLS_OF_TWO: u32 = 10;
/// Every so many-th kill takes the server along, and after as many the server is killed alone.
const SERVER_EVERY: u32 = 5;
/// Between the server's end and a ledger's, milliseconds.
const BETWEEN_MS: std::ops::Range<u64> = 0..60;
/// Looks often whether its group is back.
const HOPPING: &str = "[hopping]\nprobe_ms = 50\n";

/// What is killed in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    Ledger,
    Server,
    ServerThenLedger,
}

/// Ledgers over one group.
struct Site {
    directory: tempfile::TempDir,
    group: Group,
    ledgers: BTreeMap<&'static str, Process>,
}

impl Site {
    /// Its server keeps what it has committed, whatever happens to it.
    fn start() -> Self {
        let server = Server::start(Wanted {
            settings: &[],
            under: "/tmp",
            tcp_port: None,
        });
        Self {
            directory: tempfile::tempdir().unwrap(),
            group: Group::on(Arc::new(server)),
            ledgers: BTreeMap::new(),
        }
    }

    async fn start_missing(&mut self, names: &[&'static str]) {
        let section = Section {
            name: "a",
            shards: &[0, 1, 2, 3],
            host: &format!("{}:{PORT}", self.group.server.host()),
            database: &self.group.settings.database,
        };
        let further = format!("{HOPPING}{section}");
        for name in names {
            if !self.ledgers.contains_key(name) {
                let process = Process::start_as(self.directory.path(), name, &further).await;
                self.ledgers.insert(name, process);
            }
        }
    }

    fn clients(&self) -> Vec<LedgerClient> {
        self.ledgers.values().map(|process| process.client.clone()).collect()
    }

    /// As every one of its ledgers tells the books.
    async fn check(&self, ordered: &Ordered) {
        let mut balances = Vec::new();
        for client in &self.clients() {
            let asked = (0..ACCOUNTS).map(|number| async move { (number, journals::balance(client, number).await) });
            balances.push(join_all(asked).await);
        }
        let mut books = Books::default();
        for record in journals::read(&self.clients()).await.records() {
            books.take(record);
        }
        books.compare(ordered);
        for balances in balances {
            books.compare_balances(balances.into_iter());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_killed_at_any_moment_forgets_nothing_it_answered() {
    let mut seeded = Seeded::from_environment();
    for kills in pieces(KILLS) {
        kill(&mut seeded, kills, &["one"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn either_of_two_killed_at_any_moment_they_forget_nothing() {
    let mut seeded = Seeded::from_environment();
    for kills in pieces(KILLS_OF_TWO) {
        kill(&mut seeded, kills, &["one", "two"]).await;
    }
}

/// Ledgers over one group from empty books on, of which one or the other is killed so many times.
async fn kill(seeded: &mut Seeded, kills: u32, names: &[&'static str]) {
    let mut site = Site::start();
    let mut ordered = Ordered::default();
    site.start_missing(names).await;
    open_books(&site.clients()[0]).await;
    for kill in 0..kills {
        let blows: &[Blow] = match kill % SERVER_EVERY {
            1 => &[Blow::ServerThenLedger],
            3 => &[Blow::Server, Blow::Ledger],
            _ => &[Blow::Ledger],
        };
        for blow in blows {
            let load = Load::start(&site.clients(), &mut ordered);
            seeded.live(LIFE_MS).await;
            if *blow != Blow::Ledger {
                site.group.server.kill();
            }
            if *blow == Blow::ServerThenLedger {
                seeded.live(BETWEEN_MS).await;
            }
            if *blow != Blow::Server {
                site.ledgers.remove(seeded.one_of(names)).unwrap().kill();
                seeded.live(BETWEEN_MS).await;
            }
            ordered.extend(load.stop().await);
            if *blow != Blow::Ledger {
                site.group.server.start_again();
            }
            site.start_missing(names).await;
            ordered.settle(&site.clients()).await;
            site.check(&ordered).await;
        }
    }
    ordered.check_posted();
    for process in site.ledgers.values() {
        process.balances();
    }
}
