//! Opening a message: is it signed by whom it says, and what are the tokens of its encrypted fields. One decision list,
//! in the order the contract gives; the first that fails is the verdict. Nothing is decrypted for a stranger.

use signer_crypto::{Certificate, FieldKey, Suite, TokenKey};
use signer_protocol::{Open, Rejection, Token};

use crate::key_ring::KeyRing;
use crate::suites::crypto_kind;

pub(crate) struct Opened {
    pub(crate) suite: Suite,
    pub(crate) tokens: Vec<Token>,
}

pub(crate) fn open(ring: &KeyRing, token_key: &TokenKey, open: &Open, now: i64) -> Result<Opened, Rejection> {
    let certificate = signers_certificate(ring, open, now)?;
    certificate
        .verify(&open.signed, &open.signature)
        .map_err(|_| Rejection::SignatureWrong)?;
    let tokens = if open.encryption_serial.is_empty() && open.envelope.is_empty() && open.fields.is_empty() {
        Vec::new()
    } else {
        let field_key = open_envelope(ring, &open.encryption_serial, &open.envelope, now)?;
        tokens(&field_key, token_key, open)?
    };
    Ok(Opened {
        suite: certificate.suite(),
        tokens,
    })
}

/// The field key of an envelope that was sealed for a current key of ours.
pub(crate) fn open_envelope(ring: &KeyRing, serial: &str, envelope: &[u8], now: i64) -> Result<FieldKey, Rejection> {
    let key = ring.decrypting(serial, now).ok_or(Rejection::EncryptionSerialUnknown)?;
    key.private
        .open_envelope(envelope)
        .map_err(|_| Rejection::FieldDoesNotOpen)
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
