//! What suite a signature is of, by its form alone, and the form in which OpenSSL reads it.
//!
//! An SM2 signature is a DER sequence of two integers of up to 256 bits, or the two bare, 64 bytes in all; an RSA one is as
//! long as its modulus. No key is touched here and nothing is verified.

/// Longest SM2 signature in DER.
const SM_DER_BYTES_MAX: usize = 72;
const SM_RAW_BYTES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// PKCS#1 v1.5 with SHA-256.
    Rsa,
    /// SM2 with SM3, in DER.
    Sm,
    /// SM2 with SM3, the two integers bare.
    SmRaw { der: Vec<u8> },
}

pub fn read(signature: &[u8]) -> Signature {
    if is_der(signature) {
        return Signature::Sm;
    }
    match signature.split_at_checked(SM_RAW_BYTES / 2) {
        Some((r, s)) if signature.len() == SM_RAW_BYTES => Signature::SmRaw { der: der(r, s) },
        _ => Signature::Rsa,
    }
}

/// A sequence of two integers and nothing else.
fn is_der(signature: &[u8]) -> bool {
    let integer = |rest: &[u8]| -> Option<usize> {
        let [2, length, ..] = rest else {
            return None;
        };
        Some(2 + usize::from(*length)).filter(|length| *length <= rest.len())
    };
    let Some(([0x30, length], body)) = signature.split_first_chunk() else {
        return false;
    };
    let r = integer(body);
    let s = r.and_then(|r| integer(body.get(r..)?));
    let whole = r.zip(s).map(|(r, s)| r + s);
    signature.len() <= SM_DER_BYTES_MAX && usize::from(*length) == body.len() && whole == Some(body.len())
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |magnitude: &[u8]| -> Vec<u8> {
        let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
        let digits = magnitude.get(zeros..).unwrap_or_default();
        let padded = digits.first().is_none_or(|first| *first >= 0x80);
        let pad: &[u8] = if padded { &[0] } else { &[] };
        let length = u8::try_from(digits.len() + pad.len()).expect("32 bytes and one");
        [&[2, length], pad, digits].concat()
    };
    let body = [integer(r), integer(s)].concat();
    let length = u8::try_from(body.len()).expect("two short integers");
    [&[0x30, length], body.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_told_by_their_form() {
        let der = [0x30, 6, 2, 1, 5, 2, 1, 9];
        assert_eq!(read(&der), Signature::Sm);
        assert_eq!(read(&[7; 256]), Signature::Rsa);
        assert_eq!(read(&der[..7]), Signature::Rsa);
        assert_eq!(read(&[]), Signature::Rsa);
    }

    #[test]
    fn bare_integers_get_their_der() {
        let mut raw = [0; 64];
        raw[31] = 5;
        raw[32] = 0x80;
        let Signature::SmRaw { der } = read(&raw) else {
            panic!("64 bytes that are no DER are the two integers");
        };
        assert_eq!(der[..7], [0x30, 38, 2, 1, 5, 2, 33]);
        assert_eq!((der[7], der[8], der.len()), (0, 0x80, 40));
        assert_eq!(read(&der), Signature::Sm);
        assert!(matches!(read(&[0; 64]), Signature::SmRaw { .. }));
    }
}
