//! The clearing notice: what the network will settle, per batch, as one XML file a day.
//!
//! Checked here is what the notice alone allows: its sums agree with each other. Whether they are ours is the business
//! of [`crate::notice_check`]. Bounded in size and nodes, no DOCTYPE; elements that are not known are passed over.

use std::collections::BTreeMap;

use ledger_model::{BatchId, BusinessDate, Currency, Money, MoneyFault};
use roxmltree::{Document, Node, ParsingOptions};

use super::total;

const NODES_MAX: u32 = 200_000;

/// The bank's net per batch and currency: negative when it owes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notice {
    pub nets: BTreeMap<(BatchId, Currency), Money>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeFault {
    #[error("empty, which is suspicious and not a success")]
    Empty,
    #[error("not UTF-8 text")]
    NotText,
    #[error("not XML that can be read: {0}")]
    Xml(String),
    #[error("element {0} is missing or stands more than once")]
    Element(&'static str),
    #[error("element {element} is not {rule}")]
    Content { element: &'static str, rule: &'static str },
    #[error("batch {0} stands twice")]
    RepeatedBatch(BatchId),
    #[error("batch {0} is of another day")]
    OtherDay(BatchId),
    #[error("{what} is {said}, the parts add up to {found}")]
    Sum {
        what: &'static str,
        said: String,
        found: String,
    },
    #[error("amounts do not add up: {0}")]
    Money(#[from] MoneyFault),
}

/// Totals of the notice over its parts, by side; each a positive sum.
#[derive(Default)]
struct Totals {
    debit: Option<Money>,
    credit: Option<Money>,
}

pub fn read_notice(bytes: &[u8], day: BusinessDate) -> Result<Notice, NoticeFault> {
    if bytes.trim_ascii().is_empty() {
        return Err(NoticeFault::Empty);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NoticeFault::NotText)?;
    let options = ParsingOptions {
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(|fault| NoticeFault::Xml(fault.to_string()))?;
    let root = document.root_element();
    if root.tag_name().name() != "Root" {
        return Err(NoticeFault::Element("Root"));
    }
    let mut notice = Notice::default();
    let mut totals = Totals::default();
    let parts: Vec<_> = children(one(root, "ClearList")?, "ClearInf").collect();
    for part in &parts {
        let flag = content(*part, "ClearDCFlg")?;
        let amount = money(*part, "ClearAmt")?;
        let net = notice.take_batches(one(*part, "BatchList")?, day, amount.currency())?;
        same("ClearAmt", signed("ClearDCFlg", flag, amount)?, net)?;
        totals.add(flag, amount)?;
    }
    let said: usize = content(root, "ClearCntNb")?.parse().map_err(|_| NoticeFault::Content {
        element: "ClearCntNb",
        rule: "a count",
    })?;
    if said != parts.len() {
        let (said, found) = (said.to_string(), parts.len().to_string());
        return Err(NoticeFault::Sum {
            what: "ClearCntNb",
            said,
            found,
        });
    }
    same_total("DebitCntAmt", money(root, "DebitCntAmt")?, totals.debit)?;
    same_total("CreditCntAmt", money(root, "CreditCntAmt")?, totals.credit)?;
    Ok(notice)
}

impl Notice {
    /// Takes the batches of one part and says their signed sum.
    fn take_batches(
        &mut self,
        list: Node<'_, '_>,
        day: BusinessDate,
        currency: Currency,
    ) -> Result<Money, NoticeFault> {
        let mut sum = Money::zero(currency);
        for part in children(list, "BatchInf") {
            let rule = "a batch id";
            let batch: BatchId = content(part, "BatchId")?.parse().map_err(|_| NoticeFault::Content {
                element: "BatchId",
                rule,
            })?;
            if batch.date() != day {
                return Err(NoticeFault::OtherDay(batch));
            }
            let net = signed("BatchDCFlg", content(part, "BatchDCFlg")?, money(part, "BatchNetAmt")?)?;
            sum = sum.plus(net)?;
            if self.nets.insert((batch, currency), net).is_some() {
                return Err(NoticeFault::RepeatedBatch(batch));
            }
        }
        Ok(sum)
    }
}

impl Totals {
    fn add(&mut self, flag: &str, amount: Money) -> Result<(), NoticeFault> {
        let held = if flag == "1" { &mut self.debit } else { &mut self.credit };
        *held = Some(held.map_or(Ok(amount), |sum| sum.plus(amount))?);
        Ok(())
    }
}

/// `1` debit: the bank owes; `2` credit: it is owed.
fn signed(element: &'static str, flag: &str, amount: Money) -> Result<Money, NoticeFault> {
    match flag {
        "1" => Ok(Money::zero(amount.currency()).minus(amount)?),
        "2" => Ok(amount),
        _ => Err(NoticeFault::Content {
            element,
            rule: "1 or 2",
        }),
    }
}

fn same(what: &'static str, said: Money, found: Money) -> Result<(), NoticeFault> {
    if said == found {
        return Ok(());
    }
    Err(NoticeFault::Sum {
        what,
        said: said.to_string(),
        found: found.to_string(),
    })
}

fn same_total(what: &'static str, said: Money, found: Option<Money>) -> Result<(), NoticeFault> {
    same(what, said, found.unwrap_or(Money::zero(said.currency())))
}

fn children<'a, 'input>(node: Node<'a, 'input>, name: &'static str) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children()
        .filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn one<'a, 'input>(node: Node<'a, 'input>, name: &'static str) -> Result<Node<'a, 'input>, NoticeFault> {
    let mut found = children(node, name);
    match (found.next(), found.next()) {
        (Some(child), None) => Ok(child),
        _ => Err(NoticeFault::Element(name)),
    }
}

fn content<'a>(node: Node<'a, '_>, name: &'static str) -> Result<&'a str, NoticeFault> {
    let child = one(node, name)?;
    if child.children().any(|inner| inner.is_element()) {
        return Err(NoticeFault::Content {
            element: name,
            rule: "text",
        });
    }
    Ok(child.text().unwrap_or_default().trim())
}

fn money(node: Node<'_, '_>, name: &'static str) -> Result<Money, NoticeFault> {
    let rule = "an amount such as CNY518.17";
    total(content(node, name)?).ok_or(NoticeFault::Content { element: name, rule })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const GOOD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
        <Root><ClearCntNb>2</ClearCntNb><DebitCntAmt>CNY30.00</DebitCntAmt><CreditCntAmt>CNY5.00</CreditCntAmt>
        <ClearList>
          <ClearInf><ClearReptFlg>S1</ClearReptFlg><ClearDCFlg>1</ClearDCFlg><ClearAmt>CNY30.00</ClearAmt><BatchList>
            <BatchInf><BatchId>B202603020001</BatchId><BatchDCFlg>1</BatchDCFlg><BatchNetAmt>CNY42.00</BatchNetAmt></BatchInf>
            <BatchInf><BatchId>B202603020002</BatchId><BatchDCFlg>2</BatchDCFlg><BatchNetAmt>CNY12.00</BatchNetAmt></BatchInf>
          </BatchList></ClearInf>
          <ClearInf><ClearDCFlg>2</ClearDCFlg><ClearAmt>CNY5.00</ClearAmt><BatchList>
            <BatchInf><BatchId>B202603020003</BatchId><BatchDCFlg>2</BatchDCFlg><BatchNetAmt>CNY5.00</BatchNetAmt></BatchInf>
          </BatchList></ClearInf>
        </ClearList></Root>";

    fn read(text: &str) -> Result<Vec<String>, String> {
        let notice = read_notice(text.as_bytes(), sample::time().date()).map_err(|fault| fault.to_string())?;
        Ok(notice
            .nets
            .iter()
            .map(|((batch, _), net)| format!("{batch} {net}"))
            .collect())
    }

    fn check(from: &str, to: &str, expected: &str) {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        assert_eq!(read(&text), Err(expected.to_owned()));
    }

    #[test]
    fn nets_are_the_banks() {
        let nets = [
            "B202603020001 CNY-42.00",
            "B202603020002 CNY12.00",
            "B202603020003 CNY5.00",
        ];
        assert_eq!(read(GOOD), Ok(nets.map(str::to_owned).to_vec()));
        let nothing = "<Root><ClearCntNb>0</ClearCntNb><DebitCntAmt>CNY0.00</DebitCntAmt>\
             <CreditCntAmt>CNY0.00</CreditCntAmt><ClearList/></Root>";
        assert_eq!(read(nothing), Ok(Vec::new()));
    }

    #[test]
    fn sums_that_do_not_agree() {
        check(
            "CNY42.00",
            "CNY42.01",
            "ClearAmt is CNY-30.00, the parts add up to CNY-30.01",
        );
        check(
            "<BatchDCFlg>2",
            "<BatchDCFlg>1",
            "ClearAmt is CNY-30.00, the parts add up to CNY-54.00",
        );
        check(
            "CNY30.00",
            "CNY31.00",
            "DebitCntAmt is CNY31.00, the parts add up to CNY30.00",
        );
        check(
            "<CreditCntAmt>CNY5.00",
            "<CreditCntAmt>CNY0.00",
            "CreditCntAmt is CNY0.00, the parts add up to CNY5.00",
        );
        check(
            "<ClearCntNb>2",
            "<ClearCntNb>3",
            "ClearCntNb is 3, the parts add up to 2",
        );
    }

    #[test]
    fn what_is_not_a_notice() {
        check("B202603020002", "B202603020001", "batch B202603020001 stands twice");
        check(
            "B202603020002",
            "B202603030002",
            "batch B202603030002 is of another day",
        );
        check("B202603020002", "B2", "element BatchId is not a batch id");
        check(
            "CNY42.00",
            "42.00",
            "element BatchNetAmt is not an amount such as CNY518.17",
        );
        check("<BatchDCFlg>2", "<BatchDCFlg>D", "element BatchDCFlg is not 1 or 2");
        check("<ClearCntNb>2", "<ClearCntNb>two", "element ClearCntNb is not a count");
        check(
            "<ClearCntNb>2</ClearCntNb>",
            "",
            "element ClearCntNb is missing or stands more than once",
        );
        check("<DebitCntAmt>", "<DebitCntAmt><x/>", "element DebitCntAmt is not text");
        check(
            "<Root>",
            "<Root><ClearList/>",
            "element ClearList is missing or stands more than once",
        );
        assert_eq!(
            read("  \n"),
            Err("empty, which is suspicious and not a success".to_owned())
        );
        assert_eq!(
            read("<Other/>"),
            Err("element Root is missing or stands more than once".to_owned())
        );
        let entities = format!(
            "<!DOCTYPE Root [<!ENTITY a \"b\">]>{}",
            GOOD.split_once("?>").unwrap().1
        );
        assert!(read(&entities).unwrap_err().starts_with("not XML that can be read"));
        assert!(
            read(&GOOD[..GOOD.len() - 10])
                .unwrap_err()
                .starts_with("not XML that can be read")
        );
        let many = format!("<Root>{}</Root>", "<x/>".repeat(210_000));
        assert!(read(&many).unwrap_err().starts_with("not XML that can be read"));
    }
}
