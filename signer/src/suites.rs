//! One name for one thing on both sides: the suites and kinds of the contract and those of the cryptography.

use signer_protocol as asked;

pub(crate) const fn crypto_suite(suite: asked::Suite) -> signer_crypto::Suite {
    match suite {
        asked::Suite::Rsa => signer_crypto::Suite::Rsa,
        asked::Suite::Sm => signer_crypto::Suite::Sm,
    }
}

pub(crate) const fn contract_suite(suite: signer_crypto::Suite) -> asked::Suite {
    match suite {
        signer_crypto::Suite::Rsa => asked::Suite::Rsa,
        signer_crypto::Suite::Sm => asked::Suite::Sm,
    }
}

pub(crate) const fn crypto_kind(kind: asked::FieldKind) -> signer_crypto::FieldKind {
    match kind {
        asked::FieldKind::AccountNumber => signer_crypto::FieldKind::AccountNumber,
        asked::FieldKind::Name => signer_crypto::FieldKind::Name,
        asked::FieldKind::DocumentNumber => signer_crypto::FieldKind::DocumentNumber,
        asked::FieldKind::Mobile => signer_crypto::FieldKind::Mobile,
    }
}
