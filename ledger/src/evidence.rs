//! The signed request as it is kept with a posting: compressed, never changed afterwards.
//!
//! ```text
//! form  serial's length  serial  signature's length  signature  signed bytes' length  signed bytes, zstd
//!  1          1                        4                                4
//! ```

use std::cell::RefCell;

use ledger_journal::EvidenceDigest;
use ledger_model::{UnpackFault, Unpacker};
use ledger_protocol::Evidence;
use zstd::bulk::Compressor;

const FORM: u8 = 1;
/// Requests are short and alike; higher levels cost several times as much for a few per cent.
const COMPRESSION_LEVEL: i32 = 1;
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
    #[error("evidence cannot be compressed")]
    Compress(#[source] std::io::Error),
    #[error("kept evidence does not read: {0}")]
    Form(#[from] UnpackFault),
    #[error("kept evidence is of form {0}, which this program does not know")]
    UnknownForm(u8),
    #[error("kept evidence does not decompress")]
    Decompress(#[source] std::io::Error),
}

thread_local! {
    /// A compressor's tables cost more to make than a request to compress, so each working thread keeps one.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
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
    let compressed = compress(signed).map_err(EvidenceFault::Compress)?;
    let mut packed = Vec::with_capacity(compressed.len() + signature.len() + serial.len() + 16);
    packed.push(FORM);
    packed.push(u8::try_from(serial.len()).map_err(|_| EvidenceFault::TooLong)?);
    packed.extend_from_slice(serial);
    packed.extend_from_slice(&length(signature)?.to_be_bytes());
    packed.extend_from_slice(signature);
    packed.extend_from_slice(&length(signed)?.to_be_bytes());
    packed.extend_from_slice(&compressed);
    Ok(SealedEvidence {
        digest: EvidenceDigest::over(signed, signature, signing_serial),
        packed,
    })
}

fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(compressor) => compressor.compress(bytes),
        None => kept.insert(Compressor::new(COMPRESSION_LEVEL)?).compress(bytes),
    })
}

/// The evidence as it was given.
pub fn open(packed: &[u8]) -> Result<Evidence, EvidenceFault> {
    let mut input = Unpacker::new(packed);
    let form = input.take()?;
    if form != FORM {
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
    let signed = zstd::bulk::decompress(input.rest(), signed_length).map_err(EvidenceFault::Decompress)?;
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
