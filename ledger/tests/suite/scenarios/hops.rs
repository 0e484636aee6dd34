//! Steps of transfers that hop: taken in there, settled here, closed there.

use ledger::books::{Books, HopRow};
use ledger::engine::HopOrder;
use ledger::shard::group::{
    Working, wanted_by_closing, wanted_by_hop, wanted_by_settlement_first, wanted_by_settlement_second,
};
use ledger::view::Wanted;
use ledger_model::{AccountLimits, Hop, HopState, Refusal, TransferKey};

use super::step::{ONE, Step};
use super::{Scenario, admit, outcome};
use crate::bank::{amount, sealed};

/// Names that hops have in the scenario.
const NAMES: [(&str, &str); 11] = [
    ("payout", "o1"),
    ("payout", "o2"),
    ("payout", "o3"),
    ("payout", "o4"),
    ("payout", "o5"),
    ("payout", "o6"),
    ("payout", "o8"),
    ("payout", "o9"),
    ("pay", "p1"),
    ("pay", "p2"),
    ("pay", "p3"),
];

pub(super) const VERBS: [&str; 8] = [
    "hop-pay",
    "hop-payout",
    "hop-refund",
    "hop-supplement",
    "settle-pay",
    "settle-payout",
    "close-pay",
    "close-payout",
];

/// Hops that are not closed, or closed with the money left where it was.
pub(super) fn shown(other: &Working) -> String {
    let hops = NAMES.iter().filter_map(|(kind, name)| {
        let key = key(kind, name);
        let row = other.view().missing(Wanted {
            hops: vec![key],
            ..Wanted::default()
        });
        let row = row.is_empty().then(|| other.view().hop(&key)).flatten()?;
        Some(format!("{name} {}", named(row.state)))
    });
    hops.collect::<Vec<_>>().join(", ")
}

impl Scenario {
    pub(super) fn hop(&mut self, step: &Step<'_>) -> String {
        match step.verb.split_once('-').unwrap() {
            ("hop", _) => self.take_in(step),
            ("settle", kind) => {
                let mut row = self.row(&key(kind, step.name));
                if let Some(serial) = step.rest.get("answered-as") {
                    row.transfer.serial = serial.parse().unwrap();
                }
                self.settle(&row)
            }
            (_, kind) => self.close(&key(kind, step.name), state(step.word("as"))),
        }
    }

    fn take_in(&mut self, step: &Step<'_>) -> String {
        let instruction = step.instruction();
        let mut wanted = Wanted::default();
        wanted_by_hop(&instruction, &mut wanted);
        admit(&mut self.other, wanted);
        let stand_in = step.rest.get("lending").map(|daily| AccountLimits {
            single_max: amount(step.or("lending-once", daily)),
            daily_max: amount(daily),
            daily_count_max: step.or("lending-times", "9").parse().unwrap(),
        });
        let order = HopOrder {
            hop: Hop {
                home: ONE.shard(0).unwrap(),
                attempt: 1,
                epoch: 1,
            },
            stand_in,
        };
        let elsewhere = None;
        let came = self
            .other
            .accept_hop(&instruction, sealed(&instruction), elsewhere, &order);
        outcome(&came.unwrap())
    }

    fn row(&self, key: &TransferKey) -> HopRow {
        self.other.view().hop(key).unwrap().clone()
    }

    fn settle(&mut self, row: &HopRow) -> String {
        let mut wanted = Wanted::default();
        wanted_by_settlement_first(row, &mut wanted);
        self.admit(wanted);
        let mut wanted = Wanted::default();
        wanted_by_settlement_second(row, self.working.view(), &mut wanted);
        self.admit(wanted);
        named(self.working.settle_hop(row).unwrap())
    }

    fn close(&mut self, key: &TransferKey, state: HopState) -> String {
        let row = self.row(key);
        let mut wanted = Wanted::default();
        wanted_by_closing(&row, &mut wanted);
        admit(&mut self.other, wanted);
        match self.other.close_hop(key, state) {
            Ok(()) => "done".to_owned(),
            Err(defect) => format!("defect: {}", defect.what),
        }
    }
}

fn key(kind: &str, name: &str) -> TransferKey {
    Step::key(if kind == "pay" { "0110" } else { "0120" }, name)
}

fn state(name: &str) -> HopState {
    match name {
        "settled" => HopState::Settled,
        "compensated" => HopState::Compensated,
        refusal => HopState::Unapplied(Refusal::from_name(refusal).unwrap()),
    }
}

fn named(state: HopState) -> String {
    match state {
        HopState::Unapplied(refusal) => format!("unapplied: {}", refusal.name()),
        HopState::Open | HopState::Settled | HopState::Compensated => state.name().to_owned(),
    }
}
