//! The signature that the standard prints, made with the nonce that it prints: for the self-test, since what signing
//! makes otherwise is different each time.

use super::Word;
use super::arithmetic::Scalar;
use super::key::SecretScalar;
use super::signature::SigningKey;
use crate::hexadecimal;

// GB/T 32918.5, appendix A.2
pub(super) const SECRET: &str = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8";
pub(super) const NONCE: &str = "59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21";
pub(super) const DIGEST: &str = "F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640";
pub(super) const SIGNATURE: &str = "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3\
                         B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA";

/// `None` when the signature comes out differently.
pub(crate) fn signature() -> Option<()> {
    let secret = SecretScalar::from_bytes(&word(SECRET)?)?;
    let point = secret.public_point()?;
    let key = SigningKey::new(secret, &point)?;
    let made = key.sign_with(&word(DIGEST)?, &Scalar::from_bytes(&word(NONCE)?)?)?;
    (made
        .r
        .as_slice()
        .iter()
        .chain(&made.s)
        .eq(hexadecimal::decode(SIGNATURE)?.iter()))
    .then_some(())
}

fn word(text: &str) -> Option<Word> {
    hexadecimal::decode(text)?.as_slice().try_into().ok()
}
