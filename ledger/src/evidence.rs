//! The signed request as it is kept with a posting, never changed afterwards.
//!
//! ```text
//! form  serial's length  serial  signature's length  signature  signed bytes' length  signed bytes
//!  1          1                        4                                4
//! ```
//!
//! Form 2 holds the signed bytes as they are: stores compress the evidence of a whole group together, which costs a third
//! of the time and finds what its messages have in common. Form 1 held them compressed one by one, and is still read.

use ledger_journal::EvidenceDigest;
use ledger_model::{UnpackFault, Unpacker};
use ledger_protocol::Evidence;

const FORM: u8 = 2;
const FORM_COMPRESSED: u8 = 1;
/// Nothing the front end takes is longer; longer evidence is refused as malformed work.
pub const SIGNED_BYTES_MAX: usize = 1 << 20;
const SERIAL_BYTES_MAX: usize = 255;

/// Ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEvidence {
    pub digest: EvidenceDigest,
    pub packed: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum EvidenceFault {
    #[error("evidence is longer than the ledger keeps")]
    TooLong,
    #[error("kept evidence does not read: {0}")]
    Form(#[from] UnpackFault),
    #[error("kept evidence is of form {0}, which this program does not know")]
    UnknownForm(u8),
    #[error("kept evidence does not decompress")]
    Decompress(#[source] std::io::Error),
}

pub fn seal(evidence: &Evidence) -> Result<SealedEvidence, EvidenceFault> {
    let Evidence {
        signed,
        signature,
        signing_serial,
    } = evidence;
    let serial = signing_serial.as_bytes();
    if signed.len() > SIGNED_BYTES_MAX || signature.len() > SIGNED_BYTES_MAX || serial.len() > SERIAL_BYTES_MAX {
        return Err(EvidenceFault::TooLong);
    }
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| EvidenceFault::TooLong);
    let mut packed = Vec::with_capacity(signed.len() + signature.len() + serial.len() + 16);
    packed.push(FORM);
    packed.push(u8::try_from(serial.len()).map_err(|_| EvidenceFault::TooLong)?);
    packed.extend_from_slice(serial);
    packed.extend_from_slice(&length(signature)?.to_be_bytes());
    packed.extend_from_slice(signature);
    packed.extend_from_slice(&length(signed)?.to_be_bytes());
    packed.extend_from_slice(signed);
    Ok(SealedEvidence {
        digest: EvidenceDigest::over(signed, signature, signing_serial),
        packed,
    })
}

/// The evidence as it was given.
pub fn open(packed: &[u8]) -> Result<Evidence, EvidenceFault> {
    let mut input = Unpacker::new(packed);
    let form = input.take()?;
    if form != FORM && form != FORM_COMPRESSED {
        return Err(EvidenceFault::UnknownForm(form));
    }
    let serial_length: u8 = input.take()?;
    let serial = std::str::from_utf8(input.bytes(usize::from(serial_length))?);
    let signing_serial = serial.map_err(|_| UnpackFault::Form { what: "key serial" })?.to_owned();
    let length = |input: &mut Unpacker<'_>| -> Result<usize, EvidenceFault> {
        let length = usize::try_from(input.take::<u32>()?).map_err(|_| EvidenceFault::TooLong)?;
        if length > SIGNED_BYTES_MAX {
            Err(EvidenceFault::TooLong)
        } else {
            Ok(length)
        }
    };
    let signature_length = length(&mut input)?;
    let signature = input.bytes(signature_length)?.to_vec();
    let signed_length = length(&mut input)?;
    let signed = if form == FORM_COMPRESSED {
        zstd::bulk::decompress(input.rest(), signed_length).map_err(EvidenceFault::Decompress)?
    } else {
        let signed = input.bytes(signed_length)?.to_vec();
        input.finish()?;
        signed
    };
    Ok(Evidence {
        signed,
        signature,
        signing_serial,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn evidence_opens_as_it_was_sealed(
            signed in prop::collection::vec(any::<u8>(), 0..3000),
            signature in prop::collection::vec(any::<u8>(), 0..300),
            signing_serial in "[0-9A-F]{0,40}",
        ) {
            let evidence = Evidence { signed, signature, signing_serial };
            let sealed = seal(&evidence).unwrap();
            prop_assert_eq!(open(&sealed.packed).unwrap(), evidence);
        }

        #[test]
        fn no_kept_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = open(&bytes);
        }
    }

    #[test]
    fn evidence_of_form_1_is_read() {
        let mut packed = vec![1, 2, b'4', b'2', 0, 0, 0, 1, 9, 0, 0, 0, 6];
        packed.extend(zstd::bulk::compress(b"<root>", 1).unwrap());
        let expected = Evidence {
            signed: b"<root>".to_vec(),
            signature: vec![9],
            signing_serial: "42".to_owned(),
        };
        assert_eq!(open(&packed).unwrap(), expected);
    }

    #[test]
    fn overlong_evidence_is_refused() {
        let signed = vec![0; SIGNED_BYTES_MAX + 1];
        let evidence = Evidence {
            signed,
            signature: Vec::new(),
            signing_serial: String::new(),
        };
        assert!(matches!(seal(&evidence), Err(EvidenceFault::TooLong)));
    }
}
