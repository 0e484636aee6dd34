//! Malformed SM2 envelopes, as tables: each gives the one error, without a panic, alone and in every place of a batch
//! among good ones, which still open.

use std::sync::LazyLock;

use openssl::encrypt::Encrypter;
use signer_crypto::{DoesNotOpen, FieldKey, Suite};

use crate::forms::{
    Case, INTEGER, OCTET_STRING, contents, each_bit_turned, element, head_deviations, integer, integer_deviations,
    minus, plain_fillings, plus, prime, sequence, word,
};
use crate::made::pair;

/// Begins with zero bytes, which must not get lost.
const KEY: [u8; 16] = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0];
const FIELD: &[u8] = b"6222021234567890123";
/// One more than the lanes of the processor.
const BATCH: usize = 9;

/// The parts of a ciphertext: x, y, hash and masked plaintext.
#[derive(Clone)]
struct Parts {
    x: Vec<u8>,
    y: Vec<u8>,
    hash: Vec<u8>,
    masked: Vec<u8>,
}

impl Parts {
    fn good() -> Self {
        let key = FieldKey::from_bytes(Suite::Sm, &KEY).unwrap();
        let der = pair(Suite::Sm).certificate.seal_envelope(&key).unwrap();
        let [x, y, hash, masked] = contents(&der).try_into().unwrap();
        Self {
            x: word(&x),
            y: word(&y),
            hash,
            masked,
        }
    }

    fn raw(&self) -> Vec<u8> {
        [self.x.as_slice(), &self.y, &self.hash, &self.masked].concat()
    }

    fn raw_with_prefix(&self, prefix: u8) -> Vec<u8> {
        [&[prefix], self.raw().as_slice()].concat()
    }

    /// x, y, hash and masked plaintext as elements.
    fn elements(&self) -> [Vec<u8>; 4] {
        [
            integer(&self.x),
            integer(&self.y),
            element(OCTET_STRING, &self.hash),
            element(OCTET_STRING, &self.masked),
        ]
    }

    fn der(&self) -> Vec<u8> {
        sequence(&self.elements())
    }

    fn forms(&self) -> [Vec<u8>; 3] {
        [self.der(), self.raw(), self.raw_with_prefix(4)]
    }
}

/// Good envelopes of every form, each of a key of its own.
static NEIGHBOURS: LazyLock<Vec<(Vec<u8>, [u8; 16])>> = LazyLock::new(|| {
    let made = (0..BATCH).map(|at| {
        let key = [u8::try_from(at).unwrap(); 16];
        let sealed = FieldKey::from_bytes(Suite::Sm, &key).unwrap();
        let der = pair(Suite::Sm).certificate.seal_envelope(&sealed).unwrap();
        let [x, y, hash, masked] = contents(&der).try_into().unwrap();
        let raw = [word(&x), word(&y), hash, masked].concat();
        match at % 3 {
            0 => (der, key),
            1 => ([&[4], raw.as_slice()].concat(), key),
            _ => (raw, key),
        }
    });
    made.collect()
});

/// What a key that came out of an envelope does.
fn opened(key: Result<FieldKey, DoesNotOpen>) -> Result<Vec<u8>, DoesNotOpen> {
    key.map(|key| key.encrypt(FIELD))
}

fn of_key(key: [u8; 16]) -> Vec<u8> {
    FieldKey::from_bytes(Suite::Sm, &key).unwrap().encrypt(FIELD)
}

/// What comes of `envelope`, alone and at `places` of a batch. `expected` is the key inside.
#[track_caller]
fn check_at(
    places: impl IntoIterator<Item = usize>,
    what: &str,
    envelope: &[u8],
    expected: Result<[u8; 16], DoesNotOpen>,
) {
    let private = &pair(Suite::Sm).private;
    let expected = expected.map(of_key);
    let shown = hex::encode(&envelope[..envelope.len().min(200)]);
    assert_eq!(opened(private.open_envelope(envelope)), expected, "{what}: {shown}");
    for place in places {
        let mut envelopes: Vec<&[u8]> = NEIGHBOURS.iter().map(|(envelope, _)| envelope.as_slice()).collect();
        envelopes[place] = envelope;
        let mut all: Vec<_> = NEIGHBOURS.iter().map(|(_, key)| Ok(of_key(*key))).collect();
        all[place].clone_from(&expected);
        let found: Vec<_> = private.open_envelopes(&envelopes).into_iter().map(opened).collect();
        assert_eq!(found, all, "{what}, at {place} of a batch: {shown}");
    }
}

#[track_caller]
fn refused(what: &str, envelope: &[u8]) {
    check_at(0..BATCH, what, envelope, Err(DoesNotOpen));
}

#[track_caller]
fn all_refused(cases: Vec<Case>) {
    for (what, envelope) in cases {
        refused(&what, &envelope);
    }
}

#[test]
fn the_three_forms_open() {
    for _ in 0..20 {
        for form in Parts::good().forms() {
            check_at([0, 8], "as made", &form, Ok(KEY));
        }
    }
}

/// The good parts with some of them changed.
fn changed(change: impl FnOnce(&mut Parts)) -> Parts {
    let mut parts = Parts::good();
    change(&mut parts);
    parts
}

#[test]
fn points() {
    let cases = [
        ("y = x", changed(|it| it.y = it.x.clone())),
        ("x = y", changed(|it| it.x = it.y.clone())),
        ("swapped", changed(|it| std::mem::swap(&mut it.x, &mut it.y))),
        ("off the curve by y", changed(|it| it.y[31] ^= 1)),
        ("off the curve by x", changed(|it| it.x[31] ^= 1)),
        ("(0, 0)", changed(|it| (it.x, it.y) = (vec![0; 32], vec![0; 32]))),
        ("x = 0", changed(|it| it.x = vec![0; 32])),
        ("y = 0", changed(|it| it.y = vec![0; 32])),
        ("x = p", changed(|it| it.x = prime())),
        ("y = p", changed(|it| it.y = prime())),
        ("both p", changed(|it| (it.x, it.y) = (prime(), prime()))),
        ("x = p - 1", changed(|it| it.x = minus(&prime(), &[1]))),
        ("all ff", changed(|it| (it.x, it.y) = (vec![0xFF; 32], vec![0xFF; 32]))),
        ("negated", changed(|it| it.y = minus(&prime(), &it.y))),
        (
            "another point",
            changed(|it| {
                (it.x, it.y) = {
                    let other = Parts::good();
                    (other.x, other.y)
                }
            }),
        ),
    ];
    for (what, parts) in cases {
        for form in parts.forms() {
            refused(what, &form);
        }
    }
}

/// The points with x = 0 to 3 that are on the curve, lifted by p: residues that would be good if they were reduced.
#[test]
fn coordinates_of_p_and_above() {
    let good = Parts::good();
    let more = |word: &[u8]| plus(word, &prime());
    let lifted = [
        (more(&good.x), good.y.clone()),
        (good.x.clone(), more(&good.y)),
        (more(&[0]), good.y.clone()),
        (more(&[1]), good.y.clone()),
        (good.x.clone(), more(&[1])),
    ];
    for (x, y) in lifted {
        let [_, _, hash, masked] = good.elements();
        refused("beyond p, DER", &sequence(&[integer(&x), integer(&y), hash, masked]));
        let low = |word: &[u8]| word[word.len() - 32..].to_vec();
        let raw = [low(&x), low(&y), good.hash.clone(), good.masked.clone()].concat();
        refused("beyond p, raw", &raw);
    }
    // x = 3 is on the curve, and x = 3 + p has 32 bytes
    let small = changed(|it| it.x = plus(&prime(), &[3]));
    for form in small.forms() {
        refused("3 + p", &form);
    }
}

#[test]
fn hashes_and_texts() {
    let cases = [
        ("hash changed at its start", changed(|it| it.hash[0] ^= 0x80)),
        ("hash changed at its end", changed(|it| it.hash[31] ^= 1)),
        ("hash zero", changed(|it| it.hash = vec![0; 32])),
        ("hash all ff", changed(|it| it.hash = vec![0xFF; 32])),
        ("hash of another", changed(|it| it.hash = Parts::good().hash)),
        ("hash short", changed(|it| it.hash.truncate(31))),
        ("hash long", changed(|it| it.hash.push(0))),
        ("no hash", changed(|it| it.hash.clear())),
        ("text changed", changed(|it| it.masked[18] ^= 1)),
        ("prefix of the text changed", changed(|it| it.masked[1] ^= b'2' ^ b'1')),
        ("text short", changed(|it| it.masked.truncate(18))),
        (
            "text cut at its start",
            changed(|it| it.masked = it.masked[1..].to_vec()),
        ),
        ("text long", changed(|it| it.masked.push(0))),
        ("no text", changed(|it| it.masked.clear())),
        ("a text of 60 KB", changed(|it| it.masked = vec![0; 60_000])),
        (
            "hash and text for each other",
            changed(|it| std::mem::swap(&mut it.hash, &mut it.masked)),
        ),
    ];
    for (what, parts) in cases {
        for form in parts.forms() {
            refused(what, &form);
        }
    }
}

#[test]
fn point_prefixes() {
    let good = Parts::good();
    for prefix in (0..=u8::MAX).filter(|prefix| *prefix != 4) {
        refused("prefix", &good.raw_with_prefix(prefix));
    }
    for sign in [2, 3] {
        let compressed = [&[sign], good.x.as_slice(), &good.hash, &good.masked].concat();
        refused("compressed", &compressed);
    }
    for infinity in [&[0][..], &[]] {
        refused("infinity", &[infinity, &good.hash, &good.masked].concat());
    }
    refused("04 twice", &[&[4, 4], good.raw().as_slice()].concat());
    let c1_c2_c3 = [&[4], good.x.as_slice(), &good.y, &good.masked, &good.hash].concat();
    refused("C1 C2 C3", &c1_c2_c3);
}

#[test]
fn lengths() {
    let good = Parts::good();
    for envelope in good.forms() {
        for len in 0..envelope.len() {
            check_at([len % BATCH], "cut", &envelope[..len], Err(DoesNotOpen));
            // raw with 04 is raw once its first byte is cut
            let end = &envelope[envelope.len() - len..];
            let expected = if end == good.raw() { Ok(KEY) } else { Err(DoesNotOpen) };
            check_at([len % BATCH], "beginning cut", end, expected);
        }
        for more in [&[0][..], &[0xFF], &[0x05, 0], &[0; 1000], &envelope] {
            refused("and more", &[&envelope, more].concat());
        }
    }
    all_refused(plain_fillings());
}

#[test]
fn bits() {
    for envelope in Parts::good().forms() {
        for (at, turned) in each_bit_turned(&envelope).enumerate() {
            check_at([at % BATCH], "bit", &turned, Err(DoesNotOpen));
        }
    }
}

#[test]
fn deviations_of_the_sequence() {
    let good = Parts::good();
    let [x, y, hash, masked] = good.elements();
    let all = [x.clone(), y.clone(), hash.clone(), masked.clone()];
    let with = |more: &[u8]| sequence(&[all.concat(), more.to_vec()]);
    let cases = [
        (
            "C1 C2 C3",
            sequence(&[x.clone(), y.clone(), masked.clone(), hash.clone()]),
        ),
        ("fifth element", with(&[0x05, 0])),
        ("fifth element, empty text", with(&[0x04, 0])),
        ("third integer", with(&[0x02, 1, 1])),
        ("end of contents inside", with(&[0, 0])),
        ("three elements", sequence(&[x.clone(), y.clone(), hash.clone()])),
        ("two elements", sequence(&[x.clone(), y.clone()])),
        ("no element", sequence(&[])),
        ("without the sequence", all.concat()),
        ("nested", sequence(&[sequence(&all)])),
        (
            "point as one octet string",
            sequence(&[
                element(OCTET_STRING, &[&[4], good.x.as_slice(), &good.y].concat()),
                hash,
                masked,
            ]),
        ),
    ];
    all_refused(cases.map(|(what, bytes)| (what.to_owned(), bytes)).to_vec());
    all_refused(head_deviations(&good.der()));
}

#[test]
fn deviations_of_the_elements() {
    let elements = Parts::good().elements();
    for (at, name) in ["x", "y", "hash", "text"].into_iter().enumerate() {
        let deviations = if at < 2 {
            integer_deviations(&elements[at])
        } else {
            head_deviations(&elements[at])
        };
        for (what, deviating) in deviations {
            let mut changed = elements.clone();
            changed[at] = deviating;
            refused(&format!("{name}: {what}"), &sequence(&changed));
        }
    }
}

/// A coordinate whose first bit is set, without the byte that says that it is positive: the right bytes, and negative.
#[test]
fn coordinates_without_their_sign() {
    let first_bits_set = |_| Some(Parts::good()).filter(|it| it.x[0] >= 0x80 && it.y[0] >= 0x80);
    let good = (0..1000).find_map(first_bits_set).unwrap();
    let [x, y, hash, masked] = good.elements();
    let bare = |word: &[u8]| element(INTEGER, word);
    check_at([3], "as it should be", &good.der(), Ok(KEY));
    refused("x", &sequence(&[bare(&good.x), y, hash.clone(), masked.clone()]));
    refused("y", &sequence(&[x, bare(&good.y), hash, masked]));
}

/// Ciphertexts that are right in every way and hold something else than a field key, made by OpenSSL.
#[test]
fn contents_that_are_no_key() {
    let encrypter = Encrypter::new(&pair(Suite::Sm).openssl).unwrap();
    let sealed = |plaintext: &[u8]| {
        let mut out = vec![0; encrypter.encrypt_len(plaintext).unwrap()];
        let written = encrypter.encrypt(plaintext, &mut out).unwrap();
        out.truncate(written);
        out
    };
    let plaintexts = [
        b"01|0123456789abcdef".to_vec(),
        b"02 0123456789abcdef".to_vec(),
        b"2|0123456789abcdef0".to_vec(),
        b"\x0002|123456789abcdef".to_vec(),
        b"02|0123456789abcde".to_vec(),
        b"02|0123456789abcdef0".to_vec(),
        b"02|".to_vec(),
        b"0".to_vec(),
        [b"02|".to_vec(), vec![0; 32]].concat(),
        vec![0; 19],
        vec![0; 1000],
    ];
    for plaintext in plaintexts {
        refused(&format!("{plaintext:02x?}"), &sealed(&plaintext));
    }
    let zeros = [b"02|".as_slice(), &[0; 16]].concat();
    check_at(0..BATCH, "a key of zeros", &sealed(&zeros), Ok([0; 16]));
}

#[test]
fn a_batch_of_nothing_and_a_batch_of_only_wrong_ones() {
    let private = &pair(Suite::Sm).private;
    assert!(private.open_envelopes(&[]).is_empty());
    let wrong: Vec<Vec<u8>> = NEIGHBOURS.iter().map(|(envelope, _)| envelope[1..].to_vec()).collect();
    let wrong: Vec<&[u8]> = wrong.iter().map(Vec::as_slice).filter(|it| it.len() != 115).collect();
    assert!(private.open_envelopes(&wrong).iter().all(Result::is_err));
}

/// An envelope for another key is as well-formed as can be.
#[test]
fn envelopes_for_another_key() {
    let other = crate::made::Pair::new(crate::made::sm_key());
    let key = FieldKey::from_bytes(Suite::Sm, &KEY).unwrap();
    refused("another key", &other.certificate.seal_envelope(&key).unwrap());
    let key = FieldKey::from_bytes(Suite::Rsa, &[1; 32]).unwrap();
    let of_rsa = pair(Suite::Rsa).certificate.seal_envelope(&key).unwrap();
    refused("of the other suite", &of_rsa);
}
