//! Feeding an installation: accounts and agreements, then messages as the network sends them.
//!
//! Both are made by the `fixtures` program from a seed; this module only says where things are.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use thiserror::Error;

use crate::installation::Plan;
use crate::layout::{LayoutFault, file_fault};
use crate::part::Part;
use crate::ports::Port;
use crate::tools::{ToolFault, Tools, text};

const ACCOUNTS_SEED: u64 = 1;

#[derive(Debug, Error)]
pub enum FeedFault {
    #[error(transparent)]
    Tool(#[from] ToolFault),
    #[error(transparent)]
    File(#[from] LayoutFault),
    #[error("{path} is not what `fixtures replay` writes")]
    Form {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    Sm,
    Rsa,
}

impl Suite {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sm => "sm",
            Self::Rsa => "rsa",
        }
    }

    pub const fn long_name(self) -> &'static str {
        match self {
            Self::Sm => "SM2 with SM3, SM4",
            Self::Rsa => "RSA-2048 with SHA-256, AES-256",
        }
    }
}

/// What the messages are a mix of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// All kinds, with duplicates, refusals and broken ones.
    Demo,
    /// Only what posts.
    Postings,
}

/// Makes a population through the signer (only it can make tokens) and loads it through the ledger.
pub fn load_accounts(plan: &Plan, count: u64) -> Result<(), FeedFault> {
    let directory = plan.layout.accounts();
    let signer = format!("unix:{}", plan.layout.socket(Part::Signer).display());
    let (count, seed, out) = (count.to_string(), ACCOUNTS_SEED.to_string(), text(&directory));
    let arguments = [
        "accounts", "--count", &count, "--seed", &seed, "--signer", &signer, "--out", &out,
    ];
    plan.tools.run("fixtures", &arguments)?;
    let (accounts, agreements) = (
        text(&directory.join("accounts.csv")),
        text(&directory.join("agreements.csv")),
    );
    let load = ["load", "--accounts", &accounts, "--agreements", &agreements];
    Ok(plan.tools.configured(&plan.layout, Part::Ledger, &load)?)
}

#[derive(Debug)]
pub struct Replay {
    pub mix: Mix,
    pub messages: u64,
    pub accounts: u64,
    pub connections: u32,
    pub suite: Suite,
    /// Replays of one installation need different seeds, else they are repeats.
    pub seed: u64,
    pub transcript: PathBuf,
    pub report: PathBuf,
}

impl Replay {
    /// Plays the messages; a fault when an answer is not the expected one.
    pub fn play(&self, plan: &Plan, tools: &Tools) -> Result<(), FeedFault> {
        let layout = &plan.layout;
        let mix = match self.mix {
            Mix::Demo => "demo",
            Mix::Postings => "postings",
        };
        let arguments = [
            "replay".to_owned(),
            "--url".to_owned(),
            format!("https://{}/preSvr", plan.ports.address(Port::Frontend)),
            "--ca".to_owned(),
            text(&layout.tls("ca.cert.pem")),
            "--certificate".to_owned(),
            text(&layout.tls("client.cert.pem")),
            "--key".to_owned(),
            text(&layout.tls("client.key.pem")),
            "--suite".to_owned(),
            self.suite.name().to_owned(),
            "--messages".to_owned(),
            self.messages.to_string(),
            "--seed".to_owned(),
            self.seed.to_string(),
            "--connections".to_owned(),
            self.connections.to_string(),
            "--mix".to_owned(),
            mix.to_owned(),
            "--transcript".to_owned(),
            text(&self.transcript),
            "--report".to_owned(),
            text(&self.report),
            "--corpus".to_owned(),
            text(&plan.sources.messages()),
            "--accounts".to_owned(),
            self.accounts.to_string(),
            "--accounts-seed".to_owned(),
            ACCOUNTS_SEED.to_string(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Ok(tools.run("fixtures", &arguments)?)
    }
}

/// The transcript's lines, as far as they matter here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Played {
    pub trx_id: Option<String>,
    pub batch: Option<String>,
    pub outcome: String,
}

pub fn read_transcript(path: &PathBuf) -> Result<Vec<Played>, FeedFault> {
    let content = fs::read_to_string(path).map_err(file_fault(path, "read"))?;
    let read = content.lines().map(|line| {
        serde_json::from_str(line).map_err(|source| FeedFault::Form {
            path: path.clone(),
            source,
        })
    });
    read.collect()
}

/// `yyyy-MM-dd` of a batch `ByyyyMMddNNNN`.
pub fn batch_date(batch: &str) -> Option<String> {
    let digits = batch
        .strip_prefix('B')
        .filter(|digits| digits.len() == 12 && digits.is_ascii())?;
    Some(format!(
        "{}-{}-{}",
        digits.get(..4)?,
        digits.get(4..6)?,
        digits.get(6..8)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_batches() {
        let check = |batch, expected: Option<&str>| assert_eq!(batch_date(batch).as_deref(), expected);
        check("B202603020001", Some("2026-03-02"));
        check("202603020001", None);
        check("B2026", None);
    }
}
