//! Payments that are to succeed, and what the network heard of each: made before they are played, so that a fault can
//! fall right into the middle of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use fixtures::answer;
use fixtures::compose::{Stamp, compose};
use fixtures::corpus::RequestLines;
use fixtures::draft::{Draft, PAYMENT, Terms, category};
use fixtures::exchange::{Line, Outgoing, Target};
use fixtures::identity;
use fixtures::renewal::live_id;
use frontend_messages::Profile;
use ledger_model::{AgreementNumber, Amount, Currency, TransferStatus};
use signer_crypto::Suite;
use system_tests::wait::{Look, wait_for};

use crate::site::{Site, now};

/// The special customers come first and would be refused.
const SPECIAL_ACCOUNTS: usize = 11;
const CONNECTIONS: usize = 8;
const PROGRESS_LIMIT: Duration = Duration::from_mins(1);

/// Signed payments, each of another id.
#[derive(Clone)]
pub(crate) struct Payments {
    bodies: Arc<Vec<Vec<u8>>>,
}

/// What was said of one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It was posted, with this serial at this time.
    Posted { serial: String, finished_at: String },
    /// It may or may not be posted: status 02, or no answer at all.
    Unknown,
    /// Nothing was posted, says the answer: an HTTP status other than 200, or a message without an outcome.
    Nothing(String),
    /// A failure, which none of these payments deserves.
    Refused(String),
}

impl Payments {
    /// `run` tells the ids of one trial from those of another.
    pub(crate) fn make(site: &Site, run: u64, count: usize) -> Self {
        let agreements = ordinary_agreements(site);
        let start = now();
        let body = |number: usize| {
            let (institution, agreement) = &agreements[number % agreements.len()];
            let number = u32::try_from(number).unwrap();
            let terms = Terms {
                id: live_id(start, run, number),
                category: category(PAYMENT),
                ordered_at: start,
                amount: Amount::new(100 + i64::from(number % 900), Currency::CNY).unwrap(),
                batch: format!("B{}0001", start.date().compact()).parse().unwrap(),
                institution: identity::institution(*institution),
            };
            let stamp = Stamp {
                suite: Suite::Sm,
                sent_at: start,
                field_key_seed: 0,
            };
            compose(&Draft::payment(&terms, *agreement), stamp, &site.keys).unwrap()
        };
        Self {
            bodies: Arc::new((0..count).map(body).collect()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Plays them all in the background; every answer that has a signature has it checked.
    pub(crate) fn play(&self, site: &Site) -> Playing {
        let answered = Arc::new(AtomicUsize::new(0));
        let (bodies, target, count) = (Arc::clone(&self.bodies), site.target(), Arc::clone(&answered));
        let keys = fixtures::keys::Keyring::load(&fixtures::keys::repository_directory()).unwrap();
        let playing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(play(
                Arc::new(Player {
                    target,
                    keys,
                    answered: count,
                }),
                bodies,
            ))
        });
        Playing { answered, playing }
    }
}

/// Payments on their way.
pub(crate) struct Playing {
    answered: Arc<AtomicUsize>,
    playing: JoinHandle<Vec<Heard>>,
}

impl Playing {
    /// Waits until so many were answered, well or badly.
    pub(crate) fn wait_answered(&self, count: usize) {
        let what = format!("{count} answers");
        wait_for(&what, PROGRESS_LIMIT, || match self.answered.load(Ordering::SeqCst) {
            answered if answered >= count => Look::Holds(()),
            answered => Look::NotYet(format!("{answered} so far")),
        })
        .unwrap_or_else(|fault| panic!("{fault}"));
    }

    /// What was heard of each, in their order.
    pub(crate) fn finish(self) -> Vec<Heard> {
        self.playing.join().unwrap()
    }
}

struct Player {
    target: Arc<Target>,
    keys: fixtures::keys::Keyring,
    answered: Arc<AtomicUsize>,
}

async fn play(player: Arc<Player>, bodies: Arc<Vec<Vec<u8>>>) -> Vec<Heard> {
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|first| {
            let (player, bodies) = (Arc::clone(&player), Arc::clone(&bodies));
            tokio::spawn(async move {
                let mut line = Line::new(Arc::clone(&player.target));
                let mut heard = Vec::new();
                for place in (first..bodies.len()).step_by(CONNECTIONS) {
                    heard.push((place, player.ask(&mut line, &bodies[place]).await));
                    player.answered.fetch_add(1, Ordering::SeqCst);
                }
                heard
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, heard)| heard).collect()
}

impl Player {
    async fn ask(&self, line: &mut Line, body: &[u8]) -> Heard {
        let outgoing = Outgoing::of(body.to_vec(), &RequestLines::default());
        let Ok(incoming) = line.exchange(outgoing).await else {
            return Heard::Unknown;
        };
        let opened = answer::open(&incoming, &self.keys, &Profile::default());
        let Some(signed) = opened.unwrap_or_else(|fault| panic!("an answer that breaks the rules: {fault}")) else {
            return Heard::Nothing(format!("HTTP {}", incoming.status));
        };
        let said = signed.said();
        match said.status {
            Some(TransferStatus::Success) => Heard::Posted {
                serial: said.serial.map(|serial| serial.to_string()).unwrap(),
                finished_at: said.finished_at.map(|time| time.to_string()).unwrap(),
            },
            Some(TransferStatus::InProcess) => Heard::Unknown,
            Some(TransferStatus::Failed) => Heard::Refused(format!("{:?}", said.business_code)),
            None => Heard::Nothing(format!("{:?}", said.system_code)),
        }
    }
}

/// Those of the accounts that were loaded, with the institution each is with (by its place).
fn ordinary_agreements(site: &Site) -> Vec<(usize, AgreementNumber)> {
    let path = site.plan().layout.accounts().join("agreements.csv");
    let content = std::fs::read_to_string(path).unwrap();
    let mut lines = content.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let (number, institution) = (column("number"), column("institution"));
    let agreements = lines.skip(SPECIAL_ACCOUNTS).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let place = identity::INSTITUTIONS
            .iter()
            .position(|name| *name == cells[institution])
            .unwrap();
        (place, cells[number].parse().unwrap())
    });
    agreements.collect()
}
