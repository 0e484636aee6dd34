//! The messages of the signer's benchmark: distinct, of the size the network's have, signed by several keys, some of
//! them wrongly.

use fixtures::keys::{KeyPair, Keyring};
use signer_crypto::{CryptoFault, FieldKey, FieldKind as CryptoKind, TokenKey};
use signer_protocol::{EncryptedField, FieldKind, Open, OpenVerdict, Rejection, Suite, Tokens};
use thiserror::Error;

use crate::settings::NETWORK;

/// Pairs whose signatures the messages carry. The benchmark's signer knows all of them as the network's.
pub(super) const SIGNERS: [&str; 4] = [
    "network-sign-sm",
    "network-revoked-sm",
    "network-decrypt-sm",
    "institution-sign-sm",
];
const RECEIVER: &str = "bank-decrypt-sm";
const MESSAGES: usize = 8_192;
const SIGNED_BYTES: usize = 1_536;
/// One message in so many has a signature that is not its own.
const WRONG_EVERY: usize = 64;
/// Of a payout: the account and its holder's name.
const FIELDS: [(FieldKind, CryptoKind, &str); 2] = [
    (FieldKind::AccountNumber, CryptoKind::AccountNumber, "62220200012345"),
    (FieldKind::Name, CryptoKind::Name, "TEST ONLY "),
];

/// What a message carries besides its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As an agreement payment, the usual message: nothing encrypted.
    Plain,
    /// As a payout: an envelope and two fields.
    WithFields,
}

#[derive(Debug, Error)]
pub enum SampleFault {
    #[error("the test keys hold no pair named {0}")]
    NoPair(&'static str),
    #[error("a message for the benchmark cannot be made")]
    Crypto(#[from] CryptoFault),
}

/// Messages, each with the answer it must get.
pub(super) struct Sample {
    messages: Vec<(Open, OpenVerdict)>,
}

impl Sample {
    pub(super) fn make(keys: &Keyring, form: Form) -> Result<Self, SampleFault> {
        let pair = |name: &'static str| keys.named(name).ok_or(SampleFault::NoPair(name));
        let signers = SIGNERS.into_iter().map(pair).collect::<Result<Vec<&KeyPair>, _>>()?;
        let receiver = pair(RECEIVER)?;
        let mut messages = Vec::with_capacity(MESSAGES);
        for (number, signer) in (0..MESSAGES).zip(signers.iter().cycle()) {
            messages.push(message(number, signer, receiver, keys.token_key(), form)?);
        }
        Ok(Self { messages })
    }

    /// Of as many as there are, again and again.
    pub(super) fn message(&self, number: usize) -> &(Open, OpenVerdict) {
        let place = number.checked_rem(self.messages.len()).unwrap_or(0);
        self.messages.get(place).expect("the remainder is a place in the list")
    }
}

/// For the line under the figures.
pub(super) fn described() -> String {
    format!(
        "{MESSAGES} distinct messages of {SIGNED_BYTES} signed bytes, SM2 with SM3, {} signing keys, one in {WRONG_EVERY} \
         wrongly signed; plain is the usual payment (nothing encrypted)",
        SIGNERS.len()
    )
}

fn message(
    number: usize,
    signer: &KeyPair,
    receiver: &KeyPair,
    token_key: &TokenKey,
    form: Form,
) -> Result<(Open, OpenVerdict), SampleFault> {
    let content = text(number);
    let is_wrong = number.checked_rem(WRONG_EVERY) == Some(0);
    let signature = if is_wrong {
        signer.private.sign(&text(number + MESSAGES))?
    } else {
        signer.private.sign(&content)?
    };
    let mut open = Open {
        signed: content,
        signature,
        signing_serial: signer.certificate.serial().to_owned(),
        issuer: NETWORK.to_owned(),
        encryption_serial: String::new(),
        envelope: Vec::new(),
        fields: Vec::new(),
    };
    let mut tokens = Vec::new();
    if form == Form::WithFields {
        let field_key = FieldKey::generate(receiver.certificate.suite())?;
        receiver.certificate.serial().clone_into(&mut open.encryption_serial);
        open.envelope = receiver.certificate.seal_envelope(&field_key)?;
        for (kind, crypto_kind, text) in FIELDS {
            let plaintext = format!("{text}{number}");
            tokens.push(token_key.token(crypto_kind, plaintext.as_bytes()));
            open.fields.push(EncryptedField {
                kind,
                ciphertext: field_key.encrypt(plaintext.as_bytes()),
            });
        }
    }
    let expected = if is_wrong {
        OpenVerdict::Rejected(Rejection::SignatureWrong)
    } else {
        OpenVerdict::Opened {
            suite: Suite::Sm,
            tokens: Tokens {
                tokens,
                ..Tokens::default()
            },
        }
    };
    Ok((open, expected))
}

/// The signer reads no XML: what counts is that every text is another and as long as a message.
fn text(number: usize) -> Vec<u8> {
    let mut text = format!("<root><MsgHeader/><MsgBody><TrxId>{number:031}</TrxId><OrdrDesc>").into_bytes();
    let end = b"</OrdrDesc></MsgBody></root>";
    let mut filling = (b'0'..=b'z').cycle().skip(number.checked_rem(64).unwrap_or(0));
    while text.len() + end.len() < SIGNED_BYTES {
        text.extend(filling.next());
    }
    text.extend_from_slice(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_distinct_and_as_long_as_said() {
        assert_eq!(text(0).len(), SIGNED_BYTES);
        assert_eq!(text(2 * MESSAGES).len(), SIGNED_BYTES);
        assert_ne!(text(1), text(2));
    }
}
