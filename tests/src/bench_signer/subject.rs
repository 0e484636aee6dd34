//! The signer that is measured: the program as it is shipped, with the repository's test keys and as many certificates
//! of others as are asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use operations::endpoint::Endpoint;
use signer_protocol::{SignerClient, Suite};
use thiserror::Error;
use tokio::time::Instant;

use crate::bench_signer::sample::SIGNERS;
use crate::layout::{Layout, LayoutFault, copy_keys, file_fault, write_secret};
use crate::part::Part;
use crate::process::{Launch, Lifetime, Process, ProcessFault, Signal};
use crate::procfs::Usage;
use crate::settings::NETWORK;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const CALL_LIMIT: Duration = Duration::from_millis(200);
const PEM_LINE_CHARS: usize = 64;
/// INTEGER, five bytes, as every serial of the test keys begins.
const SERIAL_BEGINS: [u8; 4] = [0x02, 0x05, 0x40, 0x00];
/// What the copies' serials begin with instead.
const COPY_BEGINS: [u8; 3] = [0x02, 0x05, 0x41];

#[derive(Debug, Error)]
pub enum SubjectFault {
    #[error(transparent)]
    Process(#[from] ProcessFault),
    #[error(transparent)]
    File(#[from] LayoutFault),
    #[error("{0} is not a certificate whose serial can be replaced")]
    Certificate(PathBuf),
    #[error("the signer does not answer: see {0}")]
    Silent(PathBuf),
}

#[derive(Debug)]
pub(super) struct Subject {
    process: Process,
    endpoint: Endpoint,
    log: PathBuf,
}

impl Subject {
    pub(super) fn start(layout: &Layout, programs: &Path, certificates: usize) -> Result<Self, SubjectFault> {
        copy_keys(&fixtures::keys::repository_directory(), layout)?;
        let copied = copy_certificates(layout, certificates.saturating_sub(SIGNERS.len()))?;
        let config = layout.config(Part::Signer);
        write_secret(&config, configuration(layout, &copied).as_bytes())?;
        let log = layout.log(Part::Signer);
        let process = Process::start(&Launch {
            name: Part::Signer.name(),
            program: programs.join(Part::Signer.name()),
            arguments: vec!["--config".to_owned(), config.display().to_string()],
            environment: Vec::new(),
            user: None,
            lifetime: Lifetime::OfThisProcess,
            end: Signal::Kill,
            log: log.clone(),
            pid_file: layout.pid_file(Part::Signer),
        })?;
        Ok(Self {
            process,
            endpoint: Endpoint::unix(layout.socket(Part::Signer)),
            log,
        })
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) const fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn resident_bytes(&self) -> u64 {
        Usage::of_tree(self.pid()).resident_bytes
    }

    pub(super) async fn wait_until_it_answers(&self, client: &SignerClient) -> Result<(), SubjectFault> {
        let until = Instant::now() + START_LIMIT;
        while Instant::now() < until {
            if client
                .signing_serial(Suite::Sm, Instant::now() + CALL_LIMIT)
                .await
                .is_ok()
            {
                return Ok(());
            }
            // a refusal comes at once while nobody listens
            tokio::time::sleep(CALL_LIMIT / 10).await;
        }
        Err(SubjectFault::Silent(self.log.clone()))
    }

    pub(super) fn stop(self) -> Result<(), SubjectFault> {
        self.process.stop(Signal::Terminate, STOP_LIMIT)?;
        Ok(())
    }
}

fn configuration(layout: &Layout, copied: &[PathBuf]) -> String {
    let quoted = |path: &Path| toml::Value::from(path.display().to_string()).to_string();
    let file = |name: &str| quoted(&layout.key(name));
    let head = format!(
        "listen = {}\nworkers = 2\n[operations]\naddress = \"127.0.0.1:0\"\n[tokens]\nkey_file = {}\n[audit]\ndirectory = {}\n",
        toml::Value::from(format!("unix:{}", layout.socket(Part::Signer).display())),
        file("TEST-ONLY-token-key.hex"),
        quoted(&layout.data(Part::Signer).join("audit")),
    );
    let key = |usage: &str, suite: &str| {
        format!(
            "[[key]]\nuse = \"{usage}\"\ncertificate = {}\nprivate_key = {}\npassphrase_file = {}\n",
            file(&format!("bank-{usage}-{suite}.cert.pem")),
            file(&format!("bank-{usage}-{suite}.key.pem")),
            file("TEST-ONLY-passphrase.txt"),
        )
    };
    let keys = ["sign", "decrypt"].map(|usage| ["sm", "rsa"].map(|suite| key(usage, suite)).concat());
    let signers = SIGNERS.map(|name| layout.key(&format!("{name}.cert.pem")));
    let peers = signers.iter().chain(copied).map(|certificate| {
        let certificate = quoted(certificate);
        format!("[[peer]]\ninstitution = \"{NETWORK}\"\nuse = \"verify\"\ncertificate = {certificate}\n")
    });
    [head, keys.concat(), peers.collect()].concat()
}

/// Certificates under other serials: trust comes from standing in the configuration, so none is signed anew.
fn copy_certificates(layout: &Layout, count: usize) -> Result<Vec<PathBuf>, SubjectFault> {
    let originals = SIGNERS.map(|name| layout.key(&format!("{name}.cert.pem")));
    let mut copied = Vec::with_capacity(count);
    for (number, original) in (0u32..).zip(originals.iter().cycle()).take(count) {
        let pem = std::fs::read_to_string(original).map_err(file_fault(original, "read"))?;
        let copy = under_serial(&pem, number).ok_or_else(|| SubjectFault::Certificate(original.clone()))?;
        let path = layout.key(&format!("copy-{number}.cert.pem"));
        write_secret(&path, copy.as_bytes())?;
        copied.push(path);
    }
    Ok(copied)
}

fn under_serial(pem: &str, number: u32) -> Option<String> {
    let body = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN"));
    let body: String = body.filter(|line| !line.starts_with('-')).collect();
    let mut der = BASE64_STANDARD.decode(body).ok()?;
    let place = der
        .windows(SERIAL_BEGINS.len())
        .position(|bytes| bytes == SERIAL_BEGINS)?;
    let serial = der.get_mut(place..)?;
    let (begins, rest) = serial.split_first_chunk_mut::<3>()?;
    *begins = COPY_BEGINS;
    *rest.first_chunk_mut::<4>()? = number.to_be_bytes();
    let text = BASE64_STANDARD.encode(der);
    let mut lines = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE_CHARS));
        lines.push(line);
        rest = after;
    }
    Some(format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    ))
}
