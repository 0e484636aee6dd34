//! The night's work goes on where it stopped, and says the same in the end.

use std::fs;

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

pub(crate) fn goes_on_where_it_stopped(site: &mut Site) {
    let replay = site.replay(Mix::Demo, 500, Suite::Sm, 401);
    replay.play(site.plan(), &site.plan().tools).unwrap();
    site.settled();
    let played = feed::read_transcript(&replay.transcript).unwrap();
    let date = played
        .iter()
        .find_map(|line| batch_date(line.batch.as_deref()?))
        .unwrap();
    let statements = text(&site.file("statements"));
    let transcript = text(&replay.transcript);
    let arguments = [
        "statements",
        "--transcript",
        &transcript,
        "--bank",
        BANK,
        "--out",
        &statements,
        "--plant-differences",
    ];
    site.plan().tools.run("fixtures", &arguments).unwrap();
    let database = site.installation.database();
    let steps = || database.number("SELECT count(*) FROM night_step").unwrap();
    let first_done = || {
        database
            .number("SELECT extract(epoch FROM min(finished_at))::bigint FROM night_step")
            .unwrap()
    };
    // its last step cannot write what it finds
    database
        .execute("ALTER TABLE reconciliation_run RENAME TO hidden")
        .unwrap();
    let stopped = night(site, &date, &statements);
    database
        .execute("ALTER TABLE hidden RENAME TO reconciliation_run")
        .unwrap();
    stopped.unwrap_err();
    let (steps_before, first_done_before) = (steps(), first_done());
    assert!(steps_before > 0, "the steps before it are done");
    let (code, report) = night(site, &date, &statements).unwrap();
    assert_eq!(code, exit::DIFFERENCES);
    assert_eq!(differences(&report).len(), 5, "{report}");
    assert!(steps() > steps_before, "the last step is done");
    assert_eq!(first_done(), first_done_before, "what was done is not done again");
    let (code_again, report_again) = night(site, &date, &statements).unwrap();
    assert_eq!(
        (code_again, differences(&report_again)),
        (code, differences(&report)),
        "a night that is over says the same"
    );
}
