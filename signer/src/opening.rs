//! Opening a message: is it signed by whom it says, and what are the tokens of its encrypted fields. One decision list,
//! in the order the contract gives; the first that fails is the verdict. Nothing is decrypted for a stranger.

use std::time::Instant;

use signer_crypto::{Certificate, FieldKey, Suite, TokenKey};
use signer_protocol::{Open, Rejection, Token};

use crate::held_key::{EnvelopeFailure, KeyFailure};
use crate::key_ring::KeyRing;
use crate::suites::crypto_kind;

pub(crate) struct Opened {
    pub(crate) suite: Suite,
    pub(crate) tokens: Vec<Token>,
}

/// Why a message was not opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    Rejected(Rejection),
    Key(KeyFailure),
}

impl From<Rejection> for Unopened {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

pub(crate) fn open(
    ring: &KeyRing,
    token_key: &TokenKey,
    open: &Open,
    now: i64,
    deadline: Instant,
) -> Result<Opened, Unopened> {
    let certificate = signers_certificate(ring, open, now)?;
    certificate
        .verify(&open.signed, &open.signature)
        .map_err(|_| Unopened::Rejected(Rejection::SignatureWrong))?;
    let tokens = if open.encryption_serial.is_empty() && open.envelope.is_empty() && open.fields.is_empty() {
        Vec::new()
    } else {
        let field_key = open_envelope(ring, &open.encryption_serial, &open.envelope, now, deadline)?;
        tokens(&field_key, token_key, open)?
    };
    Ok(Opened {
        suite: certificate.suite(),
        tokens,
    })
}

/// The field key of an envelope that was sealed for a current key of ours.
pub(crate) fn open_envelope(
    ring: &KeyRing,
    serial: &str,
    envelope: &[u8],
    now: i64,
    deadline: Instant,
) -> Result<FieldKey, Unopened> {
    let key = ring.decrypting(serial, now).ok_or(Rejection::EncryptionSerialUnknown)?;
    let opened = key.private.open_envelopes(&[envelope], deadline).pop();
    match opened.expect("one envelope has one outcome") {
        Ok(field_key) => Ok(field_key),
        Err(EnvelopeFailure::DoesNotOpen) => Err(Rejection::FieldDoesNotOpen.into()),
        Err(EnvelopeFailure::Key(failure)) => Err(Unopened::Key(failure)),
    }
}

fn signers_certificate<'a>(ring: &'a KeyRing, open: &Open, now: i64) -> Result<&'a Certificate, Rejection> {
    let peer = ring
        .verifying(&open.signing_serial)
        .ok_or(Rejection::SigningSerialUnknown)?;
    if peer.institution != open.issuer {
        return Err(Rejection::SerialOfAnotherInstitution);
    }
    if !peer.certificate.is_current(now) {
        return Err(Rejection::CertificateOutOfDate);
    }
    if ring.is_revoked(peer.certificate.serial()) {
        return Err(Rejection::CertificateRevoked);
    }
    Ok(&peer.certificate)
}

fn tokens(field_key: &FieldKey, token_key: &TokenKey, open: &Open) -> Result<Vec<Token>, Rejection> {
    let fields = open.fields.iter().map(|field| {
        let plaintext = field_key
            .decrypt(&field.ciphertext)
            .map_err(|_| Rejection::FieldDoesNotOpen)?;
        Ok(token_key.token(crypto_kind(field.kind), plaintext.expose()))
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PeerUse;

    const NETWORK: &str = "G4000311000018";

    /// The other verdicts are seen through the whole process; this one needs a clock that can be set.
    #[test]
    fn a_certificate_is_good_from_its_first_to_its_last_second() {
        let pem = include_bytes!("../../fixtures/keys/network-sign-sm.cert.pem");
        let certificate = Certificate::from_pem(pem).unwrap();
        let (first, last) = (certificate.not_before(), certificate.not_after());
        let mut ring = KeyRing::new([]);
        ring.add_peer(PeerUse::Verify, NETWORK, certificate).unwrap();
        let message = Open {
            signed: Vec::new(),
            signature: Vec::new(),
            signing_serial: "4000000101".to_owned(),
            issuer: NETWORK.to_owned(),
            encryption_serial: String::new(),
            envelope: Vec::new(),
            fields: Vec::new(),
        };
        let token_key = TokenKey::from_hex(&"00".repeat(TokenKey::BYTES)).unwrap();
        let check = |now: i64, expected: Rejection| {
            assert_eq!(
                open(&ring, &token_key, &message, now, Instant::now()).err(),
                Some(expected.into()),
                "{now}"
            );
        };
        check(first - 1, Rejection::CertificateOutOfDate);
        check(first, Rejection::SignatureWrong);
        check(last, Rejection::SignatureWrong);
        check(last + 1, Rejection::CertificateOutOfDate);
    }
}
