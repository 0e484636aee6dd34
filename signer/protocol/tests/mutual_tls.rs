//! The endpoint over TCP: both sides show a certificate of the configured authority, or nothing is said.
#![cfg(test)]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use operations::endpoint::{Endpoint, TlsAddress};
use operations::stop::Stop;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use signer_protocol::{SignerClient, SignerFault, wire};
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

const LIMIT: Duration = Duration::from_secs(10);
const SERVER_NAME: &str = "signer.local";

/// Says that it is well, and nothing else.
struct Well;

type Replies = Pin<Box<dyn Stream<Item = Result<wire::ReplyBatch, Status>> + Send>>;

#[tonic::async_trait]
impl wire::signer_server::Signer for Well {
    type WorkStream = Replies;

    async fn work(&self, _: Request<Streaming<wire::WorkBatch>>) -> Result<Response<Replies>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::pending())))
    }

    async fn health(&self, _: Request<wire::HealthRequest>) -> Result<Response<wire::HealthReply>, Status> {
        Ok(Response::new(wire::HealthReply::default()))
    }
}

/// An authority that issues certificates for the server's name.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// A certificate of this authority for a side that trusts those of `trusted`.
    fn side(&self, trusted: &Self, directory: &Path, name: &str, address: SocketAddr) -> TlsAddress {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
        let issued = params.signed_by(&key, &self.issuer).unwrap();
        let write = |what: &str, text: &str| {
            let path = directory.join(format!("{name}.{what}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsAddress {
            address,
            certificate: write("cert", &issued.pem()),
            private_key: write("key", &key.serialize_pem()),
            peer_ca: write("ca", &trusted.certificate),
            server_name: SERVER_NAME.to_owned(),
        }
    }
}

async fn health(side: &TlsAddress) -> Result<usize, SignerFault> {
    let client = SignerClient::connect(&Endpoint::Tcp(side.clone())).unwrap();
    client.health(Instant::now() + LIMIT).await.map(|keys| keys.len())
}

#[tokio::test]
async fn only_peers_of_the_authority_are_heard() {
    let directory = tempfile::tempdir().unwrap();
    // free a moment ago; the endpoint has no way to tell which port it was given
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (ours, other) = (Authority::new(), Authority::new());
    let server = ours.side(&ours, directory.path(), "server", address);
    let (switch, stop) = Stop::by_hand();
    let serving = tokio::spawn(async move {
        let routes = tonic::service::Routes::new(wire::signer_server::SignerServer::new(Well));
        Endpoint::Tcp(server).serve(routes, stop).await
    });

    let friend = ours.side(&ours, directory.path(), "friend", address);
    let deadline = Instant::now() + LIMIT;
    while health(&friend).await.is_err() {
        assert!(Instant::now() < deadline, "the endpoint never answered");
    }
    let stranger = other.side(&ours, directory.path(), "stranger", address);
    assert_eq!(
        health(&stranger).await,
        Err(SignerFault::Lost),
        "its certificate is another authority's"
    );
    let distrustful = ours.side(&other, directory.path(), "distrustful", address);
    assert_eq!(
        health(&distrustful).await,
        Err(SignerFault::Lost),
        "it does not trust the server's"
    );
    let mut misled = friend.clone();
    misled.server_name = "ledger.local".to_owned();
    assert_eq!(
        health(&misled).await,
        Err(SignerFault::Lost),
        "the server is not who it looks for"
    );
    assert_eq!(health(&friend).await, Ok(0));

    switch.pull();
    serving.await.unwrap().unwrap();
}
