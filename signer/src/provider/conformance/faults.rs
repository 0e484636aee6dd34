//! What devices do wrong while they are in use, and how they come back. Each for all devices.

use std::time::Instant;

use super::material::{self, Material, soon};
use super::sdf_device::{BRISK, SdfDevice};
use super::token::{self, SoftToken};
use super::*;

/// A device in use: its keys, and how it is told what to do.
struct InUse<'a> {
    subject: Subject,
    providers: Opened,
    tell: &'a dyn Fn(&str),
}

impl<'a> InUse<'a> {
    fn new(entry: ProviderEntry, keys: &[KeyEntry; 2], material: &'static Material, tell: &'a dyn Fn(&str)) -> Self {
        let mut providers = open(&[entry]);
        let subject = Subject::new(&mut providers, keys, material);
        Self {
            subject,
            providers,
            tell,
        }
    }

    fn is_left_alone(&self) -> bool {
        self.providers.states()[0].is_left_alone
    }

    fn comes_back(&self) {
        (self.tell)("work");
        wait_for("it signs again", || self.subject.can_sign());
        wait_for("it opens again", || self.subject.can_open());
        assert!(!self.is_left_alone());
    }

    /// Calls fail as unavailable, then at once, and work again with the device.
    fn fails_and_comes_back(&self, word: &str) {
        (self.tell)(word);
        wait_for("callers are refused at once", || {
            let failed = self.subject.sign_one();
            assert!(matches!(failed, Err(KeyFailure::Unavailable(_))), "{word}: {failed:?}");
            self.is_left_alone()
        });
        let outcome = self.subject.open_one();
        assert!(
            matches!(outcome, Outcome::Failed(KeyFailure::Unavailable(_))),
            "{word}: {outcome:?}"
        );
        self.comes_back();
    }

    fn stalls(&self) {
        self.fails_and_comes_back("stall");
        let state = &self.providers.states()[0];
        assert!(state.counters.stalled > 0, "{state:?}");
        wait_for("as many sessions as configured are left", || {
            let state = &self.providers.states()[0];
            state.sessions_stuck == 0 && state.sessions_open == state.sessions
        });
    }

    fn fails(&self) {
        self.fails_and_comes_back("fail");
        assert!(self.providers.states()[0].counters.failed > 0);
    }

    /// Sessions that are lost while the device is there are nobody's failure.
    fn loses_sessions(&self) {
        let before = self.providers.states()[0].counters;
        (self.tell)("lose");
        for _ in 0..5 {
            assert_eq!(self.subject.sign_one().err(), None);
            assert_eq!(self.subject.open_one(), Outcome::Opens);
        }
        let after = self.providers.states()[0].counters;
        assert!(after.lost > before.lost && after.opened > before.opened, "{after:?}");
        assert_eq!(after.failed, before.failed);
        (self.tell)("work");
    }

    fn goes_away(&self) {
        self.fails_and_comes_back("away");
    }

    /// A wrong signature never leaves, and a wrong decryption opens nothing.
    fn lies(&self) {
        (self.tell)("lie");
        let failed = self.subject.sign_one();
        assert!(matches!(failed, Err(KeyFailure::Failed(_))), "{failed:?}");
        let outcome = self.subject.open_one();
        assert!(
            matches!(outcome, Outcome::DoesNotOpen | Outcome::OpensNothing),
            "{outcome:?}"
        );
        wait_for("a device that lies is left alone", || {
            assert!(!self.subject.can_sign());
            self.is_left_alone()
        });
        self.comes_back();
    }

    fn has_no_time(&self) {
        let past = Instant::now();
        let failed = self.subject.signing.sign(&[b"a", b"b"], past);
        assert!(
            failed
                .iter()
                .all(|failed| matches!(failed, Err(KeyFailure::Unavailable(_)))),
            "{failed:?}"
        );
        let before = self.providers.states()[0].counters.operations;
        let failed = self.subject.decrypting.open_envelopes(&[b"a"], past);
        assert!(matches!(
            failed[0],
            Err(EnvelopeFailure::Key(KeyFailure::Unavailable(_)))
        ));
        assert_eq!(
            self.providers.states()[0].counters.operations,
            before,
            "the device is not asked"
        );
        assert!(self.subject.can_sign());
    }

    fn everything_but_stalling(&self) {
        self.has_no_time();
        self.loses_sessions();
        self.fails();
        self.lies();
        self.goes_away();
        self.loses_sessions();
    }
}

fn brisk(device: &SdfDevice) -> ProviderEntry {
    let mut entry = device.sdf_entry();
    entry.limits = BRISK;
    ProviderEntry::Sdf(entry)
}

#[test]
fn keys_survive_their_device() {
    for material in material::of_both_suites() {
        let device = SdfDevice::new();
        let tell = |word: &str| device.tell(word);
        InUse::new(device.entry(), &device.keys(material), material, &tell).everything_but_stalling();
    }
}

#[test]
fn keys_survive_a_device_that_stalls() {
    for material in material::of_both_suites() {
        let device = SdfDevice::new();
        let tell = |word: &str| device.tell(word);
        InUse::new(brisk(&device), &device.keys(material), material, &tell).stalls();
    }
}

#[test]
fn keys_survive_their_token() {
    token::in_its_own_process("faults::keys_survive_their_token", |token: &SoftToken| {
        let tell = |word: &str| token.tell(word);
        InUse::new(token.entry(), &token::keys(), material::rsa(), &tell).everything_but_stalling();
    });
}

#[test]
fn keys_survive_a_token_that_stalls() {
    token::in_its_own_process("faults::keys_survive_a_token_that_stalls", |token: &SoftToken| {
        let tell = |word: &str| token.tell(word);
        let mut entry = token.pkcs11_entry();
        entry.limits = BRISK;
        InUse::new(ProviderEntry::Pkcs11(entry), &token::keys(), material::rsa(), &tell).stalls();
    });
}

/// One call of a batch stalls with the device; what was done before it is kept.
#[test]
fn what_a_stalling_device_had_done_is_kept() {
    let device = SdfDevice::new();
    let tell = |word: &str| device.tell(word);
    let in_use = InUse::new(brisk(&device), &device.keys(material::sm()), material::sm(), &tell);
    let messages = vec![b"a message".as_slice(); 1000];
    thread::scope(|scope| {
        let signing = scope.spawn(|| in_use.subject.signing.sign(&messages, soon()));
        wait_for("the device is at work", || {
            in_use.providers.states()[0].counters.operations > 20
        });
        device.tell("stall");
        let signatures = signing.join().unwrap();
        let done = signatures.iter().filter(|signature| signature.is_ok()).count();
        assert!(done > 0 && done < messages.len(), "{done}");
    });
    in_use.comes_back();
}

/// A key is loaded without its device, says that it is away, and comes with it.
#[test]
fn a_device_that_is_away_at_the_start_comes_later() {
    let device = SdfDevice::new();
    device.tell("away");
    let mut providers = open(&[device.entry()]);
    let [signing, decrypting] = device.keys(material::sm()).map(|entry| {
        let taken = take(&mut providers, &entry);
        assert!(taken.away.is_some_and(|reason| reason.contains("SDR_OPENDEVICE")));
        taken.key
    });
    let subject = Subject {
        signing,
        decrypting,
        material: material::sm(),
    };
    assert!(matches!(subject.sign_one(), Err(KeyFailure::Unavailable(_))));
    device.tell("work");
    wait_for("it signs", || subject.can_sign());
    subject.conforms();
}

/// A provider that is configured as before keeps its sessions over a reload; another is started anew.
#[test]
fn a_reload_takes_working_providers_over() {
    let device = SdfDevice::new();
    let mut first = Providers::open(&[device.entry()], &Providers::default()).unwrap();
    let keys = device.keys(material::sm());
    let subject = Subject::new(&mut first, &keys, material::sm());
    wait_for("both sessions are open", || first.states()[0].sessions_open == 2);
    let opened = first.states()[0].counters.opened;
    let mut second = Providers::open(&[device.entry()], &first).unwrap();
    drop((first, subject));
    Subject::new(&mut second, &keys, material::sm()).conforms();
    assert_eq!(
        second.states()[0].counters.opened,
        opened,
        "no session was opened for it"
    );
    let mut other = device.sdf_entry();
    other.limits.sessions = 1;
    let mut third = Opened(Providers::open(&[ProviderEntry::Sdf(other)], &second).unwrap());
    drop(second);
    Subject::new(&mut third, &keys, material::sm()).conforms();
    assert_eq!(third.states()[0].counters.opened, 1);
}

/// Counted by provider, and software keys by that name.
#[test]
fn metrics_tell_providers_apart() {
    use crate::key_ring::KeyRing;
    use crate::key_set::KeySet;

    let device = SdfDevice::new();
    let mut providers = open(&[device.entry()]);
    let subject = Subject::new(&mut providers, &device.keys(material::sm()), material::sm());
    Subject::new(&mut providers, &software_entries(material::rsa()), material::rsa());
    assert!(subject.can_sign());
    let keys = Arc::new(KeySet {
        providers: std::mem::take(&mut providers.0),
        ..KeySet::of(KeyRing::new([]), crate::tokens::tests::one())
    });
    let mut registry = prometheus_client::registry::Registry::default();
    crate::provider::metrics::register(&mut registry, {
        let keys = Arc::clone(&keys);
        move || Arc::clone(&keys)
    });
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for expected in [
        "signer_provider_keys{provider=\"encryptor\",kind=\"sdf\"} 2",
        "signer_provider_keys{provider=\"software\",kind=\"software\"} 2",
        "signer_provider_operations_total{provider=\"encryptor\",kind=\"sdf\"} 3",
        "signer_provider_failures_total{provider=\"encryptor\",kind=\"sdf\"} 0",
        "signer_provider_sessions_configured{provider=\"encryptor\",kind=\"sdf\"} 2",
        "signer_provider_sessions_opened_total{provider=\"encryptor\",kind=\"sdf\"} ",
        "signer_provider_left_alone{provider=\"encryptor\",kind=\"sdf\"} 0",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    keys.providers.close();
}
