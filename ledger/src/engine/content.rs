//! Idempotency: whether a message is new, a repeat, or another one under a key already used.

use ledger_model::{ContentField, Instruction, Transfer};

use super::{account_named, agreement_named};
use crate::books::{Remembered, Said};

/// What a key says of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognised<'a> {
    New,
    /// The same content was decided before; this is its outcome.
    Repeat(&'a Transfer),
    /// The first field that differs.
    Conflict(ContentField),
}

/// `remembered` is what the books hold under the instruction's key, in whichever shard.
pub fn recognise<'a>(remembered: Option<&'a Remembered>, instruction: &Instruction) -> Recognised<'a> {
    let Some(Remembered { transfer, said, .. }) = remembered else {
        return Recognised::New;
    };
    match first_difference(transfer, said, instruction) {
        None => Recognised::Repeat(transfer),
        Some(field) => Recognised::Conflict(field),
    }
}

fn first_difference(transfer: &Transfer, said: &Said, instruction: &Instruction) -> Option<ContentField> {
    let now = Said::by(instruction);
    // an account counts as content only where the message named it: an agreement may stand for it otherwise
    let same_account = account_named(instruction).is_none_or(|token| transfer.account == Some(token));
    let same_original = transfer.original == instruction.original()
        && said.original_amount == now.original_amount
        && said.original_serial == now.original_serial;
    let same = [
        (ContentField::Kind, transfer.kind == instruction.kind()),
        (ContentField::Amount, transfer.amount == instruction.amount()),
        (ContentField::Batch, transfer.batch == instruction.batch()),
        (
            ContentField::Institution,
            transfer.institution == instruction.institution(),
        ),
        (
            ContentField::Agreement,
            transfer.agreement == agreement_named(instruction),
        ),
        (ContentField::Account, same_account && said.name == now.name),
        (ContentField::Original, same_original),
        (
            ContentField::Side,
            said.supplement.map(|posting| posting.side) == now.supplement.map(|posting| posting.side),
        ),
        (
            ContentField::Against,
            said.supplement.map(|posting| posting.against) == now.supplement.map(|posting| posting.against),
        ),
        (
            ContentField::Details,
            transfer.details == instruction.details() && said.ordered_at == now.ordered_at,
        ),
    ];
    same.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
}
