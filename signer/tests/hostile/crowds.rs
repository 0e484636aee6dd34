//! Many peers, slow peers, peers that do not listen and peers that never stop.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signer_protocol::wire::signer_client::SignerClient as Rpc;
use signer_protocol::{SignerClient, wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::spawned::{Has, Spawned, message, soon, wait_for};
use crate::watch::Watch;
use crate::wire_bytes;

const IDLE: usize = 10_000;
/// Besides the connections: what the test itself has open.
const OTHER_FILES: u64 = 500;
const RESIDENT_MORE_KIB_MAX: usize = 128 << 10;

/// As many open files as are allowed; returns how many idle connections that makes.
fn idle_connections() -> usize {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let possible = usize::try_from(most.saturating_sub(OTHER_FILES)).unwrap();
    IDLE.min(possible)
}

async fn connect(signer: &Spawned) -> UnixStream {
    loop {
        match UnixStream::connect(signer.socket()).await {
            Ok(stream) => return stream,
            // the kernel's queue of those who knock is full for the moment
            Err(full) if full.kind() == std::io::ErrorKind::WouldBlock => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

async fn is_served(signer: &Spawned) {
    let client = SignerClient::connect(&signer.endpoint).unwrap();
    wait_for("a newcomer is served", || async {
        client.open(message(2), soon()).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections() {
    let count = idle_connections();
    let signer = Spawned::start(Has::Every, "").await;
    let watch = Watch::begin(&signer).await;
    let mut idle = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = connect(&signer).await;
        // every second one speaks HTTP/2 and then says no more; some are gone already by then
        if number % 2 == 0 {
            let _refused = stream.write_all(&wire_bytes::call(&[])).await;
        }
        idle.push(stream);
    }
    watch.still_served().await;
    is_served(&signer).await;
    let more = watch.resident_more_kib(&signer);
    println!("{count} idle connections, {more} KiB more resident");
    let mut last = idle.pop().unwrap();
    drop(idle);
    // whoever came last and found no place was told so
    let mut heard = Vec::new();
    let _still_open = tokio::time::timeout(Duration::from_millis(100), last.read_to_end(&mut heard)).await;
    drop(last);
    watch.end(&signer, RESIDENT_MORE_KIB_MAX).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_speak_a_byte_now_and_then() {
    let signer = Spawned::start(Has::Every, "").await;
    let watch = Watch::begin(&signer).await;
    let said = wire_bytes::call(&wire_bytes::grpc(&[0; 600]));
    let mut slow = Vec::new();
    for _ in 0..300 {
        slow.push(connect(&signer).await);
    }
    for byte in said.iter().take(40) {
        for stream in &mut slow {
            let _gave_way = stream.write_all(&[*byte]).await;
        }
    }
    watch.still_served().await;
    is_served(&signer).await;
    drop(slow);
    watch.end(&signer, RESIDENT_MORE_KIB_MAX).await;
}

/// A stream that is spoken to as the contract says, and read or not.
struct Flood {
    sending: tokio::task::JoinHandle<()>,
    replies: tonic::Streaming<wire::ReplyBatch>,
}

impl Flood {
    async fn begin(signer: &Spawned) -> Self {
        let (work, batches) = mpsc::channel(4);
        let mut rpc = Rpc::new(signer.endpoint.channel().unwrap());
        let replies = rpc.work(ReceiverStream::new(batches)).await.unwrap().into_inner();
        let open = signer_protocol::Work::Open(message(3));
        let sending = tokio::spawn(async move {
            let mut number = 0;
            loop {
                let items = (0..64).map(|place| wire::Work {
                    number: number + place,
                    budget_ms: 60_000,
                    what: Some(open.clone().into()),
                });
                let items = items.collect();
                if work.send(wire::WorkBatch { items }).await.is_err() {
                    return;
                }
                number += 64;
            }
        });
        Self { sending, replies }
    }

    fn end(self) {
        self.sending.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_never_read() {
    let signer = Spawned::start(Has::Every, "").await;
    let watch = Watch::begin(&signer).await;
    let mut floods = Vec::new();
    for _ in 0..8 {
        floods.push(Flood::begin(&signer).await);
    }
    for _ in 0..20 {
        watch.still_served().await;
    }
    println!("{} KiB more resident", watch.resident_more_kib(&signer));
    floods.into_iter().for_each(Flood::end);
    watch.end(&signer, RESIDENT_MORE_KIB_MAX).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_floods_leaves_room_for_others() {
    let signer = Spawned::start(Has::Every, "").await;
    let watch = Watch::begin(&signer).await;
    let mut flood = Flood::begin(&signer).await;
    let mut answered = 0;
    while answered < 20_000 {
        let batch = tokio::time::timeout_at(soon(), flood.replies.message())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        answered += batch.items.len();
    }
    watch.still_served().await;
    flood.end();
    watch.end(&signer, RESIDENT_MORE_KIB_MAX).await;
}
