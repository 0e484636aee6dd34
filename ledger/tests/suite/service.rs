//! The ledger as other processes meet it: over a Unix socket, through its client.

use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use ledger::service::Service;
use ledger::store::Store;
use ledger_journal::{ChainPosition, JournalRecord};
use ledger_model::{Account, ContentField, Decision, Instruction, Refusal};
use ledger_protocol::{
    LedgerClient, LedgerFault, LoadBatch, LoadReply, NothingPosted, PostReply, QueryReply, RefusedItem,
};
use operations::endpoint::Endpoint;
use operations::stop::{Stop, StopSwitch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::bank::{
    Running, SHARDS, WAIT, account, agreement, agreement_number, elsewhere_than, evidence, institution, key, payment,
    payout, refund, token,
};
use crate::embedded::open_all;
use crate::memory::MemoryStore;
use crate::releasing::release;

struct Served {
    running: Running,
    client: LedgerClient,
    endpoint: Endpoint,
    stop: StopSwitch,
    serving: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

async fn serve() -> Served {
    let directory = tempfile::tempdir().unwrap();
    let stores = open_all(&directory.path().join("data"));
    serve_over(directory, stores).await
}

async fn serve_over(directory: tempfile::TempDir, stores: Vec<Box<dyn Store>>) -> Served {
    let running = Running::start(stores);
    let socket: PathBuf = directory.path().join("ledger.sock");
    let endpoint = Endpoint::unix(&socket);
    let (switch, stop) = Stop::by_hand();
    let routes = Service::routes(Arc::clone(&running.ledger), stop.clone());
    let serving = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.serve(routes, stop).await.unwrap() }
    });
    let deadline = Instant::now() + WAIT;
    while tokio::net::UnixStream::connect(&socket).await.is_err() {
        assert!(Instant::now() < deadline, "nobody listens");
        tokio::task::yield_now().await;
    }
    let client = LedgerClient::connect(&endpoint).unwrap();
    Served {
        running,
        client,
        endpoint,
        stop: switch,
        serving,
        _directory: directory,
    }
}

impl Served {
    async fn load(&self, numbers: std::ops::RangeInclusive<u64>) -> Vec<LoadReply> {
        let accounts = numbers.clone().map(|number| account(number, "CNY100.00"));
        let agreements = numbers.map(agreement);
        self.load_batches(vec![LoadBatch {
            accounts: accounts.collect(),
            agreements: agreements.collect(),
        }])
        .await
    }

    async fn load_batches(&self, batches: Vec<LoadBatch>) -> Vec<LoadReply> {
        let replies = self.client.load(futures::stream::iter(batches)).await.unwrap();
        replies.map(|reply| reply.unwrap()).collect().await
    }

    async fn post(&self, instruction: &Instruction) -> PostReply {
        self.client
            .post(instruction.clone(), evidence(instruction), Instant::now() + WAIT)
            .await
    }

    async fn query(&self, category: &str, number: u64) -> QueryReply {
        self.client.query(key(category, number), Instant::now() + WAIT).await
    }
}

fn decision(reply: &PostReply) -> Decision {
    match reply {
        PostReply::Decided { transfer, .. } => transfer.decision,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_repeats_conflicts_refusals_and_queries() {
    let served = serve().await;
    let loaded = served.load(1..=9).await;
    assert_eq!(
        loaded,
        [LoadReply {
            accounts: 9,
            agreements: 9,
            ..LoadReply::default()
        }]
    );
    for number in 1..=9 {
        let pay = payment(number, number, 4_000);
        let PostReply::Decided {
            transfer,
            repeat: false,
        } = served.post(&pay).await
        else {
            panic!("a payment within its limits posts");
        };
        assert_eq!(
            (transfer.decision, transfer.account),
            (Decision::Posted, Some(token(number)))
        );
        assert_eq!(
            served.post(&pay).await,
            PostReply::Decided {
                transfer: transfer.clone(),
                repeat: true
            }
        );
        assert_eq!(served.query("0110", number).await, QueryReply::Found(transfer));
        let other = served.post(&payment(number, number, 4_001)).await;
        assert_eq!(other, PostReply::Conflict(ContentField::Amount));
        assert_eq!(
            decision(&served.post(&refund(number, number, number, 4_000, 1_000)).await),
            Decision::Posted
        );
        assert_eq!(
            decision(&served.post(&payout(number, number, 500)).await),
            Decision::Posted
        );
        let short = served.post(&payment(number + 100, number, 9_000)).await;
        assert_eq!(decision(&short), Decision::Refused(Refusal::BalanceShort));
    }
    assert_eq!(served.query("0110", 99).await, QueryReply::NotFound);
    let stranger = served.post(&payment(77, 77, 1)).await;
    assert_eq!(decision(&stranger), Decision::Refused(Refusal::NoSuchAgreement));

    let positions = served.client.positions().await.unwrap();
    let sum = |of: fn(&ledger_protocol::ShardPosition) -> u64| positions.iter().map(of).sum::<u64>();
    assert_eq!(
        (sum(|at| at.transfers_posted), sum(|at| at.transfers_refused)),
        (27, 10)
    );
    assert_eq!(sum(|at| at.sequence), 18 + 37);
    for position in &positions {
        assert!(position.sums.iter().all(|sum| sum.debit_minor == sum.credit_minor));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_over_one_stream() {
    let served = serve().await;
    served.load(1..=40).await;
    let instructions: Vec<_> = (0..2_000).map(|number| payment(number, number % 40 + 1, 1)).collect();
    let posts = instructions.iter().map(|instruction| served.post(instruction));
    let replies = futures::future::join_all(posts).await;
    assert!(replies.iter().all(|reply| decision(reply) == Decision::Posted));
    let posted: u64 = served
        .client
        .positions()
        .await
        .unwrap()
        .iter()
        .map(|position| position.transfers_posted)
        .sum();
    assert_eq!(posted, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_post_is_definitely_not_there() {
    let served = serve().await;
    served.load(1..=1).await;
    let pay = payment(1, 1, 100);
    let reply = served.client.post(pay.clone(), evidence(&pay), Instant::now()).await;
    assert!(
        matches!(
            reply,
            PostReply::NothingPosted(NothingPosted::NotSent | NothingPosted::Expired)
        ),
        "{reply:?}"
    );
    assert_eq!(served.query("0110", 1).await, QueryReply::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn loading_tells_what_it_refused_by_its_place() {
    let served = serve().await;
    served.load(1..=2).await;
    let richer = account(1, "CNY100.01");
    let mut homeless = agreement(3);
    homeless.account = token(4_711);
    homeless.number = ledger_model::AgreementNumber::issue(SHARDS.of_account(token(4_711)), 3);
    let mut misplaced = agreement(2);
    misplaced.number = agreement_number(elsewhere_than(2));
    let mut other = agreement(2);
    other.institution = institution(1);
    let replies = served
        .load_batches(vec![
            LoadBatch {
                accounts: vec![account(1, "CNY100.00"), richer, account(5, "CNY0.00")],
                agreements: vec![agreement(5), homeless, misplaced, other, agreement(1)],
            },
            LoadBatch {
                accounts: vec![account(6, "CNY1.00")],
                agreements: Vec::new(),
            },
        ])
        .await;
    let refused = |place, reason: &str| RefusedItem {
        place,
        reason: reason.to_owned(),
    };
    let first = LoadReply {
        accounts: 1,
        agreements: 1,
        unchanged: 2,
        kept: 0,
        refused: vec![
            refused(1, "the account is there with other content"),
            refused(4, "its account is not there"),
            refused(5, "the number does not carry the shard of its account"),
            refused(6, "the number is there with other content"),
        ],
    };
    assert_eq!(
        replies,
        [
            first,
            LoadReply {
                accounts: 1,
                ..LoadReply::default()
            }
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_read_from_anywhere_and_followed() {
    let served = serve().await;
    served.load(1..=8).await;
    let shard = SHARDS.of_account(token(1));
    let mut position = ChainPosition::start(shard);
    let mut follow = |records: Vec<Vec<u8>>| {
        for encoded in records {
            position = position
                .follow(&JournalRecord::decode(&encoded).unwrap(), &encoded)
                .unwrap();
        }
        position.sequence
    };
    let mut journal = Box::pin(served.client.journal(shard.number(), 1).await.unwrap());
    let loaded = served.running.ledger.positions()[shard.index()].sequence;
    while follow(journal.next().await.unwrap().unwrap()) < loaded {}
    for number in 0..50 {
        served.post(&payment(number, 1, 1)).await;
    }
    while follow(journal.next().await.unwrap().unwrap()) < loaded + 50 {}
    assert_eq!(
        position.head.0,
        served.client.positions().await.unwrap()[shard.index()].head
    );
    let mut tail = Box::pin(served.client.journal(shard.number(), loaded + 50).await.unwrap());
    assert_eq!(tail.next().await.unwrap().unwrap().len(), 1);
    assert!(served.client.journal(9, 1).await.is_err());
    assert!(served.client.journal(0, 0).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_answers_what_was_taken_and_ends_every_stream() {
    let served = serve().await;
    let before: Vec<Account> = (1..=4).map(|number| account(number, "CNY100.00")).collect();
    served.load(1..=4).await;
    assert_eq!(before.len(), 4);
    let mut journal = Box::pin(served.client.journal(0, 1).await.unwrap());
    let instructions: Vec<_> = (0..500).map(|number| payment(number, number % 4 + 1, 1)).collect();
    let posts = futures::future::join_all(instructions.iter().map(|instruction| served.post(instruction)));
    let (replies, ()) = tokio::join!(posts, async {
        tokio::task::yield_now().await;
        served.stop.pull();
    });
    tokio::time::timeout(WAIT, served.serving)
        .await
        .expect("it ends by itself")
        .unwrap();
    while let Some(Ok(_)) = journal.next().await {}
    for (instruction, reply) in instructions.iter().zip(replies) {
        let there = served.running.ledger.query(instruction.key());
        match reply {
            PostReply::Decided { transfer, .. } => {
                assert_eq!(there, ledger::outcome::Outcome::Decided { transfer, repeat: true });
            }
            PostReply::NothingPosted(_) => assert_eq!(there, ledger::outcome::Outcome::NotFound),
            PostReply::Unknown => {}
            PostReply::Conflict(field) => panic!("{field:?}"),
        }
    }
    let gone = LedgerClient::connect(&served.endpoint).unwrap();
    let pay = payment(9_999, 1, 1);
    let reply = gone.post(pay.clone(), evidence(&pay), Instant::now() + WAIT).await;
    assert_eq!(reply, PostReply::NothingPosted(NothingPosted::NotSent));
}

/// Whoever asks for records that were released is told so, and gets the others.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_were_released_are_told_from_records_that_cannot_be_read() {
    let stores = MemoryStore::all()
        .into_iter()
        .map(|store| -> Box<dyn Store> { Box::new(store) });
    let served = serve_over(tempfile::tempdir().unwrap(), stores.collect()).await;
    served.load(1..=16).await;
    let shard = SHARDS.all().next().unwrap();
    let last = served.running.ledger.positions()[0].sequence;
    assert!(last > 3);
    release(&served.running, shard, last - 2).await;
    let base = served.running.ledger.positions()[0].base.clone().unwrap();
    assert_eq!((base.sequence, base.operator.as_str()), (last - 2, "li.wei"));
    assert_eq!(served.client.positions().await.unwrap()[0].base, Some(base));
    for from in [1, last - 2] {
        let mut chunks = Box::pin(served.client.journal(0, from).await.unwrap());
        let told = chunks.next().await.unwrap().unwrap_err();
        let why = format!("shard 0: records up to {} were released from the store", last - 2);
        assert!(
            matches!(&told, LedgerFault::Released(text) if text.starts_with(&why)),
            "{told}"
        );
        let mut chunks = Box::pin(served.client.kept(0, from..=last).await.unwrap());
        let told = chunks.next().await.unwrap().unwrap_err();
        assert!(matches!(told, LedgerFault::Released(_)), "{told}");
    }
    let mut chunks = Box::pin(served.client.journal(0, last - 1).await.unwrap());
    assert_eq!(chunks.next().await.unwrap().unwrap().len(), 2);
    assert_eq!(*served.running.faults.lock().unwrap(), Vec::<String>::new());
}
