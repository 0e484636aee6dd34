//! Opening messages: the good ones, and every rejection in the order of the contract.

use signer_crypto::{FieldKind as Kind, Suite};
use signer_protocol::{FieldKind, Open, OpenVerdict, Rejection};

use crate::making::{message, plain_message};
use crate::running::{Running, contract_suite, index, soon, token_key};

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
                    tokens
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
                tokens: vec![]
            })
        );
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn every_rejection() {
    let running = Running::start().await;
    let keys = running.keys;
    let sm = index(Suite::Sm);
    let good = || message(&keys.network_sign[sm], &keys.bank_decrypt[sm], &FIELDS);
    let by = |pair| message(pair, &keys.bank_decrypt[sm], &FIELDS);
    let cases: Vec<(&str, Open, Rejection)> = vec![
        (
            "no serial",
            Open {
                signing_serial: String::new(),
                ..good()
            },
            Rejection::SigningSerialUnknown,
        ),
        (
            "a strange serial",
            Open {
                signing_serial: "4000000199".into(),
                ..good()
            },
            Rejection::SigningSerialUnknown,
        ),
        (
            "a key of ours",
            by(&keys.bank_sign[sm]),
            Rejection::SigningSerialUnknown,
        ),
        (
            "a key to encrypt with",
            by(&keys.network_decrypt[sm]),
            Rejection::SigningSerialUnknown,
        ),
        (
            "an institution's key",
            by(&keys.institution_sign),
            Rejection::SerialOfAnotherInstitution,
        ),
        (
            "another issuer",
            Open {
                issuer: "Z2000133000019".into(),
                ..good()
            },
            Rejection::SerialOfAnotherInstitution,
        ),
        ("expired", by(&keys.network_expired), Rejection::CertificateOutOfDate),
        (
            "not yet valid",
            by(&keys.network_future),
            Rejection::CertificateOutOfDate,
        ),
        ("revoked", by(&keys.network_revoked), Rejection::CertificateRevoked),
        (
            "no signature",
            Open {
                signature: vec![],
                ..good()
            },
            Rejection::SignatureWrong,
        ),
        (
            "other bytes",
            Open {
                signed: b"<root></root>".to_vec(),
                ..good()
            },
            Rejection::SignatureWrong,
        ),
        (
            "the other suite's signature",
            signature_of_rsa(&running),
            Rejection::SignatureWrong,
        ),
        (
            "no encryption serial",
            Open {
                encryption_serial: String::new(),
                ..good()
            },
            Rejection::EncryptionSerialUnknown,
        ),
        (
            "a strange one",
            Open {
                encryption_serial: "4000000199".into(),
                ..good()
            },
            Rejection::EncryptionSerialUnknown,
        ),
        (
            "one to sign with",
            Open {
                encryption_serial: "4000000111".into(),
                ..good()
            },
            Rejection::EncryptionSerialUnknown,
        ),
        (
            "an expired one",
            message(&keys.network_sign[sm], &keys.bank_decrypt_expired, &FIELDS),
            Rejection::EncryptionSerialUnknown,
        ),
        (
            "no envelope",
            Open {
                envelope: vec![],
                ..good()
            },
            Rejection::FieldDoesNotOpen,
        ),
        (
            "an envelope of zeros",
            Open {
                envelope: vec![0; 125],
                ..good()
            },
            Rejection::FieldDoesNotOpen,
        ),
        (
            "for another key",
            Open {
                encryption_serial: "4000000114".into(),
                ..good()
            },
            Rejection::FieldDoesNotOpen,
        ),
        ("a field cut short", short_field(good()), Rejection::FieldDoesNotOpen),
        ("an empty field", empty_field(good()), Rejection::FieldDoesNotOpen),
    ];
    for (what, open, expected) in cases {
        let verdict = running.client.open(open, soon()).await;
        assert_eq!(verdict, Ok(OpenVerdict::Rejected(expected)), "{what}");
    }
    running.stop().await.unwrap();
}

/// When several things are wrong, the first in the order of the contract is the verdict.
#[tokio::test]
async fn rejections_in_order() {
    let running = Running::start().await;
    let keys = running.keys;
    let sm = index(Suite::Sm);
    let mut open = message(&keys.network_expired, &keys.bank_decrypt[sm], &FIELDS);
    open.signature = vec![1; 64];
    open.encryption_serial = "4000000199".into();
    open.envelope = vec![];
    open.issuer = "Z2000133000019".into();
    let expect = async |expected, open: &Open| {
        let verdict = running.client.open(open.clone(), soon()).await;
        assert_eq!(verdict, Ok(OpenVerdict::Rejected(expected)));
    };
    expect(Rejection::SerialOfAnotherInstitution, &open).await;
    open.issuer = crate::making::NETWORK.into();
    expect(Rejection::CertificateOutOfDate, &open).await;
    open.signing_serial = keys.network_revoked.certificate.serial().to_owned();
    expect(Rejection::CertificateRevoked, &open).await;
    open.signing_serial = keys.network_sign[sm].certificate.serial().to_owned();
    expect(Rejection::SignatureWrong, &open).await;
    open.signature = keys.network_sign[sm].private.sign(&open.signed).unwrap();
    expect(Rejection::EncryptionSerialUnknown, &open).await;
    open.encryption_serial = keys.bank_decrypt[sm].certificate.serial().to_owned();
    expect(Rejection::FieldDoesNotOpen, &open).await;
    running.stop().await.unwrap();
}

fn signature_of_rsa(running: &Running) -> Open {
    let keys = running.keys;
    let mut open = plain_message(&keys.network_sign[index(Suite::Sm)]);
    open.signature = keys.network_sign[index(Suite::Rsa)].private.sign(&open.signed).unwrap();
    open
}

fn short_field(mut open: Open) -> Open {
    open.fields[1].ciphertext.pop();
    open
}

fn empty_field(mut open: Open) -> Open {
    open.fields[0].ciphertext = vec![];
    open
}
