//! The bodies of the fuzz targets (`fuzz/`), on random bytes and on real batches with bytes changed.
#![cfg(test)]

#[allow(unreachable_pub, reason = "public for the fuzz targets")]
#[path = "../fuzz/src/bodies.rs"]
mod bodies;

use proptest::prelude::*;
use prost::Message as _;
use signer_protocol::{Answer, EncryptedField, Failure, FieldKind, Open, Sign, Suite, Tokens, Work, wire};

fn batch() -> Vec<u8> {
    let open = Open {
        signed: b"<root/>".to_vec(),
        signature: vec![0x30; 70],
        signing_serial: "4000000101".to_owned(),
        issuer: "G4000311000018".to_owned(),
        encryption_serial: "4000000113".to_owned(),
        envelope: vec![0x30; 120],
        fields: vec![EncryptedField {
            kind: FieldKind::Mobile,
            ciphertext: vec![1; 16],
        }],
    };
    let sign = Sign {
        suite: Suite::Sm,
        signed: b"<root/>".to_vec(),
        signing_serial: "4000000111".to_owned(),
    };
    let items = [Work::Open(open), Work::Sign(sign)].map(|work| wire::Work {
        number: 7,
        budget_ms: 1_000,
        what: Some(work.into()),
    });
    wire::WorkBatch { items: items.to_vec() }.encode_to_vec()
}

fn replies() -> Vec<u8> {
    let opened = Answer::Opened {
        suite: Suite::Sm,
        tokens: Tokens {
            tokens: vec![[1; 32], [2; 32]],
            other_generation: vec![[3; 32], [4; 32]],
        },
    };
    let failed = Answer::Failed(Failure::Busy, "the queue is full".to_owned());
    let items = vec![opened.into_reply(1), failed.into_reply(2)];
    wire::ReplyBatch { items }.encode_to_vec()
}

fn changed(mut bytes: Vec<u8>, changes: &[(usize, u8)]) -> Vec<u8> {
    for (place, byte) in changes {
        let place = place % bytes.len();
        bytes[place] = *byte;
    }
    bytes
}

#[test]
fn the_kept_inputs_of_the_fuzz_targets() {
    let check = |target: &str, body: fn(&[u8])| {
        let directory = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let inputs: Vec<_> = std::fs::read_dir(directory).unwrap().collect();
        assert!(!inputs.is_empty());
        for input in inputs {
            body(&std::fs::read(input.unwrap().path()).unwrap());
        }
    };
    check("work", bodies::work);
    check("reply", bodies::reply);
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        bodies::work(&bytes);
        bodies::reply(&bytes);
    }

    #[test]
    fn real_batches_with_bytes_changed(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6)) {
        bodies::work(&changed(batch(), &changes));
        bodies::reply(&changed(replies(), &changes));
    }
}
