//! Sealing for the receiver of an answer.

use signer_crypto::Suite;
use signer_protocol::{FieldKind, Rejection, Seal, SignerFault};

use crate::making::{message, resealed};
use crate::running::{Running, index, soon};

const FIELDS: [(FieldKind, &str); 2] = [
    (FieldKind::AccountNumber, "6222021234567890123"),
    (FieldKind::Name, "张三"),
];

#[tokio::test]
async fn the_receiver_opens_what_was_sealed() {
    let running = Running::start().await;
    for suite in Suite::ALL {
        let keys = running.keys;
        let request = message(
            &keys.network_sign[index(suite)],
            &keys.bank_decrypt[index(suite)],
            &FIELDS,
        );
        let request_fields: Vec<_> = request.fields.iter().map(|field| field.ciphertext.clone()).collect();
        let sealed = running.client.seal(resealed(request), soon()).await.unwrap();
        let receiver = &keys.network_decrypt[index(suite)];
        assert_eq!(sealed.encryption_serial, receiver.certificate.serial());
        assert_ne!(sealed.fields, request_fields, "a new key for the answer");
        let key = receiver.private.open_envelope(&sealed.envelope).unwrap();
        let opened: Vec<Vec<u8>> = sealed
            .fields
            .iter()
            .map(|field| key.decrypt(field).unwrap().expose().to_vec())
            .collect();
        assert_eq!(opened, FIELDS.map(|(_, text)| text.as_bytes().to_vec()));
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_not_sealed() {
    let running = Running::start().await;
    let keys = running.keys;
    let sm = index(Suite::Sm);
    let good = || resealed(message(&keys.network_sign[sm], &keys.bank_decrypt[sm], &FIELDS));
    let mut cut = good();
    cut.fields[0].pop();
    let cases = [
        (
            "a stranger",
            Seal {
                receiver: "Z2001344000013".into(),
                ..good()
            },
            SignerFault::NoKey,
        ),
        (
            "one without a key to encrypt",
            Seal {
                receiver: "Z2000133000019".into(),
                ..good()
            },
            SignerFault::NoKey,
        ),
        (
            "a strange serial",
            Seal {
                encryption_serial: "4000000199".into(),
                ..good()
            },
            SignerFault::Rejected(Rejection::EncryptionSerialUnknown),
        ),
        (
            "a broken envelope",
            Seal {
                envelope: vec![0x30],
                ..good()
            },
            SignerFault::Rejected(Rejection::FieldDoesNotOpen),
        ),
        (
            "a field cut short",
            cut,
            SignerFault::Rejected(Rejection::FieldDoesNotOpen),
        ),
    ];
    for (what, seal, expected) in cases {
        assert_eq!(running.client.seal(seal, soon()).await, Err(expected), "{what}");
    }
    running.stop().await.unwrap();
}
