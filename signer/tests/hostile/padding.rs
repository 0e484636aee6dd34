//! Envelopes in RSA PKCS#1 v1.5 as an attacker sends them who learns the plaintext of one from how others fail: every
//! failure is the same answer, counted and logged alike. That they also take the same time is measured by the long run
//! of `signer-crypto`; what the padding can look like inside, byte by byte, is a table in its tests.

use signer_crypto::{Certificate, FieldKey, Suite};
use signer_protocol::{EncryptedField, FieldKind, Open, OpenVerdict, Rejection, SignerClient};

use crate::spawned::{Has, KEYS, Spawned, message, soon};

fn receiver() -> Certificate {
    Certificate::from_pem(&std::fs::read(format!("{KEYS}/bank-decrypt-rsa.cert.pem")).unwrap()).unwrap()
}

/// Envelopes none of which opens the field that comes with them, each for another reason.
fn probes() -> Vec<(&'static str, Vec<u8>)> {
    let receiver = receiver();
    let good = receiver
        .seal_envelope(&FieldKey::generate(Suite::Rsa).unwrap())
        .unwrap();
    let flipped = |place: usize| {
        let mut envelope = good.clone();
        envelope[place] ^= 1;
        envelope
    };
    vec![
        ("well padded, another field key", good.clone()),
        ("changed in front", flipped(1)),
        ("changed in the middle", flipped(good.len() / 2)),
        ("changed at the end", flipped(good.len() - 1)),
        ("all zero", vec![0; good.len()]),
        ("one", [vec![0; good.len() - 1], vec![1]].concat()),
        ("above the modulus", vec![0xFF; good.len()]),
        ("a byte short", good[1..].to_vec()),
        ("a byte long", [&[0], &good[..]].concat()),
        ("half of it", good[..good.len() / 2].to_vec()),
        ("nothing", Vec::new()),
    ]
}

fn open(number: usize, envelope: Vec<u8>, ciphertext: Vec<u8>) -> Open {
    Open {
        encryption_serial: receiver().serial().to_owned(),
        envelope,
        fields: vec![EncryptedField {
            kind: FieldKind::Mobile,
            ciphertext,
        }],
        ..message(number)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_of_an_envelope_is_the_same_answer() {
    let signer = Spawned::start(Has::Every, "").await;
    let client = SignerClient::connect(&signer.endpoint).unwrap();
    let field_key = FieldKey::generate(Suite::Rsa).unwrap();
    let ciphertext = field_key.encrypt(b"13800000000");
    let sealed = receiver().seal_envelope(&field_key).unwrap();
    let whole = client.open(open(0, sealed, ciphertext.clone()), soon()).await.unwrap();
    assert!(
        matches!(whole, OpenVerdict::Opened { .. }),
        "the right one opens: {whole:?}"
    );
    let probes = probes();
    for (number, (name, envelope)) in (1..).zip(&probes) {
        let verdict = client
            .open(open(number, envelope.clone(), ciphertext.clone()), soon())
            .await;
        assert_eq!(
            verdict,
            Ok(OpenVerdict::Rejected(Rejection::FieldDoesNotOpen)),
            "{name}"
        );
    }
    // the log tells the failures apart by nothing but the moment
    let logged = signer.logged();
    let lines = logged.lines().filter(|line| line.contains("rejected"));
    let mut kinds: Vec<String> = lines
        .map(|line| {
            let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            fields.remove("timestamp");
            format!("{fields:?}")
        })
        .collect();
    assert_eq!(kinds.len(), probes.len(), "{logged}");
    kinds.dedup();
    assert_eq!(kinds.len(), 1, "{kinds:?}");
}
