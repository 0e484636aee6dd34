//! Callers over TCP: told apart by their certificates, and nobody is served whom no table names.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use operations::endpoint::{Endpoint, TlsAddress};
use operations::peer::TlsPeer;
use operations::stop::Stop;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use signer::{AskFault, Config, Process, ask_to_reload};
use signer_crypto::Suite;
use signer_protocol::{SignerClient, SignerFault};
use tokio::time::Instant;

use crate::running::{Written, contract_suite, soon};

const SERVER_NAME: &str = "signer.bank.example";

/// An authority with its certificate in `directory`.
struct Authority<'d> {
    issuer: Issuer<'static, KeyPair>,
    directory: &'d Path,
    address: SocketAddr,
}

impl<'d> Authority<'d> {
    fn new(directory: &'d Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(directory.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            directory,
            // free a moment ago; the endpoint has no way to tell which port it was given
            address: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
        }
    }

    /// One end of the connection, and the fingerprint of its certificate.
    fn end(&self, name: &str) -> (TlsAddress, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let issued = params.signed_by(&key, &self.issuer).unwrap();
        let write = |what: &str, text: &str| -> PathBuf {
            let path = self.directory.join(format!("{name}.{what}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let end = TlsAddress {
            address: self.address,
            certificate: write("cert", &issued.pem()),
            private_key: write("key", &key.serialize_pem()),
            peer_ca: self.directory.join("ca.pem"),
            server_name: SERVER_NAME.to_owned(),
        };
        let fingerprint = TlsPeer::from_der(issued.der()).unwrap().fingerprint.to_string();
        (end, fingerprint)
    }
}

/// The configuration with its endpoint over TCP.
fn listening(written: &Written, server: &TlsAddress) {
    let table = format!(
        "listen = {{ address = \"{}\", certificate = {:?}, private_key = {:?}, peer_ca = {:?}, server_name = {SERVER_NAME:?} }}",
        server.address, server.certificate, server.private_key, server.peer_ca
    );
    written.change(|text| text.replace("listen = \"unix:signer.sock\"", &table));
}

async fn sign(end: &TlsAddress) -> Result<(), SignerFault> {
    let client = SignerClient::connect(&Endpoint::Tcp(end.clone())).unwrap();
    let signed = client.sign(contract_suite(Suite::Sm), b"<root/>".to_vec(), soon());
    signed.await.map(drop)
}

#[test]
fn nobody_is_served_whom_no_table_names() {
    let written = Written::new("");
    let authority = Authority::new(written.directory.path());
    listening(&written, &authority.end(SERVER_NAME).0);
    let started = Process::new(&Config::load(&written.config).unwrap());
    let said = started.map_or_else(|fault| fault.to_string(), |_| "started".to_owned());
    assert!(
        said.contains("over TCP nobody is served without [[caller]] tables"),
        "{said}"
    );
}

#[tokio::test]
async fn callers_are_told_apart_by_their_certificates() {
    let written = Written::new("");
    let authority = Authority::new(written.directory.path());
    listening(&written, &authority.end(SERVER_NAME).0);
    let (frontend, fingerprint) = authority.end("frontend.bank.example");
    let (operator, _) = authority.end("operator.bank.example");
    let (stranger, _) = authority.end("stranger.bank.example");
    let tables = format!(
        "[[caller]]\nname = \"frontend\"\ncertificate_sha256 = \"{fingerprint}\"\nmay = [\"sign\"]\n\
         [[caller]]\nname = \"operator\"\ncertificate_name = \"operator.bank.example\"\nmay = [\"administer\"]\n"
    );
    written.change(|text| text + &tables);
    let bound = Process::new(&Config::load(&written.config).unwrap())
        .unwrap()
        .bind()
        .await
        .unwrap();
    let (switch, stop) = Stop::by_hand();
    let serving = tokio::spawn(bound.serve(stop));

    let until = Instant::now() + Duration::from_secs(20);
    while sign(&frontend).await.is_err() {
        assert!(Instant::now() < until, "the signer does not come up");
    }
    let text = "the caller has not the right to sign".to_owned();
    assert_eq!(sign(&operator).await, Err(SignerFault::NotAllowed(text)));
    assert_eq!(sign(&stranger).await, Err(SignerFault::Lost));
    let reload = |end: &TlsAddress| {
        let endpoint = Endpoint::Tcp(end.clone());
        async move { ask_to_reload(&endpoint).await }
    };
    assert!(reload(&operator).await.unwrap().taken);
    for other in [&frontend, &stranger] {
        let refused = reload(other).await;
        assert!(matches!(refused, Err(AskFault::Refused(_))), "{refused:?}");
    }
    switch.pull();
    serving.await.unwrap().unwrap();
}
