//! The one translation from messages to what the ledger understands.
//!
//! A transfer's key is (issuer of the message, category, id). The details digest covers every business field of the
//! message and the tokens of its encrypted fields, never the raw bytes: a resend has another time, signature and
//! ciphertexts and is the same transfer all the same.

use frontend_messages::{
    PaymentRequest, PayoutPayeeAccount, PayoutRequest, Profile, QueryRequest, RefundRequest, Request, SensitiveField,
};
use ledger_model::{
    AccountToken, DetailsDigest, InstitutionId, NameToken, Payee, Payment, Payout, Refund, TransferKey,
};
use sha2::{Digest, Sha256};

/// A field of the request and the token that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldToken {
    pub field: SensitiveField,
    pub token: [u8; 32],
}

/// Why a message that reads well cannot be put to the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    #[error("no original category belongs to this refund's")]
    RefundCategory,
    #[error("the payee's fields were not opened")]
    PayeeNotOpened,
}

pub fn payment(issuer: InstitutionId, request: &PaymentRequest, details: DetailsDigest) -> Payment {
    let transfer = &request.transfer;
    Payment {
        key: TransferKey {
            issuer,
            category: transfer.category,
            id: transfer.id,
        },
        amount: transfer.amount,
        batch: request.batch,
        institution: request.payee.institution,
        agreement: request.payer.agreement,
        ordered_at: transfer.ordered_at,
        details,
    }
}

pub fn refund(
    issuer: InstitutionId,
    request: &RefundRequest,
    details: DetailsDigest,
    profile: &Profile,
) -> Result<Refund, Untranslatable> {
    let transfer = &request.transfer;
    let original_category = profile
        .original_category(&transfer.category)
        .ok_or(Untranslatable::RefundCategory)?;
    Ok(Refund {
        key: TransferKey {
            issuer,
            category: transfer.category,
            id: transfer.id,
        },
        amount: transfer.amount,
        batch: request.batch,
        institution: request.payer.institution,
        agreement: request.payee.agreement,
        original: TransferKey {
            issuer,
            category: original_category,
            id: request.original.id,
        },
        original_amount: request.original.amount,
        original_serial: request.original.serial,
        ordered_at: transfer.ordered_at,
        details,
    })
}

pub fn payout(
    issuer: InstitutionId,
    request: &PayoutRequest,
    details: DetailsDigest,
    tokens: &[FieldToken],
) -> Result<Payout, Untranslatable> {
    let transfer = &request.transfer;
    let token = |wanted: SensitiveField| {
        let found = tokens.iter().find(|opened| opened.field == wanted);
        found.map(|opened| opened.token).ok_or(Untranslatable::PayeeNotOpened)
    };
    let payee = match &request.payee.account {
        PayoutPayeeAccount::Agreement(agreement) => Payee::Agreement(*agreement),
        PayoutPayeeAccount::Account { .. } => Payee::Account {
            token: AccountToken::new(token(SensitiveField::PyeeBkNo)?),
            name: NameToken::new(token(SensitiveField::PyeeBkNm)?),
        },
    };
    Ok(Payout {
        key: TransferKey {
            issuer,
            category: transfer.category,
            id: transfer.id,
        },
        amount: transfer.amount,
        batch: transfer.batch,
        institution: request.payer.institution,
        payee,
        ordered_at: transfer.ordered_at,
        details,
    })
}

/// What a query asks about.
pub fn query(issuer: InstitutionId, request: &QueryRequest) -> TransferKey {
    TransferKey {
        issuer,
        category: request.category,
        id: request.id,
    }
}

/// SHA-256 over: length (8 bytes, big endian) and bytes of the business fields as `frontend-messages` lists them, then
/// for each opened field its place in the profile's order (1 byte) and its token (32 bytes). Stored by the ledger: the
/// form must not change.
pub fn details(request: &Request, tokens: &[FieldToken]) -> DetailsDigest {
    let fields = request.details();
    let length = u64::try_from(fields.len()).expect("a body is far shorter than 2^64 bytes");
    let mut digest = Sha256::new();
    digest.update(length.to_be_bytes());
    digest.update(fields.as_bytes());
    for opened in tokens {
        digest.update([place(opened.field)]);
        digest.update(opened.token);
    }
    DetailsDigest::new(digest.finalize().into())
}

const fn place(field: SensitiveField) -> u8 {
    match field {
        SensitiveField::PyerAcctNo => 0,
        SensitiveField::PyerAcctNm => 1,
        SensitiveField::PyeeBkNo => 2,
        SensitiveField::PyeeBkNm => 3,
    }
}
