//! The side of a device's key that is known outside: its certificate, and with it whether the key is the right one and
//! what the device made is right. Common to all devices; what it does not know is how to ask one.

use std::sync::atomic::{AtomicU64, Ordering};

use signer_crypto::device::{PublicHalf, Sm2Envelope, StandIns};
use signer_crypto::{Certificate, CryptoFault};

use super::device::{DeviceFault, Output};
use crate::config::KeyUse;

/// Tells keys apart within a session, whatever they are called in the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyNumber(u64);

impl KeyNumber {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Debug)]
pub(crate) struct Counterpart {
    pub(crate) number: KeyNumber,
    pub(crate) usage: KeyUse,
    pub(crate) certificate: Certificate,
    stand_ins: StandIns,
}

impl Counterpart {
    pub(crate) fn new(usage: KeyUse, certificate: Certificate) -> Result<Self, CryptoFault> {
        Ok(Self {
            number: KeyNumber::next(),
            usage,
            certificate,
            stand_ins: StandIns::generate()?,
        })
    }

    /// The key that a device shows, by its RSA numbers with or without leading zeros.
    pub(crate) fn check_rsa(&self, modulus: &[u8], exponent: &[u8]) -> Result<(), DeviceFault> {
        let shown = [modulus, exponent].map(without_zeros);
        match self.certificate.public_half() {
            PublicHalf::Rsa(half) if half.numbers().each_ref().map(|number| without_zeros(number)) == shown => Ok(()),
            PublicHalf::Rsa(_) | PublicHalf::Sm(_) => Err(mismatch()),
        }
    }

    pub(crate) fn check_sm2(&self, x: &[u8; 32], y: &[u8; 32]) -> Result<(), DeviceFault> {
        match self.certificate.public_half() {
            PublicHalf::Sm(half) if half.coordinates() == [*x, *y] => Ok(()),
            PublicHalf::Rsa(_) | PublicHalf::Sm(_) => Err(mismatch()),
        }
    }

    /// A signature as the device computed it, if it holds: a faulty device's wrong one never leaves.
    pub(crate) fn signature(&self, signed: &[u8], computed: Computed) -> Result<Output, DeviceFault> {
        let verified = match (self.certificate.public_half(), computed) {
            (PublicHalf::Rsa(half), Computed::Rsa(signature)) => half.signature(signed, signature),
            (PublicHalf::Sm(half), Computed::Sm2 { r, s }) => half.signature(signed, &r, &s),
            (PublicHalf::Rsa(_), Computed::Sm2 { .. }) | (PublicHalf::Sm(_), Computed::Rsa(_)) => {
                return Err(mismatch());
            }
        };
        let wrong = |_| DeviceFault::Failed("it made a signature that does not hold".to_owned());
        verified.map(Output::Signature).map_err(wrong)
    }

    /// The field key in the bare RSA decryption of an envelope, or its stand-in.
    pub(crate) fn padded(&self, sealed: &[u8], padded: &[u8]) -> Result<Output, DeviceFault> {
        let opened = self.stand_ins.field_key(sealed, padded);
        let short = |_| DeviceFault::Failed("it decrypted to another length".to_owned());
        opened.map(Output::FieldKey).map_err(short)
    }

    /// The same where the device took the padding off; `None` if it found none.
    pub(crate) fn unpadded(&self, sealed: &[u8], plaintext: Option<&[u8]>) -> Result<Output, DeviceFault> {
        let opened = self.stand_ins.field_key_unpadded(sealed, plaintext);
        opened.map(Output::FieldKey).map_err(|_| DeviceFault::InputRefused)
    }

    /// The field key in what a device decrypted of an SM2 envelope.
    pub(crate) fn sm2_plaintext(plaintext: &[u8]) -> Result<Output, DeviceFault> {
        let opened = Sm2Envelope::field_key(plaintext);
        opened.map(Output::FieldKey).map_err(|_| DeviceFault::InputRefused)
    }
}

/// What a device computes of a signature.
#[derive(Debug)]
pub(crate) enum Computed {
    Rsa(Vec<u8>),
    Sm2 { r: [u8; 32], s: [u8; 32] },
}

fn mismatch() -> DeviceFault {
    DeviceFault::Unusable("the key in the device is not the one of the certificate".to_owned())
}

fn without_zeros(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}
