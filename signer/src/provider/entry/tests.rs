//! Tables that are refused: each key in one place, each secret from one source, each provider of the right kind.

use crate::config::Config;

const LEAST: &str = "listen = \"unix:s\"\n[operations]\naddress = \"127.0.0.1:0\"\n[tokens]\nkey_file = \"t\"\n\
    [audit]\nnone_not_for_production = true\n";
const KEY: &str = "[[key]]\nuse = \"sign\"\ncertificate = \"c\"\n";
const PROVIDER: &str = "[[provider]]\nname = \"p\"\nmodule = \"m\"\n";
const TOKEN: &str = "kind = \"pkcs11\"\ntoken_label = \"t\"\npin_file = \"pin\"\n";

#[track_caller]
fn check(tables: &[&str], expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("signer.toml");
    std::fs::write(&path, format!("{LEAST}{}\n", tables.concat())).unwrap();
    let said = Config::load(&path).map_or_else(|fault| fault.to_string(), |_| "read".to_owned());
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_key_is_held_in_one_place() {
    let cases = [
        ("private_key = 'k'\npassphrase_file = 'p'", "read"),
        ("private_key = 'k'\npassphrase_env = 'P'", "read"),
        ("private_key = 'k'", "exactly one of passphrase_file and passphrase_env"),
        (
            "private_key = 'k'\npassphrase_env = 'P'\npassphrase_file = 'p'",
            "exactly one of passphrase_file and passphrase_env",
        ),
        ("passphrase_file = 'p'", "either private_key or provider"),
        ("label = 'l'", "a key in a device names its provider"),
        ("provider = 'p'", "named by label or id (pkcs11), or by index (sdf)"),
        (
            "provider = 'p'\nlabel = 'l'\nprivate_key = 'k'",
            "neither private_key nor passphrase",
        ),
        (
            "provider = 'p'\nlabel = 'l'\nindex = 1",
            "named by label or id (pkcs11), or by index (sdf)",
        ),
        ("provider = 'p'\nlabel = 'l'\nid = '0a'", "exactly one of label and id"),
        ("provider = 'p'\nid = '0a1'", "even number of hexadecimal digits"),
        (
            "provider = 'p'\nindex = 1",
            "exactly one of password_file and password_env",
        ),
        ("provider = 'p'\npassword_env = 'P'", "has an index"),
        (
            "provider = 'p'\nlabel = 'l'",
            "names the provider p, which there is not",
        ),
    ];
    for (key, expected) in cases {
        check(&[KEY, key], expected);
    }
}

#[test]
fn a_provider_is_whole_and_of_the_kind_of_its_keys() {
    const OBJECT: &str = "provider = 'p'\nid = '0A0b'";
    const INDEX: &str = "provider = 'p'\nindex = 1\npassword_env = 'P'";
    const SDF: &str = "kind = 'sdf'\n";
    check(&[PROVIDER, TOKEN, KEY, OBJECT], "read");
    check(&[PROVIDER, SDF, KEY, INDEX], "read");
    check(
        &[PROVIDER, SDF, KEY, OBJECT],
        "written for kind pkcs11, the provider is sdf",
    );
    check(
        &[PROVIDER, TOKEN, KEY, INDEX],
        "written for kind sdf, the provider is pkcs11",
    );
    check(&[PROVIDER, SDF, PROVIDER, TOKEN], "\"p\" is empty or taken");
    let cases = [
        ("kind = 'sdf'\ninternal_decrypt = 'algorithm_index'", "read"),
        ("kind = 'sdf'\ninternal_decrypt = 'other'", "unknown variant `other`"),
        ("kind = 'sdf'\ntoken_label = 't'", "unknown field `token_label`"),
        ("kind = 'other'", "unknown variant `other`"),
        (
            "kind = 'pkcs11'\ntoken_label = 't'",
            "exactly one of pin_file and pin_env",
        ),
        ("kind = 'pkcs11'\npin_env = 'P'", "exactly one of token_label and slot"),
        ("kind = 'sdf'\nsessions = 0", "sessions must lie in 1..=64"),
        ("kind = 'sdf'\ncall_ms = 60001", "call_ms must lie in 1..=60000"),
    ];
    for (provider, expected) in cases {
        check(&[PROVIDER, provider], expected);
    }
}
