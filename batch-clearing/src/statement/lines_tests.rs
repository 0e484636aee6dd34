//! Tests of the text of a detail file: every way in which one can be bad.

use proptest::prelude::*;

use super::*;
use crate::sample;

const HEADER: &str =
    "BatchId|TrxId|TrxCtgy|TrxAmt|DC|PyerAcctIssrId|PyeeAcctIssrId|InstgId|TrxStatus|TrxFinishTm|BankSerial";

pub(in crate::statement) fn line(number: u64, batch: u64, amount: &str) -> String {
    format!(
        "{}|{}|0110|{amount}|D|{}|{}|{}|00|2026-03-02T10:00:00|SERIAL0001",
        sample::batch(batch),
        sample::key(number, "0110").id,
        sample::bank(),
        sample::institution(1),
        sample::institution(1),
    )
}

pub(in crate::statement) fn text(lines: &[String], trailer: &str) -> String {
    format!("{HEADER}\n{}\n{trailer}\n", lines.join("\n"))
}

fn read(text: &[u8]) -> Result<usize, String> {
    let lines = read_lines(&mut &text[..], &StatementLayout::default(), sample::batch(1));
    lines.map(|lines| lines.len()).map_err(|fault| fault.to_string())
}

fn check(text: &str, expected: Result<usize, &str>) {
    assert_eq!(read(text.as_bytes()), expected.map_err(str::to_owned), "{text}");
}

#[test]
fn a_good_file_in_several_spellings() {
    let lines = [line(1, 1, "CNY1.00"), line(2, 1, "CNY2.50")];
    let good = text(&lines, "TOTAL|2|CNY3.50");
    check(&good, Ok(2));
    check(&good.replace('\n', "\r\n"), Ok(2));
    check(good.trim_end(), Ok(2));
    check(
        &good.replace("2026-03-02T10:00:00", "").replace("SERIAL0001", ""),
        Ok(2),
    );
}

#[test]
fn count_total_and_ends_are_checked() {
    let lines = [line(1, 1, "CNY1.00"), line(2, 1, "CNY2.50")];
    check("", Err("empty, which is suspicious and not a success"));
    check(HEADER, Err("the trailer is missing: cut short"));
    check(
        &format!("{HEADER}\n{}", lines[0]),
        Err("the trailer is missing: cut short"),
    );
    let none = format!("{HEADER}\nTOTAL|0|CNY0.00\n");
    check(
        &none,
        Err("no transfers between header and trailer, which is suspicious and not a success"),
    );
    check(
        &text(&lines, "TOTAL|3|CNY3.50"),
        Err("the trailer counts 3 lines, the file has 2"),
    );
    check(
        &text(&lines, "TOTAL|2|CNY3.51"),
        Err("the trailer's total is CNY3.51, the lines add up to CNY3.50"),
    );
    check(
        &text(&lines, "TOTAL|2|USD3.50"),
        Err("the trailer's total is USD3.50, the lines add up to CNY3.50"),
    );
    check(&text(&lines, "TOTAL|2"), Err("the trailer is not a count and a total"));
    check(
        &text(&lines, "TOTAL|two|CNY3.50"),
        Err("the trailer is not a count and a total"),
    );
    let after = format!("{}{}\n", text(&lines, "TOTAL|2|CNY3.50"), lines[0]);
    check(&after, Err("there are lines after the trailer"));
    let mixed = [line(1, 1, "CNY1.00"), line(2, 1, "USD2.50")];
    let several = "the lines are of several currencies, which one total cannot be of";
    check(&text(&mixed, "TOTAL|2|CNY3.50"), Err(several));
}

#[test]
fn columns_go_by_name() {
    let lines = [line(1, 1, "CNY1.00")];
    let good = text(&lines, "TOTAL|1|CNY1.00");
    check(
        &good.replace("|DC|", "|Direction|"),
        Err("unknown column \"Direction\""),
    );
    check(
        &good.replace("|InstgId|", "|TrxId|"),
        Err("column \"TrxId\" stands twice"),
    );
    let cut = good.replace("|BankSerial", "").replace("|SERIAL0001", "");
    check(&cut, Err("column \"BankSerial\" is missing"));
    check(
        &good.replace("|00|", "|00|x|"),
        Err("line 2 has 12 fields where the header has 11"),
    );
    let mut layout = StatementLayout::default();
    layout.columns.direction = "Direction".to_owned();
    layout.columns_ignored = vec!["Remark".to_owned()];
    let named = good
        .replace("|DC|", "|Direction|")
        .replace("BankSerial", "BankSerial|Remark");
    let named = named.replace("|SERIAL0001", "|SERIAL0001|as agreed");
    assert_eq!(
        read_lines(&mut named.as_bytes(), &layout, sample::batch(1))
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn every_field_is_checked() {
    let good = line(1, 1, "CNY1.00");
    let refused = |from: &str, to: &str, expected: &str| {
        check(&text(&[good.replace(from, to)], "TOTAL|1|CNY1.00"), Err(expected));
    };
    refused(
        "CNY1.00",
        "CNY1.0",
        "line 2: column amount is not an amount such as CNY518.17",
    );
    refused(
        "CNY1.00",
        "CNY0.00",
        "line 2: column amount is not an amount such as CNY518.17",
    );
    refused(
        "CNY1.00",
        "CNY-1.00",
        "line 2: column amount is not an amount such as CNY518.17",
    );
    refused("|D|", "|X|", "line 2: column direction is not D or C");
    refused("|00|", "|02|", "line 2: column status is not 00 or 01");
    refused("|00|", "||", "line 2: column status is not 00 or 01");
    refused("|0110|", "|110|", "line 2: column category is not four digits");
    refused(
        "T10:00:00",
        " 10:00:00",
        "line 2: column finish time is not a time or empty",
    );
    refused(
        "|C1030131001234|",
        "|C103|",
        "line 2: column payer institution is not an institution",
    );
    refused("B202603020001", "B202603020002", "line 2 is of batch B202603020002");
    refused("B202603020001", "B2026", "line 2: column batch is not a batch id");
}

#[test]
fn lines_are_bounded_text() {
    let long = "x".repeat(5000);
    check(&long, Err("line 1 is longer than 4096 bytes"));
    assert_eq!(read(b"Batch\xff\n"), Err("line 1 is not UTF-8 text".to_owned()));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0..400_usize) {
        let _ = read(&bytes);
        let good = text(&[line(1, 1, "CNY1.00")], "TOTAL|1|CNY1.00").into_bytes();
        prop_assert!(read(&good[..cut.min(good.len() - 2)]).is_err());
    }
}
