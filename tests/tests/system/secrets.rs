//! The logs of everything that happened before hold no account number, no name, no body and no key.

use std::fs;

use fixtures::accounts::Population;

use crate::site::{ACCOUNTS, Site, repository};

/// Marks of a message's body and of key material.
const MARKS: [&str; 7] = [
    "<MsgBody",
    "<root",
    "{S:",
    "PyeeAcctId",
    "PRIVATE KEY",
    "DgtlEnvlp>",
    "PyeeBkNo>",
];
const ACCOUNTS_SEED: u64 = 1;

pub(crate) fn logs_hold_none(site: &mut Site) {
    let mut forbidden: Vec<String> = MARKS.map(str::to_owned).to_vec();
    let population = Population::generate(usize::try_from(ACCOUNTS).unwrap(), ACCOUNTS_SEED).unwrap();
    for customer in population.customers() {
        // a name as it is, and as JSON may escape it
        let escaped: Vec<String> = customer
            .name
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect();
        forbidden.extend([customer.number.clone(), customer.name.clone(), escaped.concat()]);
    }
    for secret in ["TEST-ONLY-passphrase.txt", "TEST-ONLY-token-key.hex"] {
        let text = fs::read_to_string(repository().join("fixtures/keys").join(secret)).unwrap();
        forbidden.push(text.trim().to_owned());
    }
    forbidden.push(fs::read_to_string(site.plan().layout.etc("postgres.password")).unwrap());
    let mut bytes = 0;
    for entry in fs::read_dir(site.plan().layout.logs()).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        bytes += text.len();
        for line in text.lines() {
            // what was found is not shown: this goes into another log
            let found = forbidden.iter().position(|secret| line.contains(secret.as_str()));
            assert_eq!(found, None, "{} holds something it may not", path.display());
        }
    }
    assert!(bytes > 1_000, "there are logs to look at");
}
