//! How far a load has come: a bar on a terminal, a line for each tenth elsewhere.

use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    on_terminal: bool,
    bytes: u64,
    bytes_done: u64,
    lines_done: u64,
    tenths_told: u64,
}

impl Progress {
    pub(super) fn over(bytes: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {msg}, {eta} left");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            bar: ProgressBar::new(bytes).with_style(style),
            on_terminal: std::io::stderr().is_terminal(),
            bytes,
            bytes_done: 0,
            lines_done: 0,
            tenths_told: 0,
        }
    }

    pub(super) fn advance(&mut self, file: &Path, lines: u64, bytes: u64) {
        self.bytes_done = self.bytes_done.saturating_add(bytes);
        self.lines_done = self.lines_done.saturating_add(lines);
        if self.on_terminal {
            self.bar.set_message(format!("{} lines", self.lines_done));
            self.bar.set_position(self.bytes_done);
            return;
        }
        let tenths = self.bytes_done.saturating_mul(10) / self.bytes.max(1);
        if tenths > self.tenths_told {
            self.tenths_told = tenths;
            eprintln!("{} %, {} lines, at {}", tenths * 10, self.lines_done, file.display());
        }
    }

    /// Writes to stderr without the bar in its way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
