//! The table for people, and the flat object for programs.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::implementation::Operation;
use crate::measure::{Outcome, Row};
use crate::ours::BATCHES;

const NAME_WIDTH: usize = 24;
const CELL_WIDTH: usize = 17;

/// What was measured, and what could not be.
pub(crate) struct Report {
    pub(crate) machine: Vec<String>,
    /// In the order of the batch sizes.
    pub(crate) batched: Vec<Row>,
    pub(crate) singly: Row,
    pub(crate) others: Vec<Row>,
    /// Name and reason.
    pub(crate) absent: Vec<(String, String)>,
}

impl Report {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.machine {
            line_of(&mut text, line);
        }
        let titles = Operation::ALL.map(|operation| format!("{:>CELL_WIDTH$}", operation.title()));
        line_of(
            &mut text,
            &format!("\n{:NAME_WIDTH$}{}", "operations a second", titles.concat()),
        );
        for row in self.batched.iter().chain([&self.singly]) {
            line_of(&mut text, &self.row(row));
        }
        line_of(
            &mut text,
            "\nothers, one at a time (n×: how many times as fast ours is by batches of 64)",
        );
        for row in &self.others {
            line_of(&mut text, &self.row(row));
        }
        self.notes(&mut text);
        text
    }

    /// With how many times as fast ours is by the largest batch.
    fn row(&self, row: &Row) -> String {
        let best = |operation: Operation| self.batched.first().and_then(|ours| ours.per_second(operation));
        let cell = |operation: Operation| {
            let Some(cell) = row.cells.iter().find(|cell| cell.operation == operation) else {
                return "–".to_owned();
            };
            match cell.outcome {
                Outcome::Wrong(_) => "wrong".to_owned(),
                Outcome::Panicked => "panicked".to_owned(),
                Outcome::PerSecond(rate) => {
                    let ratio = best(operation).map_or(String::new(), |best| ratio(best / rate));
                    format!("{} {ratio:>5}", grouped(rate))
                }
            }
        };
        let cells = Operation::ALL.map(|operation| format!("{:>CELL_WIDTH$}", cell(operation)));
        format!("{:NAME_WIDTH$}{}", row.implementation.name, cells.concat())
    }

    fn notes(&self, text: &mut String) {
        line_of(text, "\nnotes");
        for row in &self.others {
            for remark in &row.implementation.remarks {
                line_of(text, &format!("  {}: {remark}", row.implementation.name));
            }
            for cell in &row.cells {
                let what = cell.operation.title();
                match cell.outcome {
                    Outcome::PerSecond(_) => {}
                    Outcome::Wrong(fault) => {
                        line_of(text, &format!("  {}: {what}: {fault}", row.implementation.name));
                    }
                    Outcome::Panicked => line_of(text, &format!("  {}: {what}: panics", row.implementation.name)),
                }
            }
        }
        for (name, reason) in &self.absent {
            line_of(text, &format!("  {name}: not measured: {reason}"));
        }
    }

    /// Operations a second, whole numbers.
    pub(crate) fn object(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mut put = |key: String, rate: Option<f64>| {
            let whole = rate.and_then(|rate| format!("{rate:.0}").parse::<u64>().ok());
            if let Some(whole) = whole {
                object.insert(key, Value::from(whole));
            }
        };
        for operation in Operation::ALL {
            let key = operation.key();
            for (row, batch) in self.batched.iter().zip(BATCHES) {
                let rate = row.per_second(operation);
                put(format!("{key}_batch{batch}_per_s"), rate);
                if batch == 64 {
                    let way = if operation == Operation::Hash { "lanes" } else { "batch" };
                    put(format!("{key}_{way}_per_s"), rate);
                }
            }
            put(format!("{key}_single_per_s"), self.singly.per_second(operation));
            for row in &self.others {
                let name = row.implementation.key;
                put(format!("{name}_{key}_per_s"), row.per_second(operation));
            }
        }
        object
    }
}

fn line_of(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes any line");
}

/// Two digits or whole: more are not repeatable.
fn ratio(ratio: f64) -> String {
    if ratio < 10.0 {
        format!("{ratio:.1}×")
    } else {
        format!("{ratio:.0}×")
    }
}

/// With commas between the thousands.
fn grouped(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_grouped_by_thousands() {
        #[track_caller]
        fn check(rate: f64, expected: &str) {
            assert_eq!(grouped(rate), expected);
        }
        check(0.4, "0");
        check(999.0, "999");
        check(1_000.0, "1,000");
        check(123_456.7, "123,457");
        check(3_400_000.0, "3,400,000");
    }

    #[test]
    fn ratios_have_two_digits_or_are_whole() {
        #[track_caller]
        fn check(number: f64, expected: &str) {
            assert_eq!(ratio(number), expected);
        }
        check(0.84, "0.8×");
        check(9.75, "9.8×");
        check(163.2, "163×");
    }
}
