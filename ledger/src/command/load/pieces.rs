//! A file in pieces: as many lines as go into one batch, so that a file of any length is never held as a whole.
//!
//! A line that does not read is told with its number and left out; it never takes the file with it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ledger_protocol::{LoadBatch, NewAccount};

use super::LoadFault;
use super::rows::{Header, Table};

/// Lines in one batch.
const PIECE_LINES: usize = 500;
/// No line of a table is longer; what is, is left out without being held.
const LINE_BYTES_MAX: usize = 4096;
const READ_BYTES: usize = 256 << 10;
/// What some spreadsheets begin a file with.
const BYTE_ORDER_MARK: &str = "\u{feff}";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedLine {
    /// From 1, the header.
    pub(super) line: u64,
    pub(super) reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) batch: LoadBatch<NewAccount>,
    /// Line of each item of the batch.
    pub(super) origins: Vec<u64>,
    pub(super) refused: Vec<RefusedLine>,
    /// Lines of the piece, blank ones not counted.
    pub(super) lines: u64,
    /// Bytes of the piece; the first one's with the header.
    pub(super) bytes: u64,
}

/// The pieces of one file, in order. Ends after a fault.
#[derive(Debug)]
pub(super) struct Pieces {
    path: PathBuf,
    input: BufReader<File>,
    table: Table,
    header: Header,
    /// Number of the line read last.
    line: u64,
    /// Bytes of the header, until a piece has counted them.
    header_bytes: u64,
    ended: bool,
}

enum Line {
    Whole,
    TooLong,
    End,
}

impl Pieces {
    pub(super) fn open(path: &Path, table: Table) -> Result<Self, LoadFault> {
        let path = path.to_owned();
        let file = File::open(&path).map_err(|source| LoadFault::read(&path, source))?;
        let mut input = BufReader::with_capacity(READ_BYTES, file);
        let mut first = Vec::new();
        let refused = |reason| LoadFault::Header {
            path: path.clone(),
            reason,
        };
        let (found, header_bytes) =
            read_line(&mut input, &mut first).map_err(|source| LoadFault::read(&path, source))?;
        let text = match found {
            Line::Whole => std::str::from_utf8(&first).map_err(|_| refused("it is not UTF-8".to_owned()))?,
            Line::TooLong => return Err(refused("it is too long".to_owned())),
            Line::End => return Err(refused("the file is empty".to_owned())),
        };
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let header = Header::read(table, text.trim_end()).map_err(refused)?;
        Ok(Self {
            path,
            input,
            table,
            header,
            line: 1,
            header_bytes,
            ended: false,
        })
    }

    fn piece(&mut self) -> Result<Piece, LoadFault> {
        let mut piece = Piece {
            bytes: std::mem::take(&mut self.header_bytes),
            ..Piece::default()
        };
        let mut line = Vec::new();
        for _ in 0..PIECE_LINES {
            let read = read_line(&mut self.input, &mut line);
            let (found, bytes) = read.map_err(|source| LoadFault::read(&self.path, source))?;
            let taken = match found {
                Line::End => {
                    self.ended = true;
                    break;
                }
                Line::TooLong => Err(format!("a line is {LINE_BYTES_MAX} bytes at the most")),
                Line::Whole if line.trim_ascii().is_empty() => {
                    self.line += 1;
                    piece.bytes += bytes;
                    continue;
                }
                Line::Whole => self.add(&mut piece.batch, &line),
            };
            self.line += 1;
            piece.bytes += bytes;
            piece.lines += 1;
            match taken {
                Ok(()) => piece.origins.push(self.line),
                Err(reason) => piece.refused.push(RefusedLine {
                    line: self.line,
                    reason,
                }),
            }
        }
        Ok(piece)
    }

    fn add(&self, batch: &mut LoadBatch<NewAccount>, line: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|_| "a line is UTF-8")?.trim_end();
        match self.table {
            Table::Accounts => batch.accounts.push(self.header.account(text)?),
            Table::Agreements => batch.agreements.push(self.header.agreement(text)?),
        }
        Ok(())
    }
}

impl Iterator for Pieces {
    type Item = Result<Piece, LoadFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let piece = self.piece();
        self.ended |= piece.is_err();
        Some(piece)
    }
}

/// The next line, without what ends it, and how many bytes it took from the file.
fn read_line(input: &mut BufReader<File>, line: &mut Vec<u8>) -> std::io::Result<(Line, u64)> {
    line.clear();
    let bound = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let read = input.by_ref().take(bound).read_until(b'\n', line)?;
    let mut bytes = u64::try_from(read).unwrap_or(u64::MAX);
    if read == 0 {
        return Ok((Line::End, 0));
    }
    if line.pop_if(|last| *last == b'\n').is_some() || read < LINE_BYTES_MAX {
        return Ok((Line::Whole, bytes));
    }
    loop {
        let rest = input.fill_buf()?;
        let end = rest.iter().position(|byte| *byte == b'\n');
        let skipped = end.map_or(rest.len(), |place| place + 1);
        let at_end = end.is_some() || rest.is_empty();
        input.consume(skipped);
        bytes = bytes.saturating_add(u64::try_from(skipped).unwrap_or(u64::MAX));
        if at_end {
            return Ok((Line::TooLong, bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "token,name,status,opening_balance";

    fn written(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accounts.csv");
        std::fs::write(&path, content).unwrap();
        (directory, path)
    }

    #[test]
    fn bad_lines_are_told_with_their_number_and_skipped() {
        let token = "a1".repeat(32);
        let good = format!("{token},{token},open,CNY10.00");
        let mut content = format!(
            "\u{feff}{HEADER}\r\n{good}\n{token},{token},asleep,CNY1.00\nshort\n\n{good}\r\n{token},{token},open,10\n"
        )
        .into_bytes();
        content.extend(vec![b'x'; 3 * LINE_BYTES_MAX]);
        content.extend(b"\n\xff\xfe\n");
        content.extend(good.as_bytes());
        let (_directory, path) = written(&content);
        let pieces: Vec<Piece> = Pieces::open(&path, Table::Accounts)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let [piece] = &pieces[..] else {
            panic!("one piece: {pieces:?}");
        };
        let told: Vec<_> = piece
            .refused
            .iter()
            .map(|refused| (refused.line, refused.reason.as_str()))
            .collect();
        let expected = [
            (3, "status is open, frozen, debit_blocked or closed"),
            (4, "a line has 4 columns"),
            (7, "opening_balance is an amount such as CNY518.17"),
            (8, "a line is 4096 bytes at the most"),
            (9, "a line is UTF-8"),
        ];
        assert_eq!(told, expected);
        assert_eq!((&piece.origins[..], piece.lines), (&[2, 6, 10][..], 8));
        assert_eq!(piece.batch.accounts.len(), 3);
        assert_eq!(piece.bytes, u64::try_from(content.len()).unwrap());
    }

    #[test]
    fn a_long_file_comes_in_pieces_of_which_nothing_is_lost() {
        let token = "a1".repeat(32);
        let lines = 2 * PIECE_LINES + 1;
        let content = format!("{HEADER}\n{}", format!("{token},{token},open,CNY1.00\n").repeat(lines));
        let (_directory, path) = written(content.as_bytes());
        let pieces = Pieces::open(&path, Table::Accounts).unwrap();
        let origins: Vec<u64> = pieces.flat_map(|piece| piece.unwrap().origins).collect();
        assert!(origins.iter().copied().eq((2..).take(lines)));
    }

    #[test]
    fn a_file_of_something_else_is_refused_whole() {
        for content in ["", "number,account\n", "\n"] {
            let (_directory, path) = written(content.as_bytes());
            let refused = Pieces::open(&path, Table::Accounts).map(|_| ());
            assert!(matches!(refused, Err(LoadFault::Header { .. })), "{content:?}");
        }
    }
}
