//! The rules of the house, as tests: who may import whom, what things may be called, how long a file may be.
//!
//! Each rule lists every place that breaks it. Words that are searched for are put together from pieces here, so that
//! this file does not break its own rules.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking, in its helping functions too"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

const FILE_LINES_MAX: usize = 500;
/// May be imported by nothing and may import anything.
const TESTS: &str = "system-tests";

const TOP_LEVEL: [&str; 20] = [
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "batch-clearing",
    "clippy.toml",
    "deny.toml",
    "fixtures",
    "frontend",
    "ledger",
    "run",
    "rustfmt.toml",
    "signer",
    "tests",
    // made by working here, and ignored by git
    ".git",
];
const NOT_KEPT: [&str; 3] = [".git", ".local", "target"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every file that is kept, with its path from the root.
fn kept_files() -> Vec<String> {
    fn walk(directory: &Path, root: &Path, files: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if NOT_KEPT.contains(&name) || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                walk(&path, root, files);
            } else {
                files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut files = Vec::new();
    walk(&root(), &root(), &mut files);
    files.sort();
    files
}

/// Texts of the kept files whose path the filter takes.
fn texts(takes: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let files = kept_files().into_iter().filter(|path| takes(path));
    let read = files.filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(path)).ok()?)));
    read.collect()
}

fn is_rust(path: &str) -> bool {
    ending(path) == "rs"
}

fn ending(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Every line of these files that the rule says something about.
fn lines_against(files: &[(String, String)], rule: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = files.iter().flat_map(|(path, text)| {
        text.lines()
            .enumerate()
            .map(move |(number, line)| (format!("{path}:{}: {}", number + 1, line.trim()), line))
    });
    lines.filter(|(_, line)| rule(line)).map(|(place, _)| place).collect()
}

fn none(broken: &[String]) {
    assert!(broken.is_empty(), "against the rule:\n  {}", broken.join("\n  "));
}

/// Of this machine's platform: what other platforms need was never fetched.
fn metadata() -> Metadata {
    let told = Command::new("rustc").arg("-vV").output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let platform = told.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let options = ["--offline", "--filter-platform", platform].map(str::to_owned);
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(options)
        .exec()
        .unwrap()
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    path: String,
    /// None: anything.
    may_import: Option<BTreeSet<String>>,
}

/// The table of ARCHITECTURE.md: package | path | what | may import (of ours).
fn table() -> BTreeMap<String, Row> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("| package ")).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<&str> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        let [package, path, _, imports] = cells[..] else {
            panic!("not a row of the table: {line}")
        };
        let may_import = match imports {
            "–" => Some(BTreeSet::new()),
            text if text.starts_with("anything") => None,
            text => Some(
                text.split(',')
                    .map(|name| name.trim().trim_matches('`').to_owned())
                    .collect(),
            ),
        };
        let path = path.to_owned();
        (package.to_owned(), Row { path, may_import })
    });
    rows.collect()
}

#[test]
fn the_dependency_table_is_what_cargo_says() {
    let (table, metadata, root) = (table(), metadata(), root());
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let listed: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    assert_eq!(ours, listed, "packages of the workspace and of the table");
    let mut broken = Vec::new();
    for package in packages {
        let row = &table[package.name.as_str()];
        let path = package.manifest_path.parent().unwrap().strip_prefix(&root).unwrap();
        if path != row.path.as_str() {
            broken.push(format!("{} lies in {path}, the table says {}", package.name, row.path));
        }
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let allowed = row.may_import.as_ref().is_none_or(|names| names.contains(name));
            if ours.contains(name) && (!allowed || name == TESTS) {
                broken.push(format!("{} may not import {name}", package.name));
            }
        }
    }
    none(&broken);
}

#[test]
fn only_their_owners_use_these_crates() {
    let owners: [(&str, &[&str]); 8] = [
        ("quick-xml", &["frontend-messages"]),
        ("rdkafka", &["ledger", "batch-clearing", TESTS]),
        ("tokio-postgres", &["batch-clearing", "ledger", TESTS]),
        ("sm2", &["signer-crypto"]),
        ("openssl", &["signer-crypto", "fixtures"]),
        ("fjall", &["ledger"]),
        ("cryptoki", &["signer"]),
        ("libloading", &["signer"]),
    ];
    let metadata = metadata();
    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        for dependency in &package.dependencies {
            let owner = owners.iter().find(|(name, _)| *name == dependency.name);
            if owner.is_some_and(|(_, owners)| !owners.contains(&package.name.as_str())) {
                broken.push(format!("{} uses {}", package.name, dependency.name));
            }
        }
    }
    none(&broken);
}

/// Everything a package links when it is built for use: tests' dependencies do not count, other people's do.
fn reachable(metadata: &Metadata, from: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let start = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == from)
        .unwrap();
    let (mut seen, mut due) = (BTreeSet::new(), vec![&start.id]);
    while let Some(id) = due.pop() {
        if seen.insert(id) {
            let used = nodes[id].deps.iter();
            let used = used.filter(|edge| {
                edge.dep_kinds
                    .iter()
                    .any(|kind| kind.kind != DependencyKind::Development)
            });
            due.extend(used.map(|edge| &edge.pkg));
        }
    }
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

#[test]
fn private_key_code_is_out_of_reach_of_all_but_the_signer() {
    let metadata = metadata();
    assert!(
        reachable(&metadata, "signer").contains("signer-crypto"),
        "the search finds what is there"
    );
    let mut broken = Vec::new();
    for package in [
        "frontend",
        "frontend-messages",
        "ledger",
        "batch-clearing",
        "operations",
        "signer-protocol",
    ] {
        let linked = reachable(&metadata, package);
        for forbidden in ["signer-crypto", "sm2", "openssl", "rsa"] {
            if linked.contains(forbidden) {
                broken.push(format!("{package} links {forbidden}"));
            }
        }
    }
    none(&broken);
}

#[test]
fn the_ledger_knows_no_messages_and_the_signer_no_xml() {
    let metadata = metadata();
    let mut broken = Vec::new();
    for package in ["ledger", "signer", "ledger-model", "ledger-journal"] {
        let linked = reachable(&metadata, package);
        for forbidden in ["quick-xml", "frontend-messages", "roxmltree"] {
            if linked.contains(forbidden) {
                broken.push(format!("{package} links {forbidden}"));
            }
        }
    }
    none(&broken);
}

#[test]
fn every_package_inherits_the_lints() {
    let manifests = texts(|path| path.ends_with("/Cargo.toml"));
    assert!(manifests.len() >= 13, "manifests are found");
    let inherits = |text: &str| {
        let table: toml::Table = text.parse().unwrap();
        table.get("lints").and_then(|lints| lints.get("workspace")) == Some(&toml::Value::Boolean(true))
    };
    let broken: Vec<_> = manifests
        .iter()
        .filter(|(_, text)| !inherits(text))
        .map(|(path, _)| path.clone())
        .collect();
    none(&broken);
}

#[test]
fn the_top_level_is_as_designed() {
    let found: BTreeSet<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !NOT_KEPT.contains(&name.as_str()))
        .collect();
    let designed = TOP_LEVEL
        .into_iter()
        .filter(|name| !NOT_KEPT.contains(name))
        .map(str::to_owned)
        .collect();
    assert_eq!(found, designed);
}

#[test]
fn no_file_is_too_long() {
    let written = ["rs", "proto", "sql", "toml", "md", "xml", "properties"];
    let is_written =
        |path: &str| written.contains(&ending(path)) && path != "Cargo.lock" && !path.starts_with("fixtures/messages");
    let files = texts(|path| is_written(path) || path == "run");
    let lengths = files.iter().map(|(path, text)| (path, text.lines().count()));
    let broken = lengths
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines"));
    none(&broken.collect::<Vec<_>>());
}

#[test]
fn nothing_has_a_name_that_says_nothing() {
    let names = ["common", "util", "utils", "helper", "helpers", "core", "shared", "misc"];
    let of_paths = kept_files().into_iter().filter(|path| {
        path.split('/')
            .any(|part| names.contains(&part.split('.').next().unwrap_or_default()))
    });
    let of_modules = lines_against(&texts(is_rust), |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words
            .iter()
            .position(|word| *word == "mod")
            .and_then(|place| words.get(place + 1));
        name.is_some_and(|name| names.contains(&name.trim_end_matches([';', '{'])))
    });
    none(&of_paths.chain(of_modules).collect::<Vec<_>>());
}

#[test]
fn no_type_is_called_after_what_everything_is() {
    let endings = ["Manager", "Helper", "Util", "Utils", "Handler", "Data", "Info"];
    let broken = lines_against(&texts(is_rust), |line| {
        let words: Vec<&str> = line
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .collect();
        let named = words
            .windows(2)
            .filter(|pair| ["struct", "enum", "trait", "type"].contains(&pair[0]));
        let declares = line.trim_start().starts_with("pub") || line.starts_with(|first: char| first.is_lowercase());
        declares
            && named
                .map(|pair| pair[1])
                .any(|name| endings.iter().any(|ending| name.ends_with(ending)))
    });
    none(&broken);
}

#[test]
fn no_function_is_called_get() {
    let getter = ["fn ", "get_"].concat();
    none(&lines_against(&texts(is_rust), |line| line.contains(&getter)));
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        ["#[", "ignore"],
        ["todo", "!("],
        ["unimplemented", "!("],
        ["FIX", "ME"],
        ["TO", "DO:"],
    ]
    .map(|word| word.concat());
    none(&lines_against(&texts(is_rust), |line| {
        words.iter().any(|word| line.contains(word))
    }));
}

#[test]
fn no_registry_is_named() {
    let hosts = [
        ["crates", ".io"],
        ["maven", ".org"],
        ["apache", ".org"],
        ["docker", ".io"],
        ["debian", ".org"],
        ["quay", ".io"],
    ];
    let hosts = hosts.map(|host| host.concat());
    let files = texts(|path| !path.ends_with("Cargo.lock") && path != "LICENSE");
    none(&lines_against(&files, |line| {
        hosts.iter().any(|host| line.contains(host))
    }));
}

#[test]
fn private_keys_are_test_keys_only() {
    let mark = ["PRIVATE KEY", "-----"].concat();
    let files = texts(|path| !path.starts_with("fixtures/keys/") && !path.contains("TEST-ONLY") && !is_rust(path));
    none(&lines_against(&files, |line| line.contains(&mark)));
}
