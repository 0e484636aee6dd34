//! What the kernel tells about processes and the machine. Linux only; numbers that cannot be read are absent.

use std::collections::BTreeMap;
use std::fs;

/// Clock ticks a second in /proc: a constant of the kernel's interface on every machine this runs on.
const TICKS_PER_SECOND: u64 = 100;
const MICROS_PER_TICK: u64 = 1_000_000 / TICKS_PER_SECOND;

/// The fields of /proc/PID/stat we use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub parent: u32,
    pub is_defunct: bool,
    /// Since boot.
    pub began_ticks: u64,
    /// Own time in user and kernel mode.
    own_ticks: u64,
    /// That of children that have ended and were waited for.
    ended_children_ticks: u64,
}

pub fn stat(pid: u32) -> Option<Stat> {
    let mut stat = read_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    // a process is shown as defunct when its first thread is: the others may still hold its sockets
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat.is_defunct &= threads <= 1;
    Some(stat)
}

/// The command's name stands in parentheses and may hold anything, so fields are counted from the last one.
fn read_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Stat {
        is_defunct: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: number(11)?.checked_add(number(12)?)?,
        ended_children_ticks: number(13)?.checked_add(number(14)?)?,
        began_ticks: number(19)?,
    })
}

/// Differs from boot to boot.
pub fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// Processor time and resident memory of a process and all it started, whether these still run or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu_micros: u64,
    pub resident_bytes: u64,
}

impl Usage {
    pub fn of_tree(root: u32) -> Self {
        let processes = all();
        let members = members(root, &processes);
        let ticks: u64 = members
            .iter()
            .filter_map(|pid| processes.get(pid))
            .map(|stat| stat.own_ticks + stat.ended_children_ticks)
            .sum();
        Self {
            cpu_micros: ticks * MICROS_PER_TICK,
            resident_bytes: match *members {
                [only] => resident_bytes(only),
                _ => members.iter().map(|pid| fair_share_bytes(*pid)).sum(),
            },
        }
    }
}

/// Processor time of all children of this process that ended and were waited for.
pub fn ended_children_cpu_micros() -> u64 {
    stat(std::process::id()).map_or(0, |stat| stat.ended_children_ticks * MICROS_PER_TICK)
}

/// A process and all it started that still run.
pub fn tree(root: u32) -> Vec<u32> {
    members(root, &all())
}

fn all() -> BTreeMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect()
}

fn members(root: u32, processes: &BTreeMap<u32, Stat>) -> Vec<u32> {
    let mut members = vec![root];
    let mut looked_at = 0;
    while let Some(parent) = members.get(looked_at).copied() {
        let children = processes.iter().filter(|(_, stat)| stat.parent == parent);
        members.extend(children.map(|(pid, _)| *pid));
        looked_at += 1;
    }
    members
}

fn resident_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    kilobytes(&text, "VmRSS:").unwrap_or(0) * 1_024
}

/// Memory that processes share counts once over all of them.
fn fair_share_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    kilobytes(&text, "Pss:").unwrap_or(0) * 1_024
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Processor model and number of cores, for the line under every figure.
pub fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model
        .and_then(|rest| rest.split_once(':'))
        .map_or("unknown", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_with_a_nasty_name() {
        let line = "42 (a ) b (c) S 7 42 42 0 -1 4194304 1 2 3 4 110 20 5 6 20 0 9 0 8888 1 2 3";
        let expected = Stat {
            parent: 7,
            is_defunct: false,
            began_ticks: 8_888,
            own_ticks: 130,
            ended_children_ticks: 11,
        };
        assert_eq!(read_stat(line), Some(expected));
        assert_eq!(read_stat("42 (cut"), None);
        assert!(read_stat(&line.replace(") S", ") Z")).unwrap().is_defunct);
    }

    #[test]
    fn a_tree_has_all_generations() {
        let of = |parent| Stat {
            parent,
            is_defunct: false,
            began_ticks: 0,
            own_ticks: 0,
            ended_children_ticks: 0,
        };
        let processes = BTreeMap::from([(2, of(1)), (3, of(2)), (4, of(3)), (5, of(1)), (6, of(2))]);
        assert_eq!(members(2, &processes), [2, 3, 6, 4]);
    }

    #[test]
    fn this_process_is_seen() {
        let usage = Usage::of_tree(std::process::id());
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!(boot().is_some_and(|boot| boot.len() > 10));
    }
}
