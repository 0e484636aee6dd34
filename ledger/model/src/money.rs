//! Money in integer minor units, always with its currency.

use std::fmt;
use std::str::FromStr;

/// ISO 4217 alphabetic code, three capital letters. Every currency of the profile has two decimal places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Why text or arithmetic did not give money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyFault {
    #[error("an amount is a currency code and a decimal with exactly two places, such as CNY518.17")]
    Form,
    #[error("an amount has at most 16 digits before the point")]
    TooLong,
    #[error("an amount is greater than zero")]
    NotPositive,
    #[error("a currency code is three capital letters")]
    Currency,
    #[error("two currencies do not add")]
    CurrenciesDiffer,
    #[error("the sum is out of range")]
    OutOfRange,
}

/// A signed sum: a balance, a position, a total. Minor units (1/100) of its currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// What a message moves: strictly greater than zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Money);

/// Digits before the decimal point, at the most; with two places the value stays far inside `i64`.
const MAJOR_DIGITS_MAX: usize = 16;

impl Currency {
    pub const CNY: Self = Self(*b"CNY");

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the constructor admits capital ASCII letters only")
    }
}

impl FromStr for Currency {
    type Err = MoneyFault;

    fn from_str(text: &str) -> Result<Self, MoneyFault> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| MoneyFault::Currency)?;
        if !code.iter().all(u8::is_ascii_uppercase) {
            return Err(MoneyFault::Currency);
        }
        Ok(Self(code))
    }
}

impl Money {
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Minor units: `CNY518.17` is 51817.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    pub const fn currency(self) -> Currency {
        self.currency
    }

    pub fn plus(self, other: Self) -> Result<Self, MoneyFault> {
        self.combine(other, i64::checked_add)
    }

    pub fn minus(self, other: Self) -> Result<Self, MoneyFault> {
        self.combine(other, i64::checked_sub)
    }

    fn combine(self, other: Self, operation: fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyFault> {
        if self.currency != other.currency {
            return Err(MoneyFault::CurrenciesDiffer);
        }
        let minor = operation(self.minor, other.minor).ok_or(MoneyFault::OutOfRange)?;
        Ok(Self::new(minor, self.currency))
    }
}

impl Amount {
    pub fn new(minor: i64, currency: Currency) -> Result<Self, MoneyFault> {
        if minor <= 0 {
            return Err(MoneyFault::NotPositive);
        }
        Ok(Self(Money::new(minor, currency)))
    }

    pub const fn money(self) -> Money {
        self.0
    }

    pub const fn minor(self) -> i64 {
        self.0.minor
    }

    pub const fn currency(self) -> Currency {
        self.0.currency
    }
}

/// The wire form of an amount, `CNY518.17`: no sign, no leading zeros, exactly two places.
impl FromStr for Amount {
    type Err = MoneyFault;

    fn from_str(text: &str) -> Result<Self, MoneyFault> {
        let (currency, decimal) = split_currency(text)?;
        Self::new(minor_units(decimal)?, currency)
    }
}

/// As an amount, and also zero or with a minus sign: `CNY0.00`, `CNY-0.05`.
impl FromStr for Money {
    type Err = MoneyFault;

    fn from_str(text: &str) -> Result<Self, MoneyFault> {
        let (currency, decimal) = split_currency(text)?;
        let minor = match decimal.strip_prefix('-') {
            None => minor_units(decimal)?,
            Some(magnitude) => match minor_units(magnitude)? {
                0 => return Err(MoneyFault::Form),
                minor => -minor,
            },
        };
        Ok(Self::new(minor, currency))
    }
}

fn split_currency(text: &str) -> Result<(Currency, &str), MoneyFault> {
    let (code, decimal) = text.split_at_checked(3).ok_or(MoneyFault::Form)?;
    Ok((code.parse().map_err(|_| MoneyFault::Form)?, decimal))
}

fn minor_units(decimal: &str) -> Result<i64, MoneyFault> {
    let (major, minor) = decimal.split_once('.').ok_or(MoneyFault::Form)?;
    let digits_only = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = major.len() > 1 && major.starts_with('0');
    if !digits_only(major) || !digits_only(minor) || minor.len() != 2 || leading_zero {
        return Err(MoneyFault::Form);
    }
    if major.len() > MAJOR_DIGITS_MAX {
        return Err(MoneyFault::TooLong);
    }
    let parse = |part: &str| part.parse::<i64>().map_err(|_| MoneyFault::OutOfRange);
    let whole = parse(major)?.checked_mul(100).ok_or(MoneyFault::OutOfRange)?;
    whole.checked_add(parse(minor)?).ok_or(MoneyFault::OutOfRange)
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let magnitude = self.minor.unsigned_abs();
        write!(f, "{}{sign}{}.{:02}", self.currency, magnitude / 100, magnitude % 100)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Result<i64, MoneyFault>) {
        assert_eq!(text.parse::<Amount>().map(Amount::minor), expected, "{text:?}");
    }

    #[test]
    fn amounts_of_the_wire() {
        check("CNY518.17", Ok(51_817));
        check("CNY0.01", Ok(1));
        check("USD1.00", Ok(100));
        check("CNY9999999999999999.99", Ok(999_999_999_999_999_999));
        check("CNY0.00", Err(MoneyFault::NotPositive));
        check("CNY-1.00", Err(MoneyFault::Form));
        check("CNY+1.00", Err(MoneyFault::Form));
        check("CNY1.001", Err(MoneyFault::Form));
        check("CNY1.0", Err(MoneyFault::Form));
        check("CNY1", Err(MoneyFault::Form));
        check("CNY01.00", Err(MoneyFault::Form));
        check("CNY.50", Err(MoneyFault::Form));
        check("CNY1.", Err(MoneyFault::Form));
        check("cny1.00", Err(MoneyFault::Form));
        check("CN1.00", Err(MoneyFault::Form));
        check("CNY 1.00", Err(MoneyFault::Form));
        check("CNY１.00", Err(MoneyFault::Form));
        check("元1.00", Err(MoneyFault::Form));
        check("CNY12345678901234567890.00", Err(MoneyFault::TooLong));
        check("", Err(MoneyFault::Form));
    }

    #[test]
    fn money_of_files() {
        for (text, expected) in [
            ("CNY0.00", Ok(0)),
            ("CNY-0.05", Ok(-5)),
            ("USD12.34", Ok(1_234)),
            ("CNY-0.00", Err(MoneyFault::Form)),
            ("CNY--1.00", Err(MoneyFault::Form)),
            ("CNY0", Err(MoneyFault::Form)),
        ] {
            assert_eq!(text.parse::<Money>().map(Money::minor), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_reads_back_what_it_wrote(minor in 1..=999_999_999_999_999_999_i64) {
            let amount = Amount::new(minor, Currency::CNY).unwrap();
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Amount>();
        }
    }

    #[test]
    fn sums_are_checked() {
        let most = Money::new(i64::MAX, Currency::CNY);
        assert_eq!(most.plus(Money::new(1, Currency::CNY)), Err(MoneyFault::OutOfRange));
        assert_eq!(
            most.minus(Money::new(1, "USD".parse().unwrap())),
            Err(MoneyFault::CurrenciesDiffer)
        );
        assert_eq!(Money::new(-5, Currency::CNY).to_string(), "CNY-0.05");
    }
}
