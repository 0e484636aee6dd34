//! A signer that serves, with one of every key it can have.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use operations::endpoint::Endpoint;
use operations::stop::{Stop, StopSwitch};
use signer::{Config, Process, Reloader, ServeFault};
use signer_crypto::{Suite, TokenKey};
use signer_protocol::{Open, OpenVerdict, Rejection, SignerClient};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::making::{NETWORK, Pair, passphrase, write_secret};

pub(crate) const TOKEN_KEY_HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const REVOKED: &str = "4000000106";

/// Every key pair of the test, whoever's it is; where there are two, RSA and SM.
pub(crate) struct Keys {
    pub(crate) network_sign: [Pair; 2],
    pub(crate) network_decrypt: [Pair; 2],
    pub(crate) network_expired: Pair,
    pub(crate) network_revoked: Pair,
    pub(crate) institution_sign: Pair,
    pub(crate) bank_sign: [Pair; 2],
    pub(crate) bank_decrypt: [Pair; 2],
}

pub(crate) const fn index(suite: Suite) -> usize {
    match suite {
        Suite::Rsa => 0,
        Suite::Sm => 1,
    }
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let both = |name: &str| ["rsa", "sm"].map(|suite| Pair::named(&format!("{name}-{suite}")));
    Keys {
        network_sign: both("network-sign"),
        network_decrypt: both("network-decrypt"),
        network_expired: Pair::named("network-expired-sm"),
        network_revoked: Pair::named("network-revoked-sm"),
        institution_sign: Pair::named("institution-sign-sm"),
        bank_sign: both("bank-sign"),
        bank_decrypt: both("bank-decrypt"),
    }
});

impl Keys {
    pub(crate) fn of_all_tests() -> &'static Self {
        &KEYS
    }

    /// The tables of the configuration, with all files written to `directory`.
    fn write(&self, directory: &Path) -> String {
        write_secret(&directory.join("passphrase"), &passphrase());
        write_secret(&directory.join("token-key"), format!("{TOKEN_KEY_HEX}\n").as_bytes());
        let own = [
            ("sign", &self.bank_sign[0]),
            ("sign", &self.bank_sign[1]),
            ("sign", &self.network_revoked),
            ("decrypt", &self.bank_decrypt[0]),
            ("decrypt", &self.bank_decrypt[1]),
            // The expired and the revoked pair serve the bank as well, to see that it does not use them.
            ("decrypt", &self.network_expired),
        ];
        let own = own.map(|(usage, pair)| {
            let (certificate, key) = pair.write(directory, pair.certificate.serial());
            let files =
                format!("certificate = {certificate:?}\nprivate_key = {key:?}\npassphrase_file = \"passphrase\"");
            format!("[[key]]\nuse = \"{usage}\"\n{files}\n")
        });
        let peers = [
            (NETWORK, "verify", &self.network_sign[0]),
            (NETWORK, "verify", &self.network_sign[1]),
            (NETWORK, "verify", &self.network_expired),
            (NETWORK, "verify", &self.network_revoked),
            (NETWORK, "encrypt", &self.network_decrypt[0]),
            (NETWORK, "encrypt", &self.network_decrypt[1]),
            ("Z2000133000019", "verify", &self.institution_sign),
        ];
        let peers = peers.map(|(institution, usage, pair)| {
            let (certificate, _) = pair.write(directory, pair.certificate.serial());
            format!("[[peer]]\ninstitution = \"{institution}\"\nuse = \"{usage}\"\ncertificate = {certificate:?}\n")
        });
        own.concat() + &peers.concat()
    }
}

/// A configuration file with its key files, in a directory that goes with it.
pub(crate) struct Written {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) config: PathBuf,
}

impl Written {
    pub(crate) fn new(head: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tables = Keys::of_all_tests().write(directory.path());
        let text = format!(
            "listen = \"unix:signer.sock\"\nrevoked = [{REVOKED:?}]\n{head}\n\
             [operations]\naddress = \"127.0.0.1:0\"\n[tokens]\nkey_file = \"token-key\"\n\
             [audit]\nnone_not_for_production = true\n{tables}"
        );
        let config = directory.path().join("signer.toml");
        std::fs::write(&config, text).unwrap();
        Self { directory, config }
    }

    /// Changes the text of the configuration.
    pub(crate) fn change(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, change(text)).unwrap();
    }
}

pub(crate) struct Running {
    pub(crate) client: SignerClient,
    pub(crate) endpoint: Endpoint,
    pub(crate) keys: &'static Keys,
    pub(crate) operations: SocketAddr,
    pub(crate) reloader: Reloader,
    pub(crate) written: Written,
    switch: StopSwitch,
    serving: JoinHandle<Result<(), ServeFault>>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// `head` are further lines for the head of the configuration.
    pub(crate) async fn start_with(head: &str) -> Self {
        Self::start_from(Written::new(head)).await
    }

    pub(crate) async fn start_from(written: Written) -> Self {
        let keys = Keys::of_all_tests();
        let config = Config::load(&written.config).unwrap();
        let endpoint = config.listen.clone();
        let bound = Process::new(&config).unwrap().bind().await.unwrap();
        let operations = bound.operations_address().unwrap();
        let reloader = bound.reloader();
        let (switch, stop) = Stop::by_hand();
        let serving = tokio::spawn(bound.serve(stop));
        let client = SignerClient::connect(&endpoint).unwrap();
        let running = Self {
            client,
            endpoint,
            keys,
            operations,
            reloader,
            written,
            switch,
            serving,
        };
        running.wait_until_it_answers().await;
        running
    }

    async fn wait_until_it_answers(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while self
            .client
            .signing_serial(signer_protocol::Suite::Sm, soon())
            .await
            .is_err()
        {
            assert!(Instant::now() < until, "the signer does not come up");
        }
    }

    /// Stops it; returns how it ended.
    pub(crate) async fn stop(self) -> Result<(), ServeFault> {
        self.switch.pull();
        let ended = self.serving.await.unwrap();
        drop(self.written);
        ended
    }

    pub(crate) async fn ask(&self, path: &str) -> String {
        ask(self.operations, path).await
    }
}

/// Whether a message is taken.
pub(crate) async fn verdict_of(client: &SignerClient, open: Open) -> Result<(), Rejection> {
    match client.open(open, soon()).await.unwrap() {
        OpenVerdict::Opened { .. } => Ok(()),
        OpenVerdict::Rejected(rejection) => Err(rejection),
    }
}

/// The line of the metrics that counts operations with these labels: operation, serial, institution, outcome.
pub(crate) fn operations((operation, serial, institution, outcome): (&str, &str, &str, &str), count: u64) -> String {
    format!(
        "signer_operations_total{{operation=\"{operation}\",serial=\"{serial}\",institution=\"{institution}\",\
         outcome=\"{outcome}\"}} {count}"
    )
}

/// What an operations port answers to a GET of `path`.
pub(crate) async fn ask(operations: SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(operations).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: operations\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

pub(crate) fn token_key() -> TokenKey {
    TokenKey::from_hex(TOKEN_KEY_HEX).unwrap()
}

pub(crate) const fn contract_suite(suite: Suite) -> signer_protocol::Suite {
    match suite {
        Suite::Rsa => signer_protocol::Suite::Rsa,
        Suite::Sm => signer_protocol::Suite::Sm,
    }
}
