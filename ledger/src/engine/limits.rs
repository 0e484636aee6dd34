//! Bounds on what is debited in payments, singly and in a day.

use ledger_model::{AccountLimits, AgreementTerms, Amount};

use crate::books::Usage;

/// The bound that one more payment would cross, in order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crossed {
    Single,
    DailyCount,
    DailyAmount,
}

/// What was used in the day once `amount` is used as well.
pub(super) fn one_more(used: Usage, amount: Amount, limits: &AccountLimits) -> Result<Usage, Crossed> {
    if amount.minor() > limits.single_max.minor() {
        return Err(Crossed::Single);
    }
    let count = used.count.checked_add(1);
    let count = count.filter(|count| *count <= limits.daily_count_max);
    let count = count.ok_or(Crossed::DailyCount)?;
    let sum_minor = used.sum_minor.checked_add(amount.minor());
    let sum_minor = sum_minor.filter(|sum| *sum <= limits.daily_max.minor());
    let sum_minor = sum_minor.ok_or(Crossed::DailyAmount)?;
    Ok(Usage { count, sum_minor })
}

/// The bounds among an agreement's terms.
pub(super) const fn of_terms(terms: &AgreementTerms) -> AccountLimits {
    AccountLimits {
        single_max: terms.single_max,
        daily_max: terms.daily_max,
        daily_count_max: terms.daily_count_max,
    }
}
