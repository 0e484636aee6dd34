//! Named figures, in the order they came.

use std::fs;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<(String, Value)>);

impl Figures {
    pub(crate) fn whole(&mut self, name: &str, figure: u64) {
        self.put(name, json!(figure));
    }

    /// Three decimals.
    pub(crate) fn decimal(&mut self, name: &str, figure: f64) {
        self.put(name, json!((figure * 1000.0).round() / 1000.0));
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.put(name, json!(text));
    }

    fn put(&mut self, name: &str, value: Value) {
        eprintln!("  {name} {value}");
        self.0.push((name.to_owned(), value));
    }

    /// Percentiles of microseconds, told in milliseconds.
    pub(crate) fn latencies(&mut self, prefix: &str, micros: &Histogram<u64>) {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            let value = micros.value_at_quantile(quantile) as f64 / 1000.0;
            self.decimal(&format!("{prefix}_{name}_ms"), value);
        }
        self.decimal(&format!("{prefix}_max_ms"), micros.max() as f64 / 1000.0);
    }

    fn of(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.as_f64()).unwrap()
    }

    pub(crate) fn ratio(&mut self, name: &str, of: &str, to: &str) {
        let ratio = self.of(of) / self.of(to);
        self.decimal(name, ratio);
    }

    pub(crate) fn json(&self) -> String {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("  \"{name}\": {value}"))
            .collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }

    pub(crate) fn print(&self) {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.0 {
            println!("  {name:<width$}  {value}");
        }
    }
}

/// A number of this process' status files in /proc, by the name of its line.
fn proc_number(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Handed to the disk by this process.
pub(crate) fn written_bytes() -> u64 {
    proc_number("io", "write_bytes:")
}

pub(crate) fn resident_mib() -> u64 {
    proc_number("status", "VmRSS:") / 1024
}

/// Of this process, user and kernel, in microseconds.
pub(crate) fn cpu_micros() -> u64 {
    cpu_micros_of(std::process::id())
}

/// Of a process and of those of its children that have ended.
pub(crate) fn cpu_micros_of(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = text.rsplit_once(')').map_or("", |(_, after)| after);
    let fields = after_name.split_whitespace().skip(11).take(4);
    let ticks: u64 = fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // clock ticks of 10 ms
    ticks * 10_000
}

pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or(": ?");
    let count = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{count} × {}", model.trim_start_matches([' ', '\t', ':']))
}
