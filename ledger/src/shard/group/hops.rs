//! Hops in a group: taken in here for another shard, settled here for another shard, closed here.

use ledger_journal::Event;
use ledger_model::{Decision, HopState, Instruction, Invariant, Transfer, TransferKey};
use ledger_protocol::NothingPosted;

use super::Working;
use crate::books::{Arrival, Books, HopRow, Remembered, Said};
use crate::engine::{self, Accepted, Closed, Defect, HopOrder, Settlement, Verdict};
use crate::evidence::SealedEvidence;
use crate::outcome::Outcome;

impl Working {
    /// Takes an instruction in for its home, which cannot be reached. `elsewhere` is what another shard that can be
    /// reached holds under its key.
    pub fn accept_hop(
        &mut self,
        instruction: &Instruction,
        evidence: SealedEvidence,
        elsewhere: Option<&Remembered>,
        order: &HopOrder,
    ) -> Result<Outcome, Defect> {
        if let Some(outcome) = self.known(instruction, elsewhere) {
            return Ok(outcome);
        }
        if engine::is_closed(&self.view, instruction) {
            return Ok(Outcome::NothingPosted(NothingPosted::HomeDown));
        }
        let Accepted::Posted { entries, changes } = engine::accept_hop(&self.view, instruction, order)? else {
            return Ok(Outcome::NothingPosted(NothingPosted::HomeDown));
        };
        let transfer = self.transfer(instruction, Decision::Posted, None);
        let said = Said::by(instruction);
        self.view.apply(changes);
        self.view.put_hop(HopRow {
            transfer: transfer.clone(),
            said,
            hop: order.hop,
            state: HopState::Open,
        });
        self.remember(&transfer, said, Arrival::Hopped);
        let digest = self.keep(evidence);
        self.record(Event::TransferHopped {
            transfer: transfer.clone(),
            entries,
            evidence: digest,
            hop: order.hop,
        });
        Ok(Outcome::Decided {
            transfer,
            repeat: false,
        })
    }

    /// Settles a hop here, at its home, and says what it is to be closed with. Again for one that was settled before.
    pub fn settle_hop(&mut self, row: &HopRow) -> Result<HopState, Defect> {
        let settlement = engine::settle_hop(&self.view, row)?;
        #[cfg(feature = "mutations")]
        let settlement = crate::mutation::settlement(self.view.transfer(&row.transfer.key), settlement);
        let Verdict {
            decision,
            account,
            entries,
            changes,
        } = match settlement {
            Settlement::Known(state) => return Ok(state),
            Settlement::Decided(verdict) => verdict,
        };
        let transfer = Transfer {
            account: account.or(row.transfer.account),
            ..row.transfer.clone()
        };
        self.view.apply(changes);
        self.remember(&transfer, row.said, Arrival::Settled(decision));
        self.record(Event::HopSettled {
            transfer,
            decision,
            entries,
        });
        Ok(engine::state_after(decision))
    }

    /// Closes a hop that was taken in here; `state` is what came of it at home. Changes nothing where it is closed so.
    pub fn close_hop(&mut self, key: &TransferKey, state: HopState) -> Result<(), Defect> {
        let Some(row) = self.view.hop(key) else {
            return Err(Defect {
                invariant: Invariant::L4,
                what: "a hop is closed that was never taken in",
            });
        };
        let row = row.clone();
        let closed = engine::close_hop(&self.view, &row, state)?;
        #[cfg(feature = "mutations")]
        let closed = crate::mutation::closed(closed);
        let Closed::New { entries, changes } = closed else {
            return Ok(());
        };
        let transfer = row.transfer.clone();
        self.view.apply(changes);
        self.view.put_hop(HopRow { state, ..row });
        self.record(Event::HopClosed {
            transfer,
            state,
            entries,
        });
        Ok(())
    }
}
