//! Broken bytes on the socket, at random from a seed: below HTTP/2, in HTTP/2, in gRPC, in protobuf.
//!
//! `HOSTILE_SEED` takes a seed that was printed; `HOSTILE_MINUTES` goes on for so long (`./run long frames`).

use std::path::PathBuf;
use std::time::Duration;

use prost::Message as _;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use signer_protocol::wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::garbage::garbage;
use crate::spawned::{Has, Spawned};
use crate::watch::Watch;
use crate::wire_bytes::{self, DATA, END_STREAM, PREFACE, SETTINGS};

const CASES: usize = 4_000;
const AT_ONCE: usize = 32;
/// How long a case listens to what is said back.
const LISTENS: Duration = Duration::from_millis(20);
const RESIDENT_MORE_KIB_MAX: usize = 96 << 10;

/// How a case goes away.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    AtOnce,
    /// Says that it has said everything, and listens.
    HalfClosed,
    Listening,
}

fn bytes(random: &mut ChaCha8Rng, max: usize) -> Vec<u8> {
    let len = random.random_range(0..=max);
    (0..len).map(|_| random.random()).collect()
}

/// Changes, adds, removes, doubles or cuts a few bytes.
fn mutate(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            return;
        }
        let place = random.random_range(0..bytes.len());
        match random.random_range(0..6) {
            0 => bytes[place] ^= 1 << random.random_range(0..8),
            1 => bytes[place] = random.random(),
            2 => bytes.insert(place, random.random()),
            3 => drop(bytes.drain(place..(place + random.random_range(1..=64)).min(bytes.len()))),
            4 => {
                let end = (place + random.random_range(1..=64)).min(bytes.len());
                bytes.extend_from_within(place..end);
            }
            _ => bytes.truncate(place),
        }
    }
}

fn work(random: &mut ChaCha8Rng) -> Vec<u8> {
    let items = (0..random.random_range(0..=8)).map(|_| garbage(random)).collect();
    wire::WorkBatch { items }.encode_to_vec()
}

/// What one case says.
fn said(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..9) {
        0 => bytes(random, 4_096),
        1 => [PREFACE, &bytes(random, 4_096)].concat(),
        2 => {
            let mut said = PREFACE.to_vec();
            for _ in 0..random.random_range(1..=20) {
                let payload = bytes(random, 64);
                said.extend(wire_bytes::frame(
                    random.random_range(0..=12),
                    random.random(),
                    random.random_range(0..=5),
                    &payload,
                ));
            }
            said
        }
        3 => {
            let mut said = wire_bytes::call(&wire_bytes::grpc(&work(random)));
            mutate(random, &mut said);
            said
        }
        // compressed, says the flag, or one of the flags that mean nothing
        4 => {
            let mut message = wire_bytes::grpc(&work(random));
            message[0] = random.random_range(1..=255);
            wire_bytes::call(&message)
        }
        // a length that lies
        5 => {
            let mut message = wire_bytes::grpc(&work(random));
            let length: u32 = if random.random() { u32::MAX } else { random.random() };
            message[1..5].copy_from_slice(&length.to_be_bytes());
            wire_bytes::call(&message)
        }
        6 => {
            let mut message = work(random);
            mutate(random, &mut message);
            wire_bytes::call(&wire_bytes::grpc(&message))
        }
        // cut anywhere
        7 => {
            let mut said = wire_bytes::call(&wire_bytes::grpc(&work(random)));
            said.truncate(random.random_range(0..=said.len()));
            said
        }
        _ => {
            let mut said = wire_bytes::call(&wire_bytes::grpc(&work(random)));
            said.extend(wire_bytes::frame(SETTINGS, random.random(), 0, &bytes(random, 60)));
            said.extend(wire_bytes::frame(DATA, END_STREAM, 1, &bytes(random, 2_000)));
            said
        }
    }
}

async fn play(socket: PathBuf, said: Vec<u8>, leaves: Leaves) {
    let Ok(mut stream) = UnixStream::connect(&socket).await else {
        return;
    };
    // the signer may have hung up already; whoever speaks garbage is owed nothing
    let _hung_up = stream.write_all(&said).await;
    match leaves {
        Leaves::AtOnce => return,
        Leaves::HalfClosed => drop(stream.shutdown().await),
        Leaves::Listening => {}
    }
    let mut heard = Vec::new();
    let _ended = tokio::time::timeout(LISTENS, stream.read_to_end(&mut heard)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_bytes_arrive() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("HOSTILE_SEED").unwrap_or_else(rand::random);
    let until = number("HOSTILE_MINUTES").map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    println!("HOSTILE_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let signer = Spawned::start(Has::Every, "").await;
    let watch = Watch::begin(&signer).await;
    let mut under_way = JoinSet::new();
    let mut played = 0;
    while until.map_or(played < CASES, |until| Instant::now() < until) {
        let leaves = match random.random_range(0..3) {
            0 => Leaves::AtOnce,
            1 => Leaves::HalfClosed,
            _ => Leaves::Listening,
        };
        under_way.spawn(play(signer.socket(), said(&mut random), leaves));
        played += 1;
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await.unwrap().unwrap();
        }
        if played % 10_000 == 0 {
            watch.still_served().await;
            println!("{played} cases, {} KiB more resident", watch.resident_more_kib(&signer));
        }
    }
    under_way.join_all().await;
    watch.end(&signer, RESIDENT_MORE_KIB_MAX).await;
    println!("{played} cases");
}
