//! Business dates: which one a moment belongs to, and on which the bank works.
//!
//! Every calendar day is a business date, since the network clears every day; a *working day* is one on which the bank
//! settles. Batches are never computed from a date: a batch says its own.
//!
//! Invariant: nothing is guessed. A year whose holidays the file does not know is refused, since China announces its
//! holidays, and the weekends worked in exchange for them, year by year.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ledger_model::{BusinessDate, ChinaTime};
use operations::config::{ConfigFault, load};
use serde::Deserialize;

const DAY_SECONDS: i64 = 24 * 3600;
/// Longest row of days off that is searched through.
const DAYS_OFF_MAX: usize = 366;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// When the next business date begins, in seconds after midnight; `DAY_SECONDS` for midnight itself.
    cut_over: i64,
    years: BTreeSet<u32>,
    weekend: BTreeSet<Weekday>,
    holidays: BTreeMap<BusinessDate, String>,
    /// Days of a weekend that are worked.
    worked: BTreeSet<BusinessDate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// What a day is to the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Day<'a> {
    Working,
    /// A day of a weekend, worked in exchange for another.
    WorkedWeekend,
    Weekend(Weekday),
    /// By its name.
    Holiday(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CalendarFault {
    #[error("the calendar does not know the holidays of {0}")]
    UnknownYear(u32),
    #[error("there is no working day within a year")]
    NoWorkingDay,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    cut_over: Option<String>,
    years: BTreeSet<u32>,
    #[serde(default = "weekend")]
    weekend: BTreeSet<Weekday>,
    #[serde(default)]
    holiday: Vec<WrittenHoliday>,
    #[serde(default)]
    working_days: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHoliday {
    name: String,
    first: String,
    /// The same day when absent.
    last: Option<String>,
}

fn weekend() -> BTreeSet<Weekday> {
    [Weekday::Saturday, Weekday::Sunday].into()
}

/// Reads and checks a calendar file.
pub fn read(path: &Path) -> Result<Calendar, ConfigFault> {
    let written: Written = load(path)?;
    Calendar::new(written).map_err(|reason| ConfigFault::Refused {
        path: path.to_owned(),
        reason,
    })
}

/// Knows no working days: for a bank that names no calendar. The next business date begins at midnight.
impl Default for Calendar {
    fn default() -> Self {
        Self {
            cut_over: DAY_SECONDS,
            years: BTreeSet::new(),
            weekend: BTreeSet::new(),
            holidays: BTreeMap::new(),
            worked: BTreeSet::new(),
        }
    }
}

impl Calendar {
    fn new(written: Written) -> Result<Self, String> {
        let Written {
            cut_over,
            years,
            weekend,
            holiday,
            working_days,
        } = written;
        if years.is_empty() || weekend.len() == Weekday::ALL.len() {
            return Err("years names at least one year, weekend leaves at least one day to work".to_owned());
        }
        let mut calendar = Self {
            cut_over: cut_over.as_deref().map_or(Ok(DAY_SECONDS), seconds_of_day)?,
            years,
            weekend,
            holidays: BTreeMap::new(),
            worked: BTreeSet::new(),
        };
        for WrittenHoliday { name, first, last } in holiday {
            let first = calendar.known(&first)?;
            let last = last.map_or(Ok(first), |last| calendar.known(&last))?;
            let days = usize::try_from(last.days_since(first)).map_err(|_| format!("{name} ends before it begins"))?;
            if days >= DAYS_OFF_MAX {
                return Err(format!("{name} is longer than a year"));
            }
            let mut day = Some(first);
            for _ in 0..=days {
                let date = day.ok_or("a holiday is before the year 9999")?;
                if calendar.holidays.insert(date, name.clone()).is_some() {
                    return Err(format!("{date} is in two holidays"));
                }
                day = plus(date, 1);
            }
        }
        for text in working_days {
            let date = calendar.known(&text)?;
            if calendar.holidays.contains_key(&date) || !calendar.weekend.contains(&Weekday::of(date)) {
                return Err(format!(
                    "working_days names days of a weekend that are no holiday, and {date} is not one"
                ));
            }
            calendar.worked.insert(date);
        }
        Ok(calendar)
    }

    /// A date of a year whose holidays are known.
    fn known(&self, text: &str) -> Result<BusinessDate, String> {
        let date: BusinessDate = text
            .parse()
            .map_err(|_| format!("{text:?} is not a date, yyyy-MM-dd"))?;
        match self.day(date) {
            Ok(_) => Ok(date),
            Err(_) => Err(format!("{date} is not in the years the file names")),
        }
    }

    /// The business date that a moment belongs to.
    pub fn business_date(&self, at: ChinaTime) -> BusinessDate {
        let late = at.seconds_since(at.date().at_midnight()) >= self.cut_over;
        let next = plus(at.date(), 1).filter(|_| late);
        next.unwrap_or(at.date())
    }

    /// `HH:mm`, `24:00` for midnight.
    pub fn cut_over(&self) -> String {
        format!("{:02}:{:02}", self.cut_over / 3600, self.cut_over / 60 % 60)
    }

    pub fn day(&self, date: BusinessDate) -> Result<Day<'_>, CalendarFault> {
        let year = date.number() / 10_000;
        if !self.years.contains(&year) {
            return Err(CalendarFault::UnknownYear(year));
        }
        if let Some(name) = self.holidays.get(&date) {
            return Ok(Day::Holiday(name));
        }
        let weekday = Weekday::of(date);
        Ok(match (self.weekend.contains(&weekday), self.worked.contains(&date)) {
            (false, _) => Day::Working,
            (true, true) => Day::WorkedWeekend,
            (true, false) => Day::Weekend(weekday),
        })
    }

    /// The first working day after `date`.
    pub fn next_working_day(&self, date: BusinessDate) -> Result<BusinessDate, CalendarFault> {
        self.working_day(date, 1)
    }

    /// The last working day before `date`.
    pub fn previous_working_day(&self, date: BusinessDate) -> Result<BusinessDate, CalendarFault> {
        self.working_day(date, -1)
    }

    fn working_day(&self, from: BusinessDate, step: i64) -> Result<BusinessDate, CalendarFault> {
        let mut date = from;
        for _ in 0..DAYS_OFF_MAX {
            date = plus(date, step).ok_or(CalendarFault::NoWorkingDay)?;
            match self.day(date)? {
                Day::Working | Day::WorkedWeekend => return Ok(date),
                Day::Weekend(_) | Day::Holiday(_) => {}
            }
        }
        Err(CalendarFault::NoWorkingDay)
    }
}

impl Weekday {
    const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    pub fn of(date: BusinessDate) -> Self {
        let monday = BusinessDate::from_number(19_700_105).expect("a date that there is");
        let place = usize::try_from(date.days_since(monday).rem_euclid(7)).expect("a remainder is not negative");
        *Self::ALL.get(place).expect("a remainder of 7 names a day")
    }

    /// As the file writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }
}

/// `None` before the year 0 and after the year 9999.
fn plus(date: BusinessDate, days: i64) -> Option<BusinessDate> {
    date.at_midnight().plus_seconds(days * DAY_SECONDS).map(ChinaTime::date)
}

fn seconds_of_day(text: &str) -> Result<i64, String> {
    let wrong = || format!("cut_over is a time from 00:01 to 24:00, and {text:?} is not");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i64>().ok().filter(|_| digits)
    };
    let (hours, minutes) = (number(hours).ok_or_else(wrong)?, number(minutes).ok_or_else(wrong)?);
    let seconds = hours * 3600 + minutes * 60;
    if minutes > 59 || seconds == 0 || seconds > DAY_SECONDS {
        return Err(wrong());
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Spring Festival of 2026 with the weekends worked for it, as announced.
    const FESTIVAL: &str = r#"
        cut_over = "23:00"
        years = [2025, 2026]
        working_days = ["2026-02-14", "2026-02-28"]
        [[holiday]]
        name = "Spring Festival"
        first = "2026-02-15"
        last = "2026-02-23"
        [[holiday]]
        name = "New Year"
        first = "2026-01-01"
    "#;

    fn calendar(text: &str) -> Result<Calendar, String> {
        Calendar::new(toml::from_str(text).unwrap())
    }

    fn date(text: &str) -> BusinessDate {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check_day(day: &str, expected: Day<'_>) {
        assert_eq!(calendar(FESTIVAL).unwrap().day(date(day)), Ok(expected), "{day}");
    }

    #[test]
    fn a_day_is_what_the_file_says() {
        check_day("2026-02-13", Day::Working);
        check_day("2026-02-14", Day::WorkedWeekend);
        check_day("2026-02-15", Day::Holiday("Spring Festival"));
        check_day("2026-02-23", Day::Holiday("Spring Festival"));
        check_day("2026-02-24", Day::Working);
        check_day("2026-03-01", Day::Weekend(Weekday::Sunday));
        check_day("2026-03-02", Day::Working);
        check_day("2026-01-01", Day::Holiday("New Year"));
        let known = calendar(FESTIVAL).unwrap();
        assert_eq!(known.day(date("2027-01-01")), Err(CalendarFault::UnknownYear(2027)));
    }

    #[track_caller]
    fn check_around(day: &str, previous: &str, next: &str) {
        let known = calendar(FESTIVAL).unwrap();
        assert_eq!(known.previous_working_day(date(day)), Ok(date(previous)), "{day}");
        assert_eq!(known.next_working_day(date(day)), Ok(date(next)), "{day}");
    }

    #[test]
    fn working_days_leave_out_holidays_and_weekends_that_are_not_worked() {
        check_around("2026-02-14", "2026-02-13", "2026-02-24");
        check_around("2026-02-20", "2026-02-14", "2026-02-24");
        check_around("2026-02-27", "2026-02-26", "2026-02-28");
        check_around("2026-02-28", "2026-02-27", "2026-03-02");
        check_around("2026-01-01", "2025-12-31", "2026-01-02");
        let known = calendar(FESTIVAL).unwrap();
        let past_the_end = known.next_working_day(date("2026-12-31"));
        assert_eq!(past_the_end, Err(CalendarFault::UnknownYear(2027)));
    }

    #[track_caller]
    fn check_date(text: &str, at: &str, expected: &str) {
        let known = calendar(text).unwrap();
        assert_eq!(known.business_date(at.parse().unwrap()), date(expected), "{at}");
    }

    #[test]
    fn the_next_business_date_begins_at_the_cut_over() {
        check_date(FESTIVAL, "2026-03-02T00:00:00", "2026-03-02");
        check_date(FESTIVAL, "2026-03-02T22:59:59", "2026-03-02");
        check_date(FESTIVAL, "2026-03-02T23:00:00", "2026-03-03");
        check_date(FESTIVAL, "2026-12-31T23:30:00", "2027-01-01");
        check_date("years = [2026]", "2026-03-02T23:59:59", "2026-03-02");
        check_date(
            "years = [2026]\ncut_over = \"24:00\"",
            "2026-03-02T23:59:59",
            "2026-03-02",
        );
        assert_eq!(calendar(FESTIVAL).unwrap().cut_over(), "23:00");
        assert_eq!(calendar("years = [2026]").unwrap().cut_over(), "24:00");
    }

    #[track_caller]
    fn check_refused(more: &str, reason: &str) {
        let fault = calendar(&format!("years = [2026]\n{more}")).unwrap_err();
        assert!(fault.contains(reason), "{fault}");
    }

    #[test]
    fn a_file_that_contradicts_itself_is_refused() {
        let holiday =
            |first: &str, last: &str| format!("[[holiday]]\nname = \"A\"\nfirst = \"{first}\"\nlast = \"{last}\"\n");
        check_refused("cut_over = \"0:30\"", "cut_over is a time");
        check_refused("cut_over = \"00:00\"", "cut_over is a time");
        check_refused("cut_over = \"24:01\"", "cut_over is a time");
        check_refused(
            "working_days = [\"2026-03-02\"]",
            "no holiday, and 2026-03-02 is not one",
        );
        check_refused("working_days = [\"2027-03-06\"]", "2027-03-06 is not in the years");
        check_refused("working_days = [\"2026-02-30\"]", "is not a date");
        check_refused(&holiday("2026-02-20", "2026-02-15"), "A ends before it begins");
        check_refused(&holiday("2026-02-15", "2027-02-15"), "not in the years");
        let twice = holiday("2026-02-15", "2026-02-20") + &holiday("2026-02-20", "2026-02-21");
        check_refused(&twice, "2026-02-20 is in two holidays");
        assert!(calendar("years = []").unwrap_err().contains("at least one year"));
    }
}
