//! The section `[hopping]` of the configuration.

use std::num::NonZeroU32;
use std::time::Duration;

use ledger_model::Amount;
use serde::Deserialize;

use super::groups::HoppingSettings;
use super::selector::SelectorSettings;

/// Probes that must write, one after the other, before a group that was down is used again.
const PROBES_TO_RETURN: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// A probe may take a second, and what comes home is looked for as often.
const PROBE_MS_MIN: u32 = 50;
const PROBE_MS_MAX: u32 = 60_000;
const WINDOW_MS_MAX: u32 = 3_600_000;

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenHopping {
    failures: u32,
    window_ms: u32,
    probe_ms: u32,
    stand_in: bool,
    stand_in_daily_max: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct Hopping {
    pub settings: HoppingSettings,
    /// Between two rounds of the homecoming.
    pub probe_every: Duration,
}

impl Default for WrittenHopping {
    fn default() -> Self {
        Self {
            failures: 3,
            window_ms: 2_000,
            probe_ms: 500,
            stand_in: false,
            stand_in_daily_max: None,
        }
    }
}

impl WrittenHopping {
    /// Or the reason why it is refused.
    pub fn checked(self) -> Result<Hopping, &'static str> {
        let Self {
            failures,
            window_ms,
            probe_ms,
            stand_in,
            stand_in_daily_max,
        } = self;
        let failures_max = NonZeroU32::new(failures).ok_or("hopping.failures is at least 1")?;
        if window_ms == 0 || window_ms > WINDOW_MS_MAX {
            return Err("hopping.window_ms is from 1 to 3600000");
        }
        if !(PROBE_MS_MIN..=PROBE_MS_MAX).contains(&probe_ms) {
            return Err("hopping.probe_ms is from 50 to 60000");
        }
        let limit = stand_in_daily_max.map(|text| text.parse::<Amount>()).transpose();
        let limit = limit.map_err(|_| "hopping.stand_in_daily_max is an amount like CNY1000.00")?;
        if stand_in != limit.is_some() {
            return Err("hopping.stand_in and hopping.stand_in_daily_max go together");
        }
        Ok(Hopping {
            settings: HoppingSettings {
                selector: SelectorSettings {
                    failures_max,
                    window: Duration::from_millis(window_ms.into()),
                    probes_to_return: PROBES_TO_RETURN,
                },
                stand_in_daily_max: limit,
            },
            probe_every: Duration::from_millis(probe_ms.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), &str>) {
        let read = toml::from_str::<WrittenHopping>(text);
        let read = read.map_err(|fault| fault.to_string());
        let checked = read.and_then(|written| written.checked().map_err(str::to_owned));
        match (checked, expected) {
            (Ok(_), Ok(())) => {}
            (Err(reason), Err(expected)) => assert!(reason.contains(expected), "{text}: {reason}"),
            (checked, _) => panic!("{text}: {checked:?}"),
        }
    }

    #[test]
    fn what_is_written_is_checked() {
        check("", Ok(()));
        check("failures = 5\nwindow_ms = 10\nprobe_ms = 50", Ok(()));
        check("stand_in = true\nstand_in_daily_max = \"CNY1000.00\"", Ok(()));
        check("failures = 0", Err("failures is at least 1"));
        check("window_ms = 0", Err("window_ms is from 1"));
        check("probe_ms = 49", Err("probe_ms is from 50"));
        check("stand_in = true", Err("go together"));
        check("stand_in_daily_max = \"CNY1000.00\"", Err("go together"));
        check("stand_in = true\nstand_in_daily_max = \"1000\"", Err("an amount like"));
        check("stand_ins = true", Err("unknown field"));
        let none = toml::from_str::<WrittenHopping>("").unwrap().checked().unwrap();
        assert_eq!(none.settings.stand_in_daily_max, None, "off where nothing is said");
    }
}
