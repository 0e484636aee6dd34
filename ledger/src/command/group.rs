//! `ledger group`: the shard groups of the running ledger; adding one, removing one.
#![expect(clippy::print_stdout, reason = "output of a command")]

use std::io::IsTerminal;

use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use ledger_protocol::{
    LedgerFault, MovedShard, MovingShard, OrderedRegrouping, RegroupOrder, Regrouped, ShardGroup, ShardGroups,
};
use operations::exit;
use serde::Serialize;

use super::administrators::{self, AdministrationFault, By, failed};
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Group {
    /// The groups in the order of the ring: state, shards, hosts; and what is moving.
    List {
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Move shards to a group that was written to the configuration file, while orders go on. Breaking off this command does
    /// not break off the move; the same command again shows how far it is, or goes on where it failed.
    Add {
        #[arg(value_name = "NAME")]
        name: String,
        /// Numbers of the shards, joined by commas; when absent its share of all of them, from the fullest groups.
        #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
        shards: Vec<u8>,
        #[command(flatten)]
        by: By,
    },
    /// Move all shards of a group to the remaining ones, each to the one that its number picks. Otherwise as `add`.
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        by: By,
    },
}

pub fn run(config: &Config, group: Group) -> u8 {
    match group {
        Group::List { json } => list(config, json),
        Group::Add { name, shards, by } => regroup(config, RegroupOrder::Add { name, shards }, by),
        Group::Remove { name, by } => regroup(config, RegroupOrder::Remove { name }, by),
    }
}

#[derive(Debug, Serialize)]
struct Shown {
    groups: Vec<ShownGroup>,
    moving: Option<ShownMove>,
}

#[derive(Debug, Serialize)]
struct ShownGroup {
    name: String,
    state: String,
    shards: Vec<u8>,
    hosts: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ShownMove {
    shard: u8,
    from: String,
    to: String,
    place: u32,
    of: u32,
    step: String,
    rows: u64,
    rows_of: u64,
}

fn list(config: &Config, json: bool) -> u8 {
    let listed = administrators::ask(config, async |client| Ok(client.groups().await?));
    match listed.and_then(|listed| text(listed, json)) {
        Ok(text) => {
            println!("{text}");
            exit::DONE
        }
        Err(fault) => failed(&fault),
    }
}

fn text(listed: ShardGroups, json: bool) -> Result<String, AdministrationFault> {
    let ShardGroups { groups, moving } = listed;
    if json {
        let groups = groups.into_iter().map(|group| ShownGroup {
            name: group.name,
            state: group.state,
            shards: group.shards,
            hosts: group.hosts,
        });
        let shown = Shown {
            groups: groups.collect(),
            moving: moving.map(|moving| ShownMove {
                shard: moving.moved.shard,
                from: moving.moved.from,
                to: moving.moved.to,
                place: moving.place,
                of: moving.of,
                step: moving.step,
                rows: moving.rows,
                rows_of: moving.rows_of,
            }),
        };
        return Ok(serde_json::to_string_pretty(&shown)?);
    }
    let mut lines = vec![format!("{:<20} {:<10} {:<24} hosts", "group", "state", "shards")];
    for group in groups {
        let ShardGroup {
            name,
            state,
            shards,
            hosts,
        } = group;
        let shards = if shards.is_empty() {
            "none".to_owned()
        } else {
            numbers(shards.iter())
        };
        lines.push(format!("{name:<20} {state:<10} {shards:<24} {}", hosts.join(" ")));
    }
    lines.extend(moving.map(|moving| in_words(&moving)));
    Ok(lines.join("\n"))
}

/// What was heard last of an order that the ledger took.
enum Heard {
    Over(Regrouped),
    /// It ended what it was telling, since it stops.
    Nothing,
    Lost,
}

fn regroup(config: &Config, order: RegroupOrder, by: By) -> u8 {
    let By { operator, reason } = by;
    let ordered = OrderedRegrouping {
        order,
        operator,
        reason,
    };
    let last = administrators::ask(config, async |client| {
        let mut replies = std::pin::pin!(client.regroup(&ordered).await?);
        let mut progress = Progress::begin();
        let mut last = Heard::Nothing;
        while let Some(reply) = replies.next().await {
            match reply {
                Ok(Regrouped::Moving(moving)) => progress.show(&moving),
                Ok(over) => last = Heard::Over(over),
                // it took the order: how the connection ended says nothing of the move
                Err(LedgerFault::Call(_)) => last = Heard::Lost,
                Err(fault) => return Err(fault.into()),
            }
        }
        progress.finish();
        Ok(last)
    });
    match last {
        Ok(Heard::Over(over)) => return told(&ordered.order, over),
        Ok(Heard::Nothing) => eprintln!("the ledger stops; the same command goes on when it runs again"),
        Ok(Heard::Lost) => eprintln!(
            "the connection to the ledger was lost; the move goes on if the ledger still runs, or stays where it was, and \
             nothing is lost\nthe same command shows how far it is, and goes on"
        ),
        Err(fault) => return failed(&fault),
    }
    exit::FAILED
}

fn told(order: &RegroupOrder, over: Regrouped) -> u8 {
    match over {
        Regrouped::Done(moved) => {
            for MovedShard { shard, from, to } in &moved {
                eprintln!("shard {shard} moved from {from} to {to}");
            }
            match order {
                RegroupOrder::Add { name, .. } => eprintln!("the group {name} is in use"),
                RegroupOrder::Remove { name } => {
                    eprintln!(
                        "the group {name} holds no shard any more; its section may be deleted from the configuration \
                         file of every ledger process, numbers under its `shards` are written to another section"
                    );
                }
            }
            exit::DONE
        }
        Regrouped::Refused(why) => {
            eprintln!("refused: {why}");
            exit::FAILED
        }
        Regrouped::BrokeOff(why) => {
            eprintln!("broke off: {why}\nnothing is lost; the same command goes on from here");
            exit::FAILED
        }
        // never the last
        Regrouped::Moving(_) => exit::FAILED,
    }
}

fn numbers<'a>(shards: impl Iterator<Item = &'a u8>) -> String {
    shards.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn in_words(moving: &MovingShard) -> String {
    let MovingShard {
        moved: MovedShard { shard, from, to },
        place,
        of,
        step,
        rows,
        rows_of,
    } = moving;
    let step = match step.as_str() {
        "" => "begins".to_owned(),
        "handing_over" => "is handed over".to_owned(),
        step if *rows_of == 0 => step.replace('_', " "),
        step => format!("{}, {rows} of about {} rows", step.replace('_', " "), rows.max(rows_of)),
    };
    format!("shard {shard} ({place} of {of}), {from} to {to}: {step}")
}

/// A bar on a terminal; a line for each step, and each tenth of it, elsewhere.
struct Progress {
    bar: ProgressBar,
    on_terminal: bool,
    /// The shard, the step and the tenth that was told.
    told: Option<(u32, String, u64)>,
}

impl Progress {
    fn begin() -> Self {
        let style = ProgressStyle::with_template("{bar:30} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            bar: ProgressBar::new(1).with_style(style),
            on_terminal: std::io::stderr().is_terminal(),
            told: None,
        }
    }

    fn show(&mut self, moving: &MovingShard) {
        if self.on_terminal {
            self.bar.set_length(moving.rows.max(moving.rows_of).max(1));
            self.bar.set_position(moving.rows);
            self.bar.set_message(in_words(moving));
            return;
        }
        let tenth = moving.rows.saturating_mul(10) / moving.rows_of.max(1);
        let told = Some((moving.place, moving.step.clone(), tenth.min(10)));
        if told != self.told {
            eprintln!("{}", in_words(moving));
            self.told = told;
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
