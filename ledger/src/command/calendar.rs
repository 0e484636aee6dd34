//! `ledger calendar`: which business date it is, and what kind of day a day is to the bank.

use ledger_model::{BusinessDate, ChinaTime};
use operations::exit;
use serde::Serialize;

use super::output::print;
use super::told;
use crate::calendar::{Calendar, CalendarFault, Day};
use crate::clock::wall_clock;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub struct Asked {
    /// This day instead of the business date of now, yyyy-MM-dd.
    #[arg(long, value_name = "DATE")]
    date: Option<BusinessDate>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum CalendarCommandFault {
    #[error("the configuration names no calendar")]
    None,
    #[error(transparent)]
    Calendar(#[from] CalendarFault),
    #[error("the day cannot be written")]
    Json(#[from] serde_json::Error),
}

#[derive(Debug, Serialize)]
struct Shown {
    now: String,
    business_date: String,
    cut_over: String,
    date: String,
    working: bool,
    /// Why it is worked or not.
    kind: String,
    /// None where the calendar ends before it is found.
    previous_working_day: Option<String>,
    next_working_day: Option<String>,
}

pub fn run(config: &Config, asked: &Asked) -> u8 {
    let shown = match &config.calendar {
        Some(calendar) => show(calendar, wall_clock()(), asked),
        None => Err(CalendarCommandFault::None),
    };
    match shown {
        Ok(text) => {
            print(&text);
            exit::DONE
        }
        Err(fault) => {
            eprintln!("{}", told(&fault));
            match fault {
                CalendarCommandFault::None => exit::CONFIGURATION,
                CalendarCommandFault::Calendar(_) | CalendarCommandFault::Json(_) => exit::FAILED,
            }
        }
    }
}

fn show(calendar: &Calendar, now: ChinaTime, asked: &Asked) -> Result<String, CalendarCommandFault> {
    let today = calendar.business_date(now);
    let date = asked.date.unwrap_or(today);
    let (working, kind) = match calendar.day(date)? {
        Day::Working => (true, "working day".to_owned()),
        Day::WorkedWeekend => (true, "working day, of a weekend worked in exchange".to_owned()),
        Day::Weekend(weekday) => (false, weekday.name().to_owned()),
        Day::Holiday(name) => (false, name.to_owned()),
    };
    let shown = Shown {
        now: now.to_string(),
        business_date: today.to_string(),
        cut_over: calendar.cut_over(),
        date: date.to_string(),
        working,
        kind,
        previous_working_day: calendar.previous_working_day(date).ok().map(|day| day.to_string()),
        next_working_day: calendar.next_working_day(date).ok().map(|day| day.to_string()),
    };
    if asked.json {
        return Ok(serde_json::to_string_pretty(&shown)?);
    }
    let Shown {
        now,
        business_date,
        cut_over,
        date,
        working,
        kind,
        previous_working_day,
        next_working_day,
    } = shown;
    let [previous_working_day, next_working_day] =
        [previous_working_day, next_working_day].map(|day| day.unwrap_or_else(|| "not known".to_owned()));
    let worked = if working { "worked" } else { "not worked" };
    Ok(format!(
        "now            {now} China time\nbusiness date  {business_date}, the next from {cut_over}\nday            {date}, {worked}: {kind}\nworking days   {previous_working_day} before it, {next_working_day} after it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar;

    #[test]
    fn a_day_is_shown_with_the_working_days_around_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("calendar.toml");
        let text = "years = [2026]\ncut_over = \"23:00\"\n[[holiday]]\nname = \"National Day\"\nfirst = \"2026-10-01\"\nlast = \"2026-10-07\"\n";
        std::fs::write(&path, text).unwrap();
        let calendar = calendar::read(&path).unwrap();
        let shown = |date: &str| {
            let asked = Asked {
                date: Some(date.parse().unwrap()),
                json: false,
            };
            show(&calendar, "2026-03-02T23:30:00".parse().unwrap(), &asked)
        };
        let expected = "now            2026-03-02T23:30:00 China time\nbusiness date  2026-03-03, the next from 23:00\nday            2026-10-03, not worked: National Day\nworking days   2026-09-30 before it, 2026-10-08 after it";
        assert_eq!(shown("2026-10-03").unwrap(), expected);
        let last = shown("2026-12-31").unwrap();
        assert!(last.contains("2026-12-30 before it, not known after it"), "{last}");
        let fault = shown("2027-01-01").unwrap_err().to_string();
        assert_eq!(fault, "the calendar does not know the holidays of 2027");
    }
}
