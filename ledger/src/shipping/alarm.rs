//! When a backlog is worth waking somebody. Pure.

/// From where on a shard's backlog is an alarm, by either measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagLimits {
    /// Records committed and not in Kafka.
    pub records: u64,
    /// Age of the oldest of them.
    pub seconds: u64,
}

/// How far behind a shard's shipping is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lag {
    pub(super) records: u64,
    pub(super) seconds: u64,
}

impl LagLimits {
    /// Whether the alarm is to be on. Once on, it stays until the backlog is below half of both limits, so that one that
    /// hovers about a limit is one alarm and not hundreds.
    pub(super) const fn alarms(self, lag: Lag, is_on: bool) -> bool {
        let Self { records, seconds } = self;
        if is_on {
            lag.records > records / 2 || lag.seconds > seconds / 2
        } else {
            lag.records >= records || lag.seconds >= seconds
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LagLimits = LagLimits {
        records: 100,
        seconds: 60,
    };

    #[test]
    fn begins_at_either_limit_and_ends_below_half_of_both() {
        let check = |is_on, records, seconds, expected| {
            assert_eq!(
                LIMITS.alarms(Lag { records, seconds }, is_on),
                expected,
                "{records} records, {seconds} s, on before: {is_on}"
            );
        };
        check(false, 0, 0, false);
        check(false, 99, 59, false);
        check(false, 100, 0, true);
        check(false, 1, 60, true);
        check(true, 99, 59, true);
        check(true, 51, 0, true);
        check(true, 1, 31, true);
        check(true, 50, 30, false);
        check(true, 0, 0, false);
    }
}
