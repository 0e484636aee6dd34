//! What the installation says on the terminal: steps with their times, tables. Figures go to standard output, so that
//! they can be kept; nothing here decides anything.
#![expect(clippy::print_stdout, reason = "this is the output of the program's commands")]

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Numbers the steps of a command and says how long each took.
#[derive(Debug)]
pub struct Steps {
    count: usize,
    done: usize,
    began: Instant,
}

impl Steps {
    pub fn new(count: usize) -> Self {
        Self {
            count,
            done: 0,
            began: Instant::now(),
        }
    }

    /// Announces a step, does it, and says that it is done.
    pub fn step<T, E>(&mut self, name: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.done += 1;
        println!("\n[{:>2}/{}] {name}", self.done, self.count);
        let began = Instant::now();
        let done = work()?;
        println!("        done in {}", seconds(began.elapsed()));
        Ok(done)
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

pub fn say(text: impl Display) {
    println!("{text}");
}

/// With one decimal: `2.9 s`.
pub fn seconds(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// In mebibytes, rounded up.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Columns as wide as their widest cell; numbers to the right, texts to the left.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            rows: vec![header.map(str::to_owned).to_vec()],
        }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().skip(1).filter_map(|row| row.get(column));
        cells.all(|cell| {
            cell.chars()
                .all(|letter| letter.is_ascii_digit() || letter == '.' || letter == '-')
        })
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (line, row) in self.rows.iter().enumerate() {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let width = self.width(column);
                if self.is_numeric(column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            let text = cells.collect::<Vec<_>>().join("  ");
            writeln!(f, "  {}", text.trim_end())?;
            if line == 0 {
                writeln!(f, "  {}", "-".repeat(text.chars().count()))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_by_what_its_columns_hold() {
        let mut table = Table::new(["name", "count", "note"]);
        table.row(["a".into(), "12".into(), "x".into()]);
        table.row(["longer".into(), "7".into(), String::new()]);
        let expected = "  name    count  note\n  -------------------\n  a          12  x\n  longer      7\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn times_are_rounded_to_tenths() {
        let check = |ms, expected| assert_eq!(seconds(Duration::from_millis(ms)), expected);
        check(0, "0.0 s");
        check(2_949, "2.9 s");
        check(59_950, "60.0 s");
    }
}
