//! What is refused when providers and keys are loaded, with words that an operator can act on; and that no secret is
//! presented a second time.

use std::path::{Path, PathBuf};

use super::super::entry::{InternalDecrypt, ObjectName, Token};
use super::material;
use super::sdf_device::{SdfDevice, build, secrets_presented};
use super::token::{self, SoftToken};
use super::*;

#[track_caller]
fn check_open(entry: ProviderEntry, expected: &str) {
    let refused = Providers::open(&[entry], &Providers::default()).map_err(|fault| chain(&fault));
    let said = refused.map_or_else(|said| said, |_| "opened".to_owned());
    assert!(said.contains(expected), "{said}");
}

#[track_caller]
fn check_take(providers: &mut Providers, entry: &KeyEntry, expected: &str) {
    let said = try_take(providers, entry).map_or_else(|said| said, |taken| format!("taken, {:?}", taken.away));
    assert!(said.contains(expected), "{said}");
}

fn sdf_of(module: &Path, device: &SdfDevice) -> ProviderEntry {
    let mut entry = device.sdf_entry();
    entry.module = module.to_owned();
    ProviderEntry::Sdf(entry)
}

#[test]
fn sdf_libraries_that_are_none() {
    let device = SdfDevice::new();
    let beside = |name: &str| device.directory.path().join(name);
    check_open(sdf_of(&beside("absent.so"), &device), "absent.so cannot be loaded: ");
    std::fs::write(beside("text.so"), "text").unwrap();
    check_open(sdf_of(&beside("text.so"), &device), "text.so cannot be loaded: ");
    check_open(
        sdf_of(Path::new(token::softhsm()), &device),
        "lacks functions of GM/T 0018: SDF_OpenDevice, SDF_CloseDevice, SDF_OpenSession",
    );
}

#[test]
fn sdf_keys_that_are_not_there_or_another() {
    let device = SdfDevice::new();
    let mut providers = open(&[device.entry()]);
    let check = |providers: &mut Providers, usage, certificate: &str, index, expected: &str| {
        check_take(providers, &device.key(usage, certificate, index), expected);
    };
    let (sign, decrypt) = (KeyUse::Sign, KeyUse::Decrypt);
    check(
        &mut providers,
        sign,
        "bank-sign-sm",
        9,
        "shows no sm key to sign with at index 9 (SDR_KEYNOTEXIST",
    );
    check(
        &mut providers,
        decrypt,
        "bank-decrypt-rsa",
        2,
        "shows no rsa key to decrypt with at index 2",
    );
    check(
        &mut providers,
        sign,
        "network-sign-sm",
        1,
        "not the one of the certificate",
    );
    check(
        &mut providers,
        sign,
        "bank-decrypt-sm",
        1,
        "not the one of the certificate",
    );
    check(
        &mut providers,
        sign,
        "network-sign-rsa",
        2,
        "not the one of the certificate",
    );
    assert_eq!(
        secrets_presented(&device.library()),
        0,
        "a password is presented for the right key alone"
    );
    check(&mut providers, sign, "bank-sign-sm", 1, "taken, None");
}

#[test]
fn a_wrong_access_password_is_presented_once() {
    let device = SdfDevice::new();
    material::write_secret(&device.password(), b"wrong");
    let mut providers = open(&[device.entry()]);
    let [entry, _] = device.keys(material::sm());
    check_take(
        &mut providers,
        &entry,
        "refuses the password of index 1 (SDR_PARDENY 0x01000007); it is not presented again",
    );
    assert_eq!(secrets_presented(&device.library()), 1);
    material::write_secret(&device.password(), super::sdf_device::PASSWORD);
    check_take(&mut providers, &entry, "taken, None");
}

#[test]
fn every_form_of_internal_decrypt_is_spoken() {
    for form in [InternalDecrypt::IndexAlgorithm, InternalDecrypt::AlgorithmIndex] {
        let device = SdfDevice::with(form);
        let mut entry = device.sdf_entry();
        entry.internal_decrypt = form;
        let mut providers = open(&[ProviderEntry::Sdf(entry)]);
        Subject::new(&mut providers, &device.keys(material::sm()), material::sm()).opens();
    }
    let device = SdfDevice::built(&["-DINTERNAL_DECRYPT=0".to_owned()]);
    let mut providers = open(&[device.entry()]);
    let [signing, decrypting] = device.keys(material::sm());
    check_take(&mut providers, &decrypting, "the library lacks SDF_InternalDecrypt_ECC");
    check_take(&mut providers, &signing, "taken, None");
}

#[test]
fn software_keys_by_a_passphrase_from_nowhere() {
    let mut providers = Providers::default();
    let [mut entry, _] = software_entries(material::sm());
    let Held::File { passphrase, .. } = &mut entry.held else {
        panic!("in a file")
    };
    *passphrase = SecretSource::Environment("SIGNER_TEST_NOT_SET".to_owned());
    check_take(
        &mut providers,
        &entry,
        "the environment variable SIGNER_TEST_NOT_SET holds no secret",
    );
}

fn with_module(token: &SoftToken, module: PathBuf) -> ProviderEntry {
    let mut entry = token.pkcs11_entry();
    entry.module = module;
    ProviderEntry::Pkcs11(entry)
}

#[test]
fn modules_that_are_none() {
    token::in_its_own_process("refusals::modules_that_are_none", |token| {
        let beside = |name: &str| token.module().with_file_name(name);
        check_open(with_module(token, beside("absent.so")), "absent.so cannot be loaded: ");
        std::fs::write(beside("text.so"), "text").unwrap();
        check_open(with_module(token, beside("text.so")), "text.so cannot be loaded: ");
        build("software_sdf.c", &beside("other.so"), &[]);
        check_open(
            with_module(token, beside("other.so")),
            "other.so cannot be loaded: Missing PKCS#11 symbol: C_GetFunctionList",
        );
    });
}

#[test]
fn token_keys_that_are_not_there_or_another() {
    token::in_its_own_process("refusals::token_keys_that_are_not_there_or_another", |token| {
        let mut providers = open(&[token.entry()]);
        let label = |label: &str| ObjectName::Label(label.to_owned());
        let mut check = |usage, certificate: &str, object, expected: &str| {
            check_take(&mut providers, &token::key(usage, certificate, object), expected);
        };
        let (sign, decrypt) = (KeyUse::Sign, KeyUse::Decrypt);
        check(
            sign,
            "bank-sign-rsa",
            label("absent"),
            "has no private RSA key labelled \"absent\"",
        );
        check(
            decrypt,
            "bank-decrypt-rsa",
            ObjectName::Id(vec![0, 0xB7]),
            "has no private RSA key of id 00b7",
        );
        check(
            sign,
            "network-sign-rsa",
            label("bank-sign-rsa"),
            "not the one of the certificate",
        );
        check(sign, "bank-sign-sm", label("bank-sign-rsa"), "PKCS#11 defines no SM2");
        check(sign, "bank-sign-rsa", label("bank-sign-rsa"), "taken, None");
    });
}

#[test]
fn a_token_that_is_not_there() {
    token::in_its_own_process("refusals::a_token_that_is_not_there", |token| {
        let [key, _] = token::keys();
        for (absent, expected) in [
            (Token::Label("absent".to_owned()), "no token is labelled \\\"absent\\\""),
            (Token::Slot(987), "no token is in slot 987"),
        ] {
            let mut entry = token.pkcs11_entry();
            entry.token = absent;
            check_take(&mut open(&[ProviderEntry::Pkcs11(entry)]), &key, expected);
        }
    });
}

#[test]
fn a_wrong_pin_is_presented_once() {
    token::in_its_own_process("refusals::a_wrong_pin_is_presented_once", |token| {
        let [signing, decrypting] = token::keys();
        material::write_secret(&token.pin(), b"wrong1");
        let mut refused = open(&[token.entry()]);
        let expected = "refuses the PIN (PinIncorrect from Login); it is not presented again";
        for key in [&signing, &decrypting, &signing] {
            check_take(&mut refused, key, expected);
        }
        assert_eq!(secrets_presented(&token.module()), 1);
        material::write_secret(&token.pin(), token::PIN);
        let mut reloaded = Opened(Providers::open(&[token.entry()], &refused).unwrap());
        check_take(&mut reloaded, &signing, "taken, None");
    });
}
