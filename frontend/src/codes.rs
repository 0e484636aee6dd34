//! The code table: which wire code and text stand for which outcome. Data (`codes.toml`), checked whole when it is
//! read: every refusal of every kind of transfer has an entry, so no outcome falls to a silent default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ledger_model::{Decision, Refusal, TransferKind};
use serde::Deserialize;

/// A code of the wire and what it means in words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub code: String,
    pub text: String,
}

/// For whom the bank speaks in an exchange, which decides the family of system codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BankSide {
    Payer,
    Receiver,
    /// The message says neither, or could not be read.
    Unknown,
}

/// Why a message could not be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemCause {
    Format,
    Signature,
    /// Definite: nothing was posted.
    Unavailable,
    UnknownOutcome,
}

#[derive(Debug)]
pub struct CodeTable {
    handled: Entry,
    payer: SystemCodes,
    receiver: SystemCodes,
    unknown_side: SystemCodes,
    query_not_found: Entry,
    payment: BusinessCodes,
    refund: BusinessCodes,
    payout: BusinessCodes,
}

#[derive(Debug, thiserror::Error)]
pub enum CodeFault {
    #[error("code table {path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("code table is refused: {0}")]
    Form(String),
    #[error("code table: {0} has no entry for the refusal {1}")]
    Missing(&'static str, &'static str),
    #[error("code table: {0} has an entry for {1}, which is no refusal")]
    Unknown(&'static str, String),
    #[error("code table: code {0:?} is not 8 letters and digits")]
    Code(String),
    #[error("code table: the text of {0} is empty or longer than {TEXT_CHARS_MAX} characters")]
    Text(String),
}

/// Leaves room for what is added about the one message, see `respond`.
const TEXT_CHARS_MAX: usize = 100;
const CODE_CHARS: usize = 8;
const BUILT_IN: &str = include_str!("../codes.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    system: SystemSection,
    query: QuerySection,
    business: BusinessSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemSection {
    handled: Entry,
    payer: SystemCodes,
    receiver: SystemCodes,
    unknown_side: SystemCodes,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemCodes {
    format: Entry,
    signature: Entry,
    unavailable: Entry,
    unknown_outcome: Entry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuerySection {
    not_found: Entry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BusinessSection {
    payment: BusinessCodes,
    refund: BusinessCodes,
    payout: BusinessCodes,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BusinessCodes {
    posted: Entry,
    conflict: Entry,
    refusal: BTreeMap<String, Entry>,
}

impl CodeTable {
    /// The table built into the program.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("a test reads the built-in table")
    }

    pub fn load(path: &Path) -> Result<Self, CodeFault> {
        let text = std::fs::read_to_string(path).map_err(|source| CodeFault::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Self, CodeFault> {
        let file: File = toml::from_str(text).map_err(|refusal| CodeFault::Form(refusal.to_string()))?;
        let table = Self {
            handled: file.system.handled,
            payer: file.system.payer,
            receiver: file.system.receiver,
            unknown_side: file.system.unknown_side,
            query_not_found: file.query.not_found,
            payment: file.business.payment,
            refund: file.business.refund,
            payout: file.business.payout,
        };
        for kind in TransferKind::OF_MESSAGES {
            table.business(kind).check_complete(kind.name())?;
        }
        table.entries().try_for_each(Entry::check)?;
        Ok(table)
    }

    pub const fn handled(&self) -> &Entry {
        &self.handled
    }

    pub const fn system(&self, side: BankSide, cause: SystemCause) -> &Entry {
        let codes = match side {
            BankSide::Payer => &self.payer,
            BankSide::Receiver => &self.receiver,
            BankSide::Unknown => &self.unknown_side,
        };
        match cause {
            SystemCause::Format => &codes.format,
            SystemCause::Signature => &codes.signature,
            SystemCause::Unavailable => &codes.unavailable,
            SystemCause::UnknownOutcome => &codes.unknown_outcome,
        }
    }

    pub fn decision(&self, kind: TransferKind, decision: Decision) -> &Entry {
        let codes = self.business(kind);
        match decision {
            Decision::Posted => &codes.posted,
            Decision::Refused(refusal) => codes
                .refusal
                .get(refusal.name())
                .expect("checked complete when the table was read"),
        }
    }

    pub const fn conflict(&self, kind: TransferKind) -> &Entry {
        &self.business(kind).conflict
    }

    pub const fn query_not_found(&self) -> &Entry {
        &self.query_not_found
    }

    const fn business(&self, kind: TransferKind) -> &BusinessCodes {
        match kind {
            TransferKind::Payment => &self.payment,
            TransferKind::Refund => &self.refund,
            // no message asks for an adjustment
            TransferKind::Payout | TransferKind::Reversal | TransferKind::Supplement => &self.payout,
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let system = [&self.payer, &self.receiver, &self.unknown_side];
        let business = [&self.payment, &self.refund, &self.payout];
        [&self.handled, &self.query_not_found]
            .into_iter()
            .chain(system.into_iter().flat_map(|codes| {
                [
                    &codes.format,
                    &codes.signature,
                    &codes.unavailable,
                    &codes.unknown_outcome,
                ]
            }))
            .chain(business.into_iter().flat_map(|codes| {
                [&codes.posted, &codes.conflict]
                    .into_iter()
                    .chain(codes.refusal.values())
            }))
    }
}

impl BusinessCodes {
    fn check_complete(&self, kind: &'static str) -> Result<(), CodeFault> {
        if let Some(missing) = Refusal::ALL
            .into_iter()
            .find(|refusal| !self.refusal.contains_key(refusal.name()))
        {
            return Err(CodeFault::Missing(kind, missing.name()));
        }
        match self.refusal.keys().find(|name| Refusal::from_name(name).is_none()) {
            Some(unknown) => Err(CodeFault::Unknown(kind, unknown.clone())),
            None => Ok(()),
        }
    }
}

impl Entry {
    fn check(&self) -> Result<(), CodeFault> {
        if self.code.len() != CODE_CHARS || !self.code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(CodeFault::Code(self.code.clone()));
        }
        if self.text.is_empty() || self.text.chars().count() > TEXT_CHARS_MAX {
            return Err(CodeFault::Text(self.code.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn every_refusal_of_every_kind_has_its_code() {
        let table = CodeTable::built_in();
        let lines = Refusal::ALL.map(|refusal| {
            let code = |kind| table.decision(kind, Decision::Refused(refusal)).code.as_str();
            let [payment, refund, payout] = TransferKind::OF_MESSAGES.map(code);
            format!("{:24} {payment} {refund} {payout}", refusal.name())
        });
        expect![[r"
            batch_closed             PB522099 RB622099 RB622099
            no_such_agreement        PB521014 RB622099 RB622099
            agreement_rescinded      PB521013 RB622099 RB622099
            agreement_expired        PB521015 RB622099 RB622099
            original_not_found       PB522099 RB622021 RB622021
            original_not_successful  PB522099 RB622023 RB622023
            original_differs         PB522099 RB622099 RB622099
            already_reversed         PB522099 RB622023 RB622023
            original_refunded        PB522099 RB622099 RB622099
            refund_too_late          PB522099 RB622099 RB622099
            no_such_account          PB522099 RB622099 RB622099
            name_differs             PB522099 RB622099 RB622099
            account_closed           PB520005 RB620005 RB620005
            account_frozen           PB520006 RB620006 RB620006
            currency_differs         PB522099 RB622099 RB622099
            over_single_amount       PB521023 RB622099 RB622099
            over_daily_count         PB521021 RB622099 RB622099
            over_daily_amount        PB521024 RB622099 RB622099
            over_account_single_amount PB521023 RB622099 RB622099
            over_account_daily_count PB521021 RB622099 RB622099
            over_account_daily_amount PB521024 RB622099 RB622099
            refund_exceeds_rest      PB522099 RB622022 RB622022
            balance_short            PB520011 RB622099 RB622099
            balance_out_of_range     PB522099 RB622099 RB622099
"]]
        .assert_eq(&(lines.join("\n") + "\n"));
    }

    #[test]
    fn system_codes_by_side() {
        let table = CodeTable::built_in();
        let causes = [
            SystemCause::Format,
            SystemCause::Signature,
            SystemCause::Unavailable,
            SystemCause::UnknownOutcome,
        ];
        assert_eq!(table.handled().code, "00000000");
        let lines = causes.map(|cause| {
            let code = |side| table.system(side, cause).code.as_str();
            let [payer, receiver, unknown] = [BankSide::Payer, BankSide::Receiver, BankSide::Unknown].map(code);
            format!("{cause:?} {payer} {receiver} {unknown}")
        });
        expect![[r"
            Format PS500022 RS600022 PS000098
            Signature PS500025 RS600025 PS000098
            Unavailable PS500001 RS600001 PS000098
            UnknownOutcome PS500030 RS600030 PS000098
"]]
        .assert_eq(&(lines.join("\n") + "\n"));
    }

    #[test]
    fn a_table_with_a_hole_or_a_stranger_is_refused() {
        let check = |from: &str, to: &str, expected: &str| {
            let said = CodeTable::parse(&BUILT_IN.replacen(from, to, 1))
                .map_or_else(|fault| fault.to_string(), |_| "read".to_owned());
            assert!(said.contains(expected), "{from} -> {to}: {said}");
        };
        check("", "", "read");
        check(
            "account_frozen =",
            "account_frosted =",
            "payment has no entry for the refusal account_frozen",
        );
        check(
            "account_frozen =",
            "account_frosted = { code = \"PB520006\", text = \"x\" }\naccount_frozen =",
            "account_frosted, which is no refusal",
        );
        check("PB520006", "PB52000", "is not 8 letters");
        check("balance short", "", "the text of PB520011");
        check("[system.receiver]", "[system.receivers]", "unknown field");
    }
}
