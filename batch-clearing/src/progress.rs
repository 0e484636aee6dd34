//! Progress of the night on a terminal; nothing where there is none.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);

/// One line on stderr that says what is being done. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    pub fn on_terminal() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {prefix:<10} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    pub fn begin(&self, step: &'static str) {
        self.0.reset_elapsed();
        self.0.set_prefix(step);
        self.0.set_message("");
    }

    pub fn say(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Leaves a line behind.
    pub fn end(&self, step: &'static str, outcome: &str) {
        let elapsed = self.0.elapsed();
        self.0.println(format!("  {elapsed:>8.1?} {step:<10} {outcome}"));
    }

    /// Clears the line.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
