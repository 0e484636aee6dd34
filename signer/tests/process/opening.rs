//! Opening messages: the good ones, and every rejection in the order of the contract.

use signer_crypto::{FieldKind as Kind, Suite};
use signer_protocol::{FieldKind, Open, OpenVerdict, Rejection, Tokens};

use crate::making::{NETWORK, Pair, message, plain_message};
use crate::running::{Keys, Running, contract_suite, index, soon, token_key};

const FIELDS: [(FieldKind, &str); 2] = [
    (FieldKind::AccountNumber, "6222021234567890123"),
    (FieldKind::Name, "张三"),
];

#[tokio::test]
async fn good_messages_of_every_pair_of_suites() {
    let running = Running::start().await;
    for signed_in in Suite::ALL {
        for encrypted_in in Suite::ALL {
            let (signer, receiver) = (
                &running.keys.network_sign[index(signed_in)],
                &running.keys.bank_decrypt[index(encrypted_in)],
            );
            let verdict = running
                .client
                .open(message(signer, receiver, &FIELDS), soon())
                .await
                .unwrap();
            let tokens = vec![
                token_key().token(Kind::AccountNumber, b"6222021234567890123"),
                token_key().token(Kind::Name, "张三".as_bytes()),
            ];
            assert_eq!(
                verdict,
                OpenVerdict::Opened {
                    suite: contract_suite(signed_in),
                    tokens: Tokens {
                        tokens,
                        ..Tokens::default()
                    }
                }
            );
        }
        let verdict = running
            .client
            .open(plain_message(&running.keys.network_sign[index(signed_in)]), soon())
            .await;
        assert_eq!(
            verdict,
            Ok(OpenVerdict::Opened {
                suite: contract_suite(signed_in),
                tokens: Tokens::default()
            })
        );
    }
    running.stop().await.unwrap();
}

type Case = (&'static str, Open, Rejection);

#[tokio::test]
async fn every_rejection() {
    let running = Running::start().await;
    let cases = [
        serial_cases(running.keys),
        signature_cases(running.keys),
        envelope_cases(running.keys),
    ]
    .concat();
    for (what, open, expected) in &cases {
        let verdict = running.client.open(open.clone(), soon()).await;
        assert_eq!(verdict, Ok(OpenVerdict::Rejected(*expected)), "{what}");
    }
    for rejection in Rejection::ALL {
        assert!(
            cases.iter().any(|(_, _, expected)| *expected == rejection),
            "{rejection:?} has no case"
        );
    }
    running.stop().await.unwrap();
}

const SM: usize = index(Suite::Sm);

fn good(keys: &Keys) -> Open {
    by(keys, &keys.network_sign[SM])
}

fn by(keys: &Keys, pair: &Pair) -> Open {
    message(pair, &keys.bank_decrypt[SM], &FIELDS)
}

fn changed(mut open: Open, change: impl FnOnce(&mut Open)) -> Open {
    change(&mut open);
    open
}

fn serial_cases(keys: &Keys) -> Vec<Case> {
    use Rejection::{CertificateOutOfDate, CertificateRevoked, SerialOfAnotherInstitution, SigningSerialUnknown};
    let serial = |text: &str| changed(good(keys), |open| open.signing_serial = text.to_owned());
    let issuer = |text: &str| changed(good(keys), |open| open.issuer = text.to_owned());
    vec![
        ("no serial", serial(""), SigningSerialUnknown),
        ("a strange serial", serial("4000000199"), SigningSerialUnknown),
        ("with a leading zero", serial("04000000101"), SigningSerialUnknown),
        ("a key of ours", by(keys, &keys.bank_sign[SM]), SigningSerialUnknown),
        (
            "a key to encrypt with",
            by(keys, &keys.network_decrypt[SM]),
            SigningSerialUnknown,
        ),
        (
            "an institution's key",
            by(keys, &keys.institution_sign),
            SerialOfAnotherInstitution,
        ),
        ("another issuer", issuer("Z2000133000019"), SerialOfAnotherInstitution),
        ("no issuer", issuer(""), SerialOfAnotherInstitution),
        ("expired", by(keys, &keys.network_expired), CertificateOutOfDate),
        ("revoked", by(keys, &keys.network_revoked), CertificateRevoked),
    ]
}

fn signature_cases(keys: &Keys) -> Vec<Case> {
    let signature = |bytes: Vec<u8>| changed(good(keys), |open| open.signature = bytes);
    let by_rsa = keys.network_sign[index(Suite::Rsa)]
        .private
        .sign(&good(keys).signed)
        .unwrap();
    vec![
        ("none", signature(vec![]), Rejection::SignatureWrong),
        ("zeros", signature(vec![0; 64]), Rejection::SignatureWrong),
        ("the other suite's", signature(by_rsa), Rejection::SignatureWrong),
        (
            "of another message",
            changed(good(keys), |open| open.signed.push(b' ')),
            Rejection::SignatureWrong,
        ),
        (
            "of no message",
            changed(good(keys), |open| open.signed.clear()),
            Rejection::SignatureWrong,
        ),
    ]
}

fn envelope_cases(keys: &Keys) -> Vec<Case> {
    use Rejection::{EncryptionSerialUnknown, FieldDoesNotOpen};
    let serial = |text: &str| changed(good(keys), |open| open.encryption_serial = text.to_owned());
    let envelope = |bytes: Vec<u8>| changed(good(keys), |open| open.envelope = bytes);
    let expired = message(&keys.network_sign[SM], &keys.network_expired, &FIELDS);
    let no_envelope = changed(good(keys), |open| {
        open.encryption_serial.clear();
        open.envelope.clear();
    });
    vec![
        ("no serial", serial(""), EncryptionSerialUnknown),
        ("a strange serial", serial("4000000199"), EncryptionSerialUnknown),
        ("a key to sign with", serial("4000000111"), EncryptionSerialUnknown),
        ("an expired key", expired, EncryptionSerialUnknown),
        ("fields without envelope", no_envelope, EncryptionSerialUnknown),
        ("no envelope", envelope(vec![]), FieldDoesNotOpen),
        ("an envelope of zeros", envelope(vec![0; 125]), FieldDoesNotOpen),
        ("for a key of the other suite", serial("4000000114"), FieldDoesNotOpen),
        (
            "a field cut short",
            changed(good(keys), |open| open.fields[1].ciphertext.truncate(15)),
            FieldDoesNotOpen,
        ),
        (
            "an empty field",
            changed(good(keys), |open| open.fields[0].ciphertext.clear()),
            FieldDoesNotOpen,
        ),
    ]
}

/// When several things are wrong, the first in the order of the contract is the verdict.
#[tokio::test]
async fn rejections_in_order() {
    let running = Running::start().await;
    let keys = running.keys;
    let mut open = message(&keys.network_expired, &keys.bank_decrypt[SM], &FIELDS);
    open.signature = vec![1; 64];
    open.encryption_serial = "4000000199".into();
    open.envelope = vec![];
    open.issuer = "Z2000133000019".into();
    let expect = async |expected, open: &Open| {
        let verdict = running.client.open(open.clone(), soon()).await;
        assert_eq!(verdict, Ok(OpenVerdict::Rejected(expected)));
    };
    expect(Rejection::SerialOfAnotherInstitution, &open).await;
    open.issuer = NETWORK.into();
    expect(Rejection::CertificateOutOfDate, &open).await;
    open.signing_serial = keys.network_revoked.certificate.serial().to_owned();
    expect(Rejection::CertificateRevoked, &open).await;
    open.signing_serial = keys.network_sign[SM].certificate.serial().to_owned();
    expect(Rejection::SignatureWrong, &open).await;
    open.signature = keys.network_sign[SM].private.sign(&open.signed).unwrap();
    expect(Rejection::EncryptionSerialUnknown, &open).await;
    open.encryption_serial = keys.bank_decrypt[SM].certificate.serial().to_owned();
    expect(Rejection::FieldDoesNotOpen, &open).await;
    running.stop().await.unwrap();
}
