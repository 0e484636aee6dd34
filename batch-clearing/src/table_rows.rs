//! Journal records as rows of the tables they are copied into.
//!
//! Column order is that of the COPY statements beside them. A record's business date is the date of its batch where it
//! decided a transfer, else the date on which the shard committed it.

use ledger_journal::{ChainHash, Event, EvidenceDigest, JournalRecord};
use ledger_model::{
    Account, AccountStatus, AccountToken, Agreement, AgreementNumber, AgreementStatus, BusinessDate, Decision, Entry,
    LedgerAccount, Side, Transfer,
};

use crate::copy_rows::CopyRows;
use crate::event_rows::{self, EventRows};

const COPY_RECORDS: &str =
    "COPY journal_record (business_date, shard, sequence, hash, committed_at, encoded) FROM STDIN BINARY";
const COPY_TRANSFERS: &str = "COPY transfer (business_date, shard, sequence, issuer, category, transfer_id, kind, \
     minor, currency, batch_id, institution, agreement, account, original_category, original_id, refusal, serial, \
     decided_at, evidence) FROM STDIN BINARY";
const COPY_ENTRIES: &str = "COPY entry (business_date, shard, sequence, line, account_kind, account, batch_id, side, \
     minor, currency) FROM STDIN BINARY";
const COPY_ACCOUNTS: &str =
    "COPY account_opening (shard, sequence, account, name, status, minor, currency) FROM STDIN BINARY";
const COPY_AGREEMENTS: &str = "COPY agreement_version (shard, sequence, number, account, institution, status, \
     single_max_minor, single_max_currency, daily_max_minor, daily_max_currency, daily_count_max, expires) \
     FROM STDIN BINARY";

/// Every COPY statement there is, for preparing them once.
pub(crate) const STATEMENTS: [&str; 9] = [
    COPY_RECORDS,
    COPY_TRANSFERS,
    COPY_ENTRIES,
    COPY_ACCOUNTS,
    COPY_AGREEMENTS,
    event_rows::STATEMENTS[0],
    event_rows::STATEMENTS[1],
    event_rows::STATEMENTS[2],
    event_rows::STATEMENTS[3],
];

/// One table's rows, ready to be sent.
#[derive(Debug)]
pub(crate) struct TableCopy {
    pub(crate) statement: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: u64,
}

#[derive(Debug)]
pub(crate) struct TableRows {
    records: CopyRows,
    transfers: CopyRows,
    entries: CopyRows,
    accounts: CopyRows,
    agreements: CopyRows,
    events: EventRows,
}

/// Where a row belongs: the day, and the record it came with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) day: BusinessDate,
    pub(crate) shard: i16,
    pub(crate) sequence: i64,
}

pub(crate) fn business_date(record: &JournalRecord) -> BusinessDate {
    match &record.event {
        Event::TransferDecided { transfer, .. }
        | Event::TransferHopped { transfer, .. }
        | Event::HopSettled { transfer, .. }
        | Event::HopClosed { transfer, .. } => transfer.batch.date(),
        Event::AccountOpened { .. } | Event::AgreementRecorded { .. } | Event::Administered { .. } => {
            record.committed_at.date()
        }
    }
}

impl TableRows {
    pub(crate) fn new() -> Self {
        Self {
            records: CopyRows::new(6),
            transfers: CopyRows::new(19),
            entries: CopyRows::new(10),
            accounts: CopyRows::new(7),
            agreements: CopyRows::new(12),
            events: EventRows::new(),
        }
    }

    /// `encoded` are the bytes the record was decoded from and `hash` is theirs.
    pub(crate) fn push(&mut self, record: &JournalRecord, encoded: &[u8], hash: ChainHash) {
        let place = Place {
            day: business_date(record),
            shard: record.shard.number().into(),
            sequence: i64::try_from(record.sequence).expect("a shard does not live to write 2^63 records"),
        };
        let row = self
            .records
            .row()
            .date(place.day)
            .small(place.shard)
            .big(place.sequence);
        row.bytes(&hash.0).time(record.committed_at).bytes(encoded);
        match &record.event {
            Event::AccountOpened { account, .. } => self.push_account(place, account),
            Event::AgreementRecorded { agreement } => self.push_agreement(place, agreement),
            Event::TransferDecided { transfer, evidence, .. } | Event::TransferHopped { transfer, evidence, .. } => {
                self.push_transfer(place, transfer, *evidence);
            }
            // no transfers of their own
            Event::HopSettled { .. } | Event::HopClosed { .. } | Event::Administered { .. } => {}
        }
        self.events.push(place, record);
        for (line, entry) in (0_i16..).zip(record.event.entries()) {
            self.push_entry(place, line, entry);
        }
    }

    /// In an order in which every row finds what it refers to.
    pub(crate) fn into_copies(self) -> impl Iterator<Item = TableCopy> {
        let tables = [
            (COPY_RECORDS, self.records),
            (COPY_TRANSFERS, self.transfers),
            (COPY_ENTRIES, self.entries),
            (COPY_ACCOUNTS, self.accounts),
            (COPY_AGREEMENTS, self.agreements),
        ];
        let tables = tables.into_iter().chain(self.events.into_copies());
        let filled = tables.filter(|(_, rows)| rows.rows() > 0);
        filled.map(|(statement, rows)| TableCopy {
            statement,
            rows: rows.rows(),
            bytes: rows.finish(),
        })
    }

    fn push_transfer(&mut self, place: Place, transfer: &Transfer, evidence: EvidenceDigest) {
        let refusal = match transfer.decision {
            Decision::Posted => None,
            Decision::Refused(refusal) => Some(refusal.name()),
        };
        let account = transfer.account.map(AccountToken::bytes);
        let row = self
            .transfers
            .row()
            .date(place.day)
            .small(place.shard)
            .big(place.sequence);
        let row = row
            .text(transfer.key.issuer.as_str())
            .text(transfer.key.category.as_str());
        let row = row.text(transfer.key.id.as_str()).text(transfer.kind.name());
        let row = row
            .big(transfer.amount.minor())
            .text(transfer.amount.currency().as_str());
        let row = row.text(transfer.batch.as_str()).text(transfer.institution.as_str());
        let row = row.text_or_null(transfer.agreement.as_ref().map(AgreementNumber::as_str));
        let row = row.bytes_or_null(account.as_ref().map(<[u8; 32]>::as_slice));
        let row = row.text_or_null(transfer.original.as_ref().map(|original| original.category.as_str()));
        let row = row.text_or_null(transfer.original.as_ref().map(|original| original.id.as_str()));
        let row = row.text_or_null(refusal).text(transfer.serial.as_str());
        row.time(transfer.decided_at).bytes(&evidence.0);
    }

    fn push_entry(&mut self, place: Place, line: i16, entry: &Entry) {
        let row = self
            .entries
            .row()
            .date(place.day)
            .small(place.shard)
            .big(place.sequence)
            .small(line);
        let row = match entry.account {
            LedgerAccount::Customer(token) => row.text("customer").bytes(&token.bytes()).null(),
            LedgerAccount::NetworkClearing(batch) => row.text("network_clearing").null().text(batch.as_str()),
            LedgerAccount::OpeningBalances => row.text("opening_balances").null().null(),
            LedgerAccount::Suspense => row.text("suspense").null().null(),
            LedgerAccount::Fee => row.text("fee").null().null(),
            LedgerAccount::StandInAdvance => row.text("stand_in_advance").null().null(),
        };
        let side = match entry.side {
            Side::Debit => "D",
            Side::Credit => "C",
        };
        row.text(side)
            .big(entry.amount.minor())
            .text(entry.amount.currency().as_str());
    }

    fn push_account(&mut self, place: Place, account: &Account) {
        let status = match account.status {
            AccountStatus::Open => "open",
            AccountStatus::Frozen => "frozen",
            AccountStatus::DebitBlocked => "debit_blocked",
            AccountStatus::Closed => "closed",
        };
        let row = self.accounts.row().small(place.shard).big(place.sequence);
        let row = row
            .bytes(&account.token.bytes())
            .bytes(&account.name.bytes())
            .text(status);
        row.big(account.balance.minor())
            .text(account.balance.currency().as_str());
    }

    fn push_agreement(&mut self, place: Place, agreement: &Agreement) {
        let status = match agreement.status {
            AgreementStatus::Normal => "normal",
            AgreementStatus::Rescinded => "rescinded",
        };
        let terms = &agreement.terms;
        let row = self.agreements.row().small(place.shard).big(place.sequence);
        let row = row.text(agreement.number.as_str()).bytes(&agreement.account.bytes());
        let row = row.text(agreement.institution.as_str()).text(status);
        let row = row
            .big(terms.single_max.minor())
            .text(terms.single_max.currency().as_str());
        let row = row
            .big(terms.daily_max.minor())
            .text(terms.daily_max.currency().as_str());
        row.big(terms.daily_count_max.into()).date(terms.expires);
    }
}
