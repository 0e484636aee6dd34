//! China time, to the second, and the business date. Values only: nobody here asks what time it is.

use std::fmt;
use std::str::FromStr;

use jiff::civil;

/// `yyyy-MM-ddTHH:mm:ss` in China time, as on the wire. No zone: the profile has none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChinaTime(civil::DateTime);

/// A day of the books.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusinessDate(civil::Date);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is yyyy-MM-ddTHH:mm:ss, a date yyyyMMdd or yyyy-MM-dd")]
pub struct TimeFault;

const CHINA_SECONDS_EAST: i64 = 8 * 3600;

impl ChinaTime {
    /// From seconds since 1970-01-01T00:00:00Z. `None` outside the years 1970 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        Self::unpacked(seconds).filter(|_| seconds >= 0)
    }

    /// As `from_unix_seconds`, and back to the year 0: every time of the wire.
    pub(crate) fn unpacked(seconds: i64) -> Option<Self> {
        let local = seconds.checked_add(CHINA_SECONDS_EAST)?;
        let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
        let time = epoch.checked_add(jiff::SignedDuration::from_secs(local)).ok()?;
        (time.year() >= 0).then_some(Self(time))
    }

    pub fn unix_seconds(self) -> i64 {
        let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
        self.0.duration_since(epoch).as_secs() - CHINA_SECONDS_EAST
    }

    pub fn date(self) -> BusinessDate {
        BusinessDate(self.0.date())
    }

    /// Seconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0.duration_since(earlier.0).as_secs()
    }

    /// `None` past the year 9999.
    pub fn plus_seconds(self, seconds: i64) -> Option<Self> {
        self.0
            .checked_add(jiff::SignedDuration::from_secs(seconds))
            .ok()
            .map(Self)
    }
}

impl BusinessDate {
    /// `yyyyMMdd`.
    pub fn compact(self) -> String {
        format!("{:08}", self.number())
    }

    /// Whole days from `earlier` to `self`; negative when `earlier` is later.
    pub fn days_since(self, earlier: Self) -> i64 {
        self.0.duration_since(earlier.0).as_hours() / 24
    }

    pub fn at_midnight(self) -> ChinaTime {
        ChinaTime(self.0.at(0, 0, 0, 0))
    }

    /// `yyyyMMdd` as a number: orders as dates do, packs into four bytes.
    pub fn number(self) -> u32 {
        let part = |value: i16| u32::try_from(value).expect("a business date has a year from 0 to 9999");
        part(self.0.year()) * 10_000 + part(self.0.month().into()) * 100 + part(self.0.day().into())
    }

    pub fn from_number(number: u32) -> Option<Self> {
        let part = |value: u32| i16::try_from(value).ok();
        let narrow = |value: u32| i8::try_from(value).ok();
        let (year, month, day) = (
            part(number / 10_000)?,
            narrow(number / 100 % 100)?,
            narrow(number % 100)?,
        );
        if year > 9999 {
            return None;
        }
        civil::Date::new(year, month, day).ok().map(Self)
    }
}

/// Decimal digits as a number; `None` where there is anything else.
fn decimal(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0_i16, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i16::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn two_digits(digits: &[u8]) -> Option<i8> {
    decimal(digits).and_then(|number| number.try_into().ok())
}

/// Of `yyyyMMdd`, or of `yyyy-MM-dd`.
fn date_of(text: &[u8]) -> Option<civil::Date> {
    let (month, day) = match text.len() {
        8 => (4..6, 6..8),
        10 if text.get(4) == Some(&b'-') && text.get(7) == Some(&b'-') => (5..7, 8..10),
        _ => return None,
    };
    let year = decimal(text.get(..4)?)?;
    civil::Date::new(year, two_digits(text.get(month)?)?, two_digits(text.get(day)?)?).ok()
}

/// Of `yyyy-MM-ddTHH:mm:ss`. No leap second: the profile has no use for one.
fn time_of(text: &[u8]) -> Option<civil::DateTime> {
    let separated = [(10, b'T'), (13, b':'), (16, b':')];
    if text.len() != 19 || separated.iter().any(|(place, byte)| text.get(*place) != Some(byte)) {
        return None;
    }
    let part = |range| text.get(range).and_then(two_digits);
    let time = civil::Time::new(part(11..13)?, part(14..16)?, part(17..19)?, 0).ok()?;
    Some(date_of(text.get(..10)?)?.to_datetime(time))
}

impl FromStr for ChinaTime {
    type Err = TimeFault;

    fn from_str(text: &str) -> Result<Self, TimeFault> {
        time_of(text.as_bytes()).map(Self).ok_or(TimeFault)
    }
}

impl FromStr for BusinessDate {
    type Err = TimeFault;

    fn from_str(text: &str) -> Result<Self, TimeFault> {
        date_of(text.as_bytes()).map(Self).ok_or(TimeFault)
    }
}

impl fmt::Display for ChinaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.date(), self.0.time());
        write!(f, "{date}T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
    }
}

/// `yyyy-MM-dd`.
impl fmt::Display for BusinessDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Debug for ChinaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for BusinessDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_wire() {
        let good: ChinaTime = "2026-03-02T10:00:00".parse().unwrap();
        assert_eq!(good.to_string(), "2026-03-02T10:00:00");
        assert_eq!(good.unix_seconds(), 1_772_416_800);
        assert_eq!(ChinaTime::from_unix_seconds(1_772_416_800), Some(good));
        for bad in [
            "2026-03-02 10:00:00",
            "2026-03-02T10:00",
            "2026-02-30T10:00:00",
            "2026-03-02T24:00:00",
            "2026-03-02T10:00:60",
            "2026-03-02T10:00:00Z",
            "2026-03-02T10:00:-1",
            "",
        ] {
            assert_eq!(bad.parse::<ChinaTime>(), Err(TimeFault), "{bad:?}");
        }
    }

    #[test]
    fn dates() {
        let date: BusinessDate = "20260302".parse().unwrap();
        assert_eq!("2026-03-02".parse(), Ok(date));
        assert_eq!(date.to_string(), "2026-03-02");
        assert_eq!(date.compact(), "20260302");
        assert_eq!(BusinessDate::from_number(date.number()), Some(date));
        assert_eq!(date.days_since("20250302".parse().unwrap()), 365);
        assert!("20260230".parse::<BusinessDate>().is_err());
        assert!("2026030２".parse::<BusinessDate>().is_err());
        assert!("202-603-02".parse::<BusinessDate>().is_err());
        assert!("+2026302".parse::<BusinessDate>().is_err());
    }
}
