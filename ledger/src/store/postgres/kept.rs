//! Records with the evidence kept with them, group by group, for whoever archives.

use super::frame::{all_evidence, records, signed, unsigned};
use super::reader::{PostgresReader, column};
use crate::store::{Kept, StoreFault};

/// Groups from the one with record `$2` on, as many as come to about `$3` bytes as they lie there.
const KEPT: &str = "SELECT first, items, evidence FROM ( \
     SELECT first, last, items, evidence, sum(octet_length(items) + octet_length(evidence)) OVER (ORDER BY last) \
     - octet_length(items) - octet_length(evidence) AS before \
     FROM (SELECT first, last, items, evidence FROM frame WHERE shard = $1 AND last >= $2 ORDER BY last LIMIT 64) \
     AS frame) AS frame WHERE before < $3 ORDER BY last";

/// Between the bytes of a group as they lie there and as they are told, so that what is read is nearly all told.
const COMPRESSION_USUAL: usize = 4;

pub(super) fn kept(reader: &PostgresReader, from: u64, bytes_max: usize) -> Result<Vec<Kept>, StoreFault> {
    let first = signed(from)?;
    let wanted = i64::try_from(bytes_max / COMPRESSION_USUAL).unwrap_or(i64::MAX).max(1);
    let rows = reader.ask(&async |client, _| client.query(KEPT, &[&reader.shard(), &first, &wanted]).await)?;
    let mut found: Vec<Kept> = Vec::new();
    let mut bytes = 0_usize;
    for row in &rows {
        let begins: i64 = column(row, 0)?;
        let begins = unsigned(begins)?;
        let items: &[u8] = column(row, 1)?;
        let mut evidence = all_evidence(column(row, 2)?, begins)?.into_iter().peekable();
        for (number, record) in (begins..).zip(records(items)?) {
            let of_it = evidence.next_if(|(place, _)| *place == number);
            if number < from {
                continue;
            }
            if !found.is_empty() && bytes >= bytes_max {
                return Ok(found);
            }
            let kept = Kept {
                record: record.to_vec(),
                evidence: of_it.map(|(_, sealed)| sealed),
            };
            bytes = bytes.saturating_add(kept.bytes());
            found.push(kept);
        }
    }
    Ok(found)
}
