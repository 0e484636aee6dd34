//! Logs made for tests: in a directory, or on a disk that fails when it is told to.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use signer_crypto::{Certificate, Passphrase, PrivateKey};

use super::disk::Disk;
use super::journal::Place;
use super::line::Head;
use super::log::Opening;
use super::record::{Event, KeyNote, Moment};
use super::seal::Seal;
use super::settings::AuditEntry;
use super::{Audit, Digest, Unwritable, Use};

pub(crate) fn now() -> Moment {
    Moment::of(SystemTime::now())
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

pub(crate) fn settings(directory: &Path) -> AuditEntry {
    AuditEntry {
        directory: Some(directory.to_owned()),
        file_bytes_max: 1 << 20,
        sync_ms: 1,
        none_not_for_production: false,
    }
}

pub(crate) fn certificate() -> Certificate {
    let pem = include_bytes!("../../../fixtures/keys/bank-sign-sm.cert.pem");
    Certificate::from_pem(pem).unwrap()
}

/// Seals with the key of [`certificate`].
pub(crate) fn seal_with_the_test_key(audit: &Audit) {
    let passphrase = include_bytes!("../../../fixtures/keys/TEST-ONLY-passphrase.txt");
    let passphrase = Passphrase::new(passphrase.trim_ascii_end().to_vec());
    let pem = include_bytes!("../../../fixtures/keys/bank-sign-sm.key.pem");
    let key = PrivateKey::from_pkcs8_pem(pem, &passphrase).unwrap();
    let serial = certificate().serial().to_owned();
    audit.seal_with(Box::new(move |statement| {
        Ok(Seal {
            key: serial.clone(),
            suite: "sm".to_owned(),
            signature: key.sign(statement).map_err(|fault| fault.to_string())?,
        })
    }));
}

pub(crate) fn start() -> Event {
    Event::Start {
        version: "0".to_owned(),
        keys: vec![KeyNote {
            serial: "4B42".to_owned(),
            usage: "sign".to_owned(),
            suite: "sm".to_owned(),
            provider: "software".to_owned(),
        }],
        certificates: 1,
        callers: vec!["frontend".to_owned()],
    }
}

pub(crate) fn reveal(purpose: &str) -> Event {
    Event::Reveal {
        caller: "sms".to_owned(),
        key: "4B43".to_owned(),
        field: "mobile".to_owned(),
        purpose: purpose.to_owned(),
        digest: Digest::of(purpose.as_bytes()),
        outcome: "revealed".to_owned(),
    }
}

/// Notes `count` signatures with key 4B42.
pub(crate) fn sign(audit: &Audit, count: usize, deadline: Instant) -> Result<(), Unwritable> {
    let key: Arc<str> = "4B42".into();
    let caller: Arc<str> = "frontend".into();
    let uses: Vec<_> = (0..count)
        .map(|number| (Arc::clone(&caller), Digest::of(&number.to_be_bytes())))
        .collect();
    audit.note_uses(Use::Sign, &key, &uses, deadline)
}

/// Name and content.
type MadeFile = (String, Vec<u8>);

/// A disk in memory.
#[derive(Clone, Default)]
pub(crate) struct MadeDisk {
    pub(crate) files: Arc<Mutex<Vec<MadeFile>>>,
    pub(crate) broken: Arc<AtomicBool>,
}

impl MadeDisk {
    pub(crate) fn text(&self) -> String {
        let files = self.files.lock().unwrap();
        let bytes = files.iter().flat_map(|(_, content)| content.clone()).collect();
        String::from_utf8(bytes).unwrap()
    }

    fn check(&self) -> io::Result<()> {
        if self.broken.load(Ordering::SeqCst) {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        } else {
            Ok(())
        }
    }
}

impl Disk for MadeDisk {
    fn begin(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.check()?;
        self.files.lock().unwrap().push((name.to_owned(), content.to_vec()));
        Ok(())
    }

    /// A full disk takes some of it.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let checked = self.check();
        let taken = if checked.is_ok() { bytes.len() } else { bytes.len() / 2 };
        let mut files = self.files.lock().unwrap();
        files.last_mut().unwrap().1.extend(&bytes[..taken]);
        checked
    }

    fn sync(&mut self) -> io::Result<()> {
        self.check()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        files.last_mut().unwrap().1.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

/// A log on such a disk.
pub(crate) fn log_on(disk: &MadeDisk, sync_every: Duration) -> Audit {
    let place = Place {
        log: "made".to_owned(),
        head: Head::START,
        file: None,
        unsealed: 0,
    };
    let opening = Opening {
        place,
        file_bytes_max: 1 << 20,
        sync_every,
        clock: now,
    };
    Audit::start(Box::new(disk.clone()), opening).unwrap()
}
