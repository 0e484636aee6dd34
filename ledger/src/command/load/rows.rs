//! A line's cells, and what they come to. A cell that is empty stands for a column that is not there.

use ledger_model::{
    Account, AccountLimits, AccountStatus, AccountToken, Agreement, AgreementStatus, AgreementTerms, Amount, NameToken,
};
use ledger_protocol::NewAccount;

/// Columns of the widest table.
const COLUMNS_MAX: usize = 8;

/// What a file holds, told by its option on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Accounts,
    Agreements,
}

/// In the order in which [`Header::cells`] gives them back.
type Columns = &'static [&'static str];

const ACCOUNT_COLUMNS: Columns = &[
    "token",
    "name",
    "status",
    "opening_balance",
    "single_max",
    "daily_max",
    "daily_count_max",
];
/// The others may be missing.
const ACCOUNT_COLUMNS_NEEDED: usize = 4;
const AGREEMENT_COLUMNS: Columns = &[
    "number",
    "account",
    "institution",
    "status",
    "single_max",
    "daily_max",
    "daily_count_max",
    "expires",
];

const _: () = assert!(
    ACCOUNT_COLUMNS.len() <= COLUMNS_MAX && AGREEMENT_COLUMNS.len() <= COLUMNS_MAX,
    "a table's columns must fit into its cells"
);

/// Which column stands where in a file: its first line, in any order of the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Of each cell of a line, its place among the table's columns.
    places: Vec<usize>,
}

impl Table {
    const fn columns(self) -> Columns {
        match self {
            Self::Accounts => ACCOUNT_COLUMNS,
            Self::Agreements => AGREEMENT_COLUMNS,
        }
    }

    /// Columns that every file has, and those that it may have.
    fn needed(self) -> (Columns, Columns) {
        let needed = match self {
            Self::Accounts => ACCOUNT_COLUMNS_NEEDED,
            Self::Agreements => AGREEMENT_COLUMNS.len(),
        };
        self.columns().split_at(needed)
    }
}

impl Header {
    /// The reason where it is not the header of such a table.
    pub(super) fn read(table: Table, line: &str) -> Result<Self, String> {
        let columns = table.columns();
        let mut places = Vec::with_capacity(columns.len());
        for name in line.split(',') {
            let place = columns.iter().position(|column| *column == name);
            let place = place.ok_or_else(|| {
                let (needed, others) = table.needed();
                let perhaps = if others.is_empty() { "" } else { ", and perhaps " };
                let (needed, others) = (needed.join(","), others.join(","));
                format!("no column is called {name:?}; they are {needed}{perhaps}{others}")
            })?;
            if places.contains(&place) {
                return Err(format!("the column {name} stands there twice"));
            }
            places.push(place);
        }
        let missing = table
            .needed()
            .0
            .iter()
            .enumerate()
            .find(|(place, _)| !places.contains(place));
        match missing {
            Some((_, name)) => Err(format!("the column {name} is missing")),
            None => Ok(Self { places }),
        }
    }

    /// The cells of a line in the order of the table's columns.
    fn cells<'a>(&self, line: &'a str) -> Result<[&'a str; COLUMNS_MAX], String> {
        let mut cells = [""; COLUMNS_MAX];
        let mut places = self.places.iter();
        let wrong = || format!("a line has {} columns", self.places.len());
        for text in line.split(',') {
            let cell = places.next().and_then(|place| cells.get_mut(*place));
            *cell.ok_or_else(wrong)? = text;
        }
        if places.next().is_some() {
            return Err(wrong());
        }
        Ok(cells)
    }

    pub(super) fn account(&self, line: &str) -> Result<NewAccount, String> {
        let [
            token,
            name,
            status,
            opening_balance,
            single_max,
            daily_max,
            daily_count_max,
            ..,
        ] = self.cells(line)?;
        let account = Account {
            token: AccountToken::from_hex(token).ok_or("token is 64 hexadecimal digits")?,
            name: NameToken::from_hex(name).ok_or("name is 64 hexadecimal digits")?,
            status: AccountStatus::from_name(status).ok_or("status is open, frozen, debit_blocked or closed")?,
            balance: opening_balance
                .parse()
                .map_err(|_| "opening_balance is an amount such as CNY518.17")?,
        };
        let limits = limits([single_max, daily_max, daily_count_max])?;
        Ok(NewAccount { account, limits })
    }

    pub(super) fn agreement(&self, line: &str) -> Result<Agreement, String> {
        let [
            number,
            account,
            institution,
            status,
            single_max,
            daily_max,
            daily_count_max,
            expires,
        ] = self.cells(line)?;
        let amount = "single_max and daily_max are amounts such as CNY518.17";
        Ok(Agreement {
            number: number.parse().map_err(|_| "number is 1 to 34 letters and digits")?,
            account: AccountToken::from_hex(account).ok_or("account is 64 hexadecimal digits")?,
            institution: institution.parse().map_err(|_| "institution is 14 characters")?,
            status: AgreementStatus::from_name(status).ok_or("status is normal or rescinded")?,
            terms: AgreementTerms {
                single_max: single_max.parse().map_err(|_| amount)?,
                daily_max: daily_max.parse().map_err(|_| amount)?,
                daily_count_max: daily_count_max
                    .parse()
                    .map_err(|_| "daily_count_max is a whole number")?,
                expires: expires.parse().map_err(|_| "expires is a date")?,
            },
        })
    }
}

/// None where all cells are empty.
fn limits([single_max, daily_max, daily_count_max]: [&str; 3]) -> Result<Option<AccountLimits>, String> {
    let cells = [single_max, daily_max, daily_count_max];
    if cells.iter().all(|cell| cell.is_empty()) {
        return Ok(None);
    }
    if cells.iter().any(|cell| cell.is_empty()) {
        return Err("an account has all of single_max, daily_max and daily_count_max, or none".to_owned());
    }
    let amount = |cell: &str| -> Result<Amount, &str> {
        cell.parse()
            .map_err(|_| "single_max and daily_max are amounts such as CNY518.17")
    };
    Ok(Some(AccountLimits {
        single_max: amount(single_max)?,
        daily_max: amount(daily_max)?,
        daily_count_max: daily_count_max
            .parse()
            .map_err(|_| "daily_count_max is a whole number")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_header(line: &str, expected: Result<(), &str>) {
        let read = Header::read(Table::Accounts, line);
        assert_eq!(read.as_ref().map(|_| ()).map_err(String::as_str), expected, "{line}");
    }

    #[test]
    fn a_header_names_every_column_once() {
        check_header("token,name,status,opening_balance", Ok(()));
        check_header("opening_balance,status,token,name", Ok(()));
        check_header(
            "token,daily_max,name,status,opening_balance,single_max,daily_count_max",
            Ok(()),
        );
        check_header("token,name,status", Err("the column opening_balance is missing"));
        check_header(
            "token,name,status,token,opening_balance",
            Err("the column token stands there twice"),
        );
        check_header(
            "token,name,state,opening_balance",
            Err(
                "no column is called \"state\"; they are token,name,status,opening_balance, and perhaps single_max,daily_max,daily_count_max",
            ),
        );
        check_header(
            "",
            Err(
                "no column is called \"\"; they are token,name,status,opening_balance, and perhaps single_max,daily_max,daily_count_max",
            ),
        );
    }

    #[test]
    fn cells_are_found_by_the_header() {
        let token = "a1".repeat(32);
        let usual = Header::read(Table::Accounts, "token,name,status,opening_balance").unwrap();
        let other = Header::read(Table::Accounts, "opening_balance,status,name,token").unwrap();
        let expected = usual.account(&format!("{token},{token},frozen,CNY1.50")).unwrap();
        assert_eq!((expected.account.balance.minor(), expected.limits), (150, None));
        assert_eq!(other.account(&format!("CNY1.50,frozen,{token},{token}")), Ok(expected));
        for line in ["", "a,b,c", "a,b,c,d,e"] {
            assert_eq!(usual.account(line), Err("a line has 4 columns".to_owned()), "{line}");
        }
    }

    #[test]
    fn limits_are_given_wholly_or_not_at_all() {
        let token = "a1".repeat(32);
        let header = "token,name,status,opening_balance,single_max,daily_max,daily_count_max";
        let header = Header::read(Table::Accounts, header).unwrap();
        let check = |cells: &str, expected: Result<Option<(i64, i64, u32)>, &str>| {
            let read = header.account(&format!("{token},{token},open,CNY1.00,{cells}"));
            let limits = read.map(|new| new.limits).map(|limits| {
                limits.map(|limits| {
                    (
                        limits.single_max.minor(),
                        limits.daily_max.minor(),
                        limits.daily_count_max,
                    )
                })
            });
            assert_eq!(
                limits.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|why| *why),
                "{cells}"
            );
        };
        check(",,", Ok(None));
        check("CNY5.00,CNY9.00,3", Ok(Some((500, 900, 3))));
        let incomplete = "an account has all of single_max, daily_max and daily_count_max, or none";
        check("CNY5.00,,3", Err(incomplete));
        check(",,3", Err(incomplete));
        check(
            "5,CNY9.00,3",
            Err("single_max and daily_max are amounts such as CNY518.17"),
        );
        check("CNY5.00,CNY9.00,many", Err("daily_count_max is a whole number"));
    }
}
