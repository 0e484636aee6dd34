//! Lines and the chain they make.
//!
//! ```text
//!   {"seq":7,"time":"…","kind":"…",…,"prev":"<hash of line 6>","hash":"<hash of line 7>"}\n
//!   └──────────── what is hashed: SHA-256 ────────────────────┘
//! ```
//!
//! So `sed 's/,"hash":"[0-9a-f]*"}$//' | tr -d '\n' | sha256sum` gives the hash of one line. Every byte of a line is
//! either hashed, or part of the hash, or the fixed text around it.

use super::digest::Digest;
use super::record::{Event, Moment, Record};

const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";
/// Longer than any line this writes, by far.
pub(crate) const LINE_BYTES_MAX: usize = 256 * 1024;

/// The place of the last record of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: Digest,
}

/// Why bytes are no line of a log. Whether it is the right one is another question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineFault {
    #[error("this is no record")]
    NoRecord,
    #[error("the record was altered: its hash is not the hash of its text")]
    Altered,
}

impl Head {
    /// Before the first record.
    pub(crate) const START: Self = Self {
        seq: 0,
        hash: Digest::NOTHING,
    };

    /// The next line of the chain, with its end; the head moves on to it.
    pub(crate) fn append(&mut self, time: Moment, event: Event) -> String {
        let record = Record {
            seq: self.seq + 1,
            time,
            event,
            prev: self.hash,
        };
        let mut line = serde_json::to_string(&record).expect("a record has text keys only");
        let closing = line.pop();
        debug_assert_eq!(closing, Some('}'), "a record is an object");
        let hash = Digest::of(line.as_bytes());
        line.push_str(BEFORE_HASH);
        line.push_str(&hash.to_string());
        line.push_str(AFTER_HASH);
        line.push('\n');
        *self = Self { seq: record.seq, hash };
        line
    }
}

/// Reads a line without its end. The hash returned is the one of its text.
pub(crate) fn read(line: &[u8]) -> Result<(Record, Digest), LineFault> {
    let text = std::str::from_utf8(line).map_err(|_| LineFault::NoRecord)?;
    let (hashed, hash) = split(text).ok_or(LineFault::NoRecord)?;
    if Digest::of(hashed.as_bytes()) != hash {
        return Err(LineFault::Altered);
    }
    let record = serde_json::from_str(text).map_err(|_| LineFault::NoRecord)?;
    Ok((record, hash))
}

fn split(text: &str) -> Option<(&str, Digest)> {
    let rest = text.strip_suffix(AFTER_HASH)?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(Digest::DIGITS)?)?;
    Some((rest.strip_suffix(BEFORE_HASH)?, hash.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str) -> Moment {
        text.parse().unwrap()
    }

    fn three_lines() -> String {
        let mut head = Head::START;
        let time = moment("2026-11-20T08:15:30.120Z");
        let file = Event::File {
            log: "00ff".to_owned(),
            format: 1,
            previous_file: None,
        };
        let key_use = Event::KeyUse {
            operation: "sign".to_owned(),
            key: "4B42".to_owned(),
            caller: "frontend".to_owned(),
            from: time,
            to: moment("2026-11-20T08:15:31Z"),
            count: 2,
            digests: vec![Digest::of(b"a"), Digest::of(b"b")],
        };
        [file, key_use, Event::Stop {}]
            .map(|event| head.append(time, event))
            .concat()
    }

    /// The format on the disk. Who changes this breaks logs that exist.
    #[test]
    fn golden_lines() {
        expect_test::expect_file!["golden.jsonl"].assert_eq(&three_lines());
    }

    #[test]
    fn what_is_written_is_read() {
        let mut head = Head::START;
        for line in three_lines().lines() {
            let (record, hash) = read(line.as_bytes()).unwrap();
            assert_eq!((record.seq, record.prev), (head.seq + 1, head.hash));
            head = Head { seq: record.seq, hash };
            let mut again = Head {
                seq: record.seq - 1,
                hash: record.prev,
            };
            assert_eq!(again.append(record.time, record.event), format!("{line}\n"));
        }
        assert_eq!(head.seq, 3);
    }

    proptest! {
        #[test]
        fn any_other_byte_anywhere_is_found(line in 0..3usize, place: prop::sample::Index, other: u8) {
            let text = three_lines();
            let mut line = text.lines().nth(line).unwrap().as_bytes().to_vec();
            let place = place.index(line.len());
            prop_assume!(line[place] != other);
            line[place] = other;
            prop_assert!(read(&line).is_err());
        }

        #[test]
        fn any_bytes_give_a_verdict(bytes: Vec<u8>) {
            prop_assert!(read(&bytes).is_err());
        }
    }
}
