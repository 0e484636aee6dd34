//! Work that is well-formed protobuf and otherwise anything: every piece has exactly one answer, and none is a success.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use signer_protocol::wire::reply::What as Reply;
use signer_protocol::wire::signer_client::SignerClient as Rpc;
use signer_protocol::wire::work::What;
use signer_protocol::{limits, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::spawned::{Has, Spawned, message, soon};
use crate::watch::Watch;

const RESIDENT_MORE_KIB_MAX: usize = 96 << 10;

/// Serials and names that exist, that do not, and that are no such thing.
const TEXTS: [&str; 8] = [
    "4000000101",
    "4000000102",
    "4000000111",
    "4000000113",
    "G4000311000018",
    "",
    "0",
    "\u{0}\u{10FFFF}'\";--",
];

fn text(random: &mut ChaCha8Rng) -> String {
    match random.random_range(0..10) {
        0 => "9".repeat(random.random_range(0..2_000)),
        _ => TEXTS[random.random_range(0..TEXTS.len())].to_owned(),
    }
}

fn blob(random: &mut ChaCha8Rng) -> Vec<u8> {
    let len = match random.random_range(0..10) {
        0 => random.random_range(0..70_000),
        1 => 0,
        2 => 64,
        3 => 256,
        _ => random.random_range(0..160),
    };
    let fill: u8 = random.random();
    let mut blob = match random.random_range(0..3) {
        0 => vec![fill; len],
        _ => (0..len).map(|_| random.random()).collect(),
    };
    // now and then it begins as DER or an uncompressed point would
    if let Some(first) = blob.first_mut() {
        *first = [0x30, 0x04, *first][random.random_range(0..3)];
    }
    blob
}

fn fields(random: &mut ChaCha8Rng) -> Vec<wire::EncryptedField> {
    let count = random.random_range(0..=3);
    let field = |_| wire::EncryptedField {
        kind: random.random_range(-1..=6),
        ciphertext: blob(random),
    };
    (0..count).map(field).collect()
}

/// One piece of anything but a wish to sign or to tokenise, which would be granted.
pub(crate) fn garbage(random: &mut ChaCha8Rng) -> wire::Work {
    let what = match random.random_range(0..6) {
        0 => None,
        1 => Some(What::Seal(wire::Seal {
            encryption_serial: text(random),
            envelope: blob(random),
            fields: (0..random.random_range(0..=17)).map(|_| blob(random)).collect(),
            receiver: text(random),
        })),
        2 => Some(What::Reveal(wire::Reveal {
            encryption_serial: text(random),
            envelope: blob(random),
            field: fields(random).pop(),
            purpose: text(random),
        })),
        _ => Some(What::Open(wire::Open {
            signed: blob(random).into(),
            signature: blob(random),
            signing_serial: text(random),
            issuer: text(random),
            encryption_serial: text(random),
            envelope: blob(random),
            fields: fields(random),
        })),
    };
    wire::Work {
        number: random.random_range(0..4),
        budget_ms: [0, 1, 60_000, u32::MAX][random.random_range(0..4)],
        what,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_piece_of_garbage_is_answered_once_and_refused() {
    let signer = Spawned::start(Has::Every, "").await;
    let watch = Watch::begin(&signer).await;
    let (work, batches) = mpsc::channel(64);
    let mut rpc = Rpc::new(signer.endpoint.channel().unwrap()).max_encoding_message_size(limits::BATCH_BYTES_MAX);
    let mut replies = rpc.work(ReceiverStream::new(batches)).await.unwrap().into_inner();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (batch_count, batch_len) = (60, 50);
    let batches: Vec<wire::WorkBatch> = (0..batch_count)
        .map(|batch| wire::WorkBatch {
            items: (0..batch_len)
                .map(|place| wire::Work {
                    number: batch * batch_len + place,
                    ..garbage(&mut random)
                })
                .collect(),
        })
        .collect();
    let sending = tokio::spawn(async move {
        for batch in batches {
            work.send(batch).await.unwrap();
        }
        work
    });
    let mut answered = Vec::new();
    while answered.len() < usize::try_from(batch_count * batch_len).unwrap() {
        let batch = tokio::time::timeout_at(soon(), replies.message())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        for reply in batch.items {
            let refused = matches!(reply.what, Some(Reply::Rejected(_) | Reply::Failed(_)));
            assert!(refused, "{reply:?}");
            answered.push(reply.number);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..batch_count * batch_len).collect::<Vec<_>>());
    drop((sending.await.unwrap(), replies));
    watch.end(&signer, RESIDENT_MORE_KIB_MAX).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_neighbour_in_the_batch_changes_nothing() {
    let signer = Spawned::start(Has::Every, "").await;
    let (work, batches) = mpsc::channel(4);
    let mut rpc = Rpc::new(signer.endpoint.channel().unwrap());
    let mut replies = rpc.work(ReceiverStream::new(batches)).await.unwrap().into_inner();
    let mut random = ChaCha8Rng::seed_from_u64(8);
    // good ones at the even numbers, garbage between
    let items = (0..60u64).map(|number| {
        let good = wire::Work {
            number,
            budget_ms: 60_000,
            what: Some(signer_protocol::Work::Open(message(usize::try_from(number).unwrap())).into()),
        };
        if number % 2 == 0 {
            good
        } else {
            wire::Work {
                number,
                ..garbage(&mut random)
            }
        }
    });
    work.send(wire::WorkBatch { items: items.collect() }).await.unwrap();
    let mut seen = 0;
    while seen < 60 {
        let batch = tokio::time::timeout_at(soon(), replies.message())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        for reply in batch.items {
            let opened = matches!(reply.what, Some(Reply::Opened(_)));
            assert_eq!(opened, reply.number % 2 == 0, "{reply:?}");
            seen += 1;
        }
    }
}
