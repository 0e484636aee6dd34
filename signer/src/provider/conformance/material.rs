//! The keys of `fixtures/keys`, and envelopes that are wrong in every way.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use signer_crypto::{Certificate, FieldKey, Passphrase, PrivateKey, Suite};

pub(super) struct Material {
    pub(super) suite: Suite,
    pub(super) sign_name: String,
    pub(super) decrypt_name: String,
    pub(super) signing: Certificate,
    decrypting: Certificate,
    another: Certificate,
    pub(super) software_decrypting: PrivateKey,
}

static RSA: LazyLock<Material> = LazyLock::new(|| Material::of(Suite::Rsa));
static SM: LazyLock<Material> = LazyLock::new(|| Material::of(Suite::Sm));

pub(super) fn rsa() -> &'static Material {
    &RSA
}

pub(super) fn sm() -> &'static Material {
    &SM
}

pub(super) fn of_both_suites() -> [&'static Material; 2] {
    [&RSA, &SM]
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Of a file among the fixture keys.
pub(super) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/keys")
        .join(name)
}

pub(super) fn passphrase() -> Vec<u8> {
    std::fs::read(path("TEST-ONLY-passphrase.txt"))
        .unwrap()
        .trim_ascii_end()
        .to_vec()
}

/// A copy that its owner alone may read.
pub(super) fn owned_copy(name: &str) -> PathBuf {
    static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    let copy = DIRECTORY.path().join(name);
    write_secret(&copy, &std::fs::read(path(name)).unwrap());
    copy
}

/// Readable by its owner alone, and never seen half-written.
pub(super) fn write_secret(path: &Path, secret: &[u8]) {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
    file.write_all(secret).unwrap();
    file.persist(path).unwrap();
}

fn certificate(name: &str) -> Certificate {
    Certificate::from_pem(&std::fs::read(path(&format!("{name}.cert.pem"))).unwrap()).unwrap()
}

impl Material {
    fn of(suite: Suite) -> Self {
        let name = |what: &str| match suite {
            Suite::Rsa => format!("{what}-rsa"),
            Suite::Sm => format!("{what}-sm"),
        };
        let pem = std::fs::read(path(&format!("{}.key.pem", name("bank-decrypt")))).unwrap();
        Self {
            suite,
            sign_name: name("bank-sign"),
            decrypt_name: name("bank-decrypt"),
            signing: certificate(&name("bank-sign")),
            decrypting: certificate(&name("bank-decrypt")),
            another: certificate(&name("network-decrypt")),
            software_decrypting: PrivateKey::from_pkcs8_pem(&pem, &Passphrase::new(passphrase())).unwrap(),
        }
    }

    pub(super) fn field_key(&self) -> FieldKey {
        FieldKey::generate(self.suite).unwrap()
    }

    pub(super) fn envelope(&self, key: &FieldKey) -> Vec<u8> {
        self.decrypting.seal_envelope(key).unwrap()
    }

    pub(super) fn bad_envelopes(&self) -> Vec<(&'static str, Vec<u8>)> {
        let good = self.envelope(&self.field_key());
        let with_bit = |place: usize| {
            let mut bad = good.clone();
            bad[place] ^= 1;
            bad
        };
        // The same length and form, another content: one of noise that RSA's arithmetic takes, one that it does not.
        let noise = |first: u8| {
            let mut noise: Vec<u8> = (0u32..)
                .map(|at| at.wrapping_mul(167).to_le_bytes()[0])
                .take(good.len())
                .collect();
            noise[0] = first;
            noise
        };
        vec![
            ("empty", Vec::new()),
            ("one byte", vec![4]),
            ("one byte short", good[..good.len() - 1].to_vec()),
            ("one byte long", [good.as_slice(), &[0]].concat()),
            ("a bit of the first bytes", with_bit(9)),
            ("a bit in the middle", with_bit(good.len() / 2)),
            ("the last bit", with_bit(good.len() - 1)),
            (
                "for another key",
                self.another.seal_envelope(&self.field_key()).unwrap(),
            ),
            ("zeros", vec![0; good.len()]),
            ("ones", vec![0xFF; good.len()]),
            ("noise below the modulus", noise(0)),
            ("noise above the modulus", noise(0xFF)),
            ("as long as the largest", vec![0x30; 1024]),
        ]
    }
}
