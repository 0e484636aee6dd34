//! Rows in PostgreSQL's binary COPY format, written into one buffer.
//!
//! ```text
//! signature (11)  flags (4)  extension (4)  { columns (2) { length (4) value }* }*  -1 (2)
//! ```
//!
//! The caller writes as many columns as it announced and in the order of its COPY statement; PostgreSQL refuses
//! anything else. No connection here: the finished bytes are sent as they are.

use ledger_model::{BusinessDate, ChinaTime};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
const NO_FLAGS: u32 = 0;
const NO_EXTENSION: u32 = 0;
const END_OF_ROWS: i16 = -1;
const NULL: i32 = -1;
/// First day of PostgreSQL's own count of days.
const EPOCH: u32 = 20_000_101;

#[derive(Debug)]
pub(crate) struct CopyRows {
    bytes: Vec<u8>,
    columns: i16,
    rows: u64,
    epoch: BusinessDate,
}

/// The row being written; each call writes the next column.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    bytes: &'a mut Vec<u8>,
    epoch: BusinessDate,
}

impl CopyRows {
    pub(crate) fn new(columns: i16) -> Self {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&NO_FLAGS.to_be_bytes());
        bytes.extend_from_slice(&NO_EXTENSION.to_be_bytes());
        let epoch = BusinessDate::from_number(EPOCH).expect("the first of January is a day");
        Self {
            bytes,
            columns,
            rows: 0,
            epoch,
        }
    }

    pub(crate) fn row(&mut self) -> Row<'_> {
        self.rows += 1;
        self.bytes.extend_from_slice(&self.columns.to_be_bytes());
        Row {
            bytes: &mut self.bytes,
            epoch: self.epoch,
        }
    }

    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&END_OF_ROWS.to_be_bytes());
        self.bytes
    }
}

impl Row<'_> {
    pub(crate) fn bytes(self, value: &[u8]) -> Self {
        let length = i32::try_from(value.len()).expect("no column of the journal comes near two gigabytes");
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    pub(crate) fn bytes_or_null(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.bytes(value),
            None => self.null(),
        }
    }

    pub(crate) fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    pub(crate) fn text_or_null(self, value: Option<&str>) -> Self {
        self.bytes_or_null(value.map(str::as_bytes))
    }

    pub(crate) fn null(self) -> Self {
        self.bytes.extend_from_slice(&NULL.to_be_bytes());
        self
    }

    pub(crate) fn small(self, value: i16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn big(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn date(self, value: BusinessDate) -> Self {
        let days = i32::try_from(value.days_since(self.epoch)).expect("years 1 to 9999 are some millions of days");
        self.bytes(&days.to_be_bytes())
    }

    /// A `timestamp` without zone, in microseconds since the epoch.
    pub(crate) fn time(self, value: ChinaTime) -> Self {
        let seconds = value.seconds_since(self.epoch.at_midnight());
        self.big(seconds.saturating_mul(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_format() {
        let mut rows = CopyRows::new(4);
        rows.row()
            .small(3)
            .text("ab")
            .null()
            .date("2000-01-03".parse().unwrap());
        rows.row()
            .big(-1)
            .bytes_or_null(None)
            .text_or_null(Some("x"))
            .time("2000-01-01T00:00:02".parse().unwrap());
        assert_eq!(rows.rows(), 2);
        let header = [&SIGNATURE[..], &[0; 8]].concat();
        let first = [
            0, 4, 0, 0, 0, 2, 0, 3, 0, 0, 0, 2, b'a', b'b', 255, 255, 255, 255, 0, 0, 0, 4, 0, 0, 0, 2,
        ];
        let minus_one = [0, 4, 0, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 255];
        let rest = [
            255, 255, 255, 255, 0, 0, 0, 1, b'x', 0, 0, 0, 8, 0, 0, 0, 0, 0, 0x1e, 0x84, 0x80, 255, 255,
        ];
        assert_eq!(rows.finish(), [&header[..], &first, &minus_one, &rest].concat());
    }
}
