//! Parsed: a well-formed message of the profile that says who sent it. Whether that is true is not known yet.

use bytes::Bytes;
use frontend_messages::{MessageHeader, Request, SensitiveField};
use signer_protocol::limits::SIGNATURE_BYTES_MAX;
use signer_protocol::{EncryptedField, FieldKind, Open, OpenVerdict, Rejection};
use tokio::time::Instant;

use super::setback::{Fault, Origin, Setback};
use super::verified::Verified;
use crate::desk::Rules;
use crate::neighbours::Signer;
use crate::posting::FieldToken;

#[derive(Debug)]
pub struct Parsed {
    signed: Bytes,
    signature: Vec<u8>,
    header: MessageHeader,
    request: Request,
    origin: Origin,
}

impl Parsed {
    pub(super) const fn new(
        signed: Bytes,
        signature: Vec<u8>,
        header: MessageHeader,
        request: Request,
        origin: Origin,
    ) -> Self {
        Self {
            signed,
            signature,
            header,
            request,
            origin,
        }
    }

    /// Asks the signer whether the signature holds over exactly the signed bytes, made by a key of the sender's, and
    /// for the tokens of the encrypted fields.
    pub async fn verify<S: Signer>(self, signer: &S, rules: &Rules, deadline: Instant) -> Result<Verified, Setback> {
        // Others have certificates too, and they sign statements and files; a payment order is the network's alone.
        if self.header.issuer != rules.network {
            return Err(Setback::new(self.origin, Fault::NotTheNetwork));
        }
        if self.signature.len() > SIGNATURE_BYTES_MAX {
            return Err(Setback::new(self.origin, Fault::Rejected(Rejection::SignatureWrong)));
        }
        let fields: Vec<SensitiveField> = self.request.sensitive().into_iter().map(|(field, _)| field).collect();
        match signer.open(self.open(), deadline).await {
            Err(fault) => Err(Setback::new(self.origin, Fault::Signer(fault))),
            Ok(OpenVerdict::Rejected(rejection)) => Err(Setback::new(self.origin, Fault::Rejected(rejection))),
            Ok(OpenVerdict::Opened { suite, tokens }) => {
                let origin = self.origin.in_suite(suite);
                let tokens = tokens.tokens;
                if tokens.len() != fields.len() {
                    return Err(Setback::new(origin, Fault::SignerBrokeContract));
                }
                let opened = fields.into_iter().zip(tokens);
                let tokens = opened.map(|(field, token)| FieldToken { field, token }).collect();
                Ok(Verified::new(
                    self.signed,
                    self.signature,
                    self.header,
                    self.request,
                    tokens,
                    origin,
                ))
            }
        }
    }

    fn open(&self) -> Open {
        let fields = self.request.sensitive().into_iter();
        let envelope = self.header.envelope.as_ref();
        Open {
            signed: self.signed.to_vec(),
            signature: self.signature.clone(),
            signing_serial: self.header.signing_serial.clone(),
            issuer: self.header.issuer.to_string(),
            encryption_serial: envelope
                .map(|envelope| envelope.encryption_serial.clone())
                .unwrap_or_default(),
            envelope: envelope.map(|envelope| envelope.sealed_key.clone()).unwrap_or_default(),
            fields: fields
                .map(|(field, text)| EncryptedField {
                    kind: kind_of(field),
                    ciphertext: text.0.clone(),
                })
                .collect(),
        }
    }
}

const fn kind_of(field: SensitiveField) -> FieldKind {
    if field.is_account_number() {
        FieldKind::AccountNumber
    } else {
        FieldKind::Name
    }
}
