//! Plain text tables for terminals and mails.

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    Left,
    Right,
}

#[derive(Debug)]
pub(crate) struct TextTable {
    set: Vec<Set>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    pub(crate) fn new(columns: &[(&str, Set)]) -> Self {
        let header = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self {
            set: columns.iter().map(|(_, set)| *set).collect(),
            rows: vec![header],
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// Lines without trailing space, the header first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.set.len()).map(width).collect();
        let set_row = |row: &Vec<String>| {
            let cells = row
                .iter()
                .zip(&widths)
                .zip(&self.set)
                .map(|((cell, width), set)| match set {
                    Set::Left => format!("{cell:<width$}"),
                    Set::Right => format!("{cell:>width$}"),
                });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(set_row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = TextTable::new(&[("batch", Set::Left), ("net", Set::Right)]);
        assert!(table.is_empty());
        table.row(vec!["B1".to_owned(), "CNY-10.00".to_owned()]);
        table.row(vec!["B20000".to_owned(), "CNY1.00".to_owned()]);
        assert_eq!(
            table.lines(),
            ["batch         net", "B1      CNY-10.00", "B20000    CNY1.00"]
        );
    }
}
