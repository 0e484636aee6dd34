//! A ledger that serves journals it was given, over a Unix socket like the real one.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use batch_clearing::figures::ShardFigures;
use futures::{Stream, StreamExt};
use ledger_journal::JournalRecord;
use ledger_protocol::LedgerClient;
use ledger_protocol::wire::ledger_server::{Ledger, LedgerServer};
use ledger_protocol::wire::{
    CurrencySum, EvidenceReply, EvidenceRequest, HopsReply, HopsRequest, JournalChunk, JournalRequest, KeptChunk,
    KeptRequest, LoadBatch, LoadReply, PositionsReply, PositionsRequest, ReplyBatch, ShardPosition, StandingReply,
    StandingRequest, WorkBatch,
};
use operations::endpoint::Endpoint;
use operations::stop::{Stop, StopSwitch};
use tempfile::TempDir;
use tonic::{Request, Response, Status, Streaming};

use crate::sample;

type Journals = Arc<Mutex<BTreeMap<u8, Vec<Vec<u8>>>>>;

pub(crate) struct FakeLedger {
    directory: TempDir,
    journals: Journals,
    switch: StopSwitch,
}

#[derive(Clone)]
struct Service(Journals);

const CHUNK: usize = 16;
const LISTENS_WITHIN: Duration = Duration::from_secs(10);

impl FakeLedger {
    /// With these journals, shard 0 first. Call inside a runtime.
    pub(crate) fn start(journals: impl IntoIterator<Item = Vec<Vec<u8>>>) -> Self {
        let journals: Journals = Arc::new(Mutex::new((0..).zip(journals).collect()));
        let directory = tempfile::tempdir().unwrap();
        let ledger = Self {
            directory,
            journals,
            switch: Stop::by_hand().0,
        };
        ledger.restart()
    }

    /// Stops answering and answers again: listens when this returns. Blocks, so the runtime needs another thread.
    pub(crate) fn restart(mut self) -> Self {
        let socket = self.directory.path().join("ledger.sock");
        let before = made(&socket);
        self.switch.pull();
        let (switch, stop) = Stop::by_hand();
        self.switch = switch;
        let (endpoint, service) = (self.endpoint(), Service(Arc::clone(&self.journals)));
        tokio::spawn(async move {
            let routes = tonic::service::Routes::new(LedgerServer::new(service));
            // the socket of the server before may not be gone yet
            while endpoint.serve(routes.clone(), stop.clone()).await.is_err() {
                tokio::task::yield_now().await;
            }
        });
        let deadline = Instant::now() + LISTENS_WITHIN;
        while made(&socket) == before || std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "the ledger does not listen");
            std::thread::yield_now();
        }
        self
    }

    pub(crate) fn socket(&self) -> String {
        format!("unix:{}", self.directory.path().join("ledger.sock").display())
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.socket().parse().unwrap()
    }

    pub(crate) fn client(&self) -> LedgerClient {
        LedgerClient::connect(&self.endpoint()).unwrap()
    }

    /// Replaces a shard's journal, by a longer one as a rule.
    pub(crate) fn set(&self, shard: u8, journal: Vec<Vec<u8>>) {
        self.journals.lock().unwrap().insert(shard, journal);
    }
}

/// When the socket at a path was made, if there is one: tells the server before from the one after.
fn made(socket: &Path) -> Option<SystemTime> {
    std::fs::metadata(socket).and_then(|found| found.modified()).ok()
}

fn position(shard: u8, journal: &[Vec<u8>]) -> ShardPosition {
    let mut figures = ShardFigures::start(sample::shard(shard));
    for encoded in journal {
        let Ok(()) = figures.take(&JournalRecord::decode(encoded).unwrap(), encoded) else {
            break;
        };
    }
    let sums = figures.sums.iter().map(|(currency, sums)| CurrencySum {
        currency: currency.to_string(),
        debit_minor: sums.debit_minor,
        credit_minor: sums.credit_minor,
    });
    ShardPosition {
        shard: shard.into(),
        sequence: figures.chain.sequence,
        head: figures.chain.head.0.to_vec(),
        shipped: 0,
        transfers_posted: figures.posted,
        transfers_refused: figures.refused,
        sums: sums.collect(),
        shipping: None,
        closed_through: String::new(),
        base: None,
    }
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Ledger for Service {
    type WorkStream = Replies<ReplyBatch>;
    type LoadStream = Replies<LoadReply>;
    type JournalStream = Replies<JournalChunk>;
    type KeptStream = Replies<KeptChunk>;

    async fn work(&self, _: Request<Streaming<WorkBatch>>) -> Result<Response<Self::WorkStream>, Status> {
        Ok(Response::new(futures::stream::pending().boxed()))
    }

    async fn load(&self, _: Request<Streaming<LoadBatch>>) -> Result<Response<Self::LoadStream>, Status> {
        Err(Status::unimplemented("this ledger takes no accounts"))
    }

    async fn positions(&self, _: Request<PositionsRequest>) -> Result<Response<PositionsReply>, Status> {
        let journals = self.0.lock().unwrap().clone();
        let shards = journals.iter().map(|(shard, journal)| position(*shard, journal));
        Ok(Response::new(PositionsReply {
            unseen_shards: Vec::new(),
            shards: shards.collect(),
        }))
    }

    async fn standing(&self, _: Request<StandingRequest>) -> Result<Response<StandingReply>, Status> {
        Err(Status::unimplemented("this ledger shows no books"))
    }

    async fn evidence(&self, _: Request<EvidenceRequest>) -> Result<Response<EvidenceReply>, Status> {
        Err(Status::unimplemented("this ledger keeps no evidence"))
    }

    async fn kept(&self, _: Request<KeptRequest>) -> Result<Response<Self::KeptStream>, Status> {
        Err(Status::unimplemented("this ledger keeps no evidence"))
    }

    async fn hops(&self, _: Request<HopsRequest>) -> Result<Response<HopsReply>, Status> {
        Err(Status::unimplemented("this ledger has no hops"))
    }

    async fn journal(&self, request: Request<JournalRequest>) -> Result<Response<Self::JournalStream>, Status> {
        let JournalRequest { shard, from } = request.into_inner();
        let (shard, start) = (u8::try_from(shard).unwrap(), usize::try_from(from).unwrap() - 1);
        let journals = Arc::clone(&self.0);
        let chunks = futures::stream::unfold(start, move |next| {
            let journals = Arc::clone(&journals);
            async move {
                loop {
                    let rest: Vec<_> = journals.lock().unwrap()[&shard]
                        .iter()
                        .skip(next)
                        .take(CHUNK)
                        .cloned()
                        .collect();
                    if !rest.is_empty() {
                        let next = next + rest.len();
                        return Some((Ok(JournalChunk { records: rest }), next));
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        });
        Ok(Response::new(chunks.boxed()))
    }
}
