//! Who calls, asked over a real Unix socket and over real mutual TLS.
#![cfg(test)]

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use axum::extract::Request;
use operations::endpoint::{Endpoint, TlsAddress};
use operations::peer::{PeerIdentity, TlsPeer, UnixPeer};
use operations::stop::{Stop, StopSwitch};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tower::{Service, ServiceExt};

const LIMIT: Duration = Duration::from_secs(20);
const SERVER_NAME: &str = "signer.local";

/// An endpoint that notes who calls.
struct Door {
    seen: mpsc::UnboundedReceiver<Option<PeerIdentity>>,
    switch: StopSwitch,
    serving: JoinHandle<()>,
}

impl Door {
    fn open(endpoint: Endpoint) -> Self {
        let (sender, seen) = mpsc::unbounded_channel();
        let note = move |request: Request| {
            let (parts, _) = request.into_parts();
            let request = tonic::Request::from_parts(MetadataMap::default(), parts.extensions, ());
            let noted = sender.send(PeerIdentity::of(&request));
            async move { noted.map_or("nobody asks", |()| "noted") }
        };
        let (switch, stop) = Stop::by_hand();
        let routes = Routes::from(axum::Router::new().fallback(note));
        let serving = tokio::spawn(async move { endpoint.serve(routes, stop).await.unwrap() });
        Self { seen, switch, serving }
    }

    /// Calls until the door is open; who it was seen to be.
    async fn call(&mut self, endpoint: &Endpoint) -> Option<PeerIdentity> {
        let knock = async {
            loop {
                let mut channel = endpoint.channel().unwrap();
                let request = axum::http::Request::post("http://door/knock")
                    .body(tonic::body::Body::empty())
                    .unwrap();
                if channel.ready().await.is_ok() && channel.call(request).await.is_ok() {
                    return self.seen.recv().await.unwrap();
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, knock).await.unwrap()
    }

    async fn close(self) {
        self.switch.pull();
        self.serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_unix_socket_tells_user_group_and_process() {
    let directory = tempfile::tempdir().unwrap();
    let own = std::fs::metadata(directory.path()).unwrap();
    let endpoint = Endpoint::unix(directory.path().join("door.sock"));
    let mut door = Door::open(endpoint.clone());
    let expected = UnixPeer {
        user: own.uid(),
        group: own.gid(),
        process: i32::try_from(std::process::id()).ok(),
    };
    assert_eq!(door.call(&endpoint).await, Some(PeerIdentity::Unix(expected)));
    door.close().await;
}

/// Its files in `directory`; the certificate in DER.
fn side(authority: &Issuer<'_, KeyPair>, directory: &Path, name: &str, names: &[&str]) -> (TlsAddress, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.signed_by(&key, authority).unwrap();
    let write = |what: &str, text: &str| {
        let path = directory.join(format!("{name}.{what}"));
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = TlsAddress {
        address: ([127, 0, 0, 1], 0).into(),
        certificate: write("cert", &certificate.pem()),
        private_key: write("key", &key.serialize_pem()),
        peer_ca: directory.join("ca"),
        server_name: SERVER_NAME.to_owned(),
    };
    (files, certificate.der().to_vec())
}

#[tokio::test]
async fn mutual_tls_tells_the_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    std::fs::write(directory.path().join("ca"), authority).unwrap();
    let issuer = Issuer::new(params, key);

    // free a moment ago; the endpoint has no way to tell which port it was given
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mut server, _) = side(&issuer, directory.path(), "server", &[SERVER_NAME]);
    server.address = address;
    let mut door = Door::open(Endpoint::Tcp(server));
    for (name, dns_names) in [
        ("frontend 1", vec!["Frontend-1.Bank.Example", "10.1.2.3"]),
        ("operator", vec!["x"]),
    ] {
        let (mut client, der) = side(&issuer, directory.path(), name, &dns_names);
        client.address = address;
        let expected = TlsPeer::from_der(&der).unwrap();
        assert_eq!(expected.common_name.as_deref(), Some(name));
        // an address is no DNS name
        assert_eq!(expected.dns_names, [dns_names[0].to_ascii_lowercase()]);
        let seen = door.call(&Endpoint::Tcp(client)).await;
        assert_eq!(seen, Some(PeerIdentity::Tls(expected)));
    }
    door.close().await;
}
