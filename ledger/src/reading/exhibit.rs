//! Evidence for one transfer as one file that a third party checks with OpenSSL alone: an uncompressed tar whose
//! `README.txt` has the commands.
//!
//! What it holds: the request as signed, the signature, the serial of the key, the journal record that decided the transfer,
//! the next records, which hold its hash, and where the journal stood when the file was written. The certificate is the
//! sender's and not kept by the ledger; whoever exports may add it. The answer that went back over the network is signed
//! by the front end after the posting and is not kept here either: what the ledger knows is the outcome, which is in the
//! record. Only requests whose signature held are posted at all; that is the verdict, and anybody can come to it again.
//!
//! An exhibit is a function of its parts: [`check`] makes it anew and compares.

use ledger_journal::{ChainFault, ChainHash, ChainPosition, DecodeFault, Event, EvidenceDigest, JournalRecord};
use ledger_model::{Decision, Transfer, TransferKind};
use ledger_protocol::{Evidence, KeptEvidence};

use super::readme;
use super::signature::{Signature, read as read_signature};
use super::tar::{Part, TarFault, write};

pub const SIGNED: &str = "signed.bin";
pub const SIGNATURE: &str = "signature.bin";
/// The same in the form OpenSSL reads, where the sender used another.
pub const SIGNATURE_DER: &str = "signature-der.bin";
pub const SERIAL: &str = "signing-serial.txt";
pub const OUTCOME: &str = "outcome.txt";
pub const CERTIFICATE: &str = "certificate.pem";
pub const README: &str = "README.txt";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExhibitFault {
    #[error(transparent)]
    Tar(#[from] TarFault),
    #[error("{0} is missing or does not read")]
    Part(&'static str),
    #[error("a journal record does not read")]
    Record(#[source] DecodeFault),
    #[error("the journal record decides no transfer")]
    NoTransfer,
    #[error("signed bytes, signature and key serial are not what the journal record has the digest of")]
    Digest,
    #[error("the journal records do not follow from each other")]
    Chain(#[source] ChainFault),
    #[error("the last record is not the head that is named")]
    Head,
    #[error("the parts are not what an export of them would be; the first that differs is number {0}")]
    Differs(usize),
}

/// An exhibit that holds together; its signature is another matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhibit {
    pub transfer: Transfer,
    pub kept: KeptEvidence,
    /// PEM, as it was given.
    pub certificate: Option<Vec<u8>>,
    pub signature: Signature,
}

/// A record of the exhibit, decoded.
pub(super) struct Recorded<'a> {
    pub(super) record: JournalRecord,
    pub(super) encoded: &'a [u8],
}

impl Exhibit {
    /// Refuses what does not hold together.
    pub fn new(kept: KeptEvidence, certificate: Option<Vec<u8>>) -> Result<Self, ExhibitFault> {
        let records = recorded(&kept)?;
        let first = records.first().ok_or(ExhibitFault::NoTransfer)?;
        let (transfer, digest) = decided(&first.record.event).ok_or(ExhibitFault::NoTransfer)?;
        let Evidence {
            signed,
            signature,
            signing_serial,
        } = &kept.evidence;
        if EvidenceDigest::over(signed, signature, signing_serial) != digest {
            return Err(ExhibitFault::Digest);
        }
        let position = follow(&records)?;
        let named = ChainHash(kept.head);
        let is_head = position.sequence == kept.head_sequence;
        if kept.head_sequence < position.sequence || (is_head && named != position.head) {
            return Err(ExhibitFault::Head);
        }
        let transfer = transfer.clone();
        let signature = read_signature(signature);
        Ok(Self {
            transfer,
            kept,
            certificate,
            signature,
        })
    }

    /// The bank orders adjustments itself: what is kept is the order as text, which nobody has signed.
    pub fn is_unsigned(&self) -> bool {
        let by_the_bank = match self.transfer.kind {
            TransferKind::Reversal | TransferKind::Supplement => true,
            TransferKind::Payment | TransferKind::Refund | TransferKind::Payout => false,
        };
        by_the_bank && self.kept.evidence.signature.is_empty()
    }

    /// The exhibit in parts, the readme first.
    pub fn parts(&self) -> Result<Vec<Part>, ExhibitFault> {
        let records = recorded(&self.kept)?;
        let mut parts = vec![
            part(README, readme::text(self, &records).into_bytes()),
            part(OUTCOME, outcome(self, &records).into_bytes()),
            part(SIGNED, self.kept.evidence.signed.clone()),
            part(SIGNATURE, self.kept.evidence.signature.clone()),
            part(SERIAL, self.kept.evidence.signing_serial.clone().into_bytes()),
        ];
        if let Signature::SmRaw { der } = &self.signature {
            parts.push(part(SIGNATURE_DER, der.clone()));
        }
        if let Some(certificate) = &self.certificate {
            parts.push(part(CERTIFICATE, certificate.clone()));
        }
        for Recorded { record, encoded } in &records {
            parts.push(part(&record_name(record.sequence), encoded.to_vec()));
        }
        Ok(parts)
    }

    /// The file.
    pub fn archive(&self) -> Result<Vec<u8>, ExhibitFault> {
        Ok(write(&self.parts()?))
    }
}

/// Reads an exhibit and makes sure that it holds together: everything but the signature.
pub fn check(archive: &[u8]) -> Result<Exhibit, ExhibitFault> {
    let parts = super::tar::read(archive)?;
    let find = |name: &'static str| parts.iter().find(|part| part.name == name).map(|part| &part.content);
    let content = |name| find(name).cloned().ok_or(ExhibitFault::Part(name));
    let text = |name| String::from_utf8(content(name)?).map_err(|_| ExhibitFault::Part(name));
    let outcome = text(OUTCOME)?;
    let line = |field: &str| {
        let mut lines = outcome.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(name, _)| *name == field).map(|(_, value)| value)
    };
    let head = line(HEAD).and_then(|text| hex::decode(text).ok()?.try_into().ok());
    let records = parts.iter().filter(|part| part.name.starts_with(RECORD));
    let records: Vec<Vec<u8>> = records.map(|part| part.content.clone()).collect();
    let first = JournalRecord::decode(records.first().ok_or(ExhibitFault::NoTransfer)?);
    let first = first.map_err(ExhibitFault::Record)?;
    let kept = KeptEvidence {
        shard: first.shard.number(),
        sequence: first.sequence,
        evidence: Evidence {
            signed: content(SIGNED)?,
            signature: content(SIGNATURE)?,
            signing_serial: text(SERIAL)?,
        },
        records,
        head_sequence: line(HEAD_RECORD)
            .and_then(|number| number.parse().ok())
            .ok_or(ExhibitFault::Part(OUTCOME))?,
        head: head.ok_or(ExhibitFault::Part(OUTCOME))?,
    };
    let exhibit = Exhibit::new(kept, find(CERTIFICATE).cloned())?;
    let anew = exhibit.parts()?;
    let differs = (0..parts.len().max(anew.len())).find(|place| parts.get(*place) != anew.get(*place));
    differs.map_or(Ok(exhibit), |place| Err(ExhibitFault::Differs(place + 1)))
}

/// A transfer that a record decides, or takes in for its home, with the digest of its evidence.
pub fn decided(event: &Event) -> Option<(&Transfer, EvidenceDigest)> {
    match event {
        Event::TransferDecided { transfer, evidence, .. } | Event::TransferHopped { transfer, evidence, .. } => {
            Some((transfer, *evidence))
        }
        // the evidence of a hop is with the record that took it in
        Event::HopSettled { .. }
        | Event::HopClosed { .. }
        | Event::AccountOpened { .. }
        | Event::AgreementRecorded { .. }
        | Event::Administered { .. } => None,
    }
}

fn recorded(kept: &KeptEvidence) -> Result<Vec<Recorded<'_>>, ExhibitFault> {
    let records = kept.records.iter().map(|encoded| {
        let record = JournalRecord::decode(encoded).map_err(ExhibitFault::Record)?;
        Ok(Recorded { record, encoded })
    });
    records.collect()
}

/// Where the records lead, from the first of them on.
fn follow(records: &[Recorded<'_>]) -> Result<ChainPosition, ExhibitFault> {
    let first = records.first().ok_or(ExhibitFault::NoTransfer)?;
    let before = ChainPosition {
        shard: first.record.shard,
        sequence: first.record.sequence.saturating_sub(1),
        head: first.record.previous,
    };
    let followed = records
        .iter()
        .try_fold(before, |position, Recorded { record, encoded }| {
            position.follow(record, encoded)
        });
    followed.map_err(ExhibitFault::Chain)
}

fn part(name: &str, content: Vec<u8>) -> Part {
    Part {
        name: name.to_owned(),
        content,
    }
}

const RECORD: &str = "record-";
const HEAD: &str = "head of the journal at the export, sha256";
const HEAD_RECORD: &str = "last record at the export";

/// Twelve digits, so that names sort as numbers do.
pub(super) fn record_name(sequence: u64) -> String {
    format!("{RECORD}{sequence:012}.bin")
}

/// What the record says, for reading.
fn outcome(exhibit: &Exhibit, records: &[Recorded<'_>]) -> String {
    let transfer = &exhibit.transfer;
    let decision = match transfer.decision {
        Decision::Posted => "posted".to_owned(),
        Decision::Refused(refusal) => format!("refused, {}", refusal.name()),
    };
    let none = || "none".to_owned();
    let committed_at = records.first().map(|recorded| recorded.record.committed_at.to_string());
    let original = transfer.original.as_ref();
    let lines = [
        ("issuer", transfer.key.issuer.to_string()),
        ("category", transfer.key.category.to_string()),
        ("id", transfer.key.id.to_string()),
        ("kind", transfer.kind.name().to_owned()),
        ("amount", transfer.amount.money().to_string()),
        ("batch", transfer.batch.to_string()),
        ("institution", transfer.institution.to_string()),
        (
            "agreement",
            transfer.agreement.map_or_else(none, |number| number.to_string()),
        ),
        (
            "account token",
            transfer.account.map_or_else(none, |token| token.to_string()),
        ),
        ("original", original.map_or_else(none, |key| key.id.to_string())),
        ("decision", decision),
        ("serial of the bank", transfer.serial.to_string()),
        ("decided at", transfer.decided_at.to_string()),
        ("committed at", committed_at.unwrap_or_default()),
        ("shard", exhibit.kept.shard.to_string()),
        ("record", exhibit.kept.sequence.to_string()),
        (HEAD_RECORD, exhibit.kept.head_sequence.to_string()),
        (HEAD, hex::encode(exhibit.kept.head)),
    ];
    let hashes = records.iter().map(|Recorded { record, encoded }| {
        let hash = ChainHash::of(encoded).to_string();
        (format!("sha256 of {}", record_name(record.sequence)), hash)
    });
    let lines = lines.into_iter().map(|(name, value)| (name.to_owned(), value));
    let lines = lines.chain(hashes).map(|(name, value)| [name, value].join(": "));
    lines.flat_map(|line| [line, "\n".to_owned()]).collect()
}
