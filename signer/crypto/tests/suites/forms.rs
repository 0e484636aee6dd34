//! The encodings of SM2 taken apart and put together, rightly and wrongly: what the tables of malformed input are made
//! of.

use openssl::bn::BigNum;

/// The order of the group, big-endian.
const ORDER: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";
/// The prime of the field, big-endian.
const PRIME: &str = "fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff";

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;

pub(crate) fn order() -> Vec<u8> {
    hex::decode(ORDER).unwrap()
}

pub(crate) fn prime() -> Vec<u8> {
    hex::decode(PRIME).unwrap()
}

pub(crate) fn number(bytes: &[u8]) -> BigNum {
    BigNum::from_slice(bytes).unwrap()
}

/// a − b as 32 bytes, for a ≥ b.
pub(crate) fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    (&number(a) - &number(b)).to_vec_padded(32).unwrap()
}

/// a + b in as many bytes as it takes.
pub(crate) fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    (&number(a) + &number(b)).to_vec()
}

/// The tag and the shortest form of a length.
pub(crate) fn head(tag: u8, len: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
    match (high, low) {
        (0, 0..=0x7F) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    }
}

/// A DER element.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [head(tag, content.len()).as_slice(), content].concat()
}

/// A DER integer with the sign byte where it is needed and no byte else.
pub(crate) fn integer(word: &[u8]) -> Vec<u8> {
    let magnitude: Vec<u8> = word.iter().copied().skip_while(|byte| *byte == 0).collect();
    match magnitude.first() {
        None => element(INTEGER, &[0]),
        Some(0x80..) => element(INTEGER, &[&[0], magnitude.as_slice()].concat()),
        Some(_) => element(INTEGER, &magnitude),
    }
}

pub(crate) fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &elements.concat())
}

/// The contents of the elements of one well-formed sequence of less than 256 bytes.
pub(crate) fn contents(der: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = if der[1] == 0x81 { &der[3..] } else { &der[2..] };
    let mut contents = Vec::new();
    while !rest.is_empty() {
        let len = usize::from(rest[1]);
        contents.push(rest[2..2 + len].to_vec());
        rest = &rest[2 + len..];
    }
    contents
}

/// The content of a DER integer as 32 bytes.
pub(crate) fn word(content: &[u8]) -> Vec<u8> {
    number(content).to_vec_padded(32).unwrap()
}

/// `bytes` with one bit turned, for every bit of it.
pub(crate) fn each_bit_turned(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut turned = bytes.to_vec();
        turned[bit / 8] ^= 1 << (bit % 8);
        turned
    })
}

/// A malformed input with its name.
pub(crate) type Case = (String, Vec<u8>);

/// The ways in which the head of the element that is `der` can deviate from DER, all else as it was. None of them may
/// be accepted in any structure.
pub(crate) fn head_deviations(der: &[u8]) -> Vec<Case> {
    let (tag, content) = (der[0], if der[1] == 0x81 { &der[3..] } else { &der[2..] });
    let len = u8::try_from(content.len()).unwrap();
    let with = |head: &[u8]| [head, content].concat();
    let mut cases = vec![
        ("length in three bytes", with(&[tag, 0x82, 0, len])),
        ("length in four bytes", with(&[tag, 0x83, 0, 0, len])),
        ("length in nine bytes", with(&[tag, 0x88, 0, 0, 0, 0, 0, 0, 0, len])),
        ("indefinite length", [with(&[tag, 0x80]), vec![0, 0]].concat()),
        ("reserved length", with(&[tag, 0xFF])),
        ("huge length", with(&[tag, 0x84, 0xFF, 0xFF, 0xFF, 0xFF])),
        ("enormous length", with(&[&[tag, 0x88], &[0xFF; 8][..]].concat())),
        ("length of 64 KiB", with(&[tag, 0x82, 0xFF, 0xFF])),
        ("zero length", vec![tag, 0]),
        ("zero length and the content after it", with(&[tag, 0])),
        ("tag alone", vec![tag]),
        ("length cut off", vec![tag, 0x82, 1]),
        ("long form of the tag", with(&[tag | 0x1F, tag & 0x1F, len])),
    ];
    if len < 0x80 {
        cases.push(("long form of a short length", with(&[tag, 0x81, len])));
        cases.push(("length one short", with(&[tag, len - 1])));
        cases.push(("length one long", with(&[tag, len + 1])));
        cases.push(("length at its most", with(&[tag, 0x7F])));
    } else {
        cases.push(("length one short", with(&[tag, 0x81, len - 1])));
        cases.push(("length one long", with(&[tag, 0x81, len + 1])));
        cases.push(("short form of a long length", with(&[tag, len])));
    }
    let mut cases: Vec<Case> = cases
        .into_iter()
        .map(|(what, bytes)| (what.to_owned(), bytes))
        .collect();
    for wrong in [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x10, 0x30, 0x31, 0x82, 0xA0, 0xFF] {
        if wrong != tag {
            cases.push((format!("tag {wrong:02x}"), element(wrong, content)));
        }
    }
    cases
}

/// The ways in which a positive DER integer can deviate by its content.
pub(crate) fn integer_deviations(der: &[u8]) -> Vec<Case> {
    let content = &der[2..];
    let zeros = |count: usize| element(INTEGER, &[vec![0; count], content.to_vec()].concat());
    let negative = element(INTEGER, &[&[0x80 | content[0]], &content[1..]].concat());
    let cases = [
        // a zero in front is one too many even where the content already has one for its sign
        ("one zero in front", zeros(1)),
        ("many zeros in front", zeros(40)),
        ("negative", negative),
        ("minus one", element(INTEGER, &[0xFF])),
        ("a negative one in 32 bytes", element(INTEGER, &[0xFF; 32])),
        ("zero in two bytes", element(INTEGER, &[0, 0])),
        ("no content", element(INTEGER, &[])),
        ("33 significant bytes", element(INTEGER, &[1; 33])),
        ("a byte more", element(INTEGER, &[content, &[0]].concat())),
        ("a byte less", element(INTEGER, &content[..content.len() - 1])),
        ("200 bytes", element(INTEGER, &[0x11; 200])),
    ];
    let named = cases.into_iter().map(|(what, bytes)| (what.to_owned(), bytes));
    named.chain(head_deviations(der)).collect()
}

/// Lengths and fillings that no structure has.
pub(crate) fn plain_fillings() -> Vec<Case> {
    let lens = [
        0, 1, 2, 31, 32, 33, 63, 64, 65, 70, 71, 72, 96, 97, 115, 116, 125, 126, 127, 128, 4096, 70_000,
    ];
    let bytes = [0x00, 0x02, 0x04, 0x30, 0x80, 0xFF];
    let each = lens.into_iter().flat_map(|len| bytes.map(|byte| (len, byte)));
    each.map(|(len, byte)| (format!("{len} bytes {byte:02x}"), vec![byte; len]))
        .collect()
}
