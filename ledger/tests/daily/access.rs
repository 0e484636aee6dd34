//! Who may do what, by who the kernel says is asking.

use crate::process::{Bank, accounts};

#[test]
fn who_may_not_administer_may_not_load() {
    // whoever runs this test, it is not that user
    let bank = Bank::start_with("administration = { allow = [\"user:4294967294\"] }");
    let csv = bank.file("accounts.csv", &accounts(1..=3));
    let told = bank.ledger(&["load", "--accounts", &csv]);
    assert!(told.code == 1 && told.stderr.contains("permission"), "{told:?}");
    assert_eq!(bank.positions(), (0, 0, 0));
    assert!(bank.log().contains("has not the right"), "{}", bank.log());
}

#[test]
fn whom_the_configuration_allows_may() {
    let own = ledger::access::own_user();
    let bank = Bank::start_with(&format!("administration = {{ allow = [\"user:{own}\"] }}"));
    let csv = bank.file("accounts.csv", &accounts(1..=3));
    let told = bank.ledger(&["load", "--accounts", &csv]);
    assert_eq!((told.code, bank.positions().0), (0, 3), "{told:?}");
}
