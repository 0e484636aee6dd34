//! What a peer is told that breaks the rules of gRPC, as a status that says which.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request};
use prost::Message as _;
use signer_protocol::{limits, wire};
use tokio::net::UnixStream;
use tonic::Code;

use crate::spawned::{Has, LIMIT, Spawned, message};
use crate::wire_bytes::grpc;

/// HTTP status and gRPC status of the answer.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    http: u16,
    grpc: Option<Code>,
    text: String,
}

struct Peer(SendRequest<Bytes>);

impl Peer {
    async fn connect(signer: &Spawned) -> Self {
        let stream = UnixStream::connect(signer.socket()).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(async move {
            let _ended_with_the_test = connection.await;
        });
        Self(sender)
    }

    async fn say(&mut self, path: &str, body: Vec<u8>) -> Told {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://signer{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut ready = self.0.clone().ready().await.unwrap();
        let (response, mut stream) = ready.send_request(request, false).unwrap();
        // it may have been answered before all of it is said
        let _answered_early = stream.send_data(body.into(), true);
        let told = tokio::time::timeout(LIMIT, read(response)).await;
        told.unwrap().unwrap()
    }
}

async fn read(response: h2::client::ResponseFuture) -> Result<Told, h2::Error> {
    let response = response.await?;
    let http = response.status().as_u16();
    let mut headers = response.headers().clone();
    let mut body = response.into_body();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
    }
    headers.extend(body.trailers().await?.unwrap_or_default());
    Ok(Told {
        http,
        grpc: header(&headers, "grpc-status").map(|code| Code::from_bytes(code.as_bytes())),
        text: header(&headers, "grpc-message").unwrap_or_default(),
    })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().unwrap().to_owned())
}

fn good() -> Vec<u8> {
    let work = wire::Work {
        number: 1,
        budget_ms: 60_000,
        what: Some(signer_protocol::Work::Open(message(1)).into()),
    };
    grpc(&wire::WorkBatch { items: vec![work] }.encode_to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_breach_has_its_status() {
    const WORK: &str = "/signer.v1.Signer/Work";
    let flagged = |flag: u8| {
        let mut message = good();
        message[0] = flag;
        message
    };
    let of_length = |length: usize| {
        let mut message = good();
        message[1..5].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        message
    };
    let cut = |len: usize| good()[..len].to_vec();
    let after_a_good_one = |bad: &[u8]| [&good(), bad].concat();
    let garbage = grpc(&[0xFF; 100]);
    let signer = Spawned::start(Has::Every, "").await;
    let mut peer = Peer::connect(&signer).await;
    let cases: Vec<(&str, &str, Vec<u8>, Code)> = vec![
        ("nothing wrong", WORK, good(), Code::Ok),
        ("nothing at all", WORK, Vec::new(), Code::Ok),
        ("compressed", WORK, flagged(1), Code::Internal),
        ("a flag that means nothing", WORK, flagged(7), Code::Internal),
        (
            "longer than any batch",
            WORK,
            of_length(limits::BATCH_BYTES_MAX + 1),
            Code::OutOfRange,
        ),
        (
            "as long as can be said",
            WORK,
            of_length(usize::try_from(u32::MAX).unwrap()),
            Code::OutOfRange,
        ),
        ("shorter than it says", WORK, of_length(good().len()), Code::Internal),
        ("cut in the head", WORK, cut(3), Code::Internal),
        ("cut in the message", WORK, cut(40), Code::Internal),
        ("no protobuf", WORK, garbage.clone(), Code::Internal),
        (
            "no protobuf after good work",
            WORK,
            after_a_good_one(&garbage),
            Code::Internal,
        ),
        (
            "another method",
            "/signer.v1.Signer/Export",
            good(),
            Code::Unimplemented,
        ),
        (
            "another service",
            "/grpc.health.v1.Health/Check",
            good(),
            Code::Unimplemented,
        ),
    ];
    for (name, path, body, expected) in cases {
        let told = peer.say(path, body).await;
        assert_eq!((told.http, told.grpc), (200, Some(expected)), "{name}: {told:?}");
    }
    assert!(!signer.logged().contains("panicked"));
}
