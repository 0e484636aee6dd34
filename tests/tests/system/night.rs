//! The night's work goes on where it stopped, and says the same in the end.

use std::fs;
use std::path::Path;

use operations::exit;
use serde_json::Value;
use system_tests::feed::{self, Mix, Suite, batch_date};
use system_tests::part::Part;
use system_tests::settings::BANK;
use system_tests::tools::{ToolFault, text};

use crate::site::Site;

fn night(site: &Site, date: &str, statements: &str) -> Result<(u8, Value), ToolFault> {
    let plan = site.plan();
    let report = site.file("night.json");
    let arguments = [
        "night",
        "--date",
        date,
        "--statements",
        statements,
        "--json",
        &text(&report),
    ];
    let codes = [exit::DONE, exit::DIFFERENCES];
    let code = plan
        .tools
        .configured_until(&plan.layout, Part::BatchClearing, &arguments, &codes)?;
    Ok((code, serde_json::from_slice(&fs::read(&report).unwrap()).unwrap()))
}

fn differences(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = report["differences"].as_array().unwrap().iter();
    let mut all: Vec<_> = all.map(|one| (text(&one["class"]), text(&one["trx_id"]))).collect();
    all.sort();
    all
}

/// Writes the network's files of a replay, with five differences planted.
fn statements(site: &Site, transcript: &Path) -> String {
    let out = text(&site.file("statements"));
    let transcript = text(transcript);
    let arguments = [
        "statements",
        "--transcript",
        &transcript,
        "--bank",
        BANK,
        "--out",
        &out,
        "--plant-differences",
    ];
    site.plan().tools.run("fixtures", &arguments).unwrap();
    out
}

pub(crate) fn goes_on_where_it_stopped(site: &mut Site) {
    let replay = site.replay(Mix::Demo, 500, Suite::Sm, 401);
    replay.play(site.plan(), &site.plan().tools).unwrap();
    site.settled();
    let played = feed::read_transcript(&replay.transcript).unwrap();
    let mut batches = played.iter().filter_map(|line| line.batch.as_deref());
    let date = batches.find_map(batch_date).unwrap();
    // the network's files are not there yet: that is said, and looked at again
    let (code, report) = night(site, &date, &text(&site.file("not-there-yet"))).unwrap();
    assert_eq!(code, exit::DIFFERENCES);
    assert!(report["file_faults_count"].as_u64().unwrap() > 0, "{report}");
    let statements = statements(site, &replay.transcript);
    // its last step cannot write what it finds
    let database = site.installation.database();
    database
        .execute("ALTER TABLE reconciliation_run RENAME TO hidden")
        .unwrap();
    let stopped = night(site, &date, &statements);
    database
        .execute("ALTER TABLE hidden RENAME TO reconciliation_run")
        .unwrap();
    stopped.unwrap_err();
    let closed = "SELECT (extract(epoch FROM finished_at) * 1000000)::bigint FROM night_step WHERE step = 'close'";
    let closed_at = database.number(closed).unwrap();
    let (code, report) = night(site, &date, &statements).unwrap();
    assert_eq!(code, exit::DIFFERENCES);
    assert_eq!(differences(&report).len(), 5, "{report}");
    assert_eq!(
        database.number(closed).unwrap(),
        closed_at,
        "what was done is not done again"
    );
    let (code_again, report_again) = night(site, &date, &statements).unwrap();
    assert_eq!(code_again, code);
    assert_eq!(
        differences(&report_again),
        differences(&report),
        "a night that is over says the same"
    );
}
