//! The one conformance suite of key providers: what holds for a key in memory holds for a key in a device, and what a
//! device may do wrong never reaches a caller as anything but a failure.
//!
//! PKCS#11 is tried against `SoftHSM2`, GM/T 0018 against the software device in `tests/devices`, which has its SM2 from
//! OpenSSL; both can be told to fail, stall, lie, lose sessions and go away (`tests/devices/control.h`).

mod faults;
mod material;
mod refusals;
mod sdf_device;
mod token;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use signer_crypto::{Certificate, FieldKey};

use super::entry::{Held, KeyEntry, ProviderEntry, SecretSource};
use super::{Providers, Taken};
use crate::config::KeyUse;
use crate::held_key::{EnvelopeFailure, HeldKey, KeyFailure};
use material::{Material, soon};

/// A signing and a decrypting key of one suite, held by one provider.
struct Subject {
    signing: Arc<dyn HeldKey>,
    decrypting: Arc<dyn HeldKey>,
    material: &'static Material,
}

/// What becomes of an envelope, as far as anybody can see.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Opens,
    /// A key came of it that opens no field.
    OpensNothing,
    DoesNotOpen,
    Failed(KeyFailure),
}

impl Subject {
    /// The keys of an installation's entries: the first signs, the second decrypts.
    fn new(providers: &mut Providers, entries: &[KeyEntry; 2], material: &'static Material) -> Self {
        let [signing, decrypting] = entries.each_ref().map(|entry| {
            let taken = take(providers, entry);
            assert_eq!(taken.away, None);
            taken.key
        });
        Self {
            signing,
            decrypting,
            material,
        }
    }

    fn conforms(&self) {
        self.signs();
        self.opens();
        self.refuses_what_a_software_key_refuses();
        self.serves_many_at_once();
        assert_eq!(self.signing.suite(), self.material.suite);
        assert_eq!(self.decrypting.suite(), self.material.suite);
    }

    fn signs(&self) {
        let certificate = &self.material.signing;
        for count in [0, 1, 2, 17] {
            let messages: Vec<Vec<u8>> = (0..count).map(|number| vec![b'm'; number * number * 200]).collect();
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let signatures = self.signing.sign(&messages, soon());
            assert_eq!(signatures.len(), count);
            for (message, signature) in messages.iter().zip(signatures) {
                let signature = signature.unwrap();
                assert_eq!(certificate.verify(message, &signature), Ok(()));
                assert!(certificate.verify(b"another", &signature).is_err());
            }
        }
    }

    fn opens(&self) {
        for count in [0, 1, 2, 17] {
            let keys: Vec<FieldKey> = (0..count).map(|_| self.material.field_key()).collect();
            let envelopes: Vec<Vec<u8>> = keys.iter().map(|key| self.material.envelope(key)).collect();
            let envelopes: Vec<&[u8]> = envelopes.iter().map(Vec::as_slice).collect();
            let opened = self.decrypting.open_envelopes(&envelopes, soon());
            assert_eq!(opened.len(), count);
            for (key, opened) in keys.iter().zip(opened) {
                assert_eq!(judge(opened, key), Outcome::Opens);
            }
        }
    }

    /// Each bad envelope between two good ones: it alone does not open, and in the way it does not with a key in memory.
    fn refuses_what_a_software_key_refuses(&self) {
        for (name, bad) in self.material.bad_envelopes() {
            let key = self.material.field_key();
            let good = self.material.envelope(&key);
            let by = |held: &dyn HeldKey| {
                let outcomes = held.open_envelopes(&[&good, &bad, &good], soon()).into_iter();
                outcomes.map(|opened| judge(opened, &key)).collect::<Vec<_>>()
            };
            let [before, outcome, after] = by(&*self.decrypting).try_into().unwrap();
            assert_eq!((before, after), (Outcome::Opens, Outcome::Opens), "{name}");
            let [_, expected, _] = by(&self.material.software_decrypting).try_into().unwrap();
            assert_ne!(expected, Outcome::Opens, "{name}");
            assert_eq!(outcome, expected, "{name}");
        }
    }

    fn serves_many_at_once(&self) {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        assert!(self.can_sign() && self.can_open());
                    }
                });
            }
        });
    }

    fn sign_one(&self) -> Result<Vec<u8>, KeyFailure> {
        let signature = self.signing.sign(&[b"a message"], soon()).pop().unwrap()?;
        assert_eq!(self.material.signing.verify(b"a message", &signature), Ok(()));
        Ok(signature)
    }

    fn open_one(&self) -> Outcome {
        let key = self.material.field_key();
        let opened = self.decrypting.open_envelopes(&[&self.material.envelope(&key)], soon());
        judge(opened.into_iter().next().unwrap(), &key)
    }

    fn can_sign(&self) -> bool {
        self.sign_one().is_ok()
    }

    fn can_open(&self) -> bool {
        self.open_one() == Outcome::Opens
    }
}

fn judge(opened: Result<FieldKey, EnvelopeFailure>, sealed: &FieldKey) -> Outcome {
    match opened {
        Ok(key) if key.decrypt(&sealed.encrypt(b"a field")).is_ok() => Outcome::Opens,
        Ok(_) => Outcome::OpensNothing,
        Err(EnvelopeFailure::DoesNotOpen) => Outcome::DoesNotOpen,
        Err(EnvelopeFailure::Key(failure)) => Outcome::Failed(failure),
    }
}

/// Providers whose sessions are closed at the end of a test: a process that ends in a library's call ends badly.
struct Opened(Providers);

impl std::ops::Deref for Opened {
    type Target = Providers;

    fn deref(&self) -> &Providers {
        &self.0
    }
}

impl std::ops::DerefMut for Opened {
    fn deref_mut(&mut self) -> &mut Providers {
        &mut self.0
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.0.close();
        }
    }
}

fn open(entries: &[ProviderEntry]) -> Opened {
    Opened(Providers::open(entries, &Providers::default()).unwrap())
}

fn take(providers: &mut Providers, entry: &KeyEntry) -> Taken {
    try_take(providers, entry).unwrap()
}

/// With the refusal as an operator reads it.
fn try_take(providers: &mut Providers, entry: &KeyEntry) -> Result<Taken, String> {
    let pem = std::fs::read(&entry.certificate).unwrap();
    let certificate = Certificate::from_pem(&pem).unwrap();
    providers.take(entry, &certificate, &pem).map_err(|fault| chain(&fault))
}

fn chain(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(fault), |fault| fault.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Until the condition holds; fails the test if it does not in time.
#[track_caller]
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < until, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn software_entries(material: &Material) -> [KeyEntry; 2] {
    let names = [&material.sign_name, &material.decrypt_name];
    let usages = [KeyUse::Sign, KeyUse::Decrypt];
    std::array::from_fn(|at| KeyEntry {
        usage: usages[at],
        certificate: material::path(&format!("{}.cert.pem", names[at])),
        held: Held::File {
            private_key: material::owned_copy(&format!("{}.key.pem", names[at])),
            passphrase: SecretSource::File(material::owned_copy("TEST-ONLY-passphrase.txt")),
        },
    })
}

#[test]
fn software_keys_conform() {
    for material in material::of_both_suites() {
        let subject = Subject::new(&mut Providers::default(), &software_entries(material), material);
        subject.conforms();
        assert_eq!(subject.signing.provider(), "software");
    }
}

#[test]
fn keys_in_a_gm_t_0018_device_conform() {
    for material in material::of_both_suites() {
        let device = sdf_device::SdfDevice::new();
        let mut providers = open(&[device.entry()]);
        let subject = Subject::new(&mut providers, &device.keys(material), material);
        subject.conforms();
        assert_eq!(subject.signing.provider(), "sdf");
    }
}

#[test]
fn keys_in_a_token_conform() {
    token::in_its_own_process("keys_in_a_token_conform", |token| {
        let material = material::rsa();
        let mut providers = open(&[token.entry()]);
        let subject = Subject::new(&mut providers, &token::keys(), material);
        subject.conforms();
        assert_eq!(subject.signing.provider(), "pkcs11");
    });
}

/// With the padding taken off inside, by a module that has no other way.
#[test]
fn keys_in_a_token_that_unpads_conform() {
    token::in_its_own_process("keys_in_a_token_that_unpads_conform", |token| {
        let mut entry = token.pkcs11_entry();
        token.tell("padded");
        entry.padding_in_module = true;
        let mut providers = open(&[ProviderEntry::Pkcs11(entry)]);
        let subject = Subject::new(&mut providers, &token::keys(), material::rsa());
        subject.conforms();
    });
}
