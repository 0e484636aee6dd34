//! Rows of what version 2 of the journal can say: hops and their ends, and what operators did.

use ledger_journal::{Event, JournalRecord};
use ledger_model::{
    AccountLimits, AccountToken, Administration, AgreementNumber, AgreementTerms, Decision, Hop, HopState, Operator,
    Reason, Transfer,
};

use crate::copy_rows::{CopyRows, Row};
use crate::table_rows::Place;

const COPY_HOPS: &str = "COPY hop (shard, sequence, business_date, issuer, category, transfer_id, home, attempt, epoch) \
     FROM STDIN BINARY";
const COPY_SETTLEMENTS: &str = "COPY hop_settlement (shard, sequence, business_date, issuer, category, transfer_id, \
     account, refusal) FROM STDIN BINARY";
const COPY_CLOSINGS: &str = "COPY hop_closing (shard, sequence, business_date, issuer, category, transfer_id, state, \
     refusal) FROM STDIN BINARY";
const COPY_ACTS: &str = "COPY administration (shard, sequence, committed_at, act, account, agreement, detail, operator, \
     reason) FROM STDIN BINARY";

pub(crate) const STATEMENTS: [&str; 4] = [COPY_HOPS, COPY_SETTLEMENTS, COPY_CLOSINGS, COPY_ACTS];

#[derive(Debug)]
pub(crate) struct EventRows {
    hops: CopyRows,
    settlements: CopyRows,
    closings: CopyRows,
    acts: CopyRows,
}

impl EventRows {
    pub(crate) fn new() -> Self {
        Self {
            hops: CopyRows::new(9),
            settlements: CopyRows::new(8),
            closings: CopyRows::new(8),
            acts: CopyRows::new(9),
        }
    }

    pub(crate) fn push(&mut self, place: Place, record: &JournalRecord) {
        match &record.event {
            Event::TransferHopped { transfer, hop, .. } => self.push_hop(place, transfer, *hop),
            Event::HopSettled { transfer, decision, .. } => {
                let account = transfer.account.map(AccountToken::bytes);
                let refusal = match decision {
                    Decision::Posted => None,
                    Decision::Refused(refusal) => Some(refusal.name()),
                };
                let row = of_transfer(self.settlements.row(), place, transfer);
                row.bytes_or_null(account.as_ref().map(<[u8; 32]>::as_slice))
                    .text_or_null(refusal);
            }
            Event::HopClosed { transfer, state, .. } => {
                let refusal = match state {
                    HopState::Unapplied(refusal) => Some(refusal.name()),
                    HopState::Open | HopState::Settled | HopState::Compensated => None,
                };
                let row = of_transfer(self.closings.row(), place, transfer);
                row.text(state.name()).text_or_null(refusal);
            }
            Event::Administered { act, operator, reason } => self.push_act(place, record, act, (operator, reason)),
            Event::AccountOpened { .. } | Event::AgreementRecorded { .. } | Event::TransferDecided { .. } => {}
        }
    }

    pub(crate) fn into_copies(self) -> [(&'static str, CopyRows); 4] {
        [
            (COPY_HOPS, self.hops),
            (COPY_SETTLEMENTS, self.settlements),
            (COPY_CLOSINGS, self.closings),
            (COPY_ACTS, self.acts),
        ]
    }

    fn push_hop(&mut self, place: Place, transfer: &Transfer, hop: Hop) {
        let epoch = i64::try_from(hop.epoch).expect("an epoch counts connections");
        let row = of_transfer(self.hops.row(), place, transfer);
        row.small(hop.home.number().into()).small(hop.attempt.into()).big(epoch);
    }

    fn push_act(&mut self, place: Place, record: &JournalRecord, act: &Administration, by: (&Operator, &Reason)) {
        let (name, detail) = match act {
            Administration::AccountStatus { status, .. } => ("account_status", status.name().to_owned()),
            Administration::AccountLimits { limits, .. } => ("account_limits", of_limits(limits.as_ref())),
            Administration::AgreementStatus { status, .. } => ("agreement_status", status.name().to_owned()),
            Administration::AgreementTerms { terms, .. } => ("agreement_terms", of_terms(terms)),
            Administration::CloseThrough { date } => ("close_through", date.to_string()),
        };
        let account = act.account().map(AccountToken::bytes);
        let row = self.acts.row().small(place.shard).big(place.sequence);
        let row = row.time(record.committed_at).text(name);
        let row = row.bytes_or_null(account.as_ref().map(<[u8; 32]>::as_slice));
        let row = row.text_or_null(act.agreement().as_ref().map(AgreementNumber::as_str));
        let (operator, reason) = by;
        row.text(&detail).text(operator.as_str()).text(reason.as_str());
    }
}

fn of_transfer<'a>(row: Row<'a>, place: Place, transfer: &Transfer) -> Row<'a> {
    let key = &transfer.key;
    row.small(place.shard)
        .big(place.sequence)
        .date(place.day)
        .text(key.issuer.as_str())
        .text(key.category.as_str())
        .text(key.id.as_str())
}

fn of_limits(limits: Option<&AccountLimits>) -> String {
    limits.map_or_else(
        || "none".to_owned(),
        |limits| {
            let (single, daily) = (limits.single_max.money(), limits.daily_max.money());
            format!(
                "{single} a payment, {daily} and {} payments a day",
                limits.daily_count_max
            )
        },
    )
}

fn of_terms(terms: &AgreementTerms) -> String {
    let (single, daily) = (terms.single_max.money(), terms.daily_max.money());
    let (count, expires) = (terms.daily_count_max, terms.expires);
    format!("{single} a payment, {daily} and {count} payments a day, until {expires}")
}
