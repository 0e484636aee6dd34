//! Deadlines, a full queue, malformed work, a peer that does not read, and the stop.

use std::sync::Arc;

use signer_crypto::Suite;
use signer_protocol::wire::failed::Cause;
use signer_protocol::wire::reply::What;
use signer_protocol::wire::signer_client::SignerClient as Rpc;
use signer_protocol::{FieldKind, OpenVerdict, SignerFault, limits, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::making::plain_message;
use crate::running::{Running, index, operations, soon};

/// One stream, spoken to as the contract says and no more.
struct RawStream {
    work: mpsc::Sender<wire::WorkBatch>,
    replies: tonic::Streaming<wire::ReplyBatch>,
}

impl RawStream {
    async fn open(running: &Running) -> Self {
        let (work, batches) = mpsc::channel(64);
        let mut rpc = Rpc::new(running.endpoint.channel().unwrap());
        let replies = rpc.work(ReceiverStream::new(batches)).await.unwrap().into_inner();
        Self { work, replies }
    }

    async fn send(&self, items: Vec<wire::Work>) {
        self.work.send(wire::WorkBatch { items }).await.unwrap();
    }

    /// As many replies as are asked for, by number.
    async fn replies(&mut self, count: usize) -> Vec<(u64, What)> {
        let mut replies = Vec::new();
        while replies.len() < count {
            let batch = tokio::time::timeout_at(soon(), self.replies.message())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            replies.extend(batch.items.into_iter().map(|reply| (reply.number, reply.what.unwrap())));
        }
        replies.sort_by_key(|(number, _)| *number);
        replies
    }
}

fn sign(number: u64, budget_ms: u32) -> wire::Work {
    let sign = wire::Sign {
        suite: wire::Suite::Sm.into(),
        signed: b"<root/>".to_vec().into(),
        ..wire::Sign::default()
    };
    wire::Work {
        number,
        budget_ms,
        what: Some(wire::work::What::Sign(sign)),
    }
}

fn cause(reply: &What) -> Option<Cause> {
    match reply {
        What::Failed(failed) => Some(failed.cause()),
        _ => None,
    }
}

#[tokio::test]
async fn expired_work_is_dropped_and_counted() {
    let running = Running::start().await;
    let mut stream = RawStream::open(&running).await;
    stream.send(vec![sign(1, 0), sign(2, 60_000)]).await;
    let replies = stream.replies(2).await;
    assert_eq!(cause(&replies[0].1), Some(Cause::Expired));
    assert!(matches!(replies[1].1, What::Signed(_)));
    let metrics = running.ask("/metrics").await;
    assert!(metrics.contains("signer_expired_total 1"), "{metrics}");
    assert!(
        metrics.contains(&operations(("sign", "", "", "expired"), 1)),
        "{metrics}"
    );
    drop(stream);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn malformed_work_is_refused_and_the_stream_goes_on() {
    let running = Running::start().await;
    let mut stream = RawStream::open(&running).await;
    let open = wire::Open::default();
    let malformed = [
        None,
        Some(wire::work::What::Sign(wire::Sign {
            suite: 0,
            signed: vec![1].into(),
            ..wire::Sign::default()
        })),
        Some(wire::work::What::Sign(wire::Sign {
            suite: 77,
            signed: vec![1].into(),
            ..wire::Sign::default()
        })),
        Some(wire::work::What::Sign(wire::Sign {
            suite: 1,
            signed: vec![1; limits::SIGNED_BYTES_MAX + 1].into(),
            ..wire::Sign::default()
        })),
        Some(wire::work::What::Tokenise(wire::Tokenise {
            kind: 0,
            plaintexts: vec![],
        })),
        Some(wire::work::What::Tokenise(wire::Tokenise {
            kind: 1,
            plaintexts: vec![String::new(); 4097],
        })),
        Some(wire::work::What::Open(wire::Open {
            signature: vec![0; limits::SIGNATURE_BYTES_MAX + 1],
            ..open.clone()
        })),
        Some(wire::work::What::Open(wire::Open {
            fields: vec![wire::EncryptedField {
                kind: 9,
                ciphertext: vec![],
            }],
            ..open.clone()
        })),
        Some(wire::work::What::Open(wire::Open {
            issuer: "Z".repeat(33),
            ..open
        })),
        Some(wire::work::What::Seal(wire::Seal {
            fields: vec![vec![]; 17],
            ..wire::Seal::default()
        })),
    ];
    let count = malformed.len();
    for (number, what) in (1..).zip(malformed) {
        stream
            .send(vec![wire::Work {
                number,
                budget_ms: 60_000,
                what,
            }])
            .await;
    }
    for (number, reply) in stream.replies(count).await {
        assert_eq!(cause(&reply), Some(Cause::MalformedWork), "{number}");
    }
    stream.send(vec![sign(100, 60_000)]).await;
    assert!(matches!(stream.replies(1).await[0], (100, What::Signed(_))));
    drop(stream);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_full_queue_says_busy_and_loses_nothing() {
    let running = Running::start_with("workers = 1\nqueue_max = 2").await;
    let mut stream = RawStream::open(&running).await;
    stream
        .send((1..=500).map(|number| sign(number, 60_000)).collect())
        .await;
    let replies = stream.replies(500).await;
    let numbers: Vec<u64> = replies.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=500).collect::<Vec<u64>>());
    let busy = replies
        .iter()
        .filter(|(_, reply)| cause(reply) == Some(Cause::Busy))
        .count();
    let signed = replies
        .iter()
        .filter(|(_, reply)| matches!(reply, What::Signed(_)))
        .count();
    assert_eq!(busy + signed, 500);
    assert!(busy > 0 && signed > 0, "{busy} busy, {signed} signed");
    drop(stream);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_answers_holds_up_nobody() {
    let running = Running::start().await;
    let silent = RawStream::open(&running).await;
    let many = |from: u64| {
        (from..from + 500)
            .map(|number| sign(number, 60_000))
            .collect::<Vec<_>>()
    };
    let sending = tokio::spawn({
        let work = silent.work.clone();
        async move {
            for turn in 0..40 {
                if work
                    .send(wire::WorkBatch {
                        items: many(turn * 500),
                    })
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    });
    for _ in 0..20 {
        running
            .client
            .open(plain_message(&running.keys.network_sign[index(Suite::Sm)]), soon())
            .await
            .unwrap();
    }
    sending.abort();
    drop(silent);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn many_callers_at_once_each_get_their_own_answer() {
    let running = Running::start().await;
    let good = Arc::new(plain_message(&running.keys.network_sign[index(Suite::Sm)]));
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..200usize {
        let (client, mut open) = (running.client.clone(), (*good).clone());
        callers.spawn(async move {
            if number % 2 == 1 {
                open.signed.push(b' ');
            }
            (number, client.open(open, soon()).await.unwrap())
        });
    }
    for (number, verdict) in callers.join_all().await {
        assert_eq!(
            matches!(verdict, OpenVerdict::Opened { .. }),
            number % 2 == 0,
            "{number}"
        );
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_read_before_the_stop_is_answered() {
    let running = Running::start().await;
    let mut stream = RawStream::open(&running).await;
    stream.send((1..=50).map(|number| sign(number, 60_000)).collect()).await;
    let first = stream.replies(1).await.len();
    let client = running.client.clone();
    let socket = running.endpoint.to_string().replace("unix:", "");
    let stopping = tokio::spawn(running.stop());
    let rest = stream.replies(50 - first).await;
    assert!(rest.iter().all(|(_, reply)| matches!(reply, What::Signed(_))));
    assert!(
        stream.replies.message().await.unwrap().is_none(),
        "the reply stream ends"
    );
    drop(stream);
    stopping.await.unwrap().unwrap();
    assert!(!std::path::Path::new(&socket).exists());
    let late = client.tokenise(FieldKind::Name, vec!["late".to_owned()], soon()).await;
    assert_eq!(late, Err(SignerFault::Lost));
}
