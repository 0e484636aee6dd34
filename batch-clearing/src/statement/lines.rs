//! The text of a detail file: a header line of column names, one line a transfer, a trailer with count and total.
//!
//! Which column means what comes from the header and the configured names. Every line is parsed into types or the whole
//! file is refused; a file without lines is refused too, since nothing tells it from one that was cut short.

use std::io::{self, BufRead, Read};
use std::str::FromStr;

use ledger_model::{BatchId, ChinaTime, InstitutionId, Money, MoneyFault, Side, TransferStatus};

use super::{StatementLine, TransferName, total};
use crate::config::{Columns, StatementLayout};

const LINE_BYTES_MAX: u64 = 4096;

#[derive(Debug, thiserror::Error)]
pub enum LinesFault {
    #[error("the text cannot be read")]
    Read(#[from] io::Error),
    #[error("empty, which is suspicious and not a success")]
    Empty,
    #[error("no transfers between header and trailer, which is suspicious and not a success")]
    NoTransfers,
    #[error("line {0} is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong(u64),
    #[error("line {0} is not UTF-8 text")]
    NotText(u64),
    #[error("unknown column {0:?}")]
    UnknownColumn(String),
    #[error("column {0:?} is missing")]
    MissingColumn(String),
    #[error("column {0:?} stands twice")]
    RepeatedColumn(String),
    #[error("line {line} has {found} fields where the header has {expected}")]
    FieldCount { line: u64, expected: usize, found: usize },
    #[error("line {line}: column {column} is not {rule}")]
    Field {
        line: u64,
        column: &'static str,
        rule: &'static str,
    },
    #[error("line {line} is of batch {found}")]
    OtherBatch { line: u64, found: BatchId },
    #[error("the trailer is missing: cut short")]
    NoTrailer,
    #[error("the trailer is not a count and a total")]
    Trailer,
    #[error("there are lines after the trailer")]
    AfterTrailer,
    #[error("the trailer counts {said} lines, the file has {found}")]
    Count { said: u64, found: u64 },
    #[error("the trailer's total is {said}, the lines add up to {found}")]
    Total { said: Money, found: Money },
    #[error("the lines are of several currencies, which one total cannot be of")]
    Currencies,
    #[error("the lines add up to more than can be counted")]
    OutOfRange,
}

/// Place of each column we read; in the order of [`Columns`].
struct Places {
    batch: usize,
    transfer: usize,
    category: usize,
    amount: usize,
    direction: usize,
    payer_institution: usize,
    payee_institution: usize,
    institution: usize,
    status: usize,
    finished_at: usize,
    bank_serial: usize,
    /// How many columns there are in all.
    count: usize,
}

/// `batch`: the one the file is named after; a line of another makes the file a bad one.
pub fn read_lines(
    text: &mut impl BufRead,
    layout: &StatementLayout,
    batch: BatchId,
) -> Result<Vec<StatementLine>, LinesFault> {
    let mut reader = LineReader { text, number: 0 };
    let header = reader.next()?.ok_or(LinesFault::Empty)?;
    let places = Places::of_header(&header, layout)?;
    let mut lines = Vec::new();
    let trailer = loop {
        let line = reader.next()?.ok_or(LinesFault::NoTrailer)?;
        let fields: Vec<&str> = line.split(layout.separator).collect();
        if let [first, rest @ ..] = fields.as_slice()
            && *first == layout.trailer
        {
            let [count, sum] = rest else {
                return Err(LinesFault::Trailer);
            };
            break (
                count.parse::<u64>().map_err(|_| LinesFault::Trailer)?,
                total(sum).ok_or(LinesFault::Trailer)?,
            );
        }
        lines.push(places.read(&fields, reader.number, batch)?);
    };
    if reader.next()?.is_some() {
        return Err(LinesFault::AfterTrailer);
    }
    check_trailer(trailer, &lines)?;
    if lines.is_empty() {
        Err(LinesFault::NoTransfers)
    } else {
        Ok(lines)
    }
}

fn check_trailer((said_count, said_total): (u64, Money), lines: &[StatementLine]) -> Result<(), LinesFault> {
    let found = u64::try_from(lines.len()).map_err(|_| LinesFault::OutOfRange)?;
    if said_count != found {
        return Err(LinesFault::Count {
            said: said_count,
            found,
        });
    }
    let mut sum = Money::zero(
        lines
            .first()
            .map_or(said_total.currency(), |line| line.amount.currency()),
    );
    for line in lines {
        sum = sum.plus(line.amount.money()).map_err(|fault| match fault {
            MoneyFault::CurrenciesDiffer => LinesFault::Currencies,
            MoneyFault::Form
            | MoneyFault::TooLong
            | MoneyFault::NotPositive
            | MoneyFault::Currency
            | MoneyFault::OutOfRange => LinesFault::OutOfRange,
        })?;
    }
    if sum == said_total {
        Ok(())
    } else {
        Err(LinesFault::Total {
            said: said_total,
            found: sum,
        })
    }
}

struct LineReader<'a, R> {
    text: &'a mut R,
    number: u64,
}

impl<R: BufRead> LineReader<'_, R> {
    /// `None` at the end.
    fn next(&mut self) -> Result<Option<String>, LinesFault> {
        let mut line = Vec::new();
        self.number += 1;
        if self.text.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        } else if u64::try_from(line.len()).is_ok_and(|length| length == LINE_BYTES_MAX) {
            return Err(LinesFault::LineTooLong(self.number));
        }
        String::from_utf8(line)
            .map(Some)
            .map_err(|_| LinesFault::NotText(self.number))
    }
}

impl Places {
    fn of_header(header: &str, layout: &StatementLayout) -> Result<Self, LinesFault> {
        let names: Vec<&str> = header.split(layout.separator).collect();
        let columns = &layout.columns;
        let known = columns.names();
        for (place, name) in names.iter().enumerate() {
            if names.iter().skip(place + 1).any(|other| other == name) {
                return Err(LinesFault::RepeatedColumn((*name).to_owned()));
            }
            if !known.contains(name) && !layout.columns_ignored.iter().any(|ignored| ignored == name) {
                return Err(LinesFault::UnknownColumn((*name).to_owned()));
            }
        }
        let place = |wanted: &str| {
            let found = names.iter().position(|name| *name == wanted);
            found.ok_or_else(|| LinesFault::MissingColumn(wanted.to_owned()))
        };
        Ok(Self {
            batch: place(&columns.batch)?,
            transfer: place(&columns.transfer)?,
            category: place(&columns.category)?,
            amount: place(&columns.amount)?,
            direction: place(&columns.direction)?,
            payer_institution: place(&columns.payer_institution)?,
            payee_institution: place(&columns.payee_institution)?,
            institution: place(&columns.institution)?,
            status: place(&columns.status)?,
            finished_at: place(&columns.finished_at)?,
            bank_serial: place(&columns.bank_serial)?,
            count: names.len(),
        })
    }

    fn read(&self, fields: &[&str], line: u64, batch: BatchId) -> Result<StatementLine, LinesFault> {
        if fields.len() != self.count {
            return Err(LinesFault::FieldCount {
                line,
                expected: self.count,
                found: fields.len(),
            });
        }
        let row = Row { fields, line };
        let _either_side: InstitutionId = row.parse(self.payer_institution, "payer institution", INSTITUTION)?;
        let _other_side: InstitutionId = row.parse(self.payee_institution, "payee institution", INSTITUTION)?;
        let _when: Option<ChinaTime> = row.parse_unless_empty(self.finished_at, "finish time", "a time or empty")?;
        let found = row.parse(self.batch, "batch", "a batch id")?;
        if found != batch {
            return Err(LinesFault::OtherBatch { line, found });
        }
        Ok(StatementLine {
            name: TransferName {
                id: row.parse(self.transfer, "transfer", "a transfer id")?,
                category: row.parse(self.category, "category", "four digits")?,
            },
            batch,
            amount: row.parse(self.amount, "amount", "an amount such as CNY518.17")?,
            direction: row.one_of(self.direction, "direction", "D or C", |text| match text {
                "D" => Some(Side::Debit),
                "C" => Some(Side::Credit),
                _ => None,
            })?,
            institution: row.parse(self.institution, "institution", INSTITUTION)?,
            status: row.one_of(self.status, "status", "00 or 01", |text| {
                TransferStatus::from_code(text).filter(|status| *status != TransferStatus::InProcess)
            })?,
            serial: row.parse_unless_empty(self.bank_serial, "bank serial", "a bank serial or empty")?,
        })
    }
}

const INSTITUTION: &str = "an institution";

struct Row<'a> {
    fields: &'a [&'a str],
    line: u64,
}

impl Row<'_> {
    fn one_of<T>(
        &self,
        place: usize,
        column: &'static str,
        rule: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, LinesFault> {
        let field = self.fields.get(place).copied().unwrap_or_default();
        read(field).ok_or(LinesFault::Field {
            line: self.line,
            column,
            rule,
        })
    }

    fn parse<T: FromStr>(&self, place: usize, column: &'static str, rule: &'static str) -> Result<T, LinesFault> {
        self.one_of(place, column, rule, |text| text.parse().ok())
    }

    fn parse_unless_empty<T: FromStr>(
        &self,
        place: usize,
        column: &'static str,
        rule: &'static str,
    ) -> Result<Option<T>, LinesFault> {
        self.one_of(place, column, rule, |text| {
            if text.is_empty() {
                Some(None)
            } else {
                text.parse().ok().map(Some)
            }
        })
    }
}

impl Columns {
    fn names(&self) -> [&str; 11] {
        let Self {
            batch,
            transfer,
            category,
            amount,
            direction,
            payer_institution,
            payee_institution,
            ..
        } = self;
        let Self {
            institution,
            status,
            finished_at,
            bank_serial,
            ..
        } = self;
        [
            batch,
            transfer,
            category,
            amount,
            direction,
            payer_institution,
            payee_institution,
            institution,
            status,
            finished_at,
            bank_serial,
        ]
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
pub(super) mod tests;
