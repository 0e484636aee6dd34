//! A line's cells, and what they come to. A cell that is empty stands for a column that is not there.

use ledger_model::{Account, AccountStatus, AccountToken, Agreement, AgreementStatus, AgreementTerms, NameToken};

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

const ACCOUNT_COLUMNS: Columns = &["token", "name", "status", "opening_balance"];
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
}

impl Header {
    /// The reason where it is not the header of such a table.
    pub(super) fn read(table: Table, line: &str) -> Result<Self, String> {
        let columns = table.columns();
        let mut places = Vec::with_capacity(columns.len());
        for name in line.split(',') {
            let place = columns.iter().position(|column| *column == name);
            let place = place.ok_or_else(|| format!("no column is called {name:?}; they are {}", columns.join(",")))?;
            if places.contains(&place) {
                return Err(format!("the column {name} stands there twice"));
            }
            places.push(place);
        }
        let missing = columns.iter().enumerate().find(|(place, _)| !places.contains(place));
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

    pub(super) fn account(&self, line: &str) -> Result<Account, String> {
        let [token, name, status, opening_balance, ..] = self.cells(line)?;
        Ok(Account {
            token: AccountToken::from_hex(token).ok_or("token is 64 hexadecimal digits")?,
            name: NameToken::from_hex(name).ok_or("name is 64 hexadecimal digits")?,
            status: AccountStatus::from_name(status).ok_or("status is open, frozen, debit_blocked or closed")?,
            balance: opening_balance
                .parse()
                .map_err(|_| "opening_balance is an amount such as CNY518.17")?,
        })
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
        check_header("token,name,status", Err("the column opening_balance is missing"));
        check_header(
            "token,name,status,token,opening_balance",
            Err("the column token stands there twice"),
        );
        check_header(
            "token,name,state,opening_balance",
            Err("no column is called \"state\"; they are token,name,status,opening_balance"),
        );
        check_header(
            "",
            Err("no column is called \"\"; they are token,name,status,opening_balance"),
        );
    }

    #[test]
    fn cells_are_found_by_the_header() {
        let token = "a1".repeat(32);
        let usual = Header::read(Table::Accounts, "token,name,status,opening_balance").unwrap();
        let other = Header::read(Table::Accounts, "opening_balance,status,name,token").unwrap();
        let expected = usual.account(&format!("{token},{token},frozen,CNY1.50")).unwrap();
        assert_eq!(expected.balance.minor(), 150);
        assert_eq!(other.account(&format!("CNY1.50,frozen,{token},{token}")), Ok(expected));
        for line in ["", "a,b,c", "a,b,c,d,e"] {
            assert_eq!(usual.account(line), Err("a line has 4 columns".to_owned()), "{line}");
        }
    }
}
